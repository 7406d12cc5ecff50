//! What a host hands over: a way to open its store, to await it, and to sweep it.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};

use crate::account::{Account, Balance};
use crate::client::Client;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::operation::Loaded;
use crate::record::{Commit, Stored, Write};
use crate::store::{AsyncStore, Store};
use crate::value::credential::GrantId;

/// A store to be checked. It is used from several threads at once.
pub trait Harness: Sync {
    /// The store.
    type Store: AsyncStore<Error: fmt::Debug>;

    /// Another handle of the database, as another process would have it: nothing shared with the
    /// handles opened before but the database.
    fn open(&self) -> Self::Store;

    /// Runs a future to its end on this thread, while other threads run theirs.
    fn wait<F: Future>(&self, future: F) -> F::Output;

    /// Makes an account of this name that stands well, where a store knows which accounts there
    /// are.
    fn sign_up(&self, store: &Self::Store, subject: &str) {
        let _ = (store, subject);
    }

    /// Drops at most `most` records that may be dropped at `now`, and says how many it did. Nothing
    /// if the store does that by itself.
    fn sweep(&self, store: &Self::Store, now: Timestamp, limit: usize) -> Option<usize> {
        let _ = (store, now, limit);
        None
    }
}

impl<H: Harness> Harness for &H {
    type Store = H::Store;

    fn open(&self) -> H::Store {
        (**self).open()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        (**self).wait(future)
    }

    fn sign_up(&self, store: &H::Store, subject: &str) {
        (**self).sign_up(store, subject);
    }

    fn sweep(&self, store: &H::Store, now: Timestamp, limit: usize) -> Option<usize> {
        (**self).sweep(store, now, limit)
    }
}

type Sweep<S> = Box<dyn Fn(&S, Timestamp, usize) -> usize + Sync>;

/// A harness for a [`Store`]: a way to open it, and one to sweep it if it must be swept.
pub struct Blocking<S, O> {
    open: O,
    sweep: Option<Sweep<S>>,
}

impl<S, O> fmt::Debug for Blocking<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocking")
    }
}

impl<S: Store, O: Fn() -> S> Blocking<S, O> {
    /// A harness whose store is opened so.
    pub fn new(open: O) -> Self {
        Self { open, sweep: None }
    }

    /// The same, and it is swept so.
    #[must_use = "the harness that sweeps is the one returned"]
    pub fn swept_by(self, sweep: impl Fn(&S, Timestamp, usize) -> usize + Sync + 'static) -> Self {
        Self { sweep: Some(Box::new(sweep)), ..self }
    }
}

impl<S: Store<Error: fmt::Debug + Send> + Sync, O: Fn() -> S + Sync> Harness for Blocking<S, O> {
    type Store = Awaited<S>;

    fn open(&self) -> Awaited<S> {
        Awaited((self.open)())
    }

    /// Its futures are ready at once.
    fn wait<F: Future>(&self, future: F) -> F::Output {
        let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            std::thread::yield_now();
        }
    }

    fn sweep(&self, store: &Awaited<S>, now: Timestamp, limit: usize) -> Option<usize> {
        self.sweep.as_ref().map(|sweep| sweep(&store.0, now, limit))
    }
}

/// A [`Store`] as an [`AsyncStore`] whose futures are ready at once. It blocks whoever polls them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Awaited<S>(pub S);

impl<S: Store<Error: Send> + Sync> AsyncStore for Awaited<S> {
    type Error = S::Error;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, S::Error> {
        self.0.client(id)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, S::Error> {
        self.0.grant(id)
    }

    async fn commit(&self, write: &Write) -> Result<Commit, S::Error> {
        self.0.commit(write)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, S::Error> {
        self.0.grants_of(subject, after, limit)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool, S::Error> {
        self.0.raise_epoch(subject)
    }

    async fn account(&self, subject: &str) -> Result<Option<Account>, S::Error> {
        self.0.account(subject)
    }

    async fn balance(&self, subject: &str) -> Result<Balance, S::Error> {
        self.0.balance(subject)
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, S::Error> {
        self.0.load_grants(ids)
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, S::Error> {
        self.0.load(keys)
    }
}

/// What is run by several threads at once, one for each of these, and what each came to; the first
/// failure if one did.
pub(super) fn at_once<T: Send, I: Send>(
    parts: impl IntoIterator<Item = I>,
    run: impl Fn(I) -> Result<T, super::Violation> + Sync,
) -> Result<Vec<T>, super::Violation> {
    let parts: Vec<_> = parts.into_iter().collect();
    let (run, start) = (&run, &Barrier::new(parts.len()));
    std::thread::scope(|scope| {
        let begin = |part| {
            scope.spawn(move || {
                start.wait();
                calmly(|| run(part))
            })
        };
        let threads: Vec<_> = parts.into_iter().map(begin).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// What this comes to, where a panic is a failure as well: others may be waiting for whoever
/// panics.
pub(super) fn calmly<T>(
    run: impl FnOnce() -> Result<T, super::Violation>,
) -> Result<T, super::Violation> {
    let panicked = |_| {
        Err(super::Law::Works.broken("a call of the store or of its harness panicked; see above"))
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(panicked)
}
