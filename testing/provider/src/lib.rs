//! An OpenID Connect provider for tests, in this process. Its user is signed in, and it redirects
//! every request at once, unless an approval is required. [`Fault`] lists how it can misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test may fail loudly"
)]

mod endpoints;
mod keys;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub use self::keys::Algorithm;
use self::keys::Key;

/// The client that the provider knows.
pub const CLIENT_ID: &str = "grantcore";
pub const CLIENT_SECRET: &str = "of-the-provider";
/// The `sub` of the user.
pub const ALICE: &str = "248289761001";

/// An endpoint of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "tests name each place")]
pub enum Place {
    Document,
    Keys,
    Token,
}

/// A way in which the provider misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "tests name each fault")]
pub enum Fault {
    /// The nonce of another sign-in.
    WrongNonce,
    NoNonce,
    /// The audience is another client.
    WrongAudience,
    /// The audience is this client and another one.
    TwoAudiences,
    /// `iss` of the ID token is another provider.
    WrongIssuer,
    Expired,
    /// `sub` is empty.
    EmptySubject,
    /// `sub` has 256 characters.
    LongSubject,
    NoSubject,
    NoExpiry,
    /// `iat` is 1,000 s ahead.
    IssuedAhead,
    /// `nbf` is 1,000 s ahead.
    NotYetValid,
    /// `nbf` is a string.
    OddNotBefore,
    /// The algorithm `none`, without a signature.
    Unsigned,
    /// Signed with the client's secret.
    SignedWithSecret,
    /// Signed by another key than that of its `kid`.
    OtherKey,
    /// Signed by a key that is not published.
    UnknownKey,
    NoIdToken,
    /// `iss` of the response is another provider.
    ResponseOfOther,
    /// The response has no `iss`, which the document promises.
    ResponseWithoutIssuer,
    /// The provider refuses the request with `server_error`.
    ServerError,
    /// The provider refuses the client at the token endpoint.
    RefusesClient,
    /// The document names another issuer.
    DocumentOfOther,
    /// The document names no algorithm but `none` and HMAC.
    WeakAlgorithms,
    /// The endpoint answers 500.
    Fails(Place),
    /// The endpoint never answers.
    Hangs(Place),
    /// The response is very long.
    IsLarge(Place),
    /// The endpoint redirects to where the right answer is.
    Redirects(Place),
}

/// A provider. Clones are the same one. It ends with the test.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    issuer: String,
    state: Mutex<State>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    key: Key,
    /// The number of the key, which its `kid` has.
    generation: usize,
    faults: HashSet<Fault>,
    /// Further members of ID tokens.
    claims: Value,
    /// Whether the authorization endpoint shows a page with two links instead of a redirect.
    requires_approval: bool,
    /// The parameters of the requests, by their codes.
    requests: HashMap<String, HashMap<String, String>>,
    codes: usize,
    calls: HashMap<Place, usize>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.0.issuer)
    }
}

impl Provider {
    /// Starts a provider whose keys are of this algorithm.
    pub async fn start(algorithm: Algorithm) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self(Arc::new(Inner {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            state: Mutex::new(State {
                key: Key::new(algorithm),
                generation: 1,
                faults: HashSet::new(),
                claims: json!({}),
                requires_approval: false,
                requests: HashMap::new(),
                codes: 0,
                calls: HashMap::new(),
            }),
            task: Mutex::default(),
        }));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(endpoints::document))
            .route("/keys", get(endpoints::keys))
            .route("/authorize", get(endpoints::authorize))
            .route("/token", post(endpoints::token))
            .with_state(provider.clone());
        let serve = async move { axum::serve(listener, app).await.unwrap() };
        *provider.0.task.lock().unwrap() = Some(tokio::spawn(serve));
        provider
    }

    /// Returns the issuer.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Ends the provider: nobody listens at its address any longer.
    pub async fn stop(&self) {
        let task = self.0.task.lock().unwrap().take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    /// Makes the provider misbehave in this way, and in no other.
    pub fn set_fault(&self, fault: Fault) {
        self.state().faults = HashSet::from([fault]);
    }

    /// Makes the provider behave correctly.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Sets further claims of ID tokens. `sub` may be among them.
    pub fn set_claims(&self, claims: Value) {
        self.state().claims = claims;
    }

    /// Shows a page with the links "Approve" and "Cancel", instead of a redirect.
    pub fn require_approval(&self) {
        self.state().requires_approval = true;
    }

    /// Replaces the key by a new one of the same algorithm, with another `kid`.
    pub fn rotate_key(&self) {
        let mut state = self.state();
        state.key = Key::new(state.key.algorithm());
        state.generation += 1;
    }

    /// Returns how many requests this place has had.
    pub fn calls(&self, place: Place) -> usize {
        self.state().calls.get(&place).copied().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Counts a request, and returns the response of a place that misbehaves.
    async fn fault(&self, place: Place, path: &str) -> Option<Response> {
        let faults = {
            let mut state = self.state();
            *state.calls.entry(place).or_default() += 1;
            state.faults.clone()
        };
        if faults.contains(&Fault::Hangs(place)) {
            std::future::pending::<()>().await;
        }
        if faults.contains(&Fault::Fails(place)) {
            return Some(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
        if faults.contains(&Fault::IsLarge(place)) {
            let long = format!("{{\"x\": \"{}\"}}", "x".repeat(1024 * 1024));
            return Some(([(header::CONTENT_TYPE, "application/json")], long).into_response());
        }
        if faults.contains(&Fault::Redirects(place)) {
            self.clear_faults();
            return Some(Redirect::temporary(path).into_response());
        }
        None
    }

    /// Returns a signed ID token for a request.
    fn id_token(&self, request: &HashMap<String, String>) -> String {
        let state = self.state();
        let is = |fault| state.faults.contains(&fault);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.issuer(), "sub": ALICE, "aud": CLIENT_ID, "iat": now, "exp": now + 300,
            "nonce": request["nonce"],
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(state.claims.as_object().unwrap().clone());
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        if is(Fault::WrongNonce) {
            set("nonce", "other".into());
        }
        if is(Fault::WrongAudience) {
            set("aud", "other".into());
        }
        if is(Fault::TwoAudiences) {
            set("aud", json!([CLIENT_ID, "other"]));
        }
        if is(Fault::WrongIssuer) {
            set("iss", "https://other.example".into());
        }
        if is(Fault::Expired) {
            set("exp", (now - 120).into());
        }
        if is(Fault::EmptySubject) {
            set("sub", "".into());
        }
        if is(Fault::LongSubject) {
            set("sub", "x".repeat(256).into());
        }
        if is(Fault::IssuedAhead) {
            set("iat", (now + 1000).into());
        }
        if is(Fault::NotYetValid) {
            set("nbf", (now + 1000).into());
        }
        if is(Fault::OddNotBefore) {
            set("nbf", now.to_string().into());
        }
        for (fault, name) in
            [(Fault::NoNonce, "nonce"), (Fault::NoSubject, "sub"), (Fault::NoExpiry, "exp")]
        {
            if is(fault) {
                members.remove(name);
            }
        }
        let mut header = json!({ "alg": state.key.algorithm().name(), "kid": state.kid() });
        if is(Fault::Unsigned) {
            header["alg"] = "none".into();
        }
        if is(Fault::SignedWithSecret) {
            header["alg"] = "HS256".into();
        }
        if is(Fault::UnknownKey) {
            header["kid"] = "unknown".into();
        }
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = if is(Fault::Unsigned) {
            Vec::new()
        } else if is(Fault::SignedWithSecret) {
            keys::hmac(CLIENT_SECRET, &signed)
        } else if is(Fault::OtherKey) || is(Fault::UnknownKey) {
            Key::new(Algorithm::Ed25519).sign(&signed)
        } else {
            state.key.sign(&signed)
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl State {
    fn kid(&self) -> String {
        format!("key-{}", self.generation)
    }
}
