//! The HTML pages: one struct per page with its template, and the response headers of all pages.
//!
//! Here: the words and values that a person sees. Never here: a decision, a lookup, a session, or
//! HTML built by hand; every value passes askama's escaping. The pages keep OAuth 2.1 §7.11 (no
//! framing), §7.12 (hostile input) and §7.13 (no open redirection by an error page).

mod admin;
pub(crate) mod answer;
mod connected;
mod consent;
mod help;
mod problem;
mod sign_in;
pub(crate) mod words;

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

pub(crate) use self::admin::accounts::{Account, AccountRow, Accounts, AdminApp};
pub(crate) use self::admin::clients::{
    ClientPage, ClientProof, ClientRow, Clients, NewClient, NewSecret, Standing,
};
pub(crate) use self::admin::log::{AdminHome, Flow, FlowHead, LogPage, SearchForm, Step};
pub(crate) use self::admin::{AskReason, Confirm, Done, Refused};
pub(crate) use self::connected::{App, Connected, Entry, Usable};
pub(crate) use self::consent::{Consent, Destination, Organization, Scope};
pub(crate) use self::help::Troubleshooting;
pub(crate) use self::problem::{PlainWords, Problem, fix, place};
pub(crate) use self::sign_in::{Login, ProviderButton, SignInProblem, Way};
pub(crate) use self::words::{AppName, utc};
use crate::site::{Unrendered, filters};

/// The stylesheet, to be served as `text/css` at `/assets/style.css`.
pub(crate) const STYLE: &str = include_str!("../assets/style.css");

/// Headers of every page.
///
/// The policy has no `form-action` on purpose: browsers apply it to the redirect after the consent
/// form, and that redirect goes to the client.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
];

/// A page as an axum response. `(StatusCode::NOT_FOUND, Page(notice))` overrides its status.
#[derive(Debug)]
pub(crate) struct Page<T>(pub(crate) T);

/// When a page of a server that cannot answer now is worth another try, in seconds. A page that
/// knows better replaces it.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// A template with the status of its response.
pub(crate) trait Screen: Template {
    /// Returns the status, `200 OK` by default.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }
}

impl<T: Screen + Send + Sync + 'static> IntoResponse for Page<T> {
    /// Attaches the template to the response. [`site::finish`](crate::site::finish) renders it,
    /// because it knows the path of the issuer.
    fn into_response(self) -> Response {
        let status = self.0.status();
        let page = Extension(Unrendered(Arc::new(self.0)));
        let mut response = (status, HEADERS, page).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// The navigation of the pages.
#[derive(Clone, Debug)]
pub(crate) struct Nav {
    /// The user who is signed in, by the name of the account for people.
    pub(crate) subject: Option<String>,
    /// The account of that user, as the records name it.
    pub(crate) account: Option<String>,
    pub(crate) is_admin: bool,
}

impl Nav {
    /// Returns the navigation of an ordinary user. `App::nav` adds the administrator's links.
    pub(crate) fn of(subject: Option<&str>) -> Self {
        Self { subject: subject.map(str::to_owned), account: None, is_admin: false }
    }
}

/// The front page: the resources, the issuer and the accounts.
#[derive(Debug, Template)]
#[template(path = "home.html", whitespace = "minimize")]
pub(crate) struct Home {
    /// The issuer, as in the metadata.
    pub(crate) issuer: String,
    /// The URL of each protected resource, and its name for people.
    pub(crate) resources: Vec<(String, String)>,
    /// The id of the demonstration's public client. `None` under a file of settings.
    pub(crate) public_client: Option<&'static str>,
    /// Whether clients can register themselves.
    pub(crate) can_register: bool,
    /// The name and password of each demonstration account.
    pub(crate) users: Vec<(String, String)>,
    pub(crate) nav: Nav,
    /// The value of the hidden `csrf` field of the sign-out form.
    pub(crate) csrf: String,
}

impl Screen for Home {}

/// The page that leads back to the application if the address is too long for a header.
#[derive(Debug, Template)]
#[template(path = "onward.html", whitespace = "minimize")]
pub(crate) struct Onward {
    /// The response at a *verified* redirect URI.
    pub(crate) url: String,
    /// The name of the place that it leads to.
    pub(crate) place: String,
}

impl Screen for Onward {}

/// A page of one sentence, as after signing out or at an unknown address.
#[derive(Debug, Template)]
#[template(path = "notice.html", whitespace = "minimize")]
pub(crate) struct Notice {
    /// The heading.
    pub(crate) title: String,
    /// The sentence.
    pub(crate) message: String,
    /// What a developer needs, apart from the sentence.
    pub(crate) detail: Option<String>,
}

impl Notice {
    /// Returns a page without a detail.
    pub(crate) fn new(title: &str, message: &str) -> Self {
        Self { title: title.into(), message: message.into(), detail: None }
    }
}

impl Screen for Notice {}

/// What a browser sees at the address of a protected resource.
#[derive(Debug, Template)]
#[template(path = "resource.html", whitespace = "minimize")]
pub(crate) struct ForApplications {
    /// What the resource holds, in the user's words: `your notes`.
    pub(crate) name: String,
    /// The kind of the resource, and what takes its address.
    pub(crate) kind: &'static str,
    /// Its address, as an application needs it.
    pub(crate) url: String,
}

impl Screen for ForApplications {}

impl ForApplications {
    /// Returns the page with the status, the challenge and the other headers of a refusal, which
    /// are those that a program receives.
    pub(crate) fn in_place_of(self, refused: &Response) -> Response {
        let mut response = (refused.status(), Page(self)).into_response();
        for (name, value) in refused.headers() {
            response.headers_mut().entry(name).or_insert(value.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests;
