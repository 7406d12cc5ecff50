//! The administrator's pages: clients, accounts, the audit log and one flow of it.

use askama::Template;
use axum::http::StatusCode;

use super::connected::App;
use super::{Nav, Screen, filters};
use crate::trail::Entry;

/// The administrator's front page, with the search.
#[derive(Debug, Template)]
#[template(path = "admin.html", whitespace = "minimize")]
pub(crate) struct AdminHome {
    pub(crate) nav: Nav,
    pub(crate) form: SearchForm,
}

impl Screen for AdminHome {}

/// One page of the list of clients.
#[derive(Debug, Template)]
#[template(path = "admin_clients.html", whitespace = "minimize")]
pub(crate) struct Clients {
    pub(crate) nav: Nav,
    pub(crate) csrf: String,
    /// Whether an action was just done.
    pub(crate) done: bool,
    pub(crate) listed: Vec<Client>,
    pub(crate) next: Option<String>,
}

impl Screen for Clients {}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) registration: &'static str,
    pub(crate) created: Option<String>,
    pub(crate) active: bool,
}

/// The accounts.
#[derive(Debug, Template)]
#[template(path = "admin_accounts.html", whitespace = "minimize")]
pub(crate) struct Accounts {
    pub(crate) nav: Nav,
    pub(crate) csrf: String,
    pub(crate) done: bool,
    /// Each account: subject, name for people if it has one, whether it is suspended, and balance.
    pub(crate) listed: Vec<(String, Option<String>, bool, u64)>,
}

impl Screen for Accounts {}

/// One account and its connections.
#[derive(Debug, Template)]
#[template(path = "admin_account.html", whitespace = "minimize")]
pub(crate) struct Account {
    pub(crate) nav: Nav,
    pub(crate) csrf: String,
    pub(crate) done: bool,
    pub(crate) subject: String,
    /// The name for people, if it is not the subject.
    pub(crate) name: Option<String>,
    pub(crate) suspended: bool,
    pub(crate) balance: u64,
    pub(crate) apps: Vec<App>,
}

impl Screen for Account {}

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
}

/// The entries that the search found.
#[derive(Debug, Template)]
#[template(path = "admin_trail.html", whitespace = "minimize")]
pub(crate) struct Trail {
    pub(crate) nav: Nav,
    pub(crate) form: SearchForm,
    pub(crate) steps: Vec<Step>,
    /// Whether older entries are left out.
    pub(crate) cut: bool,
}

impl Screen for Trail {}

/// One entry, as it is shown.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) at: String,
    /// The time since the previous step, on a time line.
    pub(crate) after: Option<String>,
    pub(crate) entry: Entry,
    /// The cause and the fix of the entry's reason.
    pub(crate) meaning: Option<(String, String)>,
}

/// A whole flow on a time line.
#[derive(Debug, Template)]
#[template(path = "admin_flow.html", whitespace = "minimize")]
pub(crate) struct Flow {
    pub(crate) nav: Nav,
    pub(crate) csrf: String,
    pub(crate) done: bool,
    /// The id of the flow.
    pub(crate) id: String,
    pub(crate) steps: Vec<Step>,
}

impl Screen for Flow {}

/// The page that asks for confirmation before an action that cannot be undone.
#[derive(Debug, Template)]
#[template(path = "confirm.html", whitespace = "minimize")]
pub(crate) struct Confirm {
    pub(crate) nav: Nav,
    /// The action, as a question.
    pub(crate) question: String,
    pub(crate) consequence: String,
    /// The text of the button.
    pub(crate) button: &'static str,
    pub(crate) action: String,
    /// The hidden fields of the form.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) back: String,
}

impl Screen for Confirm {}

/// The page of a request that is refused or fails.
#[derive(Debug, Template)]
#[template(path = "refused.html", whitespace = "minimize")]
pub(crate) struct Refused {
    pub(crate) nav: Nav,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) message: &'static str,
}

impl Screen for Refused {
    fn status(&self) -> StatusCode {
        self.status
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::connected::tests::app;
    use super::*;

    fn form(text: &str) -> SearchForm {
        SearchForm {
            error: text.into(),
            client: text.into(),
            at: text.into(),
            reference: text.into(),
            subject: text.into(),
            bad_time: true,
        }
    }

    fn step(text: &str) -> Step {
        let some = || Some(text.to_owned());
        let entry = Entry {
            at: 0,
            correlation: text.into(),
            flow: some(),
            kind: text.into(),
            reason: some(),
            detail: some(),
            client: some(),
            subject: some(),
            status: Some(400),
            error: some(),
            description: some(),
            challenge: some(),
            note: some(),
            written: some(),
            durability: some(),
            attributed: true,
            count: 1,
        };
        Step { at: text.into(), after: some(), entry, meaning: Some((text.into(), text.into())) }
    }

    pub(crate) fn home(text: &str) -> AdminHome {
        AdminHome { nav: Nav::of(Some(text)), form: form(text) }
    }

    pub(crate) fn clients(text: &str) -> Clients {
        let one = |active| Client {
            id: text.into(),
            name: text.into(),
            registration: "dynamic",
            created: Some(text.into()),
            active,
        };
        let clients = vec![one(true), one(false)];
        Clients {
            nav: Nav::of(Some(text)),
            csrf: text.into(),
            done: true,
            listed: clients,
            next: Some(text.into()),
        }
    }

    pub(crate) fn accounts(text: &str) -> Accounts {
        let accounts =
            vec![(text.into(), Some(text.into()), true, 7), (text.into(), None, false, 0)];
        Accounts { nav: Nav::of(Some(text)), csrf: text.into(), done: true, listed: accounts }
    }

    pub(crate) fn account(text: &str) -> Account {
        let apps = vec![app(text)];
        Account {
            nav: Nav::of(Some(text)),
            csrf: text.into(),
            done: true,
            subject: text.into(),
            name: Some(text.into()),
            suspended: false,
            balance: 1,
            apps,
        }
    }

    pub(crate) fn trail(text: &str) -> Trail {
        Trail { nav: Nav::of(Some(text)), form: form(text), steps: vec![step(text)], cut: true }
    }

    pub(crate) fn flow(text: &str) -> Flow {
        Flow {
            nav: Nav::of(Some(text)),
            csrf: text.into(),
            done: true,
            id: text.into(),
            steps: vec![step(text), step(text)],
        }
    }
}
