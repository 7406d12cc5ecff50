//! A store and an audit log that suspend before and after each call, and a server over them.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use grantcore::audit::{AuditError, AuditPolicy};
use grantcore::blocking::{Accounts, Store};
use grantcore::grant::Grant;
use grantcore::policy::{DocumentRules, IntrospectionRules, RegistrationRules, RevocationRules};
use grantcore::store::{Commit, Seen, SeenKey, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{Account, AuditLog, Client, Event};

use crate::support::store::{Broken, TestStore};
use crate::support::{MCP, World, policy, seeded};

pub(crate) type Server = grantcore::Server<Arc<SlowStore>, Arc<SlowStore>, Arc<SlowTrail>>;

/// The fault of the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Conflict,
    AppliedThenConflict,
    Unacknowledged,
}

/// A durable write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) id: String,
    pub(crate) version: u64,
    /// Whether the store reported it as a conflict.
    pub(crate) is_repeated: bool,
    /// Whether it is a single-use mark.
    pub(crate) is_mark: bool,
}

#[derive(Default)]
pub(crate) struct SlowStore {
    inner: Arc<TestStore>,
    pub(crate) durable: Mutex<Vec<Durable>>,
    pub(crate) trouble: Mutex<Option<Trouble>>,
}

#[derive(Default)]
pub(crate) struct SlowTrail {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) abandoned: AtomicUsize,
    /// Whether the log has no place for an event.
    pub(crate) is_full: AtomicBool,
}

/// The surroundings of one call.
pub(crate) struct Fixture {
    pub(crate) world: World,
    pub(crate) store: Arc<SlowStore>,
    pub(crate) trail: Arc<SlowTrail>,
    pub(crate) server: Server,
    pub(crate) observed: Arc<Mutex<Vec<Event>>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(AuditPolicy::default())
    }

    /// Returns a fixture whose server refuses requests that it cannot record.
    pub(crate) fn fail_closed() -> Self {
        Self::with(AuditPolicy::default().with_fail_closed(true))
    }

    fn with(trail_rules: AuditPolicy) -> Self {
        let rules = IntrospectionRules::default().with_resource_server("web", MCP);
        let policy = policy()
            .revocation(RevocationRules::default())
            .registration(RegistrationRules::default())
            .client_documents(DocumentRules::default())
            .introspection(rules);
        let world = World::with(policy);
        let store = Arc::new(SlowStore { inner: Arc::clone(&world.store), ..SlowStore::default() });
        let trail = Arc::new(SlowTrail::default());
        let observed = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&observed);
        let now = world.now();
        let server = grantcore::Server::with_sources(
            world.server.policy().clone(),
            Arc::clone(&store),
            Arc::clone(&store),
            move || now,
            seeded(2),
        )
        .with_audit_log(Arc::clone(&trail), trail_rules)
        .with_observer(move |event| log.lock().unwrap().push(event.clone()));
        Self { world, store, trail, server, observed }
    }
}

/// Suspends once.
pub(crate) async fn suspend() {
    let mut is_first = true;
    std::future::poll_fn(|_| {
        if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

/// Polls a future to its end.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Suspends, runs `act`, and suspends again.
async fn slowly<T>(act: impl FnOnce() -> T) -> T {
    suspend().await;
    let done = act();
    suspend().await;
    done
}

/// Returns the value of a result that cannot fail.
fn infallible<T>(result: Result<T, Infallible>) -> T {
    result.unwrap_or_else(|never| match never {})
}

impl SlowStore {
    fn write(&self, write: &Write) -> Result<Commit, Broken> {
        let trouble = self.trouble.lock().unwrap().take();
        if trouble == Some(Trouble::Conflict) {
            return Ok(Commit::Conflict);
        }
        let commit = infallible(Store::commit(&self.inner.inner, write));
        if commit == Commit::Done {
            let is_repeated = trouble == Some(Trouble::AppliedThenConflict);
            let (id, Version(version)) = match write {
                Write::Grant(change) => (change.id().to_string(), change.version()),
                Write::Client(change) => (change.id().to_string(), change.version()),
                Write::Seen(seen) => (seen.key().to_string(), Version(0)),
            };
            let is_mark = write.as_seen().is_some();
            self.durable.lock().unwrap().push(Durable { id, version, is_repeated, is_mark });
        }
        match trouble {
            Some(Trouble::Unacknowledged) => Err(Broken),
            Some(_) => Ok(Commit::Conflict),
            None => Ok(commit),
        }
    }
}

impl grantcore::Store for SlowStore {
    type Error = Broken;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        slowly(|| Ok(infallible(Store::client(&self.inner.inner, id)))).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        slowly(|| Ok(infallible(Store::grant(&self.inner.inner, id)))).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        slowly(|| self.write(write)).await
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Broken> {
        slowly(|| Ok(infallible(Store::seen(&self.inner.inner, key)))).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        slowly(|| Ok(infallible(Store::grants_of(&self.inner.inner, subject, after, limit)))).await
    }
}

impl grantcore::Accounts for SlowStore {
    type Error = Broken;

    async fn raise_epoch(&self, subject: &str) -> Result<bool, Broken> {
        let raise = || {
            let raised = infallible(Accounts::raise_epoch(&self.inner.inner, subject));
            let id = subject.to_owned();
            self.durable.lock().unwrap().push(Durable {
                id,
                version: 0,
                is_repeated: false,
                is_mark: false,
            });
            Ok(raised)
        };
        slowly(raise).await
    }

    async fn account(&self, subject: &str) -> Result<Option<Account>, Broken> {
        slowly(|| Ok(infallible(Accounts::account(&self.inner.inner, subject)))).await
    }
}

impl AuditLog for SlowTrail {
    type Reservation = ();

    async fn reserve(&self, _: &Event) -> Result<(), AuditError> {
        if self.is_full.load(Ordering::SeqCst) { Err(AuditError) } else { Ok(()) }
    }

    async fn record(&self, event: &Event, (): ()) -> Result<(), AuditError> {
        slowly(|| self.events.lock().unwrap().push(event.clone())).await;
        Ok(())
    }

    fn abandoned(&self, event: Event) {
        self.abandoned.fetch_add(1, Ordering::SeqCst);
        self.events.lock().unwrap().push(event);
    }
}
