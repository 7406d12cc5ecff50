//! The system under test: two issuers on one store with faults, each served by an asynchronous and
//! a blocking server, over one clock.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use grantcore::blocking::Store as _;
use grantcore::client::StoredSecret;
use grantcore::grant::Grant;
use grantcore::moment::Entropy;
use grantcore::policy::{
    ConsentRules, DocumentRules, IntrospectionRules, Lifetimes, Limits, RegistrationRules,
    RevocationRules,
};
use grantcore::store::Stored;
use grantcore::value::{Digest, GrantId, SecretMethod, Subject};
use grantcore::{Account, Client, Event, Policy, Timestamp};

use super::accounts::Host;
use super::play::names;
use super::records::{
    ABSOLUTE, ACCESS, CODE, CONSENT, FRESH, IDLE, KEPT, REMEMBERED, Remember, Set, UNUSED,
};
use super::store::{FaultyStore, sure};
use crate::random::Random;

pub const ISSUERS: [&str; 2] = ["https://a.example", "https://b.example"];
/// The first one is the resource of every check.
pub const RESOURCES: [&str; 2] = ["https://mcp.example/mcp", "https://files.example/"];
pub const SCOPES: [&str; 3] = ["admin", "read", "write"];
/// The scopes that each resource understands.
pub const UNDERSTOOD: [Set; 2] = [7, 6];
pub const BEGINNING: u64 = 1_800_000_000;
pub const SECRET: &str = "a-secret-of-a-confidential-client-0123456789";

/// A client: whether it has a secret, and its redirect URIs.
pub struct Actor {
    pub id: &'static str,
    pub has_secret: bool,
    pub redirects: &'static [&'static str],
}

/// The clients that are known by the documents at these URLs.
pub const DOCUMENTS: [&str; 2] = ["https://docs.example/client", "https://evil.example/client"];

/// The clients of the operator. The last one is the thief's.
pub const CLIENTS: [Actor; 4] = [
    Actor {
        id: "app",
        has_secret: false,
        redirects: &["https://app.example/cb?x=1&y", "http://127.0.0.1/cb"],
    },
    Actor { id: "web", has_secret: true, redirects: &["https://web.example/cb"] },
    Actor { id: "cli", has_secret: false, redirects: &["http://[::1]/cb?a=b"] },
    Actor { id: "evil", has_secret: false, redirects: &["https://evil.example/cb"] },
];

pub type Async = grantcore::Server<Arc<FaultyStore>, Arc<Host>>;
pub type Blocking = grantcore::blocking::Server<Arc<FaultyStore>, Arc<Host>>;

/// One issuer's servers.
pub struct Site {
    pub asynchronous: Async,
    pub blocking: Blocking,
}

pub struct Rig {
    pub sites: Vec<Site>,
    pub store: Arc<FaultyStore>,
    pub host: Arc<Host>,
    clock: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<Event>>>,
}

/// How a call is made: on which face, and after how many polls its caller hangs up.
#[derive(Clone, Copy, Debug)]
pub enum Face {
    Blocking,
    Asynchronous(Option<usize>),
}

/// Polls a future to its end, or so many times.
pub fn polled<F: Future>(future: F, limit: Option<usize>) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..limit.unwrap_or(10_000) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    assert!(limit.is_some(), "a call never ends");
    None
}

/// Calls a method of this issuer's server on this face. Returns `None` if the call was cancelled.
macro_rules! call {
    ($rig:expr, $issuer:expr, $face:expr, $method:ident($($argument:expr),*)) => {{
        let site = &$rig.sites[$issuer];
        match $face {
            $crate::model::rig::Face::Blocking => Some(site.blocking.$method($($argument),*)),
            $crate::model::rig::Face::Asynchronous(limit) => {
                $crate::model::rig::polled(site.asynchronous.$method($($argument),*), limit)
            }
        }
    }};
}
pub(crate) use call;

fn policy(issuer: &str, (window, remember): (u64, Remember)) -> Policy {
    let seconds = Duration::from_secs;
    let lifetimes = Lifetimes::default()
        .with_consent(seconds(CONSENT))
        .with_code(seconds(CODE))
        .with_access(seconds(ACCESS))
        .with_refresh_idle(seconds(IDLE))
        .with_refresh_absolute(Some(seconds(ABSOLUTE)))
        .with_unused_client(seconds(UNUSED));
    let documents = DocumentRules::default()
        .with_fresh_at_least(seconds(FRESH.0))
        .with_fresh_at_most(seconds(FRESH.1));
    let remember = match remember {
        Remember::Nobody => grantcore::policy::Remember::Never,
        Remember::Confidential => grantcore::policy::Remember::Confidential,
        Remember::HttpsRedirect => grantcore::policy::Remember::HttpsRedirect,
    };
    let consent =
        ConsentRules::default().with_remember(remember).with_remember_for(seconds(REMEMBERED));
    let limits = Limits::default()
        .with_token_requests_per_minute(u32::MAX)
        .with_failed_authentications_per_minute(u32::MAX)
        .with_consent_pages_per_minute(u32::MAX)
        .with_registrations_per_minute(u32::MAX)
        .with_all_registrations_per_minute(u32::MAX)
        .with_live_access_tokens(KEPT);
    let scopes = |policy: grantcore::policy::PolicyBuilder| {
        SCOPES.iter().fold(policy, |policy, name| policy.scope(*name, "A scope of the test"))
    };
    scopes(Policy::builder(issuer))
        .default_scope("read")
        .resource(RESOURCES[0], &names(&SCOPES, UNDERSTOOD[0]))
        .resource(RESOURCES[1], &names(&SCOPES, UNDERSTOOD[1]))
        .lifetimes(lifetimes)
        .replay_window(seconds(window))
        .consent_rules(consent)
        .revocation(RevocationRules::default())
        .registration(RegistrationRules::default())
        .client_documents(documents)
        .introspection(IntrospectionRules::default().with_resource_server("web", RESOURCES[0]))
        .limits(limits)
        .build()
        .expect("a policy")
}

pub fn drawing(seed: u64) -> impl Fn() -> Result<Entropy, grantcore::moment::EntropyError> {
    let drawn = Mutex::new(Random::new(seed));
    move || {
        let mut drawn = drawn.lock().unwrap();
        let mut bytes = [0; 128];
        bytes
            .chunks_exact_mut(8)
            .for_each(|word| word.copy_from_slice(&drawn.next().to_le_bytes()));
        Ok(Entropy::from_bytes(bytes))
    }
}

impl Rig {
    pub fn new(seed: u64, rules: (u64, Remember), users: &[&str]) -> Self {
        let store = Arc::new(FaultyStore::default());
        let inner = Arc::clone(&store.inner);
        let host = Arc::new(Host { inner, decision: Mutex::default() });
        let clock = Arc::new(AtomicU64::new(BEGINNING));
        let events = Arc::new(Mutex::new(Vec::new()));
        for user in users {
            store.inner.put_account(Subject::new(user), Account { suspended: false, epoch: 0 });
        }
        for actor in &CLIENTS {
            let builder = if actor.has_secret {
                let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
                Client::confidential(actor.id, SecretMethod::Post, secret)
            } else {
                Client::public(actor.id)
            };
            let add =
                |builder: grantcore::client::ClientBuilder, uri: &&str| builder.redirect_uri(*uri);
            store.inner.put_client(actor.redirects.iter().fold(builder, add).build().unwrap());
        }
        let site = |index: usize| {
            let time = || {
                let clock = Arc::clone(&clock);
                move || Timestamp::from_unix_seconds(clock.load(Ordering::SeqCst))
            };
            let observer = || {
                let events = Arc::clone(&events);
                move |event: &Event| events.lock().unwrap().push(event.clone())
            };
            let seed = seed.wrapping_mul(8).wrapping_add(index as u64 * 2);
            let policy = policy(ISSUERS[index], rules);
            let accounts = || Arc::clone(&host);
            Site {
                asynchronous: Async::with_sources(
                    policy.clone(),
                    Arc::clone(&store),
                    accounts(),
                    time(),
                    drawing(seed),
                )
                .with_observer(observer()),
                blocking: Blocking::with_sources(
                    policy,
                    Arc::clone(&store),
                    accounts(),
                    time(),
                    drawing(seed + 1),
                )
                .with_observer(observer()),
            }
        };
        let sites = (0..ISSUERS.len()).map(site).collect();
        Self { sites, store, host, clock, events }
    }

    pub fn policy(&self, issuer: usize) -> &Policy {
        self.sites[issuer].blocking.policy()
    }

    pub fn set_clock(&self, seconds: u64) {
        self.clock.store(seconds, Ordering::SeqCst);
    }

    pub fn suspend(&self, user: &str, is_suspended: bool) {
        self.store.inner.set_suspended(user, is_suspended);
    }

    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    pub fn record(&self, id: GrantId) -> Option<Stored<Grant>> {
        sure(self.store.inner.grant(id))
    }

    pub fn client(&self, id: &str) -> Option<Stored<Client>> {
        sure(self.store.inner.client(id))
    }
}
