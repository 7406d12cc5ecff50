//! Issuers that a server trusts, and a host that knows their users. The signature of their
//! assertions is one that needs no cryptography: the digest of the public key and the message. The tests of
//! the module `jws` have real ones.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::blocking::Outside;
use grantcore::jws::{Algorithms, KeySet, Material, PublicKey, Verify};
use grantcore::outside::{
    DocumentRequest, FetchResult, FetchedResponse, KeysRequest, Link, Linked,
};
use grantcore::policy::{IdJag, PolicyBuilder, TrustedIssuer, Workload, WorkloadRule};
use grantcore::value::{Digest, MachineRights, Subject};
use grantcore::{Client, Reason};
use serde_json::{Value, json};

use super::params::Params;
use super::{Granted, ISSUER, T, World, assert_refused, policy};

/// Verifies the signatures of [`sign`], and counts what it verifies.
#[derive(Clone, Debug, Default)]
pub struct ToyVerifier(Arc<AtomicUsize>);

impl ToyVerifier {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Verify for ToyVerifier {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        let Material::EdDsa(key) = key.material() else { return false };
        URL_SAFE_NO_PAD.encode(signature) == signature_of(key.as_bytes(), message)
    }
}

fn signature_of(key: &[u8], message: &[u8]) -> String {
    let digest = serde_json::to_value(Digest::of(&[key, message].concat())).unwrap();
    digest.as_str().unwrap().to_owned()
}

/// A key of an issuer.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    pub kid: &'static str,
    /// The public key. No two signers have the same.
    pub key: [u8; 32],
}

impl Signer {
    pub const fn new(kid: &'static str, seed: u8) -> Self {
        Self { kid, key: [seed; 32] }
    }

    pub fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key);
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x })
    }

    /// Returns a key set with this key alone.
    pub fn key_set(&self) -> KeySet {
        let set = json!({ "keys": [self.jwk()] }).to_string();
        KeySet::parse(set.as_bytes(), Algorithms::ALL, None).unwrap()
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let input = format!("{}.{}", part(header), part(claims));
        let signature = signature_of(&self.key, input.as_bytes());
        format!("{input}.{signature}")
    }
}

/// The identifier of the identity provider.
pub const IDP: &str = "https://idp.example";
/// The identifier of the platform.
pub const CLUSTER: &str = "https://cluster.example";
/// The key of both.
pub const KEY: Signer = Signer::new("1", 7);
/// The key of somebody else, by the same name.
pub const FORGER: Signer = Signer::new("1", 8);

/// What the host knows: accounts, key sets and documents. It remembers what it was asked for.
#[derive(Default)]
pub struct Directory {
    /// By issuer, tenant and name there.
    accounts: Mutex<Vec<(Link, Linked)>>,
    pub asked: Mutex<Vec<Link>>,
    /// What the URL of the keys returns. `None`: the fetch fails.
    pub keys: Mutex<Option<Value>>,
    pub fetches: AtomicUsize,
    pub document: Mutex<Option<Value>>,
    pub documents: AtomicUsize,
    is_busy: AtomicBool,
}

impl Directory {
    /// Links a user of an issuer to an account.
    pub fn link(&self, link: Link, to: Linked) {
        self.accounts.lock().unwrap().push((link, to));
    }

    /// Fetches no document from now on, because it fetches too many.
    pub fn busy(&self) {
        self.is_busy.store(true, Ordering::SeqCst);
    }
}

impl Outside for Directory {
    fn keys(&self, request: &KeysRequest) -> FetchResult {
        assert!(request.url.starts_with("https://"), "{request:?}");
        self.fetches.fetch_add(1, Ordering::SeqCst);
        respond(&self.keys)
    }

    fn document(&self, request: &DocumentRequest) -> FetchResult {
        assert!(request.forbid_special_ips, "{request:?}");
        if self.is_busy.load(Ordering::SeqCst) {
            return FetchResult::Busy;
        }
        self.documents.fetch_add(1, Ordering::SeqCst);
        respond(&self.document)
    }

    fn account(&self, link: &Link) -> Linked {
        self.asked.lock().unwrap().push(link.clone());
        let accounts = self.accounts.lock().unwrap();
        let is_same = |own: &Link| {
            (&own.issuer, &own.tenant, &own.subject) == (&link.issuer, &link.tenant, &link.subject)
        };
        let found = accounts.iter().rev().find(|(own, _)| is_same(own));
        found.map_or(Linked::Nobody, |(_, linked)| linked.clone())
    }
}

fn respond(body: &Mutex<Option<Value>>) -> FetchResult {
    match &*body.lock().unwrap() {
        None => FetchResult::Failed,
        Some(body) => FetchResult::Response(FetchedResponse {
            status: 200,
            content_type: Some(b"application/json".to_vec()),
            fresh_for: None,
            body: body.to_string().into_bytes(),
        }),
    }
}

/// A server that trusts an identity provider and a platform, with what is around it.
pub struct Federation {
    pub world: World,
    pub verifier: ToyVerifier,
    pub directory: Arc<Directory>,
}

/// Returns a policy that trusts both issuers with their keys in the policy.
pub fn trusting() -> PolicyBuilder {
    trusting_people(IdJag::new("read write".parse().unwrap()).with_client("web"))
}

/// Returns a policy that trusts both issuers, the identity provider by these rules.
pub fn trusting_people(rules: IdJag) -> PolicyBuilder {
    let rule = WorkloadRule::new("bot").equals("sub", "system:serviceaccount:prod:bot");
    policy().trusted_issuer(TrustedIssuer::id_jag(IDP, KEY.key_set(), rules)).trusted_issuer(
        TrustedIssuer::workload(CLUSTER, KEY.key_set(), Workload::default().with_rule(rule)),
    )
}

impl Federation {
    pub fn new() -> Self {
        Self::with(trusting())
    }

    /// Returns a federation with this policy, the clients `app`, `web` and `bot`, and alice, whose
    /// name at the identity provider is `u-1`.
    pub fn with(policy: PolicyBuilder) -> Self {
        let verifier = ToyVerifier::default();
        let directory = Arc::new(Directory::default());
        let world = World::with(policy.verifier(verifier.clone())).asking(Arc::clone(&directory));
        let rights = MachineRights::new("read admin".parse().unwrap());
        world.put(Client::federated("bot", rights).build().unwrap());
        directory.link(Link::new(IDP, "u-1"), Linked::Account(Subject::new("alice")));
        Self { world, verifier, directory }
    }

    /// Returns how many marks there are.
    pub fn marks(&self) -> usize {
        self.world.store.inner.marks(None, usize::MAX).len()
    }

    /// Sends an assertion of a user as `web`, and expects a token.
    #[track_caller]
    pub fn person(&self, claims: &Value) -> Granted {
        Granted::of(&self.world.token(&exchange(&id_jag(claims)).by_web()))
    }

    /// Sends an assertion of a program, and expects a token.
    #[track_caller]
    pub fn program(&self, claims: &Value) -> Granted {
        Granted::of(&self.world.token(&exchange(&workload(claims))))
    }

    /// Sends a request that must be refused, and returns the detail of its event.
    #[track_caller]
    pub fn refused(&self, params: &Params, status: u16, code: &str, reason: Reason) -> String {
        let reply = self.world.token(params);
        assert_refused(&self.world, &reply, status, code, reason);
        let events = self.world.events();
        events.last().unwrap().detail.as_deref().unwrap_or_default().to_owned()
    }

    /// Sends an assertion of a user as `web`, which must be refused for a fault of it.
    #[track_caller]
    pub fn faulty(&self, claims: &Value, reason: Reason) -> String {
        self.refused(&exchange(&id_jag(claims)).by_web(), 400, "invalid_grant", reason)
    }

    /// Sends an assertion of a program, which must be refused for a fault of it.
    #[track_caller]
    pub fn faulty_program(&self, claims: &Value, reason: Reason) -> String {
        self.refused(&exchange(&workload(claims)), 400, "invalid_grant", reason)
    }
}

/// Returns the claims of an assertion of alice for `web`, with this `jti`.
pub fn person(jti: &str) -> Value {
    json!({
        "iss": IDP, "sub": "u-1", "aud": ISSUER, "client_id": "web", "jti": jti,
        "iat": T, "exp": T + 300,
    })
}

/// Returns the claims of a token of the bot's, with this `jti`.
pub fn program(jti: &str) -> Value {
    json!({
        "iss": CLUSTER, "sub": "system:serviceaccount:prod:bot",
        "aud": "https://auth.example/oauth/token", "jti": jti, "iat": T, "exp": T + 300,
    })
}

/// Sets a claim.
pub fn with(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
    claims[name] = value.into();
    claims
}

/// Removes a claim.
pub fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

pub fn id_jag_header() -> Value {
    json!({ "typ": "oauth-id-jag+jwt", "alg": "EdDSA", "kid": "1" })
}

pub fn workload_header() -> Value {
    json!({ "typ": "JWT", "alg": "EdDSA", "kid": "1" })
}

/// Signs an assertion of the identity provider.
pub fn id_jag(claims: &Value) -> String {
    KEY.sign(&id_jag_header(), claims)
}

/// Signs a token of the platform.
pub fn workload(claims: &Value) -> String {
    KEY.sign(&workload_header(), claims)
}

/// Returns the request that exchanges an assertion, without a client.
pub fn exchange(assertion: &str) -> Params {
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    Params(Vec::new()).set("grant_type", grant_type).set("assertion", assertion)
}
