//! A refusal at the authorization endpoint: the redirect to the client, or the content of the error
//! page.

use std::borrow::Cow;

use super::redirect::error_location;
use crate::policy::Policy;
use crate::reason::ErrorCode;
use crate::refusal::{Delivery, Refusal};

/// The content of an error page at the authorization endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The status of the page.
    pub status: u16,
    /// The public error code. Every refusal at the authorization endpoint has one.
    pub code: Option<ErrorCode>,
    /// What went wrong, in the words of `error_description`: the reason's stable description, then
    /// what was received and what is right.
    pub description: Cow<'static, str>,
    /// What happened, for the operator of the client or the server.
    pub cause: &'static str,
    /// The part of the description that depends on the request, alone.
    pub detail: Option<String>,
    /// What to do about it.
    pub fix: &'static str,
    /// The name of the reason, which is its anchor in the troubleshooting page.
    pub anchor: &'static str,
    /// The value that was received. A page shows it as text, never as a link. The description
    /// contains it too.
    pub received: Option<String>,
    /// The error response at the client's verified redirect URI, for a link that continues there.
    pub continue_url: Option<String>,
}

impl Refusal {
    /// Returns the URL to redirect the browser to at once (303), or `None` if a page comes first.
    pub fn location(&self, policy: &Policy) -> Option<String> {
        match self.delivery() {
            Delivery::Redirect(to) if to.at_once => Some(error_location(to, self, policy)),
            _ => None,
        }
    }

    /// Returns whether the browser is redirected to the client at once.
    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.delivery(), Delivery::Redirect(to) if to.at_once)
    }

    /// Returns the content of the error page, for a refusal without a [`location`](Self::location).
    pub fn problem(&self, policy: &Policy) -> Problem {
        let continue_url = match self.delivery() {
            Delivery::Redirect(to) => Some(error_location(to, self, policy)),
            Delivery::Plain | Delivery::Challenge(_) | Delivery::RetryAfter(_) => None,
        };
        let disclosed = self.reason().disclosed();
        Problem {
            status: self.status(),
            code: self.code(),
            description: self.description(),
            cause: disclosed.cause(),
            detail: self.detail(),
            fix: disclosed.fix(),
            anchor: disclosed.name(),
            received: self.received_value(),
            continue_url,
        }
    }
}
