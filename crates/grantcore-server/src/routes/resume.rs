//! The way from an authorization request to the login and back: the request waits in
//! [`Kept`](crate::kept::Kept), and every redirect carries its short key.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use grantcore::{PAGE_HEADERS, RequestParts};
use serde::Deserialize;

use super::authorize::decide;
use super::connected::forged;
use super::login::{login_page, no_randomness, with_form_cookie};
use crate::app::App;
use crate::kept::{Request as Kept, SignIn, Wanted};
use crate::pages::{Login, Nav, Notice, Page};
use crate::sessions::{self, Session};

/// The longest request that a page links to by itself. A longer one waits on the server, and the
/// link has its key.
const LONGEST_LINK: usize = 4_000;

#[derive(Deserialize)]
pub(crate) struct Key {
    #[serde(default)]
    request: String,
}

/// The fields of a form that keeps the request it was made for.
#[derive(Deserialize)]
pub(crate) struct Keeping {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    request: String,
}

/// To the login page, which leads back to this request.
pub(super) fn log_in_for(app: &App, request: Kept) -> Response {
    match app.kept.keep(request, SystemTime::now()) {
        Ok(key) => redirect(&format!("/login?request={key}")),
        Err(error) => no_randomness(error),
    }
}

/// To where a sign-in was meant to lead: an authorization request, for which it was made, or a page
/// of this server.
pub(super) fn go_on(app: &App, next: &str, session: Session, is_fresh: bool) -> Response {
    let Some(request) = Kept::of_field(next) else { return redirect(sessions::next(next)) };
    let answered = Some(SignIn { session: session.binding, is_fresh });
    match app.kept.keep(Kept { answered, ..request }, SystemTime::now()) {
        Ok(key) => redirect(&format!("/oauth/continue?request={key}")),
        Err(error) => no_randomness(error),
    }
}

/// The login page of a kept request; past it, if somebody is signed in and that will do.
pub(super) fn login_for(app: &App, headers: &HeaderMap, key: &str) -> Response {
    let session = app.session(headers);
    with_form_cookie(app, headers, |csrf| {
        let Some(request) = app.kept.open(key, &csrf, SystemTime::now()) else { return gone() };
        let Wanted { fresh, choice } = request.wanted;
        if session.is_some() && !fresh && !choice {
            return redirect(&format!("/oauth/continue?request={key}"));
        }
        let current = session.filter(|_| !fresh).map(|session| session.subject);
        let page = login_page(app, Kept::address(&request.query), csrf, String::new());
        Page(Login { current, ..page }).into_response()
    })
}

/// `GET /oauth/continue`: the kept request once more.
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    Query(Key { request: key }): Query<Key>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let browser = app.form_cookie.read(&parts.headers).map(|token| token.reveal());
    let kept = browser.and_then(|browser| app.kept.open(&key, &browser, SystemTime::now()));
    let Some(kept) = kept else { return gone() };
    let again = RequestParts {
        method: "GET",
        query: kept.query.as_bytes(),
        ..RequestParts::from_http(&parts, &[])
    };
    decide(&app, &parts, &again, &kept.query, kept.answered.as_ref()).await
}

/// `POST /oauth/switch`: the consent page's way to another account.
pub(crate) async fn switch(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<Keeping>,
) -> Response {
    if !app.form_cookie.vouches_for(&headers, &form.csrf) {
        return forged(Nav::of(None));
    }
    let Some(request) = Kept::of_field(&form.request) else { return redirect("/login") };
    let wanted = Wanted { choice: true, ..Wanted::default() };
    log_in_for(&app, Kept { wanted, ..request })
}

/// `POST /login/stay`: whoever is signed in goes on as they are.
pub(crate) async fn stay(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<Keeping>,
) -> Response {
    if !app.form_cookie.vouches_for(&headers, &form.csrf) {
        return forged(Nav::of(None));
    }
    match (app.session(&headers), Kept::of_field(&form.request)) {
        (Some(session), _) => go_on(&app, &form.request, session, false),
        (None, Some(request)) => log_in_for(&app, request),
        (None, None) => redirect("/login"),
    }
}

/// A link to this request.
pub(super) fn link(app: &App, request: Kept) -> Option<String> {
    let address = Kept::address(&request.query);
    if address.len() <= LONGEST_LINK {
        return Some(address);
    }
    let key = app.kept.keep(request, SystemTime::now()).ok()?;
    Some(format!("/oauth/continue?request={key}"))
}

fn redirect(target: &str) -> Response {
    (AppendHeaders(PAGE_HEADERS), Redirect::to(target)).into_response()
}

/// The request is not here any more: it waited for too long, the server was started anew, or its
/// key came to another browser.
fn gone() -> Response {
    let message = "This request was open for too long, or in another browser. Start again from the application.";
    let page = Notice { title: "This request is over".into(), message: message.into() };
    (StatusCode::GONE, Page(page)).into_response()
}
