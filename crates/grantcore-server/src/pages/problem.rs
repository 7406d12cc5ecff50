//! The error page in place of a consent page: one sentence for the user, then a block of text for
//! the application's developer.

use askama::Template;
use axum::http::StatusCode;
use grantcore::Reason;

use super::{Screen, filters};

/// The error page in place of a consent page. It has no form, so it cannot grant anything.
#[derive(Debug, Template)]
#[template(path = "problem.html", whitespace = "minimize")]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Whose mistake it is, and what the user can do.
    pub(crate) plain: PlainWords,
    /// The public error code, such as `invalid_request`.
    pub(crate) code: String,
    /// The error, the received value and the expected one, as text. Nothing in it becomes a link.
    pub(crate) description: String,
    /// The cause, in a sentence.
    pub(crate) cause: String,
    /// The fix, in a sentence.
    pub(crate) fix: String,
    /// The anchor of the reason on the troubleshooting page.
    pub(crate) anchor: &'static str,
    /// The client ID that the request had, as text.
    pub(crate) client_id: Option<String>,
    /// The error response at a *verified* redirect URI, and the name of the place that it leads
    /// to. No other address of a request becomes a link.
    pub(crate) onward: Option<(String, String)>,
    /// The address that repeats the request.
    pub(crate) reload_url: Option<String>,
    /// The correlation id of the event.
    pub(crate) correlation_id: String,
    /// The time of the event, in UTC.
    pub(crate) at: String,
}

impl Screen for Problem {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A refusal in words for a user who knows nothing of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainWords {
    /// Whose mistake it is, a sentence without its full stop.
    pub(crate) heading: &'static str,
    /// What it means for the user, and what the user can do.
    pub(crate) advice: &'static str,
}

/// A mistake that only the application's developer can repair.
pub(crate) const OF_THE_APPLICATION: PlainWords = PlainWords {
    heading: "This is a mistake of the application, not yours",
    advice: "Nothing was shared. Only the application's developer can repair it. Send them the \
             text below.",
};

/// A failure of this server.
pub(crate) const OF_THE_SERVER: PlainWords = PlainWords {
    heading: "This server has trouble, and you did nothing wrong",
    advice: "Nothing was shared. Try again in a minute. If that fails too, send the text below to the operator of this server.",
};

/// The advice for users of an application that did not register itself.
const BY_AN_OPERATOR: &str = "Nothing was shared, and you did nothing wrong. Whoever set up the \
    application for this server must do so again: send the text below to the operator of this server, \
    or to the application's developer.";

/// The fix by the operator or the developer of such an application.
const FIX_BY_AN_OPERATOR: &str = "Correct the client_id, or ask the operator of this server. The \
    operator adds the client in [[clients]] of the file of settings or with `grantcore-server \
    add-client`, or lifts its suspension on the administration pages.";

/// Returns the fix of a problem for developers, if the one of the library is for clients that
/// register themselves.
pub(crate) fn fix(reason: Reason, client_id: Option<&str>) -> Option<&'static str> {
    let is_of_client = matches!(reason, Reason::ClientUnknown | Reason::ClientDeactivated);
    let is_operators = client_id.is_some_and(|id| !registers_itself(id));
    (is_of_client && is_operators).then_some(FIX_BY_AN_OPERATOR)
}

/// Returns whether a client ID has the form of a client that makes itself known: by a registration,
/// or by a document. The form alone decides, so that nobody learns which clients exist.
fn registers_itself(client_id: &str) -> bool {
    client_id.starts_with("gcl_") || client_id.starts_with("https://")
}

impl PlainWords {
    /// Returns the words for a reason of the authorization endpoint. `client_id` is the one that
    /// was received.
    pub(crate) fn of(reason: Reason, client_id: Option<&str>) -> Self {
        let (heading, advice) = match reason {
            Reason::ConsentExpired => (
                "This page was open for too long",
                "Nothing was shared. Open the request again and decide.",
            ),
            Reason::ConsentUsed => (
                "You have decided this already",
                "Each request is decided once, and your first decision stands. If the application \
                 does not know of it, start again there.",
            ),
            Reason::ConsentSessionMismatch => (
                "You have signed in again since this page was opened",
                "Nothing was shared. Open the request again and decide.",
            ),
            Reason::TicketMissing | Reason::TicketUnknown | Reason::ConsentScope => (
                "This page is out of date",
                "Nothing was shared. Start again from the application.",
            ),
            Reason::ConsentPagesLimited => (
                "Too many requests were opened for your account",
                "Nothing was shared. Wait a minute, then start again from the application.",
            ),
            Reason::AccountSuspended => (
                "Your account is suspended",
                "Nothing was shared. No application can be connected until the operator of this \
                 server lifts the suspension.",
            ),
            Reason::ClientUnknown | Reason::ClientDeactivated | Reason::OwnerSuspended => (
                "This server does not know the application",
                match client_id {
                    Some(id) if !registers_itself(id) => BY_AN_OPERATOR,
                    _ => {
                        "Nothing was shared, and you did nothing wrong. Remove this server from the \
                         application and add it again. If that does not help, send the text below \
                         to the application's developer."
                    }
                },
            ),
            Reason::StorageUnavailable
            | Reason::EntropyUnavailable
            | Reason::Contended
            | Reason::AuditUnavailable
            | Reason::DocumentsBusy => return OF_THE_SERVER,
            _ => return OF_THE_APPLICATION,
        };
        Self { heading, advice }
    }
}

/// Returns the name of the place that a redirect leads to: its host and port, or the scheme that a
/// program on the device opens.
pub(crate) fn place(location: &str) -> String {
    let Ok(url) = url::Url::parse(location) else { return "the application".into() };
    let web = matches!(url.scheme(), "http" | "https");
    match url.host_str().filter(|_| web) {
        Some(host) => url.port().map_or(host.into(), |port| format!("{host}:{port}")),
        None => format!("the application for {}: addresses", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_button_names_the_place_that_it_leads_to() {
        for (location, name) in [
            ("https://app.example/cb?error=x", "app.example"),
            ("http://127.0.0.1:51004/callback?error=x", "127.0.0.1:51004"),
            ("http://[::1]:5/callback", "[::1]:5"),
            ("cursor://anysphere/callback?error=x", "the application for cursor: addresses"),
        ] {
            assert_eq!(place(location), name);
        }
    }

    /// The reasons that are neither the application's mistake nor the server's failure have words
    /// of their own.
    #[test]
    fn each_class_of_reason_has_fitting_words() {
        for reason in [Reason::PkceMissing, Reason::RedirectUriMismatch, Reason::ScopeUnknown] {
            assert_eq!(PlainWords::of(reason, None), OF_THE_APPLICATION);
        }
        for reason in [Reason::StorageUnavailable, Reason::Contended, Reason::AuditUnavailable] {
            assert_eq!(PlainWords::of(reason, None), OF_THE_SERVER);
        }
        for (reason, words) in [
            (Reason::ConsentExpired, "too long"),
            (Reason::ConsentUsed, "already"),
            (Reason::ConsentSessionMismatch, "signed in again"),
            (Reason::AccountSuspended, "suspended"),
            (Reason::ClientUnknown, "does not know"),
        ] {
            assert!(PlainWords::of(reason, None).heading.contains(words), "{reason:?}");
        }
        for (client_id, advice) in [
            (None, "add it again"),
            (Some("gcl_AAAA"), "add it again"),
            (Some("https://a.example/client"), "add it again"),
            (Some("portal"), "to the operator of this server"),
        ] {
            let words = PlainWords::of(Reason::ClientUnknown, client_id);
            assert!(words.advice.contains(advice), "{client_id:?}: {}", words.advice);
            let is_operators = fix(Reason::ClientUnknown, client_id).is_some();
            assert_eq!(is_operators, client_id == Some("portal"), "{client_id:?}");
        }
        for reason in Reason::ALL {
            let words = PlainWords::of(*reason, Some("portal"));
            let is_decided = *reason == Reason::ConsentUsed;
            assert_eq!(words.advice.contains("Nothing was shared"), !is_decided, "{reason:?}");
        }
    }
}
