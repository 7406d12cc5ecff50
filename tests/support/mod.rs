//! The test server: a virtual clock, seeded entropy, a store with injected faults, and one call for
//! each step of a flow.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

pub mod assertions;
pub mod clients;
pub mod host;
pub mod keyed;
pub mod machines;
pub mod params;
pub mod property;
pub mod refused;
pub mod sources;
pub mod steps;
pub mod store;
pub mod toy_issuers;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use grantcore::blocking::{Outside, Server};
use grantcore::client::StoredSecret;
use grantcore::moment::{Entropy, EntropyError};
use grantcore::policy::PolicyBuilder;
use grantcore::response::Redirect;
use grantcore::value::{Digest, SecretMethod};
use grantcore::{
    Access, Authorization, AuthorizationStep, Choice, Client, ConsentPage, Error, Event, FromStore,
    Needs, Policy, Reason, Refusal, Reply, RequestParts, Timestamp, User,
};
use params::Params;
use store::{Broken, TestStore};

pub const ISSUER: &str = "https://auth.example";
pub const MCP: &str = "https://mcp.example/mcp";
/// The time at which every test begins.
pub const T: u64 = 1_800_000_000;
/// The verifier and challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const CALLBACK: &str = "https://app.example/cb";
pub const SECRET: &str = "a-secret-of-a-confidential-client-0123456789";

pub const ALICE: User<'static> = user("alice", b"alice's browser");

/// The user with this account, at this browser session.
pub const fn user<'a>(subject: &'a str, session: &'a [u8]) -> User<'a> {
    match User::new(subject, session) {
        Ok(user) => user,
        Err(_) => panic!("an account and a session have a name"),
    }
}

/// What an operation of one of the policy's resources needs, by the position of the resource.
pub fn needs(policy: &Policy, resource: usize, scope: &str) -> Needs {
    policy.needs(policy.resources()[resource].identifier(), scope).unwrap()
}

/// An authorization server with its store, clock, entropy and events.
pub struct World {
    pub server: Server<Arc<TestStore>>,
    pub store: Arc<TestStore>,
    clock: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<Event>>>,
    /// Whether the entropy source fails.
    is_dry: Arc<AtomicBool>,
}

/// Returns the default policy: three scopes, `read` as the default scope, one resource.
pub fn policy() -> PolicyBuilder {
    Policy::builder(ISSUER)
        .scope("read", "Read your notes")
        .scope("write", "Change your notes")
        .scope("admin", "Manage everything")
        .default_scope("read")
        .resource(MCP, "read write")
}

/// Returns a public client of the operator with one `https` redirect URI.
pub fn app() -> Client {
    Client::public("app").name("The App").redirect_uri(CALLBACK).build().unwrap()
}

/// Returns a confidential client of the operator, which uses `client_secret_post`.
pub fn web() -> Client {
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    Client::confidential("web", SecretMethod::Post, secret)
        .redirect_uri("https://web.example/cb")
        .build()
        .unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::with(policy())
    }

    /// Returns a world with this policy, the clients `app` and `web`, and the user alice.
    pub fn with(policy: PolicyBuilder) -> Self {
        let store = Arc::new(TestStore::default());
        let clock = Arc::new(AtomicU64::new(T));
        let world = Self::on(policy.build().unwrap(), store, clock, 1);
        world.put(app());
        world.put(web());
        world
    }

    /// Returns a world with another policy on the same store, with the same clock. It draws other
    /// entropy for another seed, and records its own events.
    pub fn beside(&self, policy: Policy, seed: u64) -> Self {
        Self::on(policy, Arc::clone(&self.store), Arc::clone(&self.clock), seed)
    }

    fn on(policy: Policy, store: Arc<TestStore>, clock: Arc<AtomicU64>, seed: u64) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let time = Arc::clone(&clock);
        let log = Arc::clone(&events);
        let is_dry = Arc::new(AtomicBool::new(false));
        let draw = seeded(seed);
        let dry = Arc::clone(&is_dry);
        let server = Server::with_sources(
            policy,
            Arc::clone(&store),
            FromStore,
            move || Timestamp::from_unix_seconds(time.load(Ordering::SeqCst)),
            move || if dry.load(Ordering::SeqCst) { Err(EntropyError) } else { draw() },
        )
        .with_observer(move |event| log.lock().unwrap().push(event.clone()));
        Self { server, store, clock, events, is_dry }
    }

    /// Returns the same world with a host that answers.
    pub fn asking(self, outside: impl Outside + 'static) -> Self {
        Self { server: self.server.with_outside(outside), ..self }
    }

    pub fn put(&self, client: Client) {
        self.store.inner.put_client(client);
    }

    /// Makes the entropy source fail from now on.
    pub fn dry_up(&self) {
        self.is_dry.store(true, Ordering::SeqCst);
    }

    /// Sets the clock to this many seconds after the beginning.
    pub fn at(&self, seconds: u64) {
        self.clock.store(T + seconds, Ordering::SeqCst);
    }

    /// Sets the clock to any time, also before the beginning.
    pub fn at_unix(&self, seconds: u64) {
        self.clock.store(seconds, Ordering::SeqCst);
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Returns the reason of the latest event.
    pub fn reason(&self) -> Option<Reason> {
        self.events().last().and_then(|event| event.reason)
    }

    /// Sends an authorization request as alice.
    pub fn authorize(&self, params: &Params) -> Result<AuthorizationStep, Refusal> {
        self.authorize_as(params, Some(ALICE))
    }

    pub fn authorize_as(
        &self,
        params: &Params,
        user: Option<User<'_>>,
    ) -> Result<AuthorizationStep, Refusal> {
        self.try_authorize(params, user).outcome()
    }

    pub fn try_authorize(
        &self,
        params: &Params,
        user: Option<User<'_>>,
    ) -> Result<AuthorizationStep, Error<Broken>> {
        let query = params.encode();
        self.server.authorize(
            &RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() },
            user,
        )
    }

    /// Sends an authorization request as alice, expects success, and returns the consent page.
    pub fn page(&self, params: &Params) -> ConsentPage {
        match self.authorize(params) {
            Ok(AuthorizationStep::NeedsConsent(page)) => page,
            other => panic!("no consent page but {other:?}, {:?}", self.reason()),
        }
    }

    /// Submits the consent form as alice.
    pub fn decide(&self, ticket: &str, choice: Choice<'_>) -> Result<Redirect, Refusal> {
        self.server.consent(ticket, ALICE, choice).outcome()
    }

    /// Sends a request, allows all of it, and returns the code.
    pub fn code(&self, params: &Params) -> String {
        let ticket = self.page(params).ticket();
        let location = self.decide(&ticket, Choice::Allow).expect("allowed").into_location();
        param(&location, "code").expect("a code in the redirect")
    }

    /// Sends a form to the token endpoint.
    pub fn token(&self, params: &Params) -> Reply {
        self.reply(self.try_token(params, Authorization::None))
    }

    /// Returns the response of a call on a working store: its reply, or the reply of its refusal.
    pub fn reply(&self, reply: Result<Reply, Error<Broken>>) -> Reply {
        reply.answered(self.server.policy())
    }

    pub fn token_with(&self, params: &Params, authorization: &[u8]) -> Reply {
        self.reply(self.try_token(params, Authorization::One(authorization)))
    }

    pub fn try_token(
        &self,
        params: &Params,
        authorization: Authorization<'_>,
    ) -> Result<Reply, Error<Broken>> {
        let body = params.encode();
        let incoming = RequestParts { authorization, ..steps::form(&body) };
        self.server.token(&incoming)
    }

    /// Runs the whole flow for the client `app`, and returns its first tokens.
    pub fn tokens(&self) -> Granted {
        let code = self.code(&Params::authorize());
        Granted::of(&self.token(&Params::redeem(&code)))
    }

    /// Checks a call of the default resource that needs these scopes.
    pub fn check(&self, token: &str, scopes: &[&str]) -> Result<Access, Refusal> {
        let header = format!("Bearer {token}");
        let needs = needs(self.server.policy(), 0, &scopes.join(" "));
        self.server.check(&Authorization::One(header.as_bytes()), &needs).outcome()
    }

    /// Returns whether the default resource accepts the access token.
    pub fn works(&self, token: &str) -> bool {
        self.check(token, &[]).is_ok()
    }
}

/// The outcome of a call on a working store.
pub trait Outcome<T> {
    fn outcome(self) -> Result<T, Refusal>;
}

impl<T, E: std::error::Error + 'static> Outcome<T> for Result<T, Error<E>> {
    #[track_caller]
    fn outcome(self) -> Result<T, Refusal> {
        self.map_err(|error| match error {
            Error::Refused(refusal) => refusal,
            Error::Failed(failure) => panic!("the store works: {failure}"),
        })
    }
}

/// The response of a call on a working store.
pub trait Answered {
    fn answered(self, policy: &Policy) -> Reply;
}

impl<E: std::error::Error + 'static> Answered for Result<Reply, Error<E>> {
    #[track_caller]
    fn answered(self, policy: &Policy) -> Reply {
        self.outcome().unwrap_or_else(|refusal| refusal.reply(policy))
    }
}

/// A parsed token response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub access: String,
    pub refresh: Option<String>,
    pub expires_in: u64,
    pub scope: String,
}

impl Granted {
    pub fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{}", reply.body);
        let body = json(reply);
        Self {
            access: body["access_token"].as_str().unwrap().to_owned(),
            refresh: body.get("refresh_token").map(|token| token.as_str().unwrap().to_owned()),
            expires_in: body["expires_in"].as_u64().unwrap(),
            scope: body["scope"].as_str().unwrap().to_owned(),
        }
    }

    pub fn refresh(&self) -> &str {
        self.refresh.as_deref().expect("a refresh token")
    }
}

pub fn json(reply: &Reply) -> serde_json::Value {
    serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error} in {:?}", reply.body))
}

/// Asserts a JSON error: its status, its code, the reason of its event, and the description of that
/// reason.
#[track_caller]
pub fn assert_refused(world: &World, reply: &Reply, status: u16, code: &str, reason: Reason) {
    assert_eq!(
        (reply.status, json(reply)["error"].as_str().unwrap(), world.reason()),
        (status, code, Some(reason)),
        "{}",
        reply.body
    );
    let description = json(reply)["error_description"].as_str().unwrap().to_owned();
    assert!(description.starts_with(reason.description()), "{description}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

/// Returns the value of a query parameter of a URL, decoded once. Fails if the URL has it twice.
pub fn param(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let mut values = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(own, _)| own == name)
        .map(|(_, value)| value.into_owned());
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is in {url} twice");
    value
}

/// Returns an entropy source that differs at each draw and repeats in each run.
pub fn seeded(seed: u64) -> impl Fn() -> Result<Entropy, EntropyError> + Send + Sync {
    let drawn = AtomicU64::new(0);
    move || Ok(entropy(seed.wrapping_mul(0x1_0000_0000) + drawn.fetch_add(1, Ordering::SeqCst)))
}

/// Returns 128 bytes from a number (SplitMix64).
pub fn entropy(seed: u64) -> Entropy {
    let mut state = seed;
    let mut bytes = [0; 128];
    for word in bytes.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    Entropy::from_bytes(bytes)
}
