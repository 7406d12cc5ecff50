//! The system under test: four servers of two issuers, on one store with faults.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::blocking::{Outside, Server};
use grantcore::client::{ClientKeys, StoredSecret};
use grantcore::grant::Grant;
use grantcore::jws::{Algorithms, KeySet, KeysUrl, Material, PublicKey, Verify};
use grantcore::outside::{
    DocumentRequest, FetchResult, FetchedResponse, KeysRequest, Link, Linked,
};
use grantcore::policy::{
    IdJag, KeyRules, Lifetimes, Limits, MachineRules, TrustedIssuer, Workload, WorkloadRule,
};
use grantcore::store::{Commit, Seen, SeenKey, Stored, Write};
use grantcore::value::{Digest, GrantId, MachineRights, SecretMethod, Subject};
use grantcore::{Client, MemoryStore, Policy, Timestamp};
use serde_json::{Value, json};
use sha2::Digest as _;

use super::keys::{PLACES, Place, Published};
use super::rules::{Assertion, Fault, Kind, LEEWAY, Who};
use crate::model::rig::drawing;
use crate::model::store::Broken;

pub const ISSUERS: [&str; 2] = ["https://a.example", "https://b.example"];
pub const RESOURCE: &str = "https://mcp.example/mcp";
pub const SECRET: &str = "a-secret-of-a-confidential-client-0123456789";
pub const BEGINNING: u64 = 1_800_000_000;
pub const USERS: [&str; 2] = ["alice", "bob"];
pub const ACCESS: u64 = 300;
const IDP: &str = "https://idp.example";
const CLUSTER: &str = "https://cluster.example";

/// Returns the URL of a key set.
fn url(place: Place) -> &'static str {
    match place {
        Place::Client => "https://keyed.example/jwks",
        Place::Provider => "https://idp.example/jwks",
    }
}

pub fn name(who: Who) -> &'static str {
    match who {
        Who::Job => "job",
        Who::Signer => "signer",
        Who::Keyed => "keyed",
        Who::Web => "web",
        Who::Bot => "bot",
        Who::Evil => "evil",
    }
}

/// A signature that needs no cryptography: the digest of the public key and the message.
struct Toy;

impl Verify for Toy {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let Material::EdDsa(key) = key.material() else { return false };
        signature == signed(key.as_bytes(), message)
    }
}

fn signed(key: &[u8], message: &[u8]) -> Vec<u8> {
    sha2::Sha256::digest([key, message].concat()).iter().copied().cycle().take(64).collect()
}

/// Returns the key of this number.
fn key_of(kind: Kind, number: u64) -> [u8; 32] {
    let mut key = match kind {
        Kind::Proof(who) => [who as u8 + 1; 32],
        Kind::Person(_) => [101; 32],
        Kind::Program => [102; 32],
    };
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

/// Returns the set of the keys of these numbers.
fn jwks(kind: Kind, numbers: &[u64]) -> Vec<u8> {
    let key = |number: &u64| {
        let x = URL_SAFE_NO_PAD.encode(key_of(kind, *number));
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": number.to_string(), "x": x })
    };
    let keys: Vec<_> = numbers.iter().map(key).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

fn key_set(kind: Kind) -> KeySet {
    KeySet::parse(&jwks(kind, &[1]), Algorithms::ALL, None).expect("a key set")
}

/// Returns the text of an assertion.
pub fn text(assertion: &Assertion, now: u64) -> String {
    let issuer = ISSUERS[assertion.audience];
    let jti = assertion.number.to_string();
    let (typ, mut claims): (&str, Value) = match assertion.kind {
        Kind::Proof(who) => ("JWT", json!({ "iss": name(who), "sub": name(who), "aud": issuer })),
        Kind::Person(user) => (
            "oauth-id-jag+jwt",
            json!({ "iss": IDP, "sub": format!("u-{user}"), "aud": issuer, "client_id": "web" }),
        ),
        Kind::Program => (
            "JWT",
            json!({ "iss": CLUSTER, "sub": "prod:bot", "aud": format!("{issuer}/oauth/token") }),
        ),
    };
    claims["jti"] = jti.into();
    claims["iat"] = now.into();
    claims["exp"] = assertion.expires.into();
    let header = json!({ "typ": typ, "alg": "EdDSA", "kid": assertion.key.to_string() });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(&header), part(&claims));
    let key = if assertion.is_genuine { key_of(assertion.kind, assertion.key) } else { [200; 32] };
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signed(&key, input.as_bytes())))
}

/// The host: it knows the first two users of the identity provider, and fetches key sets.
#[derive(Clone, Default)]
pub struct Host {
    pub published: Arc<Mutex<[Published; PLACES.len()]>>,
    /// The number of fetches so far.
    pub fetches: Arc<AtomicU64>,
}

impl Outside for Host {
    fn keys(&self, needed: &KeysRequest) -> FetchResult {
        let count = self.fetches.fetch_add(1, Ordering::SeqCst);
        let place = PLACES.into_iter().find(|place| needed.url == url(*place)).expect("a URL");
        let published = self.published.lock().unwrap()[place as usize].clone();
        let kind = match place {
            Place::Client => Kind::Proof(Who::Keyed),
            Place::Provider => Kind::Person(0),
        };
        let fresh_for = published.fresh_for.map(Duration::from_secs);
        let body = jwks(kind, &published.keys);
        let mut response = FetchedResponse { status: 200, content_type: None, fresh_for, body };
        if !published.is_up {
            match count % 4 {
                0 => return FetchResult::Failed,
                1 => response.status = 301,
                2 => response.status = 503,
                _ => response.body = b"<html>".to_vec(),
            }
        }
        FetchResult::Response(response)
    }

    fn document(&self, _: &DocumentRequest) -> FetchResult {
        FetchResult::Failed
    }

    fn account(&self, link: &Link) -> Linked {
        let user = (0..USERS.len()).find(|user| *link.subject == format!("u-{user}"));
        user.map_or(Linked::Nobody, |user| Linked::Account(Subject::new(USERS[user])))
    }
}

/// The reference store, with a fault at some commits.
#[derive(Default)]
pub struct Faulty {
    pub inner: Arc<MemoryStore>,
    pub faults: Mutex<VecDeque<Option<Fault>>>,
    /// Reports every mark as created, as a store without single use would.
    pub forgets: bool,
}

fn sure<T>(result: Result<T, Infallible>) -> Result<T, Broken> {
    result.map_err(|never| match never {})
}

impl grantcore::blocking::Store for Faulty {
    type Error = Broken;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        sure(grantcore::blocking::Store::client(&*self.inner, id))
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        sure(grantcore::blocking::Store::grant(&*self.inner, id))
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Broken> {
        sure(grantcore::blocking::Store::seen(&*self.inner, key))
    }

    fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        let fault = self.faults.lock().unwrap().pop_front().flatten();
        if self.forgets && write.as_seen().is_some() {
            return Ok(Commit::Done);
        }
        let apply = || sure(grantcore::blocking::Store::commit(&*self.inner, write));
        match fault {
            None => apply(),
            Some(Fault::Conflict) => Ok(Commit::Conflict),
            Some(Fault::AppliedThenConflict) => apply().map(|_| Commit::Conflict),
            Some(Fault::Unacknowledged) => apply().and(Err(Broken)),
            Some(Fault::Dropped) => Err(Broken),
        }
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        sure(grantcore::blocking::Store::grants_of(&*self.inner, subject, after, limit))
    }
}

pub type Node = Server<Arc<Faulty>, Arc<MemoryStore>>;

/// The nodes. Each has limits and caches of its own.
pub struct Nodes {
    pub all: Vec<Node>,
    pub store: Arc<Faulty>,
    pub host: Host,
    clock: Arc<AtomicU64>,
}

fn policy(issuer: &str) -> Policy {
    let seconds = Duration::from_secs;
    let rules =
        IdJag::new("read write".parse().expect("a scope")).with_client("web").with_client("evil");
    let programs =
        Workload::default().with_rule(WorkloadRule::new("bot").equals("sub", "prod:bot"));
    let trusted =
        |issuer: TrustedIssuer| issuer.with_leeway(seconds(LEEWAY)).with_tokens(seconds(ACCESS));
    let limits = Limits::default()
        .with_token_requests_per_minute(u32::MAX)
        .with_failed_authentications_per_minute(u32::MAX);
    Policy::builder(issuer)
        .scope("read", "Read your notes")
        .scope("write", "Change your notes")
        .default_scope("read")
        .resource(RESOURCE, "read write")
        .lifetimes(Lifetimes::default().with_access(seconds(ACCESS)))
        .limits(limits)
        .machines(MachineRules::default())
        .client_keys(KeyRules::default().with_leeway(seconds(LEEWAY)))
        .verifier(Toy)
        .trusted_issuer(trusted(TrustedIssuer::id_jag(IDP, at(Place::Provider), rules)))
        .trusted_issuer(trusted(TrustedIssuer::workload(CLUSTER, key_set(Kind::Program), programs)))
        .build()
        .expect("a policy")
}

fn at(place: Place) -> KeysUrl {
    KeysUrl::parse(url(place), false).expect("a URL")
}

fn client(who: Who) -> Client {
    let id = name(who);
    let rights = || MachineRights::new("read write".parse().expect("a scope"));
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let redirect = "https://client.example/cb";
    let built = match who {
        Who::Job => Client::confidential(id, SecretMethod::Post, secret)
            .redirect_uri(redirect)
            .machine(rights()),
        Who::Signer => {
            Client::with_keys(id, ClientKeys::inline(key_set(Kind::Proof(who)))).machine(rights())
        }
        Who::Keyed => Client::with_keys(id, ClientKeys::at(at(Place::Client))).machine(rights()),
        Who::Web | Who::Evil => {
            Client::confidential(id, SecretMethod::Post, secret).redirect_uri(redirect)
        }
        Who::Bot => Client::federated(id, rights()),
    };
    built.build().expect("a client")
}

impl Nodes {
    pub fn new(seed: u64, forgets: bool) -> Self {
        let store = Arc::new(Faulty { forgets, ..Faulty::default() });
        let clock = Arc::new(AtomicU64::new(BEGINNING));
        let host = Host::default();
        for who in super::rules::ALL {
            store.inner.put_client(client(who));
        }
        let node = |number: u64| {
            let time = Arc::clone(&clock);
            let now = move || Timestamp::from_unix_seconds(time.load(Ordering::SeqCst));
            let draw = drawing(seed.wrapping_mul(8).wrapping_add(number));
            let policy = policy(ISSUERS[usize::from(number >= 2)]);
            let accounts = Arc::clone(&store.inner);
            Node::with_sources(policy, Arc::clone(&store), accounts, now, draw)
                .with_outside(host.clone())
        };
        Self { all: (0..4).map(node).collect(), host: host.clone(), store, clock }
    }

    pub fn set_clock(&self, seconds: u64) {
        self.clock.store(seconds, Ordering::SeqCst);
    }
}
