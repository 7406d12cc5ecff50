//! The page of a user: the connected applications.

use askama::Template;

use super::words::AppName;
use super::{Nav, Screen, filters};

/// The applications that a user has connected.
#[derive(Debug, Template)]
#[template(path = "connected.html", whitespace = "minimize")]
pub(crate) struct Connected {
    pub(crate) nav: Nav,
    /// The applications with their connections.
    pub(crate) apps: Vec<App>,
    /// Whether only active connections are shown.
    pub(crate) active_only: bool,
    /// Whether the user's account is suspended.
    pub(crate) is_suspended: bool,
    /// The application whose connection was just ended.
    pub(crate) ended: Option<AppName>,
    /// The grant id after which the next page of the list begins.
    pub(crate) next: Option<String>,
    /// What an application is given to connect: the name and URL of each resource.
    pub(crate) addresses: Vec<(String, String)>,
}

impl Screen for Connected {}

/// An application, with its connections.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: AppName,
    pub(crate) client_id: String,
    /// The number of its connections, also of those that are not shown.
    pub(crate) count: usize,
    pub(crate) entries: Vec<Entry>,
}

/// Whether a connection has working tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usable {
    Active,
    /// The last token of the connection has expired.
    Dormant,
    /// The connection is blocked while the account is suspended.
    AccountSuspended,
    /// The connection is blocked while the client is suspended.
    ClientSuspended,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) grant: String,
    /// Each scope token with its description.
    pub(crate) scopes: Vec<(String, String)>,
    /// Each resource: its name for people, and its URL.
    pub(crate) resources: Vec<(String, String)>,
    /// The name of the organization that it is for.
    pub(crate) organization: Option<String>,
    /// The place where the application runs or gets its answers, as a sentence without its full
    /// stop. It distinguishes two connections of one application.
    pub(crate) place: String,
    /// The version that the application claims to be.
    pub(crate) software: Option<String>,
    /// When it was connected: `3 days ago`.
    pub(crate) since: String,
    /// The time of the last use or renewal, as a sentence without its full stop.
    pub(crate) last: Option<String>,
    /// When it was connected, in UTC.
    pub(crate) connected: String,
    /// When it last fetched tokens, in UTC.
    pub(crate) refreshed: String,
    /// When its access token expires, if it has a valid one.
    pub(crate) until: Option<String>,
    /// When the connection ends unless it is refreshed before.
    pub(crate) expires: String,
    pub(crate) state: Usable,
    /// Whether the application has a refresh token.
    pub(crate) refreshes: bool,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn entry(text: &str) -> Entry {
        Entry {
            grant: text.into(),
            scopes: vec![(text.into(), text.into())],
            resources: vec![(text.into(), text.into())],
            organization: Some(text.into()),
            place: text.into(),
            software: Some(text.into()),
            since: text.into(),
            last: Some(text.into()),
            connected: text.into(),
            refreshed: text.into(),
            until: Some(text.into()),
            expires: text.into(),
            state: Usable::Active,
            refreshes: true,
        }
    }

    pub(crate) fn app(text: &str) -> App {
        App {
            name: AppName { text: text.into(), is_claim: true },
            client_id: text.into(),
            count: 2,
            entries: vec![entry(text)],
        }
    }

    pub(crate) fn connected(text: &str) -> Connected {
        Connected {
            nav: Nav::of(Some(text)),
            apps: vec![app(text)],
            active_only: true,
            is_suspended: true,
            ended: Some(AppName { text: text.into(), is_claim: true }),
            next: Some(text.into()),
            addresses: vec![(text.into(), text.into())],
        }
    }

    #[test]
    fn an_empty_list_and_a_dormant_entry_are_explained() -> askama::Result<()> {
        let mut page = connected("plain");
        assert!(page.render()?.contains("Active"));
        if let Some(entry) = page.apps.first_mut().and_then(|app| app.entries.first_mut()) {
            (entry.state, entry.until) = (Usable::Dormant, None);
        }
        assert!(page.render()?.contains("Dormant"));
        for (state, why) in [
            (Usable::AccountSuspended, "while your account is suspended"),
            (Usable::ClientSuspended, "has suspended the application"),
        ] {
            if let Some(entry) = page.apps.first_mut().and_then(|app| app.entries.first_mut()) {
                entry.state = state;
            }
            let html = page.render()?;
            assert!(html.contains(why) && !html.contains("Dormant"), "{html}");
        }
        page.apps.clear();
        let empty = page.render()?;
        assert!(empty.contains("No application") && empty.contains("give it"), "{empty}");
        Ok(())
    }
}
