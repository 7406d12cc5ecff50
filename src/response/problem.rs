//! A refusal at the authorization endpoint: the redirect it may be, or what the page in its place
//! shows.

use std::borrow::Cow;

use super::redirect::error_location;
use crate::policy::Policy;
use crate::refusal::{Manner, Refusal};

/// What an error page shows in place of Allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The status of the page.
    pub status: u16,
    /// The public code.
    pub code: &'static str,
    /// What went wrong, as `error_description` states it: the reason's stable description, then
    /// what was received and what is right.
    pub description: Cow<'static, str>,
    /// What happened, for whoever runs the client or the server.
    pub cause: &'static str,
    /// The part of the description that depends on the request, by itself.
    pub detail: Option<String>,
    /// What to do about it.
    pub fix: &'static str,
    /// The name of the reason: its anchor in the troubleshooting page.
    pub anchor: &'static str,
    /// The value that was received, to show as text and never as a link. The description repeats
    /// it.
    pub received: Option<String>,
    /// The exact error response at the client's verified redirect URI, for a link to continue.
    pub continue_url: Option<String>,
}

impl Refusal {
    /// Where to redirect to at once (303), if the error goes straight to the client.
    pub fn location(&self, policy: &Policy) -> Option<String> {
        match self.manner() {
            Manner::Redirectable(to) if to.at_once => Some(error_location(to, self, policy)),
            _ => None,
        }
    }

    /// Whether it goes straight to the client, with no page between.
    pub(crate) fn goes_to_client(&self) -> bool {
        matches!(self.manner(), Manner::Redirectable(to) if to.at_once)
    }

    /// What to show, if it does not go straight to the client.
    pub fn problem(&self, policy: &Policy) -> Problem {
        let continue_url = match self.manner() {
            Manner::Redirectable(to) => Some(error_location(to, self, policy)),
            Manner::Plain | Manner::Challenge(_) | Manner::Later(_) => None,
        };
        let shown = self.reason().shown();
        Problem {
            status: self.status(),
            code: self.code().as_str(),
            description: self.description(),
            cause: shown.cause(),
            detail: self.detail(),
            fix: shown.fix(),
            anchor: shown.name(),
            received: self.received_value(),
            continue_url,
        }
    }
}
