//! A blocking store as an async one, each call on a thread that may block.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::traits::{Accounts, LoadsAccounts, Store, StoreAdministration};
use crate::account::{Account, Balance, RefreshDecision};
use crate::client::Client;
use crate::decision::Loaded;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::record::{Commit, Stored, Write};
use crate::seen::Seen;
use crate::store::Counts;
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;

/// A call that an [`OnThreads`] hands to the host's thread pool.
pub type Work = Box<dyn FnOnce() + Send>;

/// A blocking [`Store`], [`Accounts`] or [`StoreAdministration`] as its async namesake: each call
/// runs on a thread that the host's runtime provides. For an async server on an embedded database.
///
/// ```
/// use grantcore::blocking::OnThreads;
/// use grantcore::{FromStore, MemoryStore, Policy, Server};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new(); // Any store that blocks.
/// let store = OnThreads::new(store, |work| drop(tokio::task::spawn_blocking(work)));
/// let policy = Policy::builder("https://auth.example").scope("notes", "Read notes");
/// # let policy = policy.resource("https://mcp.example/mcp", "notes");
/// let server = Server::new(policy.build()?, store, FromStore);
/// # Ok(())
/// # }
/// ```
///
/// A call runs to its end even if its future is dropped: a write whose caller hangs up may be made,
/// and the server records its durability as unknown. A panic of the call, or a pool that drops the
/// call because it shuts down, is a [`ThreadError`] and never the result of a write.
///
/// A clone is another handle of the same store.
pub struct OnThreads<T> {
    inner: Arc<T>,
    spawn: Arc<dyn Fn(Work) + Send + Sync>,
}

/// A failure of a call of [`OnThreads`]. It is then not known what the call has done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadError<E> {
    /// The call returned this error.
    #[error(transparent)]
    Failed(#[from] E),
    /// The call panicked.
    #[error("the call panicked")]
    Panicked,
    /// The thread pool dropped the call before it ended: the runtime is shutting down.
    #[error("the thread pool dropped the call; the runtime is shutting down")]
    Stopped,
}

impl<T> Clone for OnThreads<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), spawn: Arc::clone(&self.spawn) }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnThreads<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnThreads").field(&self.inner).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> OnThreads<T> {
    /// Returns the async form of `inner`. `spawn` runs the work that it is given on a thread that
    /// may block, and returns without waiting for it: `tokio::task::spawn_blocking`, for example.
    /// If dropping the handle of a task cancels it, `spawn` must detach the task.
    pub fn new(inner: T, spawn: impl Fn(Work) + Send + Sync + 'static) -> Self {
        Self { inner: Arc::new(inner), spawn: Arc::new(spawn) }
    }

    /// Returns the blocking store. Its calls block their caller.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// Runs a call of the host's own on a thread that may block.
    ///
    /// # Errors
    /// [`ThreadError`] if the call fails, panics or is dropped.
    pub async fn call<R: Send + 'static, E: Error + Send + 'static>(
        &self,
        call: impl FnOnce(&T) -> Result<R, E> + Send + 'static,
    ) -> Result<R, ThreadError<E>> {
        let slot = Arc::new(Mutex::new(Slot::Running(None)));
        let inner = Arc::clone(&self.inner);
        let end = End(Arc::clone(&slot));
        (self.spawn)(Box::new(move || {
            let result = call(&inner);
            // The handle is dropped before the result is set: the receiver may then close the
            // store.
            drop(inner);
            end.set(result.map_err(ThreadError::Failed));
        }));
        poll_fn(|context| {
            let mut slot = lock(&slot);
            match std::mem::replace(&mut *slot, Slot::Running(None)) {
                Slot::Ended(result) => Poll::Ready(result),
                Slot::Running(_) => {
                    *slot = Slot::Running(Some(context.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// The result of a call, or who waits for it.
enum Slot<R, E> {
    Running(Option<Waker>),
    Ended(Result<R, ThreadError<E>>),
}

/// The end of a call. If it is dropped before it is set, the call panicked or never ran.
struct End<R, E>(Arc<Mutex<Slot<R, E>>>);

impl<R, E> End<R, E> {
    fn set(&self, result: Result<R, ThreadError<E>>) {
        let mut slot = lock(&self.0);
        let Slot::Running(waker) = &mut *slot else { return };
        let waker = waker.take();
        *slot = Slot::Ended(result);
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<R, E> Drop for End<R, E> {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        self.set(Err(if panicked { ThreadError::Panicked } else { ThreadError::Stopped }));
    }
}

/// Nothing panics while the slot is locked.
fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Store + 'static> crate::Store for OnThreads<T> {
    type Error = ThreadError<T::Error>;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Self::Error> {
        let id = id.to_owned();
        self.call(move |store| store.client(&id)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error> {
        self.call(move |store| store.grant(id)).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Self::Error> {
        let write = write.clone();
        self.call(move |store| store.commit(&write)).await
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Self::Error> {
        let key = *key;
        self.call(move |store| store.seen(&key)).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Self::Error> {
        let subject = subject.to_owned();
        self.call(move |store| store.grants_of(&subject, after, limit)).await
    }

    /// Loads all records of an attempt in one hop to another thread.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Self::Error> {
        let keys = keys.clone().into_owned();
        self.call(move |store| store.load(&keys)).await
    }

    /// Loads all of these grants in one hop to another thread.
    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, Self::Error> {
        let ids = ids.to_vec();
        self.call(move |store| store.load_grants(&ids)).await
    }
}

impl<T: Accounts + 'static> crate::Accounts for OnThreads<T> {
    type Error = ThreadError<T::Error>;

    async fn account(&self, subject: &str) -> Result<Option<Account>, Self::Error> {
        let subject = subject.to_owned();
        self.call(move |accounts| accounts.account(&subject)).await
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool, Self::Error> {
        let subject = subject.to_owned();
        self.call(move |accounts| accounts.raise_epoch(&subject)).await
    }

    async fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, Self::Error> {
        let grant = grant.clone();
        self.call(move |accounts| accounts.refresh_decision(&grant)).await
    }

    async fn balance(&self, subject: &str) -> Result<Balance, Self::Error> {
        let subject = subject.to_owned();
        self.call(move |accounts| accounts.balance(&subject)).await
    }
}

impl<T: LoadsAccounts + 'static> crate::LoadsAccounts for OnThreads<T> {}

impl<T: StoreAdministration + 'static> crate::store::StoreAdministration for OnThreads<T> {
    async fn add_client(&self, client: Client) -> Result<bool, Self::Error> {
        self.call(move |store| store.add_client(client)).await
    }

    async fn put_client(&self, client: Client) -> Result<(), Self::Error> {
        self.call(move |store| store.put_client(client)).await
    }

    async fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>, Self::Error> {
        let after = after.map(str::to_owned);
        self.call(move |store| store.clients(after.as_deref(), limit)).await
    }

    async fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<Stored<Grant>>, Self::Error> {
        self.call(move |store| store.grants(after, limit)).await
    }

    async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>, Self::Error> {
        self.call(move |store| store.marks(after, limit)).await
    }

    async fn counts(&self) -> Result<Counts, Self::Error> {
        self.call(T::counts).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, Self::Error> {
        self.call(move |store| store.sweep(now, limit)).await
    }
}
