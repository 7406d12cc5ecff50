//! The sign-in page, and the page of a sign-in that did not succeed.

use askama::Template;
use axum::http::StatusCode;

use super::words::AppName;
use super::{Screen, filters};

/// The sign-in page: the form of a password, posted to `/login`, and the button of the identity
/// provider, posted to `/login/provider`.
#[derive(Debug, Default, Template)]
#[template(path = "login.html", whitespace = "minimize")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a line of the page that is there or not"
)]
pub(crate) struct Login {
    /// The address to go to after the sign-in.
    pub(crate) next: String,
    /// The value of the hidden `csrf` field.
    pub(crate) csrf: String,
    /// The application that asks for access, if an authorization request waits for the sign-in.
    pub(crate) asking: Option<AppName>,
    /// Whether there are accounts with a password.
    pub(crate) has_passwords: bool,
    pub(crate) provider: Option<ProviderButton>,
    /// Whether the user came back from the provider without a sign-in.
    pub(crate) was_cancelled: bool,
    /// Whether the user answered the consent page after the session had ended.
    pub(crate) was_signed_out: bool,
    /// The user name of the last attempt, the one that the request suggests, or an empty text.
    pub(crate) username: String,
    /// Whether the last attempt failed. The page does not show which field was wrong.
    pub(crate) failed: bool,
    /// Why the password is not checked now.
    pub(crate) not_now: Option<String>,
    /// The user who is signed in and must sign in again.
    pub(crate) again: Option<String>,
    /// The user who is signed in and may continue.
    pub(crate) current: Option<String>,
    /// The name and password of each demonstration account. Without any, the hint is omitted.
    pub(crate) users: Vec<(String, String)>,
}

impl Screen for Login {}

/// The button of the identity provider.
#[derive(Debug)]
pub(crate) struct ProviderButton {
    /// The name of the provider for people.
    pub(crate) name: String,
    /// What the provider is asked to do: `login`, `select_account`, or nothing in particular.
    pub(crate) prompt: &'static str,
}

/// The page of a sign-in with the identity provider that did not succeed.
#[derive(Debug, Template)]
#[template(path = "sign_in_problem.html", whitespace = "minimize")]
pub(crate) struct SignInProblem {
    pub(crate) status: StatusCode,
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) way: Option<Way>,
    /// The user's `sub` at the provider, which the operator needs to let the user sign in.
    pub(crate) sub: Option<String>,
    /// The reference of the line of the log.
    pub(crate) reference: String,
    pub(crate) at: String,
}

/// The way on from a page.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) label: &'static str,
    /// A path of this server.
    pub(crate) path: String,
}

impl Screen for SignInProblem {
    fn status(&self) -> StatusCode {
        self.status
    }
}
