//! The driver: load, decide, commit, record, and again where that has not settled the request. It
//! knows no operation and no protocol.
//!
//! What happens next is in [`call`], once; here it is only done, by a store that blocks and by one
//! that is awaited.

pub(crate) mod call;
pub(crate) mod guard;

use self::call::{Call, Need};
use self::guard::{Host, Unguarded};
use crate::audit::{AsyncAuditLog, AuditLog};
use crate::event::Event;
use crate::moment::{Clock, Entropy};
use crate::operation::{Operation, Settled};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::store::{AsyncStore, Store};

/// The store failed, or cannot say what became of a write. Nothing was concluded from it and no
/// secret left.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {error}")]
pub struct Failure<E> {
    /// The store's own error.
    pub error: E,
    /// How to tell the client, which may retry: 503, or at the authorization endpoint
    /// `temporarily_unavailable`.
    pub refusal: Refusal,
    /// What happened, for the trail.
    pub event: Box<Event>,
}

/// Runs one operation against a store.
///
/// It has no trail and no guard: the host records the event of the result. If the host stops before
/// it has done so, a durable step stays unrecorded. [`Server`](crate::Server) records each step.
///
/// # Errors
/// [`Failure`] with the store's own error, at once: a result that is not known is not retried here.
pub fn drive<O: Operation, S: Store>(
    operation: &O,
    store: &S,
    policy: &Policy,
    clock: &(impl Clock + ?Sized),
    entropy: Entropy,
) -> Result<Settled<O::Response>, Failure<S::Error>> {
    run(&mut Call::new(operation, &Unguarded { policy, clock }, entropy), store, &())
}

/// [`drive`], awaiting the store.
///
/// It has no trail and no guard either. If the future is dropped during a commit, the step may be
/// durable, and nothing reports it. [`AsyncServer`](crate::AsyncServer) reports it as unknown.
///
/// # Errors
/// [`Failure`] with the store's own error, at once.
pub async fn drive_async<O: Operation + Sync, S: AsyncStore>(
    operation: &O,
    store: &S,
    policy: &Policy,
    clock: &(impl Clock + Sync + ?Sized),
    entropy: Entropy,
) -> Result<Settled<O::Response>, Failure<S::Error>>
where
    O::Response: Send,
{
    let host = Unguarded { policy, clock };
    run_async(&mut Call::new(operation, &host, entropy), store, &()).await
}

/// Does what the call needs, until it is finished. The caller keeps the call: a place in the trail
/// and the call's guard outlive whatever stops this.
pub(crate) fn run<O: Operation, S: Store, T: AuditLog, H: Host>(
    call: &mut Call<'_, O, H, S::Error>,
    store: &S,
    trail: &T,
) -> Result<Settled<O::Response>, Failure<S::Error>> {
    let mut place = T::Place::default();
    loop {
        match call.need() {
            Need::Load(keys) => {
                let loaded = store.load(&keys);
                drop(keys);
                call.loaded(loaded);
            }
            Need::Place(event) => {
                let reserved = trail.reserve(event);
                call.reserved(reserved.map(|reserved| place = reserved));
            }
            Need::Commit(write) => {
                let committed = store.commit(write);
                call.committed(committed);
            }
            Need::Record(event) => {
                let recorded = trail.record(event, std::mem::take(&mut place));
                call.recorded(recorded);
            }
            Need::Nothing => {}
        }
        if let Some(end) = call.finish() {
            return end;
        }
    }
}

/// [`run`], awaiting store and trail. At each `await` the call knows what it has begun: if this
/// future is dropped there, the call reports it.
pub(crate) async fn run_async<O: Operation, S: AsyncStore, T: AsyncAuditLog, H: Host>(
    call: &mut Call<'_, O, H, S::Error>,
    store: &S,
    trail: &T,
) -> Result<Settled<O::Response>, Failure<S::Error>> {
    let mut place = T::Place::default();
    loop {
        match call.need() {
            Need::Load(keys) => {
                let loaded = store.load(&keys).await;
                drop(keys);
                call.loaded(loaded);
            }
            Need::Place(event) => {
                let reserved = trail.reserve(event).await;
                call.reserved(reserved.map(|reserved| place = reserved));
            }
            Need::Commit(write) => {
                let committed = store.commit(write).await;
                call.committed(committed);
            }
            Need::Record(event) => {
                let recorded = trail.record(event, std::mem::take(&mut place)).await;
                call.recorded(recorded);
            }
            Need::Nothing => {}
        }
        if let Some(end) = call.finish() {
            return end;
        }
    }
}
