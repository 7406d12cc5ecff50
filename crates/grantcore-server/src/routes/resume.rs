//! The way from an authorization request to the login and back. The request waits in
//! [`Kept`](crate::kept::Kept) meanwhile, and every redirect carries its short key.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Form, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use grantcore::response::PAGE_HEADERS;
use grantcore::{Reason, RequestParts};
use serde::Deserialize;
use url::form_urlencoded;

use super::authorize::{Earlier, client_id, decide};
use super::clients::source;
use super::connected::forged;
use super::login::{Target, asked_for, login_page, no_randomness, set_form_cookie};
use crate::app::{App, Asked};
use crate::kept::{KeepError, Request as Kept, SignIn, Wanted};
use crate::pages::{Login, Nav, Notice, Page};
use crate::sessions::{self, Session, Token};
use crate::store::BackendError;

/// The longest address of a request that a page links to, in bytes. A longer request waits on the
/// server, and the link carries its key.
const LONGEST_LINK: usize = 4_000;

/// The longest user name that a request suggests, in bytes.
const LONGEST_HINT: usize = 256;

#[derive(Deserialize)]
pub(crate) struct Key {
    #[serde(default)]
    request: String,
}

/// The fields of a form that carries the request it was made for.
#[derive(Deserialize)]
pub(crate) struct Keeping {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    request: String,
}

/// Redirects to the login page, which leads back to this request. `source` is where the request
/// came from.
pub(super) async fn log_in_for(app: &App, request: Kept, source: &str) -> Response {
    match try_log_in_for(app, &request, source).await {
        Ok(response) => response,
        Err(error) => not_kept(app, &request, source, &error).await,
    }
}

/// Redirects to the login page, or returns why the request cannot be kept.
pub(super) async fn try_log_in_for(
    app: &App,
    request: &Kept,
    source: &str,
) -> Result<Response, KeepError> {
    let key = app.kept.keep(request, source, SystemTime::now()).await?;
    Ok(redirect(&format!("/login?request={key}")))
}

/// Redirects to the target of a sign-in: the authorization request that it was made for, or a page
/// of this server.
pub(super) async fn continue_to(
    app: &App,
    next: &str,
    session: Session,
    is_fresh: bool,
    source: &str,
) -> Response {
    let Some(request) = Kept::of_field(next) else { return redirect(sessions::next(next)) };
    continue_with(app, request, session, is_fresh, source).await
}

/// Redirects to the authorization request that a sign-in was made for.
pub(super) async fn continue_with(
    app: &App,
    request: Kept,
    session: Session,
    is_fresh: bool,
    source: &str,
) -> Response {
    let answered = Some(SignIn { session: session.binding, is_fresh });
    let request = Kept { answered, ..request };
    match app.kept.keep(&request, source, SystemTime::now()).await {
        Ok(key) => redirect(&format!("/oauth/continue?request={key}")),
        Err(error) => not_kept(app, &request, source, &error).await,
    }
}

/// Returns the page for a request that cannot be kept, with a link that repeats the request.
pub(super) async fn not_kept(
    app: &App,
    request: &Kept,
    source: &str,
    error: &KeepError,
) -> Response {
    tracing::error!(%error, "a request could not be kept");
    let reload = Some(Kept::address(&request.query)).filter(|link| link.len() <= LONGEST_LINK);
    let asked = Asked { client_id: client_id(&request.query), reload };
    app.refuse_asked(error.reason(), source, asked).await
}

/// Returns the page for a sign-in whose session cannot be kept. Its link leads to `next`, which
/// asks for the sign-in again.
pub(super) async fn no_session(app: &App, next: &str, source: &str) -> Response {
    let request = Kept::of_field(next);
    let client_id = request.as_ref().and_then(|request| client_id(&request.query));
    let link =
        request.map_or_else(|| sessions::next(next).to_owned(), |own| Kept::address(&own.query));
    let reload = Some(link).filter(|link| link.len() <= LONGEST_LINK);
    let asked = Asked { client_id, reload };
    app.refuse_asked(Reason::StorageUnavailable, source, asked).await
}

/// Returns the page for a database that fails while a request is looked up. `again` is the address
/// that looks it up again.
pub(super) async fn unavailable(
    app: &App,
    error: &BackendError,
    source: &str,
    again: String,
) -> Response {
    tracing::error!(%error, "what waits for a browser could not be looked up");
    let asked = Asked { reload: Some(again), ..Asked::default() };
    app.refuse_asked(Reason::StorageUnavailable, source, asked).await
}

/// Returns the login page of a kept request, or a redirect past it if the browser is signed in and
/// the request asks for no more.
pub(super) async fn login_for(
    app: &App,
    session: Option<Session>,
    parts: &Parts,
    target: &Target,
) -> Response {
    let token = match app.form_cookie.read_or_create(&parts.headers) {
        Ok(token) => token,
        Err(error) => return no_randomness(error),
    };
    let page = waiting(app, session, target, token.reveal(), &source(parts)).await;
    set_form_cookie(app, &token, page)
}

async fn waiting(
    app: &App,
    session: Option<Session>,
    target: &Target,
    csrf: String,
    source: &str,
) -> Response {
    let key = &target.request;
    let request = match app.kept.open(key, &csrf, SystemTime::now()).await {
        Ok(Some(request)) => request,
        Ok(None) => return gone(),
        Err(error) => {
            let again = format!("/login?request={}", escaped(key));
            return unavailable(app, &error, source, again).await;
        }
    };
    let Wanted { fresh, choice, .. } = request.wanted;
    let is_chosen = choice || !target.choose.is_empty();
    if session.is_some() && !fresh && !is_chosen {
        return redirect(&format!("/oauth/continue?request={key}"));
    }
    let signed_in = session.map(|session| session.shown().to_owned());
    let (again, current) = if fresh { (signed_in, None) } else { (None, signed_in) };
    let hint = login_hint(&request.query).unwrap_or_default();
    let page = login_page(app, Kept::address(&request.query), csrf, hint).await;
    let page = asked_for(page, request.wanted, target);
    Page(Login { again, current, ..page }).into_response()
}

/// Returns the user name that a request suggests (OpenID Connect Core §3.1.2.1), within the bounds
/// of the library.
fn login_hint(query: &str) -> Option<String> {
    let hint = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "login_hint")?.1;
    let is_clean = hint.len() <= LONGEST_HINT && !hint.chars().any(char::is_control);
    is_clean.then(|| hint.into_owned())
}

/// `GET /oauth/continue`: decides the kept request.
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    Query(Key { request: key }): Query<Key>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let browser = app.form_cookie.read(&parts.headers).map(|token| token.reveal());
    let Some(browser) = browser else { return gone() };
    let kept = match app.kept.open(&key, &browser, SystemTime::now()).await {
        Ok(Some(kept)) => kept,
        Ok(None) => return gone(),
        Err(error) => {
            let again = format!("/oauth/continue?request={}", escaped(&key));
            return unavailable(&app, &error, &source(&parts), again).await;
        }
    };
    let again = RequestParts {
        method: "GET",
        query: kept.query.as_bytes(),
        ..RequestParts::from_http(&parts, &[])
    };
    let earlier = Earlier { answered: kept.answered.as_ref(), unchosen: None };
    decide(&app, &parts, &again, &kept.query, earlier).await
}

/// `POST /oauth/switch`: leads from the consent page to another account.
pub(crate) async fn switch(
    State(app): State<Arc<App>>,
    parts: Parts,
    Form(form): Form<Keeping>,
) -> Response {
    let request = Kept::of_field(&form.request);
    let is_own = app.form_cookie.matches(&parts.headers, &form.csrf);
    if !is_own && (request.is_none() || !is_replaced(&form.csrf)) {
        return forged(Nav::of(None));
    }
    match request {
        Some(request) => choose_for(&app, request, &source(&parts)).await,
        None => redirect("/login"),
    }
}

/// `POST /login/stay`: goes on with the account that is signed in.
pub(crate) async fn stay(
    State(app): State<Arc<App>>,
    session: Option<Session>,
    parts: Parts,
    Form(form): Form<Keeping>,
) -> Response {
    let request = Kept::of_field(&form.request);
    let source = source(&parts);
    if !app.form_cookie.matches(&parts.headers, &form.csrf) {
        return match request {
            // The choice is not made by a form that another site may have sent. It is offered anew.
            Some(request) if is_replaced(&form.csrf) => choose_for(&app, request, &source).await,
            _ => forged(Nav::of(None)),
        };
    }
    match (session, request) {
        (Some(session), _) => continue_to(&app, &form.request, session, false, &source).await,
        (None, Some(request)) => log_in_for(&app, request, &source).await,
        (None, None) => redirect("/login"),
    }
}

/// Redirects to the login page, which offers the account that is signed in and leads back to this
/// request.
async fn choose_for(app: &App, request: Kept, source: &str) -> Response {
    let wanted = Wanted { choice: true, ..Wanted::default() };
    log_in_for(app, Kept { wanted, ..request }, source).await
}

/// Returns a text for the query of an address.
fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Returns whether a `csrf` field that the form cookie does not repeat may be of an own page whose
/// cookie another tab's page replaced since.
fn is_replaced(csrf: &str) -> bool {
    Token::parse(csrf).is_some()
}

/// Returns a link to this request.
pub(super) async fn link(app: &App, request: Kept, source: &str) -> Option<String> {
    let address = Kept::address(&request.query);
    if address.len() <= LONGEST_LINK {
        return Some(address);
    }
    let key = app.kept.keep(&request, source, SystemTime::now()).await.ok()?;
    Some(format!("/oauth/continue?request={key}"))
}

pub(super) fn redirect(target: &str) -> Response {
    (AppendHeaders(PAGE_HEADERS), Redirect::to(target)).into_response()
}

/// Returns the page for a request that is not kept: it waited for too long, made room for others,
/// or its key belongs to another browser.
pub(super) fn gone() -> Response {
    let message = "This request was open for too long, or in another browser. Start again from the application.";
    (StatusCode::GONE, Page(Notice::new("This request is over", message))).into_response()
}
