//! The way to the identity provider and back: `POST /login/provider` and `GET /login/callback`.
//!
//! A sign-in opens a session under a new token, and does nothing else. The authorization request
//! waits in [`Kept`](crate::kept::Kept) meanwhile, and is decided after it as after a password.

mod case;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{Form, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use grantcore::response::PAGE_HEADERS;
use grantcore::{Accounts as _, Timestamp};
use serde::Deserialize;
use url::form_urlencoded;

use self::case::Case;
use super::clients::source;
use super::login::no_randomness;
use super::resume::{continue_with, gone, log_in_for, not_kept, redirect, unavailable};
use crate::app::{App, not_now};
use crate::kept::{Request as Kept, Wanted};
use crate::pages::{Nav, Notice, Page};
use crate::provider::{Attempt, Callback, Fault, Target};
use crate::sessions::{self, Person};
use crate::store::{BackendError, Ledger as _};

/// The longest address of a page that a sign-in leads to, in bytes.
const LONGEST_PAGE: usize = 1_000;

#[derive(Deserialize)]
pub(crate) struct Begin {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    prompt: String,
}

/// `POST /login/provider`: sends the browser to the provider.
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    parts: Parts,
    Form(form): Form<Begin>,
) -> Response {
    let Some(provider) = &app.provider else { return none() };
    let request = Kept::of_field(&form.next);
    let source = source(&parts);
    if !app.form_cookie.matches(&parts.headers, &form.csrf) {
        // As for a password: another site must not begin a sign-in.
        return match request {
            Some(request) => log_in_for(&app, request, &source).await,
            None => redirect("/login"),
        };
    }
    let fresh = form.prompt == "login";
    let wanted = Wanted { fresh, choice: form.prompt == "select_account", ..Wanted::default() };
    let target = match request {
        Some(request) => {
            let request = Kept { wanted, ..request };
            match app.kept.keep(&request, &source, SystemTime::now()).await {
                Ok(key) => Target::Request(key),
                Err(error) => return not_kept(&app, &request, &source, &error).await,
            }
        }
        None => Target::Page(short(sessions::next(&form.next)).to_owned()),
    };
    let browser = match app.sign_in_cookie.read_or_create(&parts.headers) {
        Ok(browser) => browser,
        Err(error) => return no_randomness(error),
    };
    match provider.begin(&app.waiting, wanted, target.clone(), &browser, &source).await {
        Ok(url) => {
            let cookie = [(header::SET_COOKIE, app.sign_in_cookie.set(&browser))];
            let away = Redirect::to(url.as_str());
            (AppendHeaders(PAGE_HEADERS), AppendHeaders(cookie), away).into_response()
        }
        Err(fault) => match Case::new(&app, provider, &target, &source) {
            Ok(case) => case.failed(&fault),
            Err(error) => no_randomness(error),
        },
    }
}

/// `GET /login/callback`: the provider has sent the browser back.
pub(crate) async fn callback(State(app): State<Arc<App>>, parts: Parts) -> Response {
    let Some(provider) = &app.provider else { return none() };
    let (state, callback) = read(parts.uri.query().unwrap_or_default());
    let browser = app.sign_in_cookie.read(&parts.headers);
    let (Some(browser), Some(state)) = (browser, state) else { return over() };
    let attempt = match provider.take(&app.waiting, &state, &browser).await {
        Ok(Some(attempt)) => attempt,
        Ok(None) => return over(),
        Err(error) => return unavailable(&app, &error, &source(&parts), "/login".into()).await,
    };
    let source = source(&parts);
    match Case::new(&app, provider, &attempt.begun.target, &source) {
        Ok(case) => match sign_in(&case, callback, &attempt).await {
            Ok(person) => open(&case, &parts.headers, person, &attempt).await,
            Err(refused) => refused,
        },
        Err(error) => no_randomness(error),
    }
}

/// Returns the user, or the page of a sign-in that did not succeed. Failures are limited with those
/// of passwords: each makes this server call the provider.
async fn sign_in(
    case: &Case<'_>,
    callback: Callback,
    attempt: &Attempt,
) -> Result<Person, Response> {
    let counted = case.app.attempts.begin(&attempt.secrets.nonce, case.source, Instant::now());
    let counted = counted.map_err(|wait| case.limited(wait))?;
    match case.provider.finish(callback, attempt).await {
        Ok(Ok(person)) => {
            counted.succeeded();
            Ok(person)
        }
        Ok(Err(refused)) => {
            counted.succeeded();
            Err(case.not_allowed(&refused))
        }
        Err(fault) => {
            if matches!(fault, Fault::Unavailable(_) | Fault::Busy | Fault::Cancelled) {
                counted.withdrawn();
            }
            Err(case.failed(&fault))
        }
    }
}

/// Opens the session of a user, and goes on with what the sign-in was for.
async fn open(case: &Case<'_>, headers: &HeaderMap, person: Person, attempt: &Attempt) -> Response {
    let app = case.app;
    let now: Timestamp = SystemTime::now().into();
    match add(app, &person).await {
        Ok(true) => {}
        Ok(false) => return case.suspended(&person),
        Err(error) => {
            tracing::error!(%error, "the account of a sign-in could not be read");
            return not_now(Nav::of(None));
        }
    }
    let previous = app.session_cookie.read(headers);
    let opened = app.sessions.open(&person, &app.accounts, previous.as_ref(), now).await;
    let (token, session) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(%error, "no session could be opened");
            return not_now(Nav::of(None));
        }
    };
    case.note(&person.subject, None);
    let cookies = [(header::SET_COOKIE, app.session_cookie.set(&token))];
    let onward = match &attempt.begun.target {
        Target::Page(page) => redirect(page),
        Target::Request(key) => match kept(app, headers, key).await {
            Ok(Some(request)) => {
                continue_with(app, request, session, attempt.begun.is_fresh, case.source).await
            }
            Ok(None) => gone(),
            Err(error) => {
                unavailable(app, &error, case.source, format!("/login?request={key}")).await
            }
        },
    };
    (AppendHeaders(cookies), onward).into_response()
}

/// Adds the account of a user if it is new, and returns whether it may be used: it may be
/// suspended.
async fn add(app: &App, person: &Person) -> Result<bool, BackendError> {
    let store = app.oauth.store();
    store.ledger().add_account(&person.subject, app.opening_balance).await?;
    if let Some(name) = &person.name {
        store.ledger().name_account(&person.subject, name).await?;
    }
    let account = store.account(&person.subject).await?;
    Ok(account.is_some_and(|account| !account.suspended))
}

/// Returns the request that waits for a sign-in.
async fn kept(app: &App, headers: &HeaderMap, key: &str) -> Result<Option<Kept>, BackendError> {
    let Some(browser) = app.form_cookie.read(headers) else { return Ok(None) };
    app.kept.open(key, &browser.reveal(), SystemTime::now()).await
}

/// Reads the parameters of a callback. A parameter that is there twice, or without a value, is as if
/// it were not there (RFC 6749 §3.1).
fn read(query: &str) -> (Option<String>, Callback) {
    let only = |name: &str| {
        let mut found =
            form_urlencoded::parse(query.as_bytes()).filter(|(own, _)| own == name).fuse();
        let value = found.next()?.1.into_owned();
        found.next().is_none().then_some(value).filter(|value| !value.is_empty())
    };
    (only("state"), Callback { code: only("code"), error: only("error"), iss: only("iss") })
}

/// Returns the page, or the front page in place of one with a long address.
fn short(page: &str) -> &str {
    if page.len() > LONGEST_PAGE { "/" } else { page }
}

/// Answers a server without a provider.
fn none() -> Response {
    let page = Notice::new("Not found", "This server has no identity provider.");
    (StatusCode::NOT_FOUND, Page(page)).into_response()
}

/// Answers a callback of no sign-in of this browser: its state is unknown, used, too old, or of
/// another browser. The page is the same for all of them.
fn over() -> Response {
    tracing::info!("a callback belongs to no sign-in of its browser");
    let message = "This sign-in was open for too long, is used already, or was begun in another \
                   browser. Start again from the application.";
    let page = Notice::new("This sign-in is over", message);
    (StatusCode::GONE, Page(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_there_twice_is_none() {
        let (state, callback) = read("state=a%20b&code=c&iss=x&code=d");
        assert_eq!(state.as_deref(), Some("a b"));
        assert_eq!((callback.code, callback.iss.as_deref()), (None, Some("x")));
    }

    #[test]
    fn a_long_address_is_not_kept() {
        assert_eq!(short("/admin"), "/admin");
        assert_eq!(short(&"/admin?".repeat(200)), "/");
    }
}
