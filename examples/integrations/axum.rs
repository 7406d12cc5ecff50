//! An existing application with its own users, login, pages and JSON API becomes an authorization
//! server. Other applications can then call its API on behalf of its users. The lines for grantcore
//! are between `grantcore: begin` and `grantcore: end`. Everything else was there before.
//!
//! `cargo run -p grantcore-examples --example axum`; sign in as alice with the password wonderland.
//!
//! For production, use your database for `Tables`, a `SqliteStore`, `PostgresStore` or `RedisStore`
//! for `MemoryStore`, hashed passwords, a limit on guesses, and `https` with `Secure` cookies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{collections::HashMap, net::SocketAddr};

use askama::Template as _;
use axum::extract::{Form, FromRequestParts, Query, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, routing::get, routing::post};
// --- grantcore: begin
use grantcore::{Account, Accounts, Event, MemoryStore, Policy, Server};
use grantcore_axum::{BoxError, Caller, Consent, Login, LoginTarget, Pages, RequireToken};
use grantcore_axum::{SignedIn, TrustedProxies, cors, is_same_origin, router, sweep};
// --- grantcore: end

/// The application, with tables in memory in place of a database.
#[derive(Clone, Default)]
struct App(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    users: HashMap<String, User>,
    sessions: HashMap<String, Session>,
}

#[derive(Default)]
struct User {
    password: String,
    is_locked: bool,
    notes: Vec<String>,
}

#[derive(Clone)]
struct Session {
    user: String,
    // --- grantcore: begin
    target: LoginTarget,
    // --- grantcore: end
}

impl App {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the session of a browser and the session's key, unless the user is locked.
    fn session(&self, headers: &HeaderMap) -> Option<(Session, String)> {
        let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
        let key = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("session="))?;
        let tables = self.tables();
        let session = tables.sessions.get(key)?.clone();
        let is_locked = tables.users.get(&session.user)?.is_locked;
        (!is_locked).then(|| (session, key.to_owned()))
    }
}

/// The user on whose behalf a handler works.
struct CurrentUser(String);

impl FromRequestParts<App> for CurrentUser {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, StatusCode> {
        // --- grantcore: begin
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return caller.subject().map(|user| Self(user.into())).ok_or(StatusCode::FORBIDDEN);
        }
        // --- grantcore: end
        let session = app.session(&parts.headers);
        session.map(|(session, _)| Self(session.user)).ok_or(StatusCode::UNAUTHORIZED)
    }
}

async fn notes(State(app): State<App>, user: CurrentUser) -> Json<Vec<String>> {
    Json(app.tables().users.get(&user.0).map(|user| user.notes.clone()).unwrap_or_default())
}

async fn add_note(State(app): State<App>, user: CurrentUser, Json(note): Json<String>) {
    app.tables().users.entry(user.0).or_default().notes.push(note);
}

/// Locks the account of a user who has lost a device.
async fn lock(State(app): State<App>, user: CurrentUser) {
    app.tables().users.entry(user.0).or_default().is_locked = true;
}

const LOGIN: &str = r#"<title>Sign in</title><form method="post"><input name="username" aria-label="Name">
<input name="password" type="password" aria-label="Password"><button>Sign in</button></form>"#;

#[derive(serde::Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    // --- grantcore: begin
    Query(target): Query<LoginTarget>,
    // --- grantcore: end
    Form(form): Form<Credentials>,
) -> Result<Response, StatusCode> {
    let mut tables = app.tables();
    let user = tables.users.get(&form.username).filter(|user| !user.is_locked);
    // Login CSRF: a page of an attacker could sign its visitor in to the attacker's account.
    if !is_same_origin(&headers) || user.is_none_or(|user| user.password != form.password) {
        return Ok((StatusCode::FORBIDDEN, Html(LOGIN)).into_response());
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let key = format!("{:032x}", u128::from_be_bytes(random));
    let cookie = [(header::SET_COOKIE, format!("session={key}; Path=/; HttpOnly; SameSite=Lax"))];
    // --- grantcore: begin
    let next = target.return_to.redirect();
    // --- grantcore: end
    tables.sessions.insert(key, Session { user: form.username, target });
    Ok((cookie, next).into_response())
}

// --- grantcore: begin
impl Pages for App {
    async fn user(&self, request: &Parts) -> Result<Option<SignedIn>, BoxError> {
        let session = self.session(&request.headers);
        Ok(session.map(|(own, key)| SignedIn::new(own.user, key).signed_in_for(own.target.request)))
    }
    async fn login(&self, _: &Parts, login: Login) -> Response {
        login.redirect("/login")
    }
    async fn consent(&self, _: &Parts, consent: Consent) -> Response {
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR.into_response();
        ConsentForm(consent).render().map_or_else(failed, |html| Html(html).into_response())
    }
}

#[derive(askama::Template)]
#[template(
    ext = "html",
    source = r#"<form method="post" action="{{ self.0.action }}">May {{ self.0.page.client_name() }},
which nobody has checked, do this for {{ self.0.page.subject() }}? {% for (_, text) in self.0.scopes %}
<p>{{ text }}.{% endfor %}<p>You will be sent to {{ self.0.page.redirect_host() }}.
{% if self.0.page.redirects_to_own_device() %}Any program on this device can claim that name: continue
only if you have just started it.{% endif %}<input type="hidden" name="ticket" value="{{ self.0.page.ticket() }}">
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button>"#
)]
struct ConsentForm(Consent);

impl Accounts for App {
    type Error = std::convert::Infallible;
    async fn account(&self, subject: &str) -> Result<Option<Account>, Self::Error> {
        let locked = self.tables().users.get(subject).map(|user| user.is_locked);
        Ok(locked.map(|suspended| Account { suspended, ..Account::ACTIVE }))
    }
}
// --- grantcore: end

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = App::default();
    let alice = User { password: "wonderland".to_owned(), ..User::default() };
    app.tables().users.insert("alice".to_owned(), alice);
    let api = Router::new().route("/notes", get(notes).post(add_note)).with_state(app.clone());
    let site = Router::new()
        .route("/login", get(|| async { Html(LOGIN) }).post(login))
        .route("/lock", post(lock))
        .with_state(app.clone())
        .nest("/api", api.clone());
    // --- grantcore: begin
    let resource = format!("{url}/v1");
    let policy = Policy::mcp(&url, &resource, [("notes", "Read and change your notes")])
        .allow_loopback_http(true)
        .build()?;
    let needs = policy.needs(&resource, "notes")?;
    // The events of all requests go to the log of the application.
    let server = Server::new(policy, MemoryStore::new(), app.clone()).with_observer(Event::trace);
    let server = Arc::new(server);
    tokio::spawn(sweep(Arc::clone(&server), std::time::Duration::from_secs(300)));
    // The same API at a second path. It accepts access tokens and ignores cookies.
    let site = site
        .nest(
            "/v1",
            api.route_layer(RequireToken::new(Arc::clone(&server), needs)).route_layer(cors()),
        )
        .merge(router(server, app)?)
        .layer(TrustedProxies::new(["127.0.0.1/32".parse()?]));
    // --- grantcore: end
    tracing::info!("the application is at {url}");
    Ok(axum::serve(listener, site.into_make_service_with_connect_info::<SocketAddr>()).await?)
}
