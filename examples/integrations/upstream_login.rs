//! Users sign in with an external OpenID Connect provider, by the crate `openidconnect`. This
//! server stays the authorization server of its own clients, with its own consent page and tokens.
//!
//! `cargo run -p grantcore-examples --example upstream_login -- \
//!  127.0.0.1:8080 https://accounts.google.com CLIENT_ID CLIENT_SECRET`
//!
//! Register `http://127.0.0.1:8080/login/callback` with the provider. The provider knows this
//! server by one `client_id`, whichever of our clients asks. Without step 5, this server would be a
//! confused deputy (MCP, Security Best Practices). Each step, and the attack that it is against:
//!
//! 1. Our sign-in page comes before the provider. It names the client, and waits for a click.
//!    Against a link that signs a visitor in unseen, because the provider remembers the visitor.
//! 2. `state`, and a sign-in attempt that is bound to this browser by a cookie and used once.
//!    Against the callback of the attacker's own sign-in, sent to a victim (login CSRF).
//! 3. PKCE, `nonce`, and `iss` if the provider sends it. Against a code that was stolen or replaced
//!    on its way, and against the code of another provider (mix-up).
//! 4. The callback opens a session under a fresh key, and does nothing else. Against a session key
//!    that the attacker knows (session fixation).
//! 5. Our consent page is shown for each request of each client, and only its form yields a code.
//!    Against an attacker's client: the provider's remembered consent is for this server and for
//!    none of its clients, and a user who is signed in at both would be passed through unasked.
//! 6. The provider's tokens are dropped as soon as the user is known. Against clients that use them
//!    elsewhere (token passthrough).
//! 7. The account is the provider's `sub`, not an e-mail address. Against another account of the
//!    provider that claims the address.
//!
//! The consent page comes after the provider, because a consent is bound to a user and a browser
//! session. Before it, nothing is granted that a client could receive.
//!
//! For production: `https` with cookies that are `Secure` and named `__Host-…`, which other
//! subdomains cannot set; your session store for `State`, your database for `MemoryStore`, your own
//! `Accounts`, and `TrustedProxies`, as the example `axum` shows.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, extract};
use grantcore::value::RequestDigest;
use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
use grantcore_axum::{
    BoxError, Caller, Login, LoginTarget, Pages, RequireToken, SignedIn, cors, is_same_origin,
    router, sweep,
};
use openidconnect::core::{
    CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreProviderMetadata,
};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, TokenResponse,
    reqwest,
};
use serde::Deserialize;

/// How long a user may take at the provider.
const ATTEMPT: Duration = Duration::from_secs(600);
/// How many sign-ins may be under way. A stranger can begin them, so their number has a limit.
const ATTEMPTS: usize = 10_000;
const SESSION: Duration = Duration::from_secs(12 * 3600);

type Upstream = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

#[derive(Clone)]
struct Site(Arc<Inner>);

struct Inner {
    /// The provider's endpoints and keys. They change: a task reads them again.
    provider: RwLock<CoreProviderMetadata>,
    http: reqwest::Client,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect_uri: RedirectUrl,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Sign-ins that are under way, each by the secret in the cookie of its browser.
    attempts: HashMap<String, Attempt>,
    sessions: HashMap<String, Session>,
}

struct Attempt {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    target: LoginTarget,
    begun: Instant,
}

struct Session {
    subject: String,
    request: Option<RequestDigest>,
    begun: Instant,
}

impl Site {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstream(&self) -> Upstream {
        let provider = self.0.provider.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (id, secret) = (self.0.client_id.clone(), self.0.client_secret.clone());
        CoreClient::from_provider_metadata(provider, id, Some(secret))
            .set_redirect_uri(self.0.redirect_uri.clone())
    }

    /// Reads the provider's keys again each hour. A provider announces new keys before it uses
    /// them.
    async fn refresh(self, issuer: IssuerUrl) {
        loop {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            match CoreProviderMetadata::discover_async(issuer.clone(), &self.0.http).await {
                Ok(new) => {
                    *self.0.provider.write().unwrap_or_else(PoisonError::into_inner) = new;
                }
                Err(error) => tracing::error!(%error, "the provider's metadata cannot be read"),
            }
        }
    }
}

/// The page before the provider (step 1).
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html><html lang="en"><title>Sign in</title>
<h1>Sign in{% if let Some(name) = client_name %} to connect {{ name }}{% endif %}</h1>
<p>You will be asked what it may do after you have signed in.</p>
<form method="post" action="/login"><input type="hidden" name="return_to" value="{{ return_to }}">
{% if let Some(request) = request %}<input type="hidden" name="request" value="{{ request }}">{% endif %}
<input type="hidden" name="prompt" value="{{ prompt }}"><button>Continue with the provider</button></form>"#
)]
struct SignInPage {
    client_name: Option<String>,
    return_to: String,
    request: Option<RequestDigest>,
    prompt: &'static str,
}

impl Pages for Site {
    async fn user(&self, request: &Parts) -> Result<Option<SignedIn>, BoxError> {
        let Some(key) = cookie(&request.headers, "session") else { return Ok(None) };
        let state = self.state();
        let session = state.sessions.get(key).filter(|own| own.begun.elapsed() < SESSION);
        Ok(session.map(|own| SignedIn::new(&own.subject, key).signed_in_for(own.request)))
    }

    async fn login(&self, _request: &Parts, login: Login) -> Response {
        let prompt = match (login.fresh, login.choose_account) {
            (true, _) => "login",
            (false, true) => "select_account",
            (false, false) => "",
        };
        let page = SignInPage {
            client_name: login.client_name,
            return_to: login.return_to.to_string(),
            request: login.request,
            prompt,
        };
        match page.render() {
            Ok(html) => Html(html).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    // The consent page (step 5) is that of the crate. It has no setting that leaves it out.
}

#[derive(Deserialize)]
struct Begin {
    #[serde(flatten)]
    target: LoginTarget,
    #[serde(default)]
    prompt: String,
}

/// The user has pressed the button: the browser goes to the provider.
async fn begin(
    extract::State(site): extract::State<Site>,
    headers: HeaderMap,
    Form(form): Form<Begin>,
) -> Result<Response, Refused> {
    if !is_same_origin(&headers) {
        return Err(Refused("a page of another site sent the form"));
    }
    let upstream = site.upstream();
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let request = upstream.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
    // A provider that does not know `prompt` is believed to have asked.
    let request = match form.prompt.as_str() {
        "login" => request.add_prompt(CoreAuthPrompt::Login),
        "select_account" => request.add_prompt(CoreAuthPrompt::SelectAccount),
        _ => request,
    };
    let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
    let begun = Instant::now();
    let attempt = Attempt { state, nonce, verifier, target: form.target, begun };
    let key = secret();
    let cookie = set_cookie("attempt", &key, ATTEMPT);
    let attempts = &mut site.state().attempts;
    attempts.retain(|_, other| other.begun.elapsed() < ATTEMPT);
    if attempts.len() >= ATTEMPTS {
        return Err(Refused("too many sign-ins are under way"));
    }
    attempts.insert(key, attempt);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(url.as_str())).into_response())
}

#[derive(Deserialize)]
struct Callback {
    state: String,
    /// Missing if the user or the provider has refused.
    code: Option<String>,
    iss: Option<String>,
}

/// The provider has sent the browser back.
async fn callback(
    extract::State(site): extract::State<Site>,
    headers: HeaderMap,
    Query(callback): Query<Callback>,
) -> Result<Response, Refused> {
    // Step 2. The attempt is taken out, so that each has one callback.
    let attempt = cookie(&headers, "attempt").and_then(|key| site.state().attempts.remove(key));
    let attempt = attempt.filter(|attempt| attempt.begun.elapsed() < ATTEMPT);
    let attempt = attempt.ok_or(Refused("this browser has not begun a sign-in"))?;
    if attempt.state.secret() != &callback.state {
        return Err(Refused("the state is that of another sign-in"));
    }
    let issuer = site.0.provider.read().unwrap_or_else(PoisonError::into_inner).issuer().clone();
    if callback.iss.is_some_and(|iss| iss != *issuer) {
        return Err(Refused("the response is that of another provider"));
    }
    let code = callback.code.ok_or(Refused("the provider has not signed the user in"))?;
    // Step 3. `claims` checks signature, issuer, audience, expiry and nonce of the ID token.
    let upstream = site.upstream();
    let exchange = upstream.exchange_code(AuthorizationCode::new(code));
    let exchange = exchange.map_err(|_| Refused("the provider has no token endpoint"))?;
    let tokens = exchange.set_pkce_verifier(attempt.verifier).request_async(&site.0.http).await;
    let tokens = tokens.map_err(|error| {
        tracing::error!(%error, "the provider has not redeemed its code");
        Refused("the provider has not redeemed its code")
    })?;
    let id_token = tokens.id_token().ok_or(Refused("the provider has sent no ID token"))?;
    let claims = id_token.claims(&upstream.id_token_verifier(), &attempt.nonce);
    let claims = claims.map_err(|error| {
        tracing::error!(%error, "the ID token is not good");
        Refused("the ID token is not good")
    })?;
    // Steps 4, 6 and 7.
    let subject = claims.subject().to_string();
    let session = Session { subject, request: attempt.target.request, begun: Instant::now() };
    let key = secret();
    let cookie = set_cookie("session", &key, SESSION);
    let sessions = &mut site.state().sessions;
    sessions.retain(|_, other| other.begun.elapsed() < SESSION);
    sessions.insert(key, session);
    Ok(([(header::SET_COOKIE, cookie)], attempt.target.return_to.redirect()).into_response())
}

/// Why a sign-in has failed. The log has the reason, which is of no use to an honest browser.
struct Refused(&'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        tracing::warn!(reason = self.0, "a sign-in has failed");
        let text = "The sign-in has failed. Start again in the application that you came from.";
        (StatusCode::FORBIDDEN, text).into_response()
    }
}

/// Draws a secret of 256 bits.
fn secret() -> String {
    CsrfToken::new_random_len(32).into_secret()
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value).next()
}

/// `Lax`, because the provider's redirect comes from another site.
fn set_cookie(name: &str, value: &str, life: Duration) -> String {
    format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", life.as_secs())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let mut argument = |name| arguments.next().ok_or(format!("{name} is missing"));
    let listener = tokio::net::TcpListener::bind(argument("the address to listen at")?).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let issuer = IssuerUrl::new(argument("the issuer of the provider")?)?;
    let client_id = ClientId::new(argument("the client id at the provider")?);
    let client_secret = ClientSecret::new(argument("the client secret at the provider")?);

    // No redirect is followed: a provider could lead the request into this network.
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()?;
    let provider = CoreProviderMetadata::discover_async(issuer.clone(), &http).await?;
    let site = Site(Arc::new(Inner {
        provider: RwLock::new(provider),
        http,
        client_id,
        client_secret,
        redirect_uri: RedirectUrl::new(format!("{url}/login/callback"))?,
        state: Mutex::default(),
    }));
    tokio::spawn(site.clone().refresh(issuer));

    let resource = format!("{url}/whoami");
    let policy = Policy::mcp(&url, &resource, [("profile", "See your account name")])
        .allow_loopback_http(true)
        .build()?;
    let needs = policy.needs(&resource, "profile")?;
    let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
    tokio::spawn(sweep(Arc::clone(&server), Duration::from_secs(300)));
    let resources = Router::new()
        .route(
            "/whoami",
            get(async |caller: Caller| caller.subject().map(str::to_owned).unwrap_or_default()),
        )
        .route_layer(RequireToken::new(Arc::clone(&server), needs))
        .route_layer(cors());
    let app = Router::new()
        .route("/login", post(begin))
        .route("/login/callback", get(callback))
        .with_state(site.clone())
        .merge(router(server, site)?)
        .merge(resources);
    println!("The authorization server is {url}");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
