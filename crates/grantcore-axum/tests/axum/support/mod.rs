//! The test server: a router over the reference store, with a virtual clock, seeded randomness and
//! an audit log that is searched, and a browser that signs in and presses buttons.

pub mod browser;
pub mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use grantcore::audit::{AuditPolicy, AuditQuery, MemoryAuditLog};
use grantcore::client::StoredSecret;
use grantcore::moment::{Clock as _, Entropy, EntropyError, SystemClock};
use grantcore::policy::{IntrospectionRules, PolicyBuilder, RegistrationRules, RevocationRules};
use grantcore::value::{Digest, GrantTypes};
use grantcore::{Client, Event, FromStore, MemoryStore, Policy, Reason, Server, Timestamp};
use grantcore_axum::{DemoLogin, OAuthRouter, Pages, Tasks};
use serde_json::Value;
use tower::ServiceExt as _;

pub const ISSUER: &str = "https://auth.example";
pub const MCP: &str = "https://auth.example/mcp";
/// The time at which every test begins.
pub const T: u64 = 1_800_000_000;
/// The verifier and challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const CALLBACK: &str = "https://app.example/cb";
/// The secret of the resource server that introspects. Both halves of its credentials need their
/// encoding.
pub const SECRET: &str = "a secret: with % and + of the notes server";
pub const RESOURCE_SERVER: &str = "notes server:1";

pub type TestServer = Server<Arc<MemoryStore>, FromStore, Arc<MemoryAuditLog>>;

/// Returns the default policy: everything is on but client documents.
pub fn policy() -> PolicyBuilder {
    policy_at(ISSUER, MCP)
}

/// Returns the default policy for this issuer and this resource.
pub fn policy_at(issuer: &str, resource: &str) -> PolicyBuilder {
    let callers = IntrospectionRules::default().with_resource_server(RESOURCE_SERVER, resource);
    Policy::builder(issuer)
        .scope("read", "Read your notes")
        .scope("write", "Change your notes")
        .scope("admin", "Manage everything")
        .scope_implies("admin", "read")
        .default_scope("read write")
        .resource(resource, "read write")
        .registration(RegistrationRules::default())
        .revocation(RevocationRules::default())
        .introspection(callers)
        .default_grant_types(GrantTypes { authorization_code: true, refresh_token: true })
}

/// Returns a public client of the operator with one `https` redirect URI.
pub fn app() -> Client {
    Client::public("app").name("The App").redirect_uri(CALLBACK).build().unwrap()
}

/// Returns the resource server that introspects.
pub fn resource_server() -> Client {
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    Client::resource_server(RESOURCE_SERVER, secret).build().unwrap()
}

/// Returns a source of randomness that draws the same bytes in every run.
pub fn seeded(seed: u64) -> impl Fn() -> Result<Entropy, EntropyError> + Send + Sync {
    let drawn = AtomicU64::new(0);
    move || {
        let mut random = Random(seed << 32 | drawn.fetch_add(1, Ordering::SeqCst));
        let mut bytes = [0; 128];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&random.next().to_be_bytes());
        }
        Ok(Entropy::from_bytes(bytes))
    }
}

/// The generator SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}

/// A router with its server, clock, login and tasks.
pub struct World {
    pub app: Router,
    pub server: Arc<TestServer>,
    pub tasks: Tasks,
    pub login: DemoLogin,
    clock: Arc<AtomicU64>,
}

impl World {
    pub fn new() -> Self {
        Self::with(policy())
    }

    /// Returns the router of this policy with the demo login, for the users alice and bob and the
    /// client `app`.
    pub fn with(policy: PolicyBuilder) -> Self {
        let login = login();
        Self::with_pages(policy, login.clone(), login)
    }

    /// Returns the router of this policy with these pages, beside the login page of the demo.
    pub fn with_pages(policy: PolicyBuilder, pages: impl Pages, login: DemoLogin) -> Self {
        let (server, clock) = server(policy.build().unwrap());
        let tasks = Tasks::default();
        let router = OAuthRouter::new(Arc::clone(&server), pages).tasks(tasks.clone());
        let app = router.build().unwrap().merge(login.router());
        Self { app, server, tasks, login, clock }
    }

    /// Sets the clock to this many seconds after the beginning.
    pub fn at(&self, seconds: u64) {
        self.clock.store(T + seconds, Ordering::SeqCst);
    }

    /// Sets the clock to that of the system, by which a resource elsewhere judges.
    pub fn at_system_time(&self) {
        self.clock.store(SystemClock.now().unix_seconds(), Ordering::SeqCst);
    }

    pub fn events(&self) -> Vec<Event> {
        self.server.audit_log().find(&AuditQuery::default(), usize::MAX)
    }

    /// Returns the reason of the latest event.
    pub fn reason(&self) -> Option<Reason> {
        self.events().last().and_then(|event| event.reason)
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.app, request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Posts a form to one of the endpoints for programs.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(form_request(path, fields)).await
    }
}

/// Returns a login for alice and bob, whose passwords are their names.
pub fn login() -> DemoLogin {
    DemoLogin::new([("alice", "alice"), ("bob", "bob")])
}

/// Returns a server with the client `app` and the resource server, and its clock.
pub fn server(policy: Policy) -> (Arc<TestServer>, Arc<AtomicU64>) {
    let store = Arc::new(MemoryStore::new());
    store.put_client(app());
    store.put_client(resource_server());
    let clock = Arc::new(AtomicU64::new(T));
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_unix_seconds(time.load(Ordering::SeqCst));
    let server = Server::with_sources(policy, store, FromStore, now, seeded(1));
    let log = Arc::new(MemoryAuditLog::new(100_000));
    (Arc::new(server.with_audit_log(log, AuditPolicy::default())), clock)
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body).unwrap(),
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// Returns the member `error` of the body.
    #[track_caller]
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} is there twice");
        first
    }

    #[track_caller]
    pub fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{self:?}");
        self.header("location").unwrap()
    }
}

pub async fn send(app: &Router, request: Request<Body>) -> Answer {
    Answer::of(app.clone().oneshot(request).await.unwrap()).await
}

pub fn form_request(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(encode(fields).into())
        .unwrap()
}

pub fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Marks a request as one that came over a connection from this address.
pub fn from_peer(mut request: Request<Body>, peer: &str) -> Request<Body> {
    let peer = SocketAddr::new(peer.parse::<IpAddr>().unwrap(), 4711);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// Returns the parameters of a URL's query, decoded.
pub fn params(url: &str) -> Vec<(String, String)> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Returns the value of a parameter of a URL.
pub fn param(url: &str, name: &str) -> Option<String> {
    params(url).into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

/// A generous time for something that is about to happen. Nothing is concluded from it but that it
/// never happened.
pub const SOON: Duration = Duration::from_secs(60);
