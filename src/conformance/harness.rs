//! What a host hands to the conformance suite: a way to open its store, to run a future, and to
//! sweep.

use std::fmt;
use std::future::Future;
use std::sync::Barrier;

use super::{Law, Violation};
use crate::blocking::{self, Ready, block_on};
use crate::moment::Timestamp;
use crate::store::Store;

/// A store to check. The conformance suite uses it from several threads at once.
pub trait Harness: Sync {
    /// The store.
    type Store: Store;

    /// Opens another handle of the same database, as another process would: the handles share
    /// nothing but the database.
    ///
    /// Where one handle at a time can be open, as with an embedded database that locks its file,
    /// return clones of one handle. What they share in memory then stays unchecked: a cache of each
    /// handle ([`Law::Fresh`]), a counter or a lock that another process would not have
    /// ([`Law::OneWinner`]). As long as the file is locked, no other process can meet them.
    fn open(&self) -> Self::Store;

    /// Runs a future to its end on this thread, while other threads run theirs.
    fn wait<F: Future>(&self, future: F) -> F::Output;

    /// Drops up to `limit` records whose `drop_after` has passed at `now`, and returns how many
    /// were dropped. The default returns `None`: the store drops records by itself.
    ///
    /// A store that implements [`StoreAdministration`](crate::store::StoreAdministration) calls its
    /// [`sweep`](crate::store::StoreAdministration::sweep) here.
    fn sweep(&self, store: &Self::Store, now: Timestamp, limit: usize) -> Option<usize> {
        let _ = (store, now, limit);
        None
    }

    /// Creates an active account and returns its subject, for a store that
    /// [loads accounts](crate::LoadsAccounts): see
    /// [`AccountsHarness::sign_up`](super::AccountsHarness::sign_up). The default creates nothing
    /// and returns `subject`.
    fn sign_up(&self, store: &Self::Store, subject: &str) -> String {
        let _ = store;
        subject.to_owned()
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

    fn sweep(&self, store: &H::Store, now: Timestamp, limit: usize) -> Option<usize> {
        (**self).sweep(store, now, limit)
    }

    fn sign_up(&self, store: &H::Store, subject: &str) -> String {
        (**self).sign_up(store, subject)
    }
}

type Sweep<S> = Box<dyn Fn(&S, Timestamp, usize) -> usize + Sync>;
type SignUp<S> = Box<dyn Fn(&S, &str) -> String + Sync>;

/// A [`Harness`] of a [`blocking::Store`], made of a function that opens it.
pub struct Blocking<S, O> {
    open: O,
    sweep: Option<Sweep<S>>,
    sign_up: Option<SignUp<S>>,
}

impl<S, O> fmt::Debug for Blocking<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}

impl<S: blocking::Store, O: Fn() -> S> Blocking<S, O> {
    /// Returns a harness that opens each handle with this function.
    pub fn new(open: O) -> Self {
        Self { open, sweep: None, sign_up: None }
    }

    /// Sweeps with this function.
    #[must_use = "returns the harness with the sweep function set"]
    pub fn with_sweep(
        self,
        sweep: impl Fn(&S, Timestamp, usize) -> usize + Sync + 'static,
    ) -> Self {
        Self { sweep: Some(Box::new(sweep)), ..self }
    }

    /// Creates accounts with this function, for a store that
    /// [loads accounts](crate::LoadsAccounts): see [`Harness::sign_up`].
    #[must_use = "returns the harness with the sign-up function set"]
    pub fn with_sign_up(self, sign_up: impl Fn(&S, &str) -> String + Sync + 'static) -> Self {
        Self { sign_up: Some(Box::new(sign_up)), ..self }
    }
}

impl<S: blocking::Store, O: Fn() -> S + Sync> Harness for Blocking<S, O> {
    type Store = Ready<S>;

    fn open(&self) -> Ready<S> {
        Ready((self.open)())
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }

    fn sweep(&self, store: &Ready<S>, now: Timestamp, limit: usize) -> Option<usize> {
        self.sweep.as_ref().map(|sweep| sweep(&store.0, now, limit))
    }

    fn sign_up(&self, store: &Ready<S>, subject: &str) -> String {
        match &self.sign_up {
            Some(sign_up) => sign_up(&store.0, subject),
            None => subject.to_owned(),
        }
    }
}

/// Runs each part on a thread of its own, all at once. Returns the results in the order of the
/// parts, or the first failure.
pub(super) fn at_once<T: Send, I: Send>(
    parts: impl IntoIterator<Item = I>,
    run: impl Fn(I) -> Result<T, Violation> + Sync,
) -> Result<Vec<T>, Violation> {
    let parts: Vec<_> = parts.into_iter().collect();
    let run = &run;
    let start = &Barrier::new(parts.len());
    std::thread::scope(|scope| {
        let begin = |part| {
            scope.spawn(move || {
                start.wait();
                catching_panics(|| run(part))
            })
        };
        let threads: Vec<_> = parts.into_iter().map(begin).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Turns a panic into a violation. A panicking thread could leave other threads waiting for it.
pub(super) fn catching_panics<T>(
    run: impl FnOnce() -> Result<T, Violation>,
) -> Result<T, Violation> {
    let panicked =
        |_| Err(Law::Works.broken("a call of the store or of its harness panicked; see above"));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(panicked)
}
