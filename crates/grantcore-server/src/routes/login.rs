//! Login, logout and the front page: the host's own part, which a real host replaces by its own.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{Form, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use grantcore::Store as _;
use grantcore::client::Registration;
use grantcore::store::{ClientKey, Keys};
use serde::Deserialize;

use super::authorize::client_id;
use super::clients::source;
use super::connected::forged;
use super::resume::{continue_to, log_in_for, login_for, no_session};
use crate::accounts::Wait;
use crate::app::{App, SessionUnavailable, not_now};
use crate::kept::{Request, Wanted};
use crate::pages::{AppName, Home, Login, Nav, Notice, Page, ProviderButton};
use crate::provider::is_of_provider;
use crate::sessions::{self, Person, Session, Token};

#[derive(Deserialize)]
pub(crate) struct Target {
    #[serde(default)]
    next: String,
    /// The key of the authorization request that waits for this sign-in.
    #[serde(default)]
    pub(super) request: String,
    /// Set after the user came back from the provider without a sign-in.
    #[serde(default)]
    pub(super) cancelled: String,
    /// Set if the user wants another account of the provider.
    #[serde(default)]
    pub(super) choose: String,
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

/// A form that has no field but the `csrf` field.
#[derive(Deserialize)]
pub(crate) struct CsrfForm {
    #[serde(default)]
    pub(super) csrf: String,
}

/// `GET /`. If the database fails, the page is shown as to a visitor who is not signed in.
pub(crate) async fn home(
    State(app): State<Arc<App>>,
    session: Result<Option<Session>, SessionUnavailable>,
    headers: HeaderMap,
) -> Response {
    let policy = app.oauth.policy();
    let resources = policy
        .resources()
        .iter()
        .map(|own| (own.identifier().to_owned(), app.resource_name(own.identifier()).to_owned()));
    let resources = resources.collect();
    let session = session.ok().flatten();
    with_form_cookie(&app, &headers, |csrf| {
        Page(Home {
            issuer: policy.issuer().into(),
            resources,
            public_client: app.public_client,
            can_register: policy.registration().is_some(),
            users: app.accounts.shown(),
            nav: app.nav(session.as_ref()),
            csrf,
        })
        .into_response()
    })
}

/// `GET /login`.
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Query(target): Query<Target>,
    session: Option<Session>,
    parts: Parts,
) -> Response {
    if !target.request.is_empty() {
        return login_for(&app, session, &parts, &target).await;
    }
    let next = sessions::next(&target.next).to_owned();
    if session.is_some() {
        return Redirect::to(&next).into_response();
    }
    let token = match app.form_cookie.read_or_create(&parts.headers) {
        Ok(token) => token,
        Err(error) => return no_randomness(error),
    };
    let page = login_page(&app, next, token.reveal(), String::new()).await;
    let page = asked_for(page, Wanted::default(), &target);
    set_form_cookie(&app, &token, Page(page).into_response())
}

/// `POST /login`.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    parts: Parts,
    Form(form): Form<Credentials>,
) -> Response {
    let headers = &parts.headers;
    let next = form.next.clone();
    if !app.form_cookie.matches(headers, &form.csrf) {
        // The form may come from another site (login CSRF), so the password is not checked. It may
        // also be a form of this server whose cookie another tab replaced. A carried authorization
        // request is therefore shown on a new login page; any site could link to that.
        if let Some(request) = Request::of_field(&next) {
            return log_in_for(&app, request, &source(&parts)).await;
        }
        let message = "This form was not opened in this browser, or its cookie is gone. Go back, reload and try again.";
        return (StatusCode::FORBIDDEN, Page(Notice::new("Not signed in", message)))
            .into_response();
    }
    let Credentials { csrf, username, password, .. } = form;
    let page = |username| login_page(&app, next.clone(), csrf, username);
    let subject = match check(&app, &username, &password, &source(&parts)).await {
        Ok(Some(subject)) => subject,
        Ok(None) => {
            // Not 401, which must name a challenge of HTTP authentication (RFC 9110 §15.5.2).
            let failed = Login { failed: true, ..page(username).await };
            return (StatusCode::FORBIDDEN, Page(failed)).into_response();
        }
        Err(refusal) => return refusal.response(page(username).await),
    };
    let previous = app.session_cookie.read(headers);
    let now = SystemTime::now().into();
    let person = Person::with_password(subject, now);
    match app.sessions.open(&person, &app.accounts, previous.as_ref(), now).await {
        Ok((token, session)) => {
            let cookie = [(header::SET_COOKIE, app.session_cookie.set(&token))];
            let onward = continue_to(&app, &next, session, true, &source(&parts)).await;
            (AppendHeaders(cookie), onward).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "no session could be opened");
            no_session(&app, &next, &source(&parts)).await
        }
    }
}

/// `POST /logout`.
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<CsrfForm>,
) -> Response {
    let session = app.session(&headers).await.ok().flatten();
    if !app.form_cookie.matches(&headers, &form.csrf) {
        // A browser without a session is signed out already.
        return match session {
            Some(session) => forged(app.nav(Some(&session))),
            None => Redirect::to("/").into_response(),
        };
    }
    if let Some(token) = app.session_cookie.read(&headers)
        && let Err(error) = app.sessions.close(&token).await
    {
        // The session may live on, so the browser keeps its cookie: the user can try again.
        tracing::error!(%error, "a session could not be ended");
        return not_now(Nav::of(None));
    }
    let cookie = [(header::SET_COOKIE, app.session_cookie.clear())];
    let is_of_provider = session.is_some_and(|session| is_of_provider(&session.subject));
    let Some(provider) = app.provider.as_ref().filter(|_| is_of_provider) else {
        return (AppendHeaders(cookie), Redirect::to("/")).into_response();
    };
    let message = format!(
        "You are signed out of this server. You may still be signed in at {}, which this does \
         not change.",
        provider.name()
    );
    (AppendHeaders(cookie), Page(Notice::new("Signed out", &message))).into_response()
}

/// A reason not to check a password now.
enum LoginRefusal {
    /// Too many sign-ins from this source, or to this account, have failed.
    Failures(Wait),
    /// Too many passwords are being checked.
    Busy,
}

impl LoginRefusal {
    fn response(self, page: Login) -> Response {
        let (status, seconds, message) = match self {
            Self::Failures(wait) => (
                StatusCode::TOO_MANY_REQUESTS,
                wait.seconds(),
                "Too many sign-ins from your network, or to this account, have failed.",
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

/// Checks a password, unless too many sign-ins have failed. The limit is applied before the check,
/// so that a refusal reveals nothing about the password.
async fn check(
    app: &App,
    username: &str,
    password: &str,
    source: &str,
) -> Result<Option<String>, LoginRefusal> {
    let attempt = app.attempts.begin(username, source, Instant::now()).map_err(|wait| {
        tracing::warn!(source, seconds = wait.seconds(), "too many failed sign-ins");
        LoginRefusal::Failures(wait)
    })?;
    let Ok(subject) = app.accounts.log_in(username, password).await else {
        attempt.withdrawn();
        return Err(LoginRefusal::Busy);
    };
    if subject.is_some() {
        attempt.succeeded();
    } else {
        tracing::info!(source, "a sign-in failed");
    }
    Ok(subject)
}

/// Returns the login page that leads to `next`. If `next` is an authorization request, the page
/// names the application that asks.
pub(super) async fn login_page(app: &App, next: String, csrf: String, username: String) -> Login {
    let asking = asking(app, &next).await;
    let users = app.accounts.shown();
    let button = |name: &str| ProviderButton { name: name.to_owned(), prompt: "" };
    Login {
        next,
        csrf,
        asking,
        has_passwords: app.accounts.has_passwords(),
        provider: app.provider.as_ref().map(|provider| button(provider.name())),
        username,
        users,
        ..Login::default()
    }
}

/// Adds to a login page what the request and the address of the page ask for.
pub(super) fn asked_for(mut page: Login, wanted: Wanted, target: &Target) -> Login {
    page.was_cancelled = !target.cancelled.is_empty();
    page.was_signed_out = wanted.signed_out;
    if let Some(provider) = &mut page.provider {
        provider.prompt = match (wanted.fresh, wanted.choice || !target.choose.is_empty()) {
            (true, _) => "login",
            (false, true) => "select_account",
            (false, false) => "",
        };
    }
    page
}

/// Returns the name of the client of an authorization request, or `None` if the client is not
/// known. A database that fails here does not stop the user.
async fn asking(app: &App, next: &str) -> Option<AppName> {
    let id = client_id(&Request::of_field(next)?.query)?;
    let keys = Keys { client: ClientKey::named(&*id), ..Keys::default() };
    let client = app.oauth.store().load(&keys).await.ok()?.client?.record;
    let verified = client.registration() == Registration::Operator;
    Some(AppName::of(&client.display_name(), &id, verified))
}

/// Makes a page whose form is bound to this browser by a cookie with the same value as its `csrf`
/// field.
pub(super) fn with_form_cookie(
    app: &App,
    headers: &HeaderMap,
    page: impl FnOnce(String) -> Response,
) -> Response {
    match app.form_cookie.read_or_create(headers) {
        Ok(token) => set_form_cookie(app, &token, page(token.reveal())),
        Err(error) => no_randomness(error),
    }
}

/// Adds the form cookie to a page.
pub(super) fn set_form_cookie(app: &App, token: &Token, page: Response) -> Response {
    let cookie = [(header::SET_COOKIE, app.form_cookie.set(token))];
    (AppendHeaders(cookie), page).into_response()
}

pub(super) fn no_randomness(error: getrandom::Error) -> Response {
    tracing::error!(%error, "the source of randomness failed");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
