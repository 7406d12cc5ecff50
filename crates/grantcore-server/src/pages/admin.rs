//! The administrator's pages. Here: what they share, and the pages that ask and refuse. The audit
//! log is in `admin/log.rs`, the clients in `admin/clients.rs`, the accounts in
//! `admin/accounts.rs`.

pub(super) mod accounts;
pub(super) mod clients;
pub(super) mod log;

use askama::Template;
use axum::http::StatusCode;

use super::{AppName, Nav, Screen, filters};

/// A sentence about the last action of an administrator.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// The subject of the action, with which the sentence begins.
    pub(crate) to: AppName,
    /// The rest of the sentence.
    pub(crate) text: &'static str,
}

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

/// The page that asks for the reason of an administrator's action, and for confirmation.
#[derive(Debug, Template)]
#[template(path = "admin_ask.html", whitespace = "minimize")]
pub(crate) struct AskReason {
    pub(crate) nav: Nav,
    /// The action, as a question.
    pub(crate) question: String,
    pub(crate) consequence: &'static str,
    /// The text of the button.
    pub(crate) button: &'static str,
    /// What it is done to: each fact with its value.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Whether something is taken away, and the reason is required.
    pub(crate) needs_reason: bool,
    /// Whether the reason was not given.
    pub(crate) is_missing: bool,
    /// Whether the form has a tick for a security event.
    pub(crate) may_be_security: bool,
    /// The hidden fields of the form.
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) back: String,
}

impl Screen for AskReason {
    fn status(&self) -> StatusCode {
        if self.is_missing { StatusCode::BAD_REQUEST } else { StatusCode::OK }
    }
}

/// The page of a request that is refused or fails.
#[derive(Debug, Template)]
#[template(path = "refused.html", whitespace = "minimize")]
pub(crate) struct Refused {
    pub(crate) nav: Nav,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) message: &'static str,
    /// Whether it is a page below `/admin`, which has the tabs of the administrator.
    pub(crate) is_admins: bool,
    /// What was asked for, as it was received: an ID.
    pub(crate) asked: Option<String>,
}

impl Refused {
    /// Returns a page outside of `/admin`.
    pub(crate) fn new(
        nav: Nav,
        status: StatusCode,
        title: &'static str,
        message: &'static str,
    ) -> Self {
        Self { nav, status, title, message, is_admins: false, asked: None }
    }
}

impl Screen for Refused {
    fn status(&self) -> StatusCode {
        self.status
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn done(text: &str) -> Done {
        Done { to: AppName { text: text.into(), is_claim: true }, text: "is suspended." }
    }

    pub(crate) fn ask(text: &str) -> AskReason {
        AskReason {
            nav: Nav { is_admin: true, ..Nav::of(Some(text)) },
            question: text.into(),
            consequence: "consequence",
            button: "Suspend",
            facts: vec![("Account", text.into()), ("Client ID", text.into())],
            needs_reason: true,
            is_missing: true,
            may_be_security: true,
            fields: vec![("csrf", text.into())],
            back: text.into(),
        }
    }

    #[test]
    fn a_reason_is_required_only_where_something_is_taken_away() -> askama::Result<()> {
        let page = ask("plain");
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        let html = page.render()?;
        assert!(html.contains(" required") && html.contains("aria-invalid"), "{html}");
        let gentle =
            AskReason { needs_reason: false, is_missing: false, may_be_security: false, ..page };
        assert_eq!(gentle.status(), StatusCode::OK);
        let html = gentle.render()?;
        assert!(!html.contains(" required") && !html.contains("security"), "{html}");
        Ok(())
    }
}
