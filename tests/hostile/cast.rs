//! The world of one case: a server over the reference store, its clients and users, and the
//! oracle's knowledge of every credential that a response had.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::blocking::{Server, Store};
use grantcore::client::StoredSecret;
use grantcore::grant::Grant;
use grantcore::moment::Entropy;
use grantcore::policy::{
    DocumentRules, IntrospectionRules, Limits, RegistrationRules, RevocationRules,
};
use grantcore::store::Stored;
use grantcore::value::{Digest, GrantId, SecretMethod};
use grantcore::{Client, Event, FromStore, MemoryStore, Policy, Timestamp, User};

use crate::random::Random;
use crate::wire::Method;

pub const MCP: &str = "https://mcp.example/mcp";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SECRET: &str = "a-secret-of-a-confidential-client-0123456789";
const RESOURCE_SECRET: &str = "the-secret-of-a-resource-server-0123456789";
const BEGINNING: u64 = 1_800_000_000;

/// The subject and session of each user.
pub const USERS: [(&str, &[u8]); 2] = [("alice", b"alice's browser"), ("bob", b"bob's browser")];

/// Redirect URIs that a client tries to register. Refused ones are left out.
const REDIRECTS: [&str; 10] = [
    "https://app.example/cb",
    "https://app.example/cb?next=what?",
    "https://app.example/cb?a=b&",
    "https://app.example/cb?",
    "https://app.example/cb?code=1&state=2",
    "https://app.example/a?b=c?d=e&f",
    "http://127.0.0.1/cb",
    "http://[::1]/cb?x=1",
    "http://localhost:3000/cb?",
    "com.example.app:/cb",
];

/// A client, as the oracle knows it.
#[derive(Clone, Debug)]
pub struct Actor {
    pub id: String,
    pub method: Method,
    pub secret: Option<String>,
    pub redirects: Vec<String>,
    /// The token that manages its registration.
    pub management: Option<String>,
    pub is_deleted: bool,
}

/// A consent page that a response had.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub text: String,
    pub client: String,
    pub user: usize,
    pub redirect: String,
    pub redirect_sent: bool,
    pub state: Option<Vec<u8>>,
}

/// A code, refresh token or access token that a response had.
#[derive(Clone, Debug)]
pub struct Issued {
    pub text: String,
    pub client: String,
    /// The redirect URI that the redemption of a code must repeat.
    pub redirect: Option<String>,
    /// Whether a code was redeemed.
    pub is_redeemed: bool,
}

impl Issued {
    pub fn new(text: &str, client: &str) -> Self {
        Self { text: text.into(), client: client.into(), redirect: None, is_redeemed: false }
    }
}

pub struct Cast {
    pub server: Server<Arc<MemoryStore>>,
    store: Arc<MemoryStore>,
    clock: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<Event>>>,
    pub actors: Vec<Actor>,
    pub tickets: Vec<Ticket>,
    pub codes: Vec<Issued>,
    pub refreshes: Vec<Issued>,
    pub accesses: Vec<Issued>,
    grants: BTreeSet<GrantId>,
    /// Every secret, as requests and responses have it.
    pub secrets: BTreeSet<String>,
}

impl Cast {
    /// Returns a world whose policy depends on the seed.
    pub fn new(mut random: Random) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(AtomicU64::new(BEGINNING));
        let events = Arc::new(Mutex::new(Vec::new()));
        let time = Arc::clone(&clock);
        let log = Arc::clone(&events);
        let drawn = Mutex::new(Random::new(random.next()));
        let draw = move || {
            let mut drawn = drawn.lock().unwrap();
            let mut bytes = [0; 128];
            bytes
                .chunks_exact_mut(8)
                .for_each(|word| word.copy_from_slice(&drawn.next().to_le_bytes()));
            Ok(Entropy::from_bytes(bytes))
        };
        let now = move || Timestamp::from_unix_seconds(time.load(Ordering::SeqCst));
        let server =
            Server::with_sources(policy(&mut random), Arc::clone(&store), FromStore, now, draw)
                .with_observer(move |event| log.lock().unwrap().push(event.clone()));
        let mut cast = Self {
            server,
            store,
            clock,
            events,
            actors: Vec::new(),
            tickets: Vec::new(),
            codes: Vec::new(),
            refreshes: Vec::new(),
            accesses: Vec::new(),
            grants: BTreeSet::new(),
            secrets: [SECRET, RESOURCE_SECRET, VERIFIER].map(String::from).into(),
        };
        cast.register_operators();
        cast
    }

    fn register_operators(&mut self) {
        let registrable = |uri: &&str| Client::public("x").redirect_uri(*uri).build().is_ok();
        let redirects: Vec<&str> =
            REDIRECTS.iter().filter(|uri| registrable(uri)).copied().collect();
        let secret = |text: &str| StoredSecret::Digest(Digest::of(text.as_bytes()));
        let basic = SecretMethod::Basic;
        let post = SecretMethod::Post;
        let web = &["https://web.example/cb"][..];
        for (builder, method, own, uris) in [
            (Client::public("app"), Method::None, None, &redirects[..]),
            (Client::public("other"), Method::None, None, &["https://other.example/cb"][..]),
            (Client::confidential("web", post, secret(SECRET)), Method::Post, Some(SECRET), web),
            (
                Client::confidential("basic", basic, secret(SECRET)),
                Method::Basic,
                Some(SECRET),
                web,
            ),
            (
                Client::confidential("resource", basic, secret(RESOURCE_SECRET)),
                Method::Basic,
                Some(RESOURCE_SECRET),
                &["https://resource.example/cb"][..],
            ),
        ] {
            let builder = uris.iter().fold(builder, |builder, uri| builder.redirect_uri(*uri));
            let client = builder.build_under(self.server.policy().redirect_rules()).unwrap();
            self.actors.push(Actor {
                id: client.id().as_str().to_owned(),
                method,
                secret: own.map(Into::into),
                redirects: uris.iter().map(|uri| (*uri).to_owned()).collect(),
                management: None,
                is_deleted: false,
            });
            self.store.put_client(client);
        }
    }

    pub fn user(index: usize) -> User<'static> {
        let (subject, session) = USERS[index];
        User::new(subject, session).unwrap()
    }

    pub fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Returns the events since the last call of this method.
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    pub fn actor(&self, id: &[u8]) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.id.as_bytes() == id)
    }

    /// Adds the grant that a credential names.
    pub fn learn(&mut self, credential: &str) {
        self.secrets.insert(credential.to_owned());
        self.grants.extend(grant_of(credential));
    }

    /// Returns every grant.
    pub fn grants(&self) -> Vec<Stored<Grant>> {
        let stored = |id: &GrantId| Store::grant(&*self.store, *id).unwrap();
        self.grants.iter().filter_map(stored).collect()
    }
}

/// Returns the grant id in a credential: the first 16 bytes after its prefix.
pub fn grant_of(credential: &str) -> Option<GrantId> {
    let bytes = URL_SAFE_NO_PAD.decode(credential.get(4..)?).ok()?;
    Some(GrantId::from_bytes(*bytes.first_chunk::<16>()?))
}

fn policy(random: &mut Random) -> Policy {
    let policy = Policy::builder("https://auth.example")
        .scope("read", "Read your notes")
        .scope("write", "Change your notes")
        .default_scope("read")
        .resource(MCP, "read write")
        .registration(RegistrationRules::default())
        .client_documents(DocumentRules::default())
        .revocation(RevocationRules::default())
        .introspection(IntrospectionRules::default().with_resource_server("resource", MCP))
        .limits(
            Limits::default()
                .with_token_requests_per_minute(u32::MAX)
                .with_failed_authentications_per_minute(u32::MAX)
                .with_registrations_per_minute(u32::MAX),
        );
    let policy = match random.below(3) {
        0 => policy,
        1 => policy.replay_window(std::time::Duration::from_secs(30)),
        _ => policy.refuse_reused_challenges(true),
    };
    policy.build().unwrap()
}
