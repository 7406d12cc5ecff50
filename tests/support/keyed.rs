//! Clients that prove themselves with keys: a world with such clients, their assertions, and a host
//! that fetches key sets.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantcore::blocking::Outside;
use grantcore::client::{ClientBuilder, ClientKeys};
use grantcore::jws::{Algorithms, KeySet, KeysUrl, PublicKey, Verify};
use grantcore::outside::{DocumentRequest, FetchResult, FetchedResponse, KeysRequest};
use grantcore::policy::{KeyRules, Limits, PolicyBuilder, RevocationRules};
use grantcore::{Client, Reply, RequestParts};
use serde_json::{Value, json};

use super::assertions::{Signer, key_set, merged, signer};
use super::params::Params;
use super::steps::form;
use super::{Answered as _, CALLBACK, Granted, ISSUER, T, World, policy};

pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The URL of the key set of the client `remote`.
pub const JWKS: &str = "https://keys.example/jwks.json";

/// Verifies, and counts.
pub struct Counting(Arc<AtomicUsize>);

impl Verify for Counting {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        verifier().verify(key, message, signature)
    }
}

/// The crate's own verifier.
#[cfg(feature = "jws")]
pub fn verifier() -> impl Verify + 'static {
    grantcore::jws::RingVerifier
}

/// Without the feature, the verifier of the library that signs.
#[cfg(not(feature = "jws"))]
pub fn verifier() -> impl Verify + 'static {
    Signing
}

#[cfg(not(feature = "jws"))]
struct Signing;

#[cfg(not(feature = "jws"))]
impl Verify for Signing {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        use grantcore::jws::Material;
        use jsonwebtoken::{Algorithm, DecodingKey};

        let rsa = |key: &grantcore::jws::Rsa| {
            let exponent = key.exponent().to_be_bytes();
            DecodingKey::from_rsa_raw_components(
                key.modulus(),
                exponent.strip_prefix(&[0; 5][..]).unwrap_or(&exponent),
            )
        };
        let (key, algorithm) = match key.material() {
            Material::Rs256(key) => (rsa(key), Algorithm::RS256),
            Material::Ps256(key) => (rsa(key), Algorithm::PS256),
            Material::Es256(key) => {
                let point = [&[4][..], key.coordinates()].concat();
                (DecodingKey::from_ec_der(&point), Algorithm::ES256)
            }
            Material::EdDsa(key) => (DecodingKey::from_ed_der(key.as_bytes()), Algorithm::EdDSA),
            _ => return false,
        };
        let signature = URL_SAFE_NO_PAD.encode(signature);
        jsonwebtoken::crypto::verify(&signature, message, &key, algorithm).unwrap_or(false)
    }
}

/// Status, body and `max-age` of a response.
type Served = (u16, String, Option<u64>);

/// The responses of a host on the network, and how often it was asked.
#[derive(Clone, Default)]
pub struct Web {
    sets: Arc<Mutex<BTreeMap<String, Served>>>,
    pub fetches: Arc<AtomicUsize>,
    /// Whether the host runs as many fetches as it allows.
    pub is_busy: Arc<AtomicBool>,
}

impl Web {
    /// Serves this body. `None` is a URL that does not answer.
    pub fn serve(&self, url: &str, body: Option<String>) {
        self.respond(url, 200, body, None);
    }

    pub fn respond(&self, url: &str, status: u16, body: Option<String>, max_age: Option<u64>) {
        let mut sets = self.sets.lock().unwrap();
        match body {
            Some(body) => drop(sets.insert(url.into(), (status, body, max_age))),
            None => drop(sets.remove(url)),
        }
    }

    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn fetch(&self, url: &str) -> FetchResult {
        if self.is_busy.load(Ordering::SeqCst) {
            return FetchResult::Busy;
        }
        self.fetches.fetch_add(1, Ordering::SeqCst);
        match self.sets.lock().unwrap().get(url).cloned() {
            None => FetchResult::Failed,
            Some((status, body, max_age)) => FetchResult::Response(FetchedResponse {
                status,
                content_type: Some(b"application/json".to_vec()),
                fresh_for: max_age.map(Duration::from_secs),
                body: body.into_bytes(),
            }),
        }
    }
}

impl Outside for Web {
    fn keys(&self, needed: &KeysRequest) -> FetchResult {
        assert!(needed.no_redirects && needed.forbid_special_ips && !needed.allow_loopback);
        self.fetch(&needed.url)
    }

    fn document(&self, needed: &DocumentRequest) -> FetchResult {
        assert!(needed.no_redirects && needed.forbid_special_ips && !needed.allow_loopback);
        self.fetch(&needed.url)
    }
}

/// A world with clients that have keys.
pub struct Keyed {
    pub world: World,
    pub web: Web,
    verified: Arc<AtomicUsize>,
    next: Cell<u32>,
}

/// Returns a client with one key of this kind, named `1`.
pub fn keyed_client(id: &str, kind: &str) -> ClientBuilder {
    Client::with_keys(id, ClientKeys::inline(set_of(kind))).redirect_uri(CALLBACK)
}

/// Returns the set of one key, named `1`.
pub fn set_of(kind: &str) -> KeySet {
    let text = key_set(&[merged(signer(kind).jwk(), json!({"kid": "1"}))]);
    KeySet::parse(text.as_bytes(), Algorithms::ALL, None).unwrap()
}

/// Returns a policy with keys on. Failed authentications and requests are not limited.
pub fn keyed_policy() -> PolicyBuilder {
    let limits = Limits::default()
        .with_failed_authentications_per_minute(10)
        .with_token_requests_per_minute(1_000_000);
    let rules = grantcore::policy::IntrospectionRules::default()
        .with_resource_server("job", super::MCP)
        .with_resource_server("remote", super::MCP);
    policy().limits(limits).revocation(RevocationRules::default()).introspection(rules)
}

impl Keyed {
    pub fn new() -> Self {
        Self::with(keyed_policy(), KeyRules::default())
    }

    /// Returns a world with the client `job`, which has an Ed25519 key, and `remote`, whose key is at
    /// [`JWKS`].
    pub fn with(policy: PolicyBuilder, rules: KeyRules) -> Self {
        let verified = Arc::new(AtomicUsize::new(0));
        let world = World::with(policy.client_keys(rules).verifier(Counting(verified.clone())));
        let web = Web::default();
        let World { server, store, clock, events, is_dry } = world;
        let server = server.with_outside(web.clone());
        let world = World { server, store, clock, events, is_dry };
        world.put(keyed_client("job", "ed").build().unwrap());
        let url = KeysUrl::parse(JWKS, false).unwrap();
        let remote = Client::with_keys("remote", ClientKeys::at(url));
        world.put(remote.redirect_uri(CALLBACK).build().unwrap());
        Self { world, web, verified, next: Cell::new(0) }
    }

    /// Returns a call that sets the clock to this many seconds after the beginning.
    pub fn clock(&self) -> impl Fn(u64) + Send + use<> {
        let clock = Arc::clone(&self.world.clock);
        move |seconds| clock.store(T + seconds, Ordering::SeqCst)
    }

    /// Returns how often a signature was verified.
    pub fn verified(&self) -> usize {
        self.verified.load(Ordering::SeqCst)
    }

    /// Returns the time that the clock of the server shows.
    pub fn now(&self) -> u64 {
        self.world.clock.load(Ordering::SeqCst)
    }

    /// Returns the claims of a good assertion of this client. Each has another `jti`.
    pub fn claims(&self, client: &str) -> Value {
        let next = self.next.get();
        self.next.set(next + 1);
        let now = self.now();
        json!({
            "iss": client, "sub": client, "aud": ISSUER, "jti": format!("jti-{next}"),
            "iat": now, "exp": now + 60,
        })
    }

    /// Returns a good assertion of the client `job`, with these changes of its claims.
    pub fn assertion(&self, changes: Value) -> String {
        sign(&signer("ed"), &json!({}), &merged(self.claims("job"), changes))
    }

    /// Returns the assertion of a client that signs with this key, with these changes of header and
    /// claims.
    #[expect(clippy::needless_pass_by_value, reason = "callers write the header as a literal")]
    pub fn signed(&self, client: &str, key: &Signer, header: Value, claims: Value) -> String {
        sign(key, &header, &merged(self.claims(client), claims))
    }

    /// Sends a token request with this assertion, and with `client_id` if it is there.
    pub fn token(&self, params: Params, assertion: &str) -> Reply {
        self.world.token(&prove(params, assertion))
    }

    /// Sends a token request that fails at its refresh token, so that the reason shows whether the
    /// client has proved itself.
    pub fn ask(&self, assertion: &str) -> Reply {
        self.token(Params::refresh("x").without("client_id"), assertion)
    }

    /// Runs the flow of this client, proved or not, and returns its first tokens.
    pub fn tokens(&self, client: &str, proof: Option<&str>) -> Granted {
        let code = self.world.code(&Params::authorize().set("client_id", client));
        let redeem = Params::redeem(&code).set("client_id", client);
        Granted::of(&self.world.token(&match proof {
            Some(assertion) => prove(redeem, assertion),
            None => redeem,
        }))
    }

    /// Sends a form to the revocation endpoint.
    pub fn revoke(&self, params: &Params) -> Reply {
        let body = params.encode();
        self.world.server.revoke(&form(&body)).answered(self.world.server.policy())
    }

    /// Sends a form to the introspection endpoint.
    pub fn introspect(&self, params: &Params) -> Reply {
        let body = params.encode();
        let parts = RequestParts { ..form(&body) };
        self.world.server.introspect(&parts).answered(self.world.server.policy())
    }

    /// Sets the clock to this many seconds after the beginning.
    pub fn at(&self, seconds: u64) {
        self.world.at_unix(T + seconds);
    }
}

/// Adds the assertion to a request.
pub fn prove(params: Params, assertion: &str) -> Params {
    params.and("client_assertion_type", JWT_BEARER).and("client_assertion", assertion)
}

/// Signs these claims. The header has the algorithm of the key and the `kid` of its set, unless it
/// is changed.
pub fn sign(key: &Signer, header: &Value, claims: &Value) -> String {
    let mut whole = merged(json!({"alg": key.alg(), "kid": "1"}), header.clone());
    whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().retain(|_, value| *value != json!("ABSENT"));
    key.sign(&whole, &claims)
}
