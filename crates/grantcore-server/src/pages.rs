//! The HTML pages: one struct per page, its template beside it, and the response headers they all
//! share.
//!
//! Here live the words and values a person sees. What never does: a decision, a lookup, a session,
//! or HTML put together by hand; every value passes askama's escaping. Answers to OAuth 2.1 §7.11
//! (no framing), §7.13 (no open redirection by way of an error page) and §7.12 (hostile input).

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
/// The policy has no `form-action` on purpose: browsers hold the redirect that follows the consent
/// form against it, and that redirect goes to the client.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

/// A page as an axum response; `(StatusCode::NOT_FOUND, Page(notice))` gives it another status than
/// its own.
#[derive(Debug)]
pub(crate) struct Page<T>(pub(crate) T);

/// A template that knows the status it is sent with.
pub(crate) trait Screen: Template {
    /// `200 OK`, unless the page reports something else.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }
}

impl<T: Screen + Send + Sync + 'static> IntoResponse for Page<T> {
    /// The page is rendered by [`site::finish`](crate::site::finish), which knows where the server
    /// is mounted.
    fn into_response(self) -> Response {
        let status = self.0.status();
        (status, HEADERS, Extension(Unrendered(Arc::new(self.0)))).into_response()
    }
}

/// A time, as people quote it to support.
pub(crate) fn utc(at: Timestamp) -> String {
    let format =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let seconds = i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
    time::UtcDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| "never".into())
}

/// The ways through the pages, for whoever is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Nav {
    pub(crate) subject: Option<String>,
    pub(crate) is_admin: bool,
}

impl Nav {
    /// The ways that every user has; `App::nav` adds those of an administrator.
    pub(crate) fn of(subject: Option<&str>) -> Self {
        Self { subject: subject.map(str::to_owned), is_admin: false }
    }
}

/// The front page: what runs here, what to point a client at, who can sign in.
#[derive(Debug, Template)]
#[template(path = "home.html", whitespace = "minimize")]
pub(crate) struct Home {
    /// The issuer, as in the metadata.
    pub(crate) issuer: String,
    /// Each protected resource: its URL, and what it is in a few words.
    pub(crate) resources: Vec<(String, String)>,
    /// Each demonstration account: its name and its password.
    pub(crate) users: Vec<(String, String)>,
    /// Who is signed in, and where they can go.
    pub(crate) nav: Nav,
    /// For the hidden `csrf` field of the sign-out form.
    pub(crate) csrf: String,
}

impl Screen for Home {}

/// The sign-in form, posted to `/login` with `username`, `password`, `next` and `csrf`.
#[derive(Debug, Template)]
#[template(path = "login.html", whitespace = "minimize")]
pub(crate) struct Login {
    /// Where to go on after signing in.
    pub(crate) next: String,
    /// For the hidden `csrf` field.
    pub(crate) csrf: String,
    /// What was typed the last time, or nothing.
    pub(crate) username: String,
    /// Whether the last attempt failed; the page does not tell at what.
    pub(crate) failed: bool,
    /// What keeps the password from being checked now.
    pub(crate) not_now: Option<String>,
    /// Who is signed in and may go on as they are.
    pub(crate) current: Option<String>,
    /// Accounts to hint at, name and password; none, and the hint is gone.
    pub(crate) users: Vec<(String, String)>,
}

impl Screen for Login {}

/// The consent page, posted to `/oauth/consent` with `ticket`, `decision` (`allow` or `deny`), one
/// `granted` for each scope shown and one `without` for each scope to leave out.
#[derive(Debug, Template)]
#[template(path = "consent.html", whitespace = "minimize")]
pub(crate) struct Consent {
    /// The single-use ticket of this prompt.
    pub(crate) ticket: String,
    /// Where an expired page offers to start anew: the authorization request itself.
    pub(crate) reload: String,
    /// For the hidden `csrf` field of the form that leads to another account.
    pub(crate) csrf: String,
    /// Who is signed in.
    pub(crate) subject: String,
    /// What the client calls itself.
    pub(crate) client_name: String,
    /// The client's identifier, whole.
    pub(crate) client_id: String,
    /// The host of a client identifier that is a URL.
    pub(crate) client_host: Option<String>,
    /// The client's own pages, each with what it is; `https` only.
    pub(crate) client_pages: Vec<(&'static str, String)>,
    /// How this server came to know the client: a sentence without its full stop.
    pub(crate) registration: String,
    /// Whether somebody other than the client stands for its name.
    pub(crate) verified: bool,
    /// The host (or private-use scheme) that either answer is sent to.
    pub(crate) redirect_host: String,
    /// Whether the answer goes to the user's own device, by a loopback address or a private-use
    /// scheme, where any program could take it: shows a warning.
    pub(crate) loopback_only: bool,
    /// What is asked for.
    pub(crate) scopes: Vec<Scope>,
    /// Where the access would be valid.
    pub(crate) resources: Vec<String>,
    /// How long one token lasts: `1 hour`.
    pub(crate) access_lifetime: String,
    /// How long it can be renewed: `up to 180 days, or 30 days without use`.
    pub(crate) grant_lifetime: String,
    /// How long the page is good for, a sentence without its full stop: `This page is valid for 10
    /// minutes`.
    pub(crate) expires_in: String,
}

impl Screen for Consent {}

/// One scope on the consent page.
#[derive(Debug)]
pub(crate) struct Scope {
    /// The scope token, and the value of its checkbox.
    pub(crate) name: String,
    /// What it lets the client do.
    pub(crate) description: String,
}

/// The error banner that takes the place of a consent page; it has no form and grants nothing.
#[derive(Debug, Template)]
#[template(path = "problem.html", whitespace = "minimize")]
pub(crate) struct Problem {
    /// The HTTP status it is sent with.
    pub(crate) status: u16,
    /// The heading.
    pub(crate) title: String,
    /// The public error code, such as `invalid_request`.
    pub(crate) code: String,
    /// What went wrong, what was received and what is right, as text: nothing in it is ever a link.
    pub(crate) description: String,
    /// Why, in a sentence.
    pub(crate) cause: String,
    /// What helps, in a sentence.
    pub(crate) fix: String,
    /// Where more is said of it, on the troubleshooting page.
    pub(crate) anchor: &'static str,
    /// The error response at a *verified* redirect URI; the only address from a request that is
    /// ever a link.
    pub(crate) continue_url: Option<String>,
    /// Where the same request is validated anew.
    pub(crate) reload_url: Option<String>,
    /// The reference under which the event was logged.
    pub(crate) correlation_id: String,
    /// When it happened, UTC.
    pub(crate) at: String,
}

impl Screen for Problem {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The way back to the application, where its address is too long for a header.
#[derive(Debug, Template)]
#[template(path = "onward.html", whitespace = "minimize")]
pub(crate) struct Onward {
    /// The response at a *verified* redirect URI.
    pub(crate) url: String,
}

impl Screen for Onward {}

/// A page of one sentence: signed out, nothing here.
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
