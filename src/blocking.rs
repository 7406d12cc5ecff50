//! The same server for hosts without an async runtime.
//!
//! [`Server`] has the calls of [`grantcore::Server`](crate::Server), whose documentation holds for
//! both; [`Store`], [`StoreAdministration`], [`Accounts`], [`Outside`] and [`AuditLog`] are the
//! traits of their async namesakes with plain functions. A call runs on its caller's thread from
//! its first line to its last, and nothing is spawned.
//!
//! An async server on a database that blocks uses the same traits: [`OnThreads`] makes each of
//! their calls on a thread pool of the host's.
//!
//! ```
//! use grantcore::{Client, FromStore, MemoryStore, Policy, RequestParts, blocking};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder("https://auth.example")
//!     .scope("notes", "Read and change your notes")
//!     .resource("https://mcp.example/mcp", "notes")
//!     .build()?;
//! let server = blocking::Server::new(policy, MemoryStore::new(), FromStore);
//! let request = RequestParts { method: "POST", ..RequestParts::default() };
//! let reply = server.token(&request).unwrap_or_else(|error| error.reply(server.policy()));
//! assert_eq!(reply.status, 400);
//! # Ok(())
//! # }
//! ```

mod forward;
mod ready;
mod server;
mod threads;
mod traits;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

pub use self::ready::Ready;
pub use self::server::Server;
pub use self::threads::{OnThreads, ThreadError, Work};
pub use self::traits::{Accounts, AuditLog, LoadsAccounts, Outside, Store, StoreAdministration};
use crate::decision::{Operation, Settled};
use crate::drive::call::Call;
use crate::drive::guard::Unguarded;
use crate::drive::run;
use crate::moment::{Clock, Entropy};
use crate::policy::Policy;
use crate::store::{AccountSource, Failure};

/// Runs one operation against a blocking store: see
/// [`operation::drive`](crate::operation::drive()). The store and the accounts may be references.
///
/// # Errors
/// [`Failure`] at the first failure of the store or the accounts.
pub fn drive<O: Operation, S: Store, A>(
    operation: &O,
    store: S,
    accounts: A,
    policy: &Policy,
    clock: &(impl Clock + ?Sized),
    entropy: Entropy,
) -> Result<Settled<O::Response>, Failure<S::Error>>
where
    Ready<A>: AccountSource<Ready<S>>,
{
    // As `operation::drive`, but for its future: the result is not moved out of that.
    let host = Unguarded { policy, clock, keys: OnceLock::new() };
    let mut call = Call::new(operation, &host, entropy);
    block_on(run(&mut call, &Ready(store), &Ready(accounts), &(), &()));
    call.settled()
}

/// Polls a future to its end on this thread. The futures of [`Ready`] parts never wait, so that the
/// first poll is the last one; any other future parks the thread until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
