//! The pages of a user: the connected applications, and troubleshooting.

use askama::Template;

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
    /// Whether a connection was just ended.
    pub(crate) ended: bool,
    /// The grant id after which the next page of the list begins.
    pub(crate) next: Option<String>,
}

impl Screen for Connected {}

/// An application, with its connections.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) client_id: String,
    /// Whether the operator registered the client, so that its name is verified.
    pub(crate) verified: bool,
    pub(crate) entries: Vec<Entry>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) grant: String,
    /// Each scope token with its description.
    pub(crate) scopes: Vec<(String, String)>,
    pub(crate) resources: Vec<String>,
    pub(crate) connected: String,
    pub(crate) refreshed: String,
    /// When its access token expires, if it has a valid one.
    pub(crate) until: Option<String>,
    /// When the connection ends unless it is refreshed before.
    pub(crate) expires: String,
    pub(crate) active: bool,
}

/// The page of all reasons, with their causes and fixes.
#[derive(Debug, Template)]
#[template(path = "troubleshooting.html", whitespace = "minimize")]
pub(crate) struct Troubleshooting {
    pub(crate) nav: Nav,
    pub(crate) reasons: Vec<Reason>,
}

impl Screen for Troubleshooting {}

/// One row of the error table.
#[derive(Debug)]
pub(crate) struct Reason {
    /// The name of the reason, which is also the anchor.
    pub(crate) name: String,
    /// The public error code; empty if there is none.
    pub(crate) code: String,
    pub(crate) description: String,
    pub(crate) cause: String,
    pub(crate) fix: String,
    pub(crate) section: String,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn entry(text: &str) -> Entry {
        Entry {
            grant: text.into(),
            scopes: vec![(text.into(), text.into())],
            resources: vec![text.into()],
            connected: text.into(),
            refreshed: text.into(),
            until: Some(text.into()),
            expires: text.into(),
            active: true,
        }
    }

    pub(crate) fn app(text: &str) -> App {
        App {
            name: text.into(),
            client_id: text.into(),
            verified: false,
            entries: vec![entry(text)],
        }
    }

    pub(crate) fn connected(text: &str) -> Connected {
        Connected {
            nav: Nav::of(Some(text)),
            apps: vec![app(text)],
            active_only: true,
            ended: true,
            next: Some(text.into()),
        }
    }

    pub(crate) fn troubleshooting(text: &str) -> Troubleshooting {
        let reason = Reason {
            name: text.into(),
            code: text.into(),
            description: text.into(),
            cause: text.into(),
            fix: text.into(),
            section: text.into(),
        };
        Troubleshooting { nav: Nav::of(None), reasons: vec![reason] }
    }

    #[test]
    fn an_empty_list_and_a_dormant_entry_are_explained() -> askama::Result<()> {
        let mut page = connected("plain");
        assert!(page.render()?.contains("Active"));
        if let Some(entry) = page.apps.first_mut().and_then(|app| app.entries.first_mut()) {
            (entry.active, entry.until) = (false, None);
        }
        assert!(page.render()?.contains("Dormant"));
        page.apps.clear();
        assert!(page.render()?.contains("No application"));
        Ok(())
    }
}
