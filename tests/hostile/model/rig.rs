//! The system under test: two issuers on one store with faults, each served by an asynchronous and
//! a blocking server, over one clock.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use grantcore::blocking::Store as _;
use grantcore::client::StoredSecret;
use grantcore::grant::Grant;
use grantcore::moment::Entropy;
use grantcore::policy::{IntrospectionRules, Lifetimes, Limits, RevocationRules};
use grantcore::store::{Commit, Stored, Write};
use grantcore::value::{Digest, GrantId, SecretMethod, Subject};
use grantcore::{Account, Client, Event, MemoryStore, Policy, Timestamp};

use super::rules::{ABSOLUTE, ACCESS, CODE, CONSENT, Fault, IDLE, KEPT};
use crate::random::Random;

pub const ISSUERS: [&str; 2] = ["https://a.example", "https://b.example"];
/// The first one is the resource of every check.
pub const RESOURCES: [&str; 2] = ["https://mcp.example/mcp", "https://files.example/"];
pub const SCOPES: [&str; 3] = ["admin", "read", "write"];
pub const BEGINNING: u64 = 1_800_000_000;
pub const SECRET: &str = "a-secret-of-a-confidential-client-0123456789";

/// A client: whether it has a secret, and its redirect URIs.
pub struct Actor {
    pub id: &'static str,
    pub has_secret: bool,
    pub redirects: &'static [&'static str],
}

/// The last one is the thief's.
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

/// The error of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database is broken")
    }
}

impl std::error::Error for Broken {}

/// The reference store with faults.
#[derive(Default)]
pub struct FaultyStore {
    inner: Arc<MemoryStore>,
    faults: Mutex<VecDeque<Fault>>,
    late: Mutex<Vec<Write>>,
    /// Each grant as it was before its last write.
    previous: Mutex<BTreeMap<GrantId, Stored<Grant>>>,
    /// The number of reads of a grant that are stale.
    stale: AtomicUsize,
    broken_reads: AtomicUsize,
    /// The number of writes of grants that were applied.
    applied: AtomicUsize,
}

fn sure<T>(result: Result<T, std::convert::Infallible>) -> T {
    result.unwrap_or_else(|never| match never {})
}

impl FaultyStore {
    fn read<T>(&self, read: impl FnOnce() -> T) -> Result<T, Broken> {
        let is_broken = |left: usize| left.checked_sub(1);
        let taken = self.broken_reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_broken);
        if taken.is_ok() { Err(Broken) } else { Ok(read()) }
    }

    fn read_grant(&self, id: GrantId) -> Option<Stored<Grant>> {
        let one_less = |left: usize| left.checked_sub(1);
        let is_stale =
            self.stale.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        let earlier = self.previous.lock().unwrap().get(&id).cloned().filter(|_| is_stale);
        earlier.or_else(|| sure(self.inner.grant(id)))
    }

    fn apply(&self, write: &Write) -> Commit {
        let before = write.as_grant().and_then(|change| sure(self.inner.grant(change.id())));
        let commit = sure(self.inner.commit(write));
        if commit == Commit::Done && write.as_grant().is_some() {
            self.applied.fetch_add(1, Ordering::SeqCst);
            if let Some(before) = before {
                self.previous.lock().unwrap().insert(before.record.id(), before);
            }
        }
        commit
    }

    fn write(&self, write: &Write) -> Result<Commit, Broken> {
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => Ok(self.apply(write)),
            Some(Fault::Conflict) => Ok(Commit::Conflict),
            Some(Fault::AppliedThenConflict) => {
                self.apply(write);
                Ok(Commit::Conflict)
            }
            Some(Fault::Unacknowledged) => {
                self.apply(write);
                Err(Broken)
            }
            Some(Fault::Dropped) => Err(Broken),
            Some(Fault::Late) => {
                self.late.lock().unwrap().push(write.clone());
                Err(Broken)
            }
        }
    }
}

impl grantcore::blocking::Store for FaultyStore {
    type Error = Broken;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        self.read(|| sure(self.inner.client(id)))
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        self.read(|| self.read_grant(id))
    }

    fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        self.write(write)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        self.read(|| sure(self.inner.grants_of(subject, after, limit)))
    }
}

/// Suspends once, before a call and after it.
async fn suspend() {
    let mut is_first = true;
    std::future::poll_fn(|_| {
        if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

async fn slowly<T>(act: impl FnOnce() -> T) -> T {
    suspend().await;
    let done = act();
    suspend().await;
    done
}

impl grantcore::Store for FaultyStore {
    type Error = Broken;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        slowly(|| grantcore::blocking::Store::client(self, id)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        slowly(|| grantcore::blocking::Store::grant(self, id)).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        slowly(|| self.write(write)).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        slowly(|| grantcore::blocking::Store::grants_of(self, subject, after, limit)).await
    }
}

pub type Async = grantcore::Server<Arc<FaultyStore>, Arc<MemoryStore>>;
pub type Blocking = grantcore::blocking::Server<Arc<FaultyStore>, Arc<MemoryStore>>;

/// One issuer's servers.
pub struct Site {
    pub asynchronous: Async,
    pub blocking: Blocking,
}

pub struct Rig {
    pub sites: Vec<Site>,
    pub store: Arc<FaultyStore>,
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

fn policy(issuer: &str, window: u64) -> Policy {
    let seconds = Duration::from_secs;
    let lifetimes = Lifetimes::default()
        .with_consent(seconds(CONSENT))
        .with_code(seconds(CODE))
        .with_access(seconds(ACCESS))
        .with_refresh_idle(seconds(IDLE))
        .with_refresh_absolute(Some(seconds(ABSOLUTE)));
    let limits = Limits::default()
        .with_token_requests_per_minute(u32::MAX)
        .with_failed_authentications_per_minute(u32::MAX)
        .with_consent_pages_per_minute(u32::MAX)
        .with_live_access_tokens(KEPT);
    let scopes = |policy: grantcore::policy::PolicyBuilder| {
        SCOPES.iter().fold(policy, |policy, name| policy.scope(*name, "A scope of the test"))
    };
    scopes(Policy::builder(issuer))
        .default_scope("read")
        .resource(RESOURCES[0], "read write admin")
        .resource(RESOURCES[1], "read write admin")
        .lifetimes(lifetimes)
        .replay_window(seconds(window))
        .revocation(RevocationRules::default())
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
    pub fn new(seed: u64, window: u64, users: &[&str]) -> Self {
        let store = Arc::new(FaultyStore::default());
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
            let policy = policy(ISSUERS[index], window);
            let accounts = || Arc::clone(&store.inner);
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
        Self { sites, store, clock, events }
    }

    pub fn policy(&self, issuer: usize) -> &Policy {
        self.sites[issuer].blocking.policy()
    }

    pub fn set_clock(&self, seconds: u64) {
        self.clock.store(seconds, Ordering::SeqCst);
    }

    /// Prepares the store for the next request.
    pub fn fail(&self, faults: &[Fault], is_stale: bool, has_broken_read: bool) {
        *self.store.faults.lock().unwrap() = faults.iter().copied().collect();
        self.store.stale.store(usize::from(is_stale), Ordering::SeqCst);
        self.store.broken_reads.store(usize::from(has_broken_read), Ordering::SeqCst);
        self.store.applied.store(0, Ordering::SeqCst);
    }

    /// Returns the number of writes of grants since the last preparation, and ends its faults.
    pub fn applied(&self) -> usize {
        self.store.faults.lock().unwrap().clear();
        self.store.stale.store(0, Ordering::SeqCst);
        self.store.broken_reads.store(0, Ordering::SeqCst);
        self.store.applied.load(Ordering::SeqCst)
    }

    /// Applies the delayed writes that still can be.
    pub fn land(&self) {
        for write in std::mem::take(&mut *self.store.late.lock().unwrap()) {
            self.store.apply(&write);
        }
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
}
