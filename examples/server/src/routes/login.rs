//! Login, logout and the front page: the host's own part. A real host has its own in place of this
//! file.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::pages::{Home, Login, Nav, Notice, Page};
use crate::sessions::{self, ACCOUNTS};

#[derive(Deserialize)]
pub(crate) struct Target {
    #[serde(default)]
    next: String,
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
            users: accounts(),
            nav: Nav::of(signed_in.as_deref()),
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
    let next = sessions::next(&target.next).to_owned();
    if app.session(&headers).is_some() {
        return Redirect::to(&next).into_response();
    }
    with_form_cookie(&app, &headers, |csrf| {
        Page(login_page(next, csrf, String::new(), false)).into_response()
    })
}

pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Response {
    let next = sessions::next(&form.next).to_owned();
    if !app.form_cookie.vouches_for(&headers, &form.csrf) {
        let message = "This form was not opened in this browser, or its cookie is gone. Go back, reload and try again.";
        return (
            StatusCode::FORBIDDEN,
            Page(Notice { title: "Not signed in".into(), message: message.into() }),
        )
            .into_response();
    }
    let Some(subject) = sessions::log_in(&form.username, &form.password) else {
        let failed = Page(login_page(next, form.csrf, form.username, true));
        return (StatusCode::UNAUTHORIZED, failed).into_response();
    };
    let before = app.session_cookie.read(&headers);
    match app.sessions.open(subject, before.as_ref(), SystemTime::now()) {
        Ok(token) => (
            AppendHeaders([(header::SET_COOKIE, app.session_cookie.set(&token))]),
            Redirect::to(&next),
        )
            .into_response(),
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

fn login_page(next: String, csrf: String, username: String, failed: bool) -> Login {
    Login { next, csrf, username, failed, users: accounts() }
}

fn accounts() -> Vec<(String, String)> {
    ACCOUNTS.iter().map(|(name, password)| ((*name).to_owned(), (*password).to_owned())).collect()
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

fn no_randomness(error: getrandom::Error) -> Response {
    tracing::error!(%error, "the source of randomness failed");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
