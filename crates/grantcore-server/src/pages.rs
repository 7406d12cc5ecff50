//! The HTML pages: one struct per page with its template, and the response headers of all pages.
//!
//! Here: the words and values that a person sees. Never here: a decision, a lookup, a session, or
//! HTML built by hand; every value passes askama's escaping. The pages keep OAuth 2.1 §7.11 (no
//! framing), §7.12 (hostile input) and §7.13 (no open redirection by an error page).

mod admin;
pub(crate) mod answer;
mod connected;

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use grantcore::Timestamp;

pub(crate) use self::admin::{
    Account, Accounts, AdminHome, Client, Clients, Confirm, Flow, Refused, SearchForm, Step, Trail,
};
pub(crate) use self::connected::{App, Connected, Entry, Reason, Troubleshooting};
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
        (status, HEADERS, Extension(Unrendered(Arc::new(self.0)))).into_response()
    }
}

/// Formats a time as users quote it to support.
pub(crate) fn utc(at: Timestamp) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let seconds = i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
    time::UtcDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| "never".into())
}

/// The navigation of the pages.
#[derive(Clone, Debug)]
pub(crate) struct Nav {
    /// The user who is signed in.
    pub(crate) subject: Option<String>,
    pub(crate) is_admin: bool,
}

impl Nav {
    /// Returns the navigation of an ordinary user. `App::nav` adds the administrator's links.
    pub(crate) fn of(subject: Option<&str>) -> Self {
        Self { subject: subject.map(str::to_owned), is_admin: false }
    }
}

/// The front page: the resources, the issuer and the accounts.
#[derive(Debug, Template)]
#[template(path = "home.html", whitespace = "minimize")]
pub(crate) struct Home {
    /// The issuer, as in the metadata.
    pub(crate) issuer: String,
    /// The URL and a short description of each protected resource.
    pub(crate) resources: Vec<(String, String)>,
    /// The name and password of each demonstration account.
    pub(crate) users: Vec<(String, String)>,
    pub(crate) nav: Nav,
    /// The value of the hidden `csrf` field of the sign-out form.
    pub(crate) csrf: String,
}

impl Screen for Home {}

/// The sign-in form, posted to `/login` with `username`, `password`, `next` and `csrf`.
#[derive(Debug, Template)]
#[template(path = "login.html", whitespace = "minimize")]
pub(crate) struct Login {
    /// The address to go to after the sign-in.
    pub(crate) next: String,
    /// The value of the hidden `csrf` field.
    pub(crate) csrf: String,
    /// The user name of the last attempt, or an empty text.
    pub(crate) username: String,
    /// Whether the last attempt failed. The page does not show which field was wrong.
    pub(crate) failed: bool,
    /// Why the password is not checked now.
    pub(crate) not_now: Option<String>,
    /// The user who is signed in and may continue.
    pub(crate) current: Option<String>,
    /// The name and password of each demonstration account. Without any, the hint is omitted.
    pub(crate) users: Vec<(String, String)>,
}

impl Screen for Login {}

/// The consent page, posted to `/oauth/consent` with `ticket`, `decision` (`allow` or `deny`), one
/// `granted` for each scope shown and one `without` for each scope to leave out.
#[derive(Debug, Template)]
#[template(path = "consent.html", whitespace = "minimize")]
pub(crate) struct Consent {
    /// The single-use ticket of this page.
    pub(crate) ticket: String,
    /// The address of the authorization request, to reload an expired page.
    pub(crate) reload: String,
    /// The value of the hidden `csrf` field of the form that switches the account.
    pub(crate) csrf: String,
    /// The user who is signed in.
    pub(crate) subject: String,
    /// The name of the client.
    pub(crate) client_name: String,
    /// The whole client id.
    pub(crate) client_id: String,
    /// The host of a client id that is a URL.
    pub(crate) client_host: Option<String>,
    /// The client's own pages with their titles; `https` only.
    pub(crate) client_pages: Vec<(&'static str, String)>,
    /// How this server came to know the client: a sentence without its full stop.
    pub(crate) registration: String,
    /// Whether the operator registered the client, so that its name is verified.
    pub(crate) verified: bool,
    /// The host, or private-use scheme, of the redirect URI.
    pub(crate) redirect_host: String,
    /// Whether the redirect goes to the user's own device, by a loopback address or a private-use
    /// scheme. Any program there could receive it, so the page warns.
    pub(crate) loopback_only: bool,
    /// The requested scopes.
    pub(crate) scopes: Vec<Scope>,
    /// The resources of the requested access.
    pub(crate) resources: Vec<String>,
    /// The lifetime of an access token: `1 hour`.
    pub(crate) access_lifetime: String,
    /// The lifetime of the connection: `up to 180 days, or 30 days without use`.
    pub(crate) grant_lifetime: String,
    /// The lifetime of the page, a sentence without its full stop: `This page is valid for 10
    /// minutes`.
    pub(crate) expires_in: String,
}

impl Screen for Consent {}

/// One scope on the consent page.
#[derive(Debug)]
pub(crate) struct Scope {
    /// The scope token, which is the value of its checkbox.
    pub(crate) name: String,
    /// What the scope allows.
    pub(crate) description: String,
}

/// The error page in place of a consent page. It has no form, so it cannot grant anything.
#[derive(Debug, Template)]
#[template(path = "problem.html", whitespace = "minimize")]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The heading.
    pub(crate) title: String,
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
    /// The error response at a *verified* redirect URI. No other address of a request becomes a
    /// link.
    pub(crate) continue_url: Option<String>,
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

/// The page that leads back to the application if the address is too long for a header.
#[derive(Debug, Template)]
#[template(path = "onward.html", whitespace = "minimize")]
pub(crate) struct Onward {
    /// The response at a *verified* redirect URI.
    pub(crate) url: String,
}

impl Screen for Onward {}

/// A page of one sentence, as after signing out.
#[derive(Debug, Template)]
#[template(path = "notice.html", whitespace = "minimize")]
pub(crate) struct Notice {
    /// The heading.
    pub(crate) title: String,
    /// The sentence.
    pub(crate) message: String,
}

impl Screen for Notice {}

#[cfg(test)]
mod tests;
