//! A login for trials: names and passwords in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use grantcore::moment::{Clock as _, SystemClock};
use grantcore::rate::RateWindow;
use grantcore::value::{Digest, RequestDigest};
use serde::Deserialize;

use crate::pages::{BoxError, Login, Pages, ReturnTo, render};
use crate::router::with_page_headers;
use crate::same_origin::is_same_origin;
use crate::signed_in::SignedIn;

const COOKIE: &str = "grantcore_demo_session";
/// The most browsers that are signed in. A further sign-in ends the oldest session.
const SESSION_LIMIT: usize = 1000;
/// The most sign-ins that may fail within 60 s, over all accounts.
const FAILURE_LIMIT: u32 = 10;

/// A login page for trials: a few names and passwords, and sessions in memory.
///
/// Use it to try a client on your own machine, and not in production: passwords cannot be changed,
/// a restart ends all sessions, and after ten wrong passwords within a minute every sign-in is
/// refused for the rest of that minute. An application with users implements [`Pages`] on its own
/// sessions.
///
/// ```
/// use std::sync::Arc;
///
/// use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
/// use grantcore_axum::DemoLogin;
///
/// let scopes = [("notes", "Read your notes")];
/// let policy = Policy::mcp("https://auth.example", "https://mcp.example/mcp", scopes).build()?;
/// let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
/// let login = DemoLogin::new([("alice", "correct horse battery staple")]);
/// let app = grantcore_axum::router(server, login.clone())?.merge(login.router());
/// # let _: axum::Router = app;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DemoLogin(Arc<Inner>);

struct Inner {
    /// Names with the digests of their passwords.
    accounts: Vec<(String, Digest)>,
    state: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    by_key: HashMap<Digest, Session>,
    /// The keys of all sessions, the oldest first.
    order: VecDeque<Digest>,
    failures: RateWindow,
}

#[derive(Clone)]
struct Session {
    subject: String,
    signed_in_for: Option<RequestDigest>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    return_to: ReturnTo,
    /// The text of a [`RequestDigest`], or empty.
    #[serde(default)]
    request: String,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
    return_to: ReturnTo,
    #[serde(default)]
    request: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginForm {
    message: Option<&'static str>,
    return_to: ReturnTo,
    request: String,
}

impl DemoLogin {
    /// Returns a login for these accounts: names with their passwords.
    pub fn new<N: Into<String>, W: AsRef<[u8]>>(
        accounts: impl IntoIterator<Item = (N, W)>,
    ) -> Self {
        let accounts = accounts.into_iter();
        let accounts =
            accounts.map(|(name, password)| (name.into(), Digest::of(password.as_ref()))).collect();
        Self(Arc::new(Inner { accounts, state: Mutex::default() }))
    }

    /// Returns the router with the login page, at `/login`.
    pub fn router(&self) -> Router {
        Router::new().route("/login", get(page).post(submit)).with_state(self.clone())
    }

    /// Returns whether the password is that of the account. Digests are compared in constant time,
    /// so that the duration does not reveal how much of a guess is right.
    fn is_right(&self, username: &str, password: &str) -> bool {
        let presented = Digest::of(password.as_bytes());
        let mut accounts = self.0.accounts.iter();
        accounts.any(|(name, digest)| digest.matches(&presented) && name == username)
    }

    fn with_sessions<T>(&self, use_sessions: impl FnOnce(&mut Sessions) -> T) -> T {
        use_sessions(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sessions {
    fn open(&mut self, key: Digest, session: Session) {
        if self.order.len() >= SESSION_LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back(key);
        self.by_key.insert(key, session);
    }
}

impl std::fmt::Debug for DemoLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.accounts.iter().map(|(name, _)| name).collect();
        f.debug_struct("DemoLogin").field("names", &names).finish_non_exhaustive()
    }
}

impl Pages for DemoLogin {
    async fn user(&self, request: &Parts) -> Result<Option<SignedIn>, BoxError> {
        let Some(key) = session_key(&request.headers) else { return Ok(None) };
        let digest = Digest::of(key.as_bytes());
        let session = self.with_sessions(|sessions| sessions.by_key.get(&digest).cloned());
        Ok(session.map(|Session { subject, signed_in_for }| {
            SignedIn::new(subject, key).signed_in_for(signed_in_for)
        }))
    }

    async fn login(&self, _: &Parts, login: Login) -> Response {
        login.redirect("/login")
    }
}

async fn page(Query(Target { return_to, request }): Query<Target>) -> Response {
    with_page_headers(render(
        StatusCode::OK,
        LoginForm { message: None, return_to, request }.render(),
    ))
}

async fn submit(
    State(login): State<DemoLogin>,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Response {
    let Credentials { username, password, return_to, request } = form;
    // Login CSRF: a page of an attacker could sign its visitor in to the attacker's account.
    if !is_same_origin(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let now = SystemClock.now();
    let form_with_message = |status, message| {
        let form = LoginForm {
            message: Some(message),
            return_to: return_to.clone(),
            request: request.clone(),
        };
        with_page_headers(render(status, form.render()))
    };
    // Counted as a failure before the password is checked: parallel guesses would otherwise all
    // pass the limit before the first of them is counted.
    if login.with_sessions(|sessions| sessions.failures.admit(FAILURE_LIMIT, now)).is_err() {
        let message = "Too many sign-ins have failed. Try again in a minute.";
        return form_with_message(StatusCode::TOO_MANY_REQUESTS, message);
    }
    if !login.is_right(&username, &password) {
        return form_with_message(StatusCode::FORBIDDEN, "The name or the password is wrong.");
    }
    let Ok(key) = new_key() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let signed_in_for = request.parse().ok();
    login.with_sessions(|sessions| {
        // It was not a failure.
        sessions.failures.give_back(now);
        let session = Session { subject: username, signed_in_for };
        sessions.open(Digest::of(key.as_bytes()), session);
    });
    let cookie = format!("{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax");
    with_page_headers(([(header::SET_COOKIE, cookie)], return_to.redirect()).into_response())
}

/// Returns the session key in the browser's cookies.
fn session_key(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

/// Draws the key of a new session: 256 random bits in hexadecimal.
fn new_key() -> Result<String, getrandom::Error> {
    let mut halves = [[0; 16]; 2];
    halves.iter_mut().try_for_each(|half| getrandom::fill(half))?;
    let [first, second] = halves.map(u128::from_be_bytes);
    Ok(format!("{first:032x}{second:032x}"))
}
