//! The pages of a sign-in that did not succeed. Each has a reference, under which the log and the
//! audit log have the cause.

use std::time::SystemTime;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use grantcore::moment::CorrelationId;
use url::form_urlencoded;

use crate::accounts::Wait;
use crate::app::App;
use crate::audit::SignIn;
use crate::pages::{Page, SignInProblem, Way, utc};
use crate::provider::{Fault, NotAllowed, Provider, Target};
use crate::routes::resume::redirect;
use crate::sessions::Person;

/// One request of a sign-in.
pub(super) struct Case<'a> {
    pub(super) app: &'a App,
    pub(super) provider: &'a Provider,
    target: &'a Target,
    pub(super) source: &'a str,
    reference: String,
}

/// The words of a page.
struct Words {
    status: StatusCode,
    title: &'static str,
    message: String,
    way: Way,
    /// The user's `sub` at the provider.
    sub: Option<String>,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        app: &'a App,
        provider: &'a Provider,
        target: &'a Target,
        source: &'a str,
    ) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let reference = CorrelationId::from_bytes(bytes).to_string();
        Ok(Self { app, provider, target, source, reference })
    }

    /// Answers a sign-in that did not succeed.
    pub(super) fn failed(&self, fault: &Fault) -> Response {
        let name = self.provider.name();
        let not_signed_in = "You are not signed in";
        let (status, title, message) = match fault {
            Fault::Cancelled => {
                tracing::info!(source = self.source, "a sign-in with the provider was cancelled");
                return redirect(&login(self.target, "cancelled"));
            }
            Fault::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The sign-in is not available",
                format!("{name} cannot be reached now. Try again in a moment."),
            ),
            Fault::Database(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "This server cannot sign you in now. Try again in a moment.".to_owned(),
            ),
            Fault::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "Too many people are signing in just now. Try again in a moment.".to_owned(),
            ),
            Fault::Answered(_) | Fault::Client(_) => (
                StatusCode::BAD_GATEWAY,
                not_signed_in,
                format!("{name} could not sign you in. If it happens again, ask the operator."),
            ),
            Fault::Code(_) => (
                StatusCode::FORBIDDEN,
                not_signed_in,
                format!("{name} has ended this sign-in. Start again."),
            ),
            Fault::OtherIssuer(_) | Fault::IdToken(_) => (
                StatusCode::FORBIDDEN,
                not_signed_in,
                format!("The answer of {name} cannot be trusted. Start again."),
            ),
            Fault::NotFresh => (
                StatusCode::FORBIDDEN,
                not_signed_in,
                format!(
                    "The application asks for a new sign-in, and {name} did not ask you. Sign \
                     out there, and try again."
                ),
            ),
        };
        let words = Words { status, title, message, way: self.again(), sub: None };
        self.page(words, &fault.to_string(), None)
    }

    /// Answers a user of the provider who may not sign in here.
    pub(super) fn not_allowed(&self, refused: &NotAllowed) -> Response {
        let NotAllowed { sub, why } = refused;
        self.note(sub, Some("not allowed"));
        let name = self.provider.name();
        let words = Words {
            status: StatusCode::FORBIDDEN,
            title: "This account may not sign in here",
            message: format!("The operator of this server has not allowed your account at {name}."),
            way: self.other_account(),
            sub: Some(sub.clone()),
        };
        self.page(words, &why.to_string(), Some(sub))
    }

    /// Answers a user whose account here is suspended.
    pub(super) fn suspended(&self, person: &Person) -> Response {
        self.note(&person.subject, Some("suspended"));
        let words = Words {
            status: StatusCode::FORBIDDEN,
            title: "This account is suspended",
            message: "An administrator has suspended your account at this server.".to_owned(),
            way: self.other_account(),
            sub: None,
        };
        self.page(words, "the account is suspended", Some(&person.subject))
    }

    /// Answers a source of which too many sign-ins have failed.
    pub(super) fn limited(&self, wait: Wait) -> Response {
        let seconds = wait.seconds();
        let words = Words {
            status: StatusCode::TOO_MANY_REQUESTS,
            title: "Not now",
            message: format!(
                "Too many sign-ins from your network have failed. Try again in {seconds} s."
            ),
            way: self.again(),
            sub: None,
        };
        let page = self.page(words, "too many failed sign-ins", None);
        ([(header::RETRY_AFTER, seconds.to_string())], page).into_response()
    }

    /// Records a sign-in in the audit log: of an account, or of a `sub` that has none.
    pub(super) fn note(&self, subject: &str, refused: Option<&str>) {
        let Self { source, reference, .. } = self;
        if refused.is_none() {
            tracing::info!(subject, source, reference, "a user of the provider signed in");
        }
        let sign_in = SignIn { reference, refused, subject, source };
        self.app.audit_log.sign_in(&sign_in, SystemTime::now().into());
    }

    /// Returns a page, and logs its cause.
    fn page(&self, words: Words, cause: &str, subject: Option<&str>) -> Response {
        let Self { source, reference, .. } = self;
        if words.status.is_server_error() {
            tracing::error!(reference, source, cause, "a sign-in with the provider failed");
        } else {
            tracing::warn!(reference, source, subject, cause, "a sign-in was refused");
        }
        let Words { status, title, message, way, sub } = words;
        Page(SignInProblem {
            status,
            title: title.to_owned(),
            message,
            way: Some(way),
            sub,
            reference: reference.clone(),
            at: utc(SystemTime::now().into()),
        })
        .into_response()
    }

    fn again(&self) -> Way {
        Way { label: "Try again", path: login(self.target, "") }
    }

    fn other_account(&self) -> Way {
        Way { label: "Use another account", path: login(self.target, "choose") }
    }
}

/// Returns the path of the login page for the target of a sign-in, with one more parameter.
fn login(target: &Target, more: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    match target {
        Target::Request(key) => query.append_pair("request", key),
        Target::Page(page) => query.append_pair("next", page),
    };
    if !more.is_empty() {
        query.append_pair(more, "1");
    }
    format!("/login?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_the_login_page_of_the_same_target() {
        let page = Target::Page("/a?b&c".into());
        assert_eq!(login(&Target::Request("k".into()), ""), "/login?request=k");
        assert_eq!(login(&page, "choose"), "/login?next=%2Fa%3Fb%26c&choose=1");
    }
}
