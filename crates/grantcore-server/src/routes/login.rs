//! Login, logout and the front page: the host's own part. A real host has its own in place of this
//! file.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{Form, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::clients::source;
use super::resume::{go_on, log_in_for, login_for};
use crate::accounts::Wait;
use crate::app::App;
use crate::kept::Request;
use crate::pages::{Home, Login, Notice, Page};
use crate::sessions;

#[derive(Deserialize)]
pub(crate) struct Target {
    #[serde(default)]
    next: String,
    /// The key of an authorization request that waits.
    #[serde(default)]
    request: String,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

#[derive(Deserialize)]
pub(crate) struct Signed {
    #[serde(default)]
    pub(super) csrf: String,
}

pub(crate) async fn home(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let policy = app.oauth.policy();
    let resources = policy
        .resources()
        .iter()
        .map(|own| (own.identifier().to_owned(), own.scopes().collect::<Vec<_>>().join(" ")));
    let (resources, signed_in) =
        (resources.collect(), app.session(&headers).map(|session| session.subject));
    with_form_cookie(&app, &headers, |csrf| {
        Page(Home {
            issuer: policy.issuer().into(),
            resources,
            users: app.accounts.shown(),
            nav: app.nav(signed_in.as_deref()),
            csrf,
        })
        .into_response()
    })
}

pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Query(target): Query<Target>,
    headers: HeaderMap,
) -> Response {
    if !target.request.is_empty() {
        return login_for(&app, &headers, &target.request);
    }
    let next = sessions::next(&target.next).to_owned();
    if app.session(&headers).is_some() {
        return Redirect::to(&next).into_response();
    }
    with_form_cookie(&app, &headers, |csrf| {
        Page(login_page(&app, next, csrf, String::new())).into_response()
    })
}

pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    parts: Parts,
    Form(form): Form<Credentials>,
) -> Response {
    let headers = &parts.headers;
    let next = form.next.clone();
    if !app.form_cookie.vouches_for(headers, &form.csrf) {
        // Another tab's page may have replaced the cookie. Nobody is signed in by a form that is
        // not this browser's; the request it carries is asked anew, as a link to it would ask.
        if let Some(request) = Request::of_field(&next) {
            return log_in_for(&app, request);
        }
        let message = "This form was not opened in this browser, or its cookie is gone. Go back, reload and try again.";
        return (
            StatusCode::FORBIDDEN,
            Page(Notice { title: "Not signed in".into(), message: message.into() }),
        )
            .into_response();
    }
    let Credentials { csrf, username, password, .. } = form;
    let page = |username| login_page(&app, next.clone(), csrf, username);
    let subject = match check(&app, &username, &password, &source(&parts)).await {
        Ok(Some(subject)) => subject,
        Ok(None) => {
            let failed = Login { failed: true, ..page(username) };
            return (StatusCode::UNAUTHORIZED, Page(failed)).into_response();
        }
        Err(later) => return later.response(page(username)),
    };
    let before = app.session_cookie.read(headers);
    let now = SystemTime::now();
    match app.sessions.open(&subject, before.as_ref(), now) {
        Ok(token) => {
            // It was opened just now; a flood of sign-ins can have displaced it since.
            let Some(session) = app.sessions.find(&token, now) else {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            };
            let cookie = [(header::SET_COOKIE, app.session_cookie.set(&token))];
            (AppendHeaders(cookie), go_on(&app, &next, session, true)).into_response()
        }
        Err(error) => no_randomness(error),
    }
}

pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<Signed>,
) -> Response {
    if app.form_cookie.vouches_for(&headers, &form.csrf) {
        if let Some(token) = app.session_cookie.read(&headers) {
            app.sessions.close(&token);
        }
        return (
            AppendHeaders([(header::SET_COOKIE, app.session_cookie.clear())]),
            Redirect::to("/"),
        )
            .into_response();
    }
    Redirect::to("/").into_response()
}

/// Why a password is not checked now.
enum Later {
    /// This source has failed too often.
    Failures(Wait),
    /// Too many are being checked.
    Busy,
}

impl Later {
    fn response(self, page: Login) -> Response {
        let (status, seconds, message) = match self {
            Self::Failures(wait) => (
                StatusCode::TOO_MANY_REQUESTS,
                wait.seconds(),
                "Too many sign-ins from your network have failed.",
            ),
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, 5, "Too many people are signing in just now.")
            }
        };
        let not_now = Some(format!("{message} Try again in {seconds} s."));
        let retry = [(header::RETRY_AFTER, seconds.to_string())];
        (status, retry, Page(Login { not_now, ..page })).into_response()
    }
}

/// Checks a password, unless too many of this source's were wrong. A limit applies before the
/// password is looked at, so it shows nothing about it.
async fn check(
    app: &App,
    username: &str,
    password: &str,
    source: &str,
) -> Result<Option<String>, Later> {
    let attempt = app.attempts.begin(username, source, Instant::now()).map_err(|wait| {
        tracing::warn!(source, seconds = wait.seconds(), "too many failed sign-ins");
        Later::Failures(wait)
    })?;
    let Ok(subject) = app.accounts.log_in(username, password).await else {
        attempt.withdrawn();
        return Err(Later::Busy);
    };
    if subject.is_some() {
        attempt.succeeded();
    } else {
        tracing::info!(source, "a sign-in failed");
    }
    Ok(subject)
}

pub(super) fn login_page(app: &App, next: String, csrf: String, username: String) -> Login {
    let users = app.accounts.shown();
    Login { next, csrf, username, failed: false, not_now: None, current: None, users }
}

/// Makes a page whose form is bound to this browser by a cookie with the same value.
pub(super) fn with_form_cookie(
    app: &App,
    headers: &HeaderMap,
    page: impl FnOnce(String) -> Response,
) -> Response {
    match app.form_cookie.read_or_draw(headers) {
        Ok(token) => (
            AppendHeaders([(header::SET_COOKIE, app.form_cookie.set(&token))]),
            page(token.reveal()),
        )
            .into_response(),
        Err(error) => no_randomness(error),
    }
}

pub(super) fn no_randomness(error: getrandom::Error) -> Response {
    tracing::error!(%error, "the source of randomness failed");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
