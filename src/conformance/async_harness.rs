//! Harnesses of async stores and accounts, made of functions.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use super::accounts::AccountsHarness;
use super::harness::Harness;
use crate::account::Accounts;
use crate::moment::Timestamp;
use crate::store::Store;

/// Runs a future to its end on the thread that calls it.
type Wait = Arc<dyn Fn(Pin<&mut (dyn Future<Output = ()> + '_)>) + Send + Sync>;
type Open<S> = Box<dyn Fn() -> S + Sync>;
type Sweep<S> = Box<dyn Fn(&S, Timestamp, usize) -> usize + Sync>;
type SignUp<S> = Box<dyn Fn(&S, &str) -> String + Sync>;

#[expect(clippy::expect_used, reason = "a function that does not run its future is a host's fault")]
fn run<F: Future>(wait: &Wait, future: F) -> F::Output {
    let mut output = None;
    wait(pin!(async { output = Some(future.await) }));
    output.expect("the function that was given to the harness runs a future to its end")
}

/// A [`Harness`] of an async [`Store`], made of a function that runs a future and one that opens
/// the store. See the [module](mod@crate::conformance) for an example.
pub struct Async<S> {
    wait: Wait,
    open: Open<S>,
    sweep: Option<Sweep<S>>,
    sign_up: Option<SignUp<S>>,
}

impl<S> fmt::Debug for Async<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").finish_non_exhaustive()
    }
}

impl<S: Store + 'static> Async<S> {
    /// Returns a harness that runs each future with `wait`, on several threads at once, and opens
    /// each handle with `open`: see [`Harness::open`].
    pub fn new(
        wait: impl Fn(Pin<&mut (dyn Future<Output = ()> + '_)>) + Send + Sync + 'static,
        open: impl AsyncFn() -> S + Sync + 'static,
    ) -> Self {
        let wait: Wait = Arc::new(wait);
        let runs = Arc::clone(&wait);
        let open = Box::new(move || run(&runs, open()));
        Self { wait, open, sweep: None, sign_up: None }
    }

    /// Sweeps with this function.
    #[must_use = "returns the harness with the sweep function set"]
    pub fn with_sweep(
        self,
        sweep: impl AsyncFn(&S, Timestamp, usize) -> usize + Sync + 'static,
    ) -> Self {
        let wait = Arc::clone(&self.wait);
        let sweep: Sweep<S> =
            Box::new(move |store, now, limit| run(&wait, sweep(store, now, limit)));
        Self { sweep: Some(sweep), ..self }
    }

    /// Creates accounts with this function, for a store that
    /// [loads accounts](crate::LoadsAccounts): see [`Harness::sign_up`].
    #[must_use = "returns the harness with the sign-up function set"]
    pub fn with_sign_up(self, sign_up: impl AsyncFn(&S, &str) -> String + Sync + 'static) -> Self {
        let wait = Arc::clone(&self.wait);
        let sign_up: SignUp<S> =
            Box::new(move |store, subject| run(&wait, sign_up(store, subject)));
        Self { sign_up: Some(sign_up), ..self }
    }
}

impl<S: Store> Harness for Async<S> {
    type Store = S;

    fn open(&self) -> S {
        (self.open)()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        run(&self.wait, future)
    }

    fn sweep(&self, store: &S, now: Timestamp, limit: usize) -> Option<usize> {
        self.sweep.as_ref().map(|sweep| sweep(store, now, limit))
    }

    fn sign_up(&self, store: &S, subject: &str) -> String {
        match &self.sign_up {
            Some(sign_up) => sign_up(store, subject),
            None => subject.to_owned(),
        }
    }
}

/// An [`AccountsHarness`] of async [`Accounts`], made of a function that runs a future and one that
/// opens them: see [`Async`].
pub struct AsyncAccounts<A> {
    wait: Wait,
    open: Open<A>,
    sign_up: Option<SignUp<A>>,
}

impl<A> fmt::Debug for AsyncAccounts<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncAccounts").finish_non_exhaustive()
    }
}

impl<A: Accounts + 'static> AsyncAccounts<A> {
    /// Returns a harness that runs each future with `wait` and opens each handle with `open`.
    pub fn new(
        wait: impl Fn(Pin<&mut (dyn Future<Output = ()> + '_)>) + Send + Sync + 'static,
        open: impl AsyncFn() -> A + Sync + 'static,
    ) -> Self {
        let wait: Wait = Arc::new(wait);
        let runs = Arc::clone(&wait);
        Self { wait, open: Box::new(move || run(&runs, open())), sign_up: None }
    }

    /// Creates accounts with this function: see [`AccountsHarness::sign_up`].
    #[must_use = "returns the harness with the sign-up function set"]
    pub fn with_sign_up(self, sign_up: impl AsyncFn(&A, &str) -> String + Sync + 'static) -> Self {
        let wait = Arc::clone(&self.wait);
        let sign_up: SignUp<A> =
            Box::new(move |accounts, subject| run(&wait, sign_up(accounts, subject)));
        Self { sign_up: Some(sign_up), ..self }
    }
}

impl<A: Accounts> AccountsHarness for AsyncAccounts<A> {
    type Accounts = A;

    fn open(&self) -> A {
        (self.open)()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        run(&self.wait, future)
    }

    fn sign_up(&self, accounts: &A, subject: &str) -> String {
        match &self.sign_up {
            Some(sign_up) => sign_up(accounts, subject),
            None => subject.to_owned(),
        }
    }
}
