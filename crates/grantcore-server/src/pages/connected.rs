//! The pages of a user: their connected applications; and the page that says what helps.

use askama::Template;

use super::{Nav, Screen, filters};

/// The applications that a user has connected.
#[derive(Debug, Template)]
#[template(path = "connected.html", whitespace = "minimize")]
pub(crate) struct Connected {
    pub(crate) nav: Nav,
    /// By application.
    pub(crate) apps: Vec<App>,
    /// Whether only those in use are shown.
    pub(crate) active_only: bool,
    /// Whether one was just ended.
    pub(crate) ended: bool,
    /// What to list after, if there is more.
    pub(crate) next: Option<String>,
}

impl Screen for Connected {}

/// An application, with each time it was connected.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) client_id: String,
    /// Whether somebody other than the client stands for its name.
    pub(crate) verified: bool,
    pub(crate) entries: Vec<Entry>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) grant: String,
    /// Each scope token, and what it means.
    pub(crate) scopes: Vec<(String, String)>,
    pub(crate) resources: Vec<String>,
    pub(crate) connected: String,
    pub(crate) refreshed: String,
    /// Until when its access token works, if one does.
    pub(crate) until: Option<String>,
    /// When it is over if it does not refresh before.
    pub(crate) expires: String,
    pub(crate) active: bool,
}

/// What every reason means, and what helps.
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
    /// Its name, and its anchor.
    pub(crate) name: String,
    /// The public code; empty if there is none.
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
        let (apps, next) = (vec![app(text)], Some(text.into()));
        Connected { nav: Nav::of(Some(text)), apps, active_only: true, ended: true, next }
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
    fn an_empty_list_says_so_and_a_dormant_entry_what_that_means() -> askama::Result<()> {
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
