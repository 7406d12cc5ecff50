//! The administrator's front page, the audit log, and one flow of it.

use askama::Template;
use axum::http::StatusCode;

use crate::audit::Entry;
use crate::pages::{AppName, Done, Nav, Screen, filters};

/// The administrator's front page, with the search.
#[derive(Debug, Template)]
#[template(path = "admin.html", whitespace = "minimize")]
pub(crate) struct AdminHome {
    pub(crate) nav: Nav,
    pub(crate) form: SearchForm,
}

impl Screen for AdminHome {}

/// The search form, as typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchForm {
    pub(crate) error: String,
    pub(crate) client: String,
    pub(crate) at: String,
    pub(crate) reference: String,
    pub(crate) subject: String,
    /// Whether the time cannot be parsed.
    pub(crate) bad_time: bool,
    /// Whether only refusals are searched for.
    pub(crate) refusals: bool,
}

impl SearchForm {
    /// Returns what was typed, each with the name of its field.
    fn criteria(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("error", &self.error),
            ("client", &self.client),
            ("user", &self.subject),
            ("time", &self.at),
            ("reference", &self.reference),
        ];
        let typed = all.into_iter().filter(|(_, text)| !text.trim().is_empty());
        typed.map(|(what, text)| (what, &**text)).collect()
    }
}

/// One page of the entries that the search found.
#[derive(Debug, Template)]
#[template(path = "admin_log.html", whitespace = "minimize")]
pub(crate) struct LogPage {
    pub(crate) nav: Nav,
    pub(crate) form: SearchForm,
    /// The newest first.
    pub(crate) steps: Vec<Step>,
    /// The address of the same search for all entries.
    pub(crate) everything: String,
    /// The address of the same search for refusals only.
    pub(crate) only_refusals: String,
    /// The address of the first page, if this is another one.
    pub(crate) newest: Option<String>,
    /// The address of the next page.
    pub(crate) older: Option<String>,
}

impl Screen for LogPage {}

/// One entry, as it is shown.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) at: String,
    /// The time since the previous step, on a time line.
    pub(crate) after: Option<String>,
    /// What happened, in words.
    pub(crate) happened: Option<&'static str>,
    /// The name of the client, if it exists.
    pub(crate) client: Option<AppName>,
    pub(crate) entry: Entry,
    /// What the client proved itself with.
    pub(crate) proof: Option<String>,
    /// The cause and the fix of the entry's reason.
    pub(crate) meaning: Option<(String, String)>,
}

/// A whole flow on a time line.
#[derive(Debug, Template)]
#[template(path = "admin_flow.html", whitespace = "minimize")]
pub(crate) struct Flow {
    pub(crate) nav: Nav,
    /// What was just done.
    pub(crate) done: Option<Done>,
    /// The id of the flow.
    pub(crate) id: String,
    /// `None` if nothing is known of the flow.
    pub(crate) head: Option<FlowHead>,
    pub(crate) steps: Vec<Step>,
    /// The address of the steps before these, if there are any.
    pub(crate) earlier: Option<String>,
}

impl Screen for Flow {
    fn status(&self) -> StatusCode {
        let is_known = self.head.is_some() || !self.steps.is_empty();
        if is_known { StatusCode::OK } else { StatusCode::NOT_FOUND }
    }
}

/// Who and what a flow connects, and its state.
#[derive(Debug, Default)]
pub(crate) struct FlowHead {
    pub(crate) state: &'static str,
    /// The name of the client if it exists, its ID, and the address of its page.
    pub(crate) client: Option<(Option<AppName>, String, String)>,
    pub(crate) subject: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) resources: Vec<String>,
    /// The name of the organization that it is for.
    pub(crate) organization: Option<String>,
    /// When the consent page was made.
    pub(crate) created: Option<String>,
    /// Where the application runs, of a live connection.
    pub(crate) place: Option<String>,
    /// The last proof that the client gave of itself.
    pub(crate) proof: Option<String>,
    pub(crate) refreshed: Option<String>,
    pub(crate) expires: Option<String>,
    /// The address that asks to disconnect it, unless it is over.
    pub(crate) disconnect: Option<String>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn admin(text: &str) -> Nav {
        Nav { is_admin: true, ..Nav::of(Some(text)) }
    }

    fn form(text: &str) -> SearchForm {
        SearchForm {
            error: text.into(),
            client: text.into(),
            at: text.into(),
            reference: text.into(),
            subject: text.into(),
            bad_time: true,
            refusals: true,
        }
    }

    fn step(text: &str) -> Step {
        let some = || Some(text.to_owned());
        let entry = Entry {
            at: 0,
            correlation: text.into(),
            flow: some(),
            kind: text.to_owned().into(),
            reason: some().map(Into::into),
            detail: some(),
            client: some(),
            subject: some(),
            status: Some(400),
            error: some().map(Into::into),
            description: some(),
            challenge: some(),
            note: some(),
            written: some(),
            durability: some().map(Into::into),
            attributed: true,
            count: 1,
        };
        Step {
            at: text.into(),
            after: some(),
            happened: Some("It happened"),
            proof: Some(text.into()),
            client: Some(AppName { text: text.into(), is_claim: true }),
            entry,
            meaning: Some((text.into(), text.into())),
        }
    }

    pub(crate) fn home(text: &str) -> AdminHome {
        AdminHome { nav: admin(text), form: form(text) }
    }

    pub(crate) fn log_page(text: &str) -> LogPage {
        LogPage {
            nav: admin(text),
            form: form(text),
            steps: vec![step(text)],
            everything: text.into(),
            only_refusals: text.into(),
            newest: Some(text.into()),
            older: Some(text.into()),
        }
    }

    pub(crate) fn flow(text: &str) -> Flow {
        let some = || Some(text.to_owned());
        let name = AppName { text: text.into(), is_claim: true };
        let head = FlowHead {
            state: "Active",
            client: Some((Some(name), text.into(), text.into())),
            subject: some(),
            scopes: vec![text.into()],
            resources: vec![text.into()],
            organization: some(),
            created: some(),
            place: some(),
            proof: some(),
            refreshed: some(),
            expires: some(),
            disconnect: some(),
        };
        Flow {
            nav: admin(text),
            done: Some(crate::pages::admin::tests::done(text)),
            id: text.into(),
            head: Some(head),
            steps: vec![step(text), step(text)],
            earlier: some(),
        }
    }

    #[test]
    fn nothing_found_and_nothing_known_have_a_way_on() -> askama::Result<()> {
        let form = SearchForm { bad_time: false, ..form("plain") };
        let nothing = LogPage { form, steps: Vec::new(), older: None, ..log_page("plain") };
        assert!(nothing.render()?.contains("No step fits"));
        let unknown = Flow { head: None, steps: Vec::new(), earlier: None, ..flow("plain") };
        let html = unknown.render()?;
        assert!(html.contains("Search the audit log") && !html.contains("Disconnect"), "{html}");
        Ok(())
    }

    #[test]
    fn a_flow_that_is_over_offers_nothing() -> askama::Result<()> {
        let mut over = flow("plain");
        assert!(over.render()?.contains(">Disconnect<"));
        if let Some(head) = &mut over.head {
            head.disconnect = None;
        }
        assert!(!over.render()?.contains(">Disconnect<"));
        Ok(())
    }
}
