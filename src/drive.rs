//! The driver: load, decide, commit, and again on a conflict. It knows no operation and no protocol.

use crate::moment::{Clock, Entropy, Moment};
use crate::operation::{Commit, Decision, Loaded, Operation, Settled};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::store::{AsyncStore, Store};

/// How often one request is decided before it is told to come back. Each conflict means that another request made progress.
const ATTEMPTS: usize = 4;

/// The store failed, or cannot say what became of a write. Nothing was concluded from it and no secret left.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {error}")]
pub struct Failure<E> {
    /// The store's own error.
    pub error: E,
    /// How to tell the client, which may retry: 503, or at the authorization endpoint `temporarily_unavailable`.
    pub refusal: Refusal,
}

/// Runs one operation against a store.
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
    let mut moment = Moment::new(clock.now(), entropy);
    for _ in 0..ATTEMPTS {
        let loaded = store.load(&operation.keys(&moment)).map_err(|error| unread(operation, error))?;
        let decision = operation.decide(&loaded, policy, &moment);
        let commit = match decision.write().map(|write| store.commit(write)) {
            None => Commit::Done,
            Some(Ok(commit)) => commit,
            Some(Err(error)) => return Err(unwritten(operation, decision, error)),
        };
        if let Some(settled) = decision.settle(commit) {
            return Ok(settled);
        }
        moment = moment.again(clock.now());
    }
    Ok(contended(operation, &moment))
}

/// [`drive`], awaiting the store.
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
    let mut moment = Moment::new(clock.now(), entropy);
    for _ in 0..ATTEMPTS {
        let loaded = store.load(&operation.keys(&moment)).await.map_err(|error| unread(operation, error))?;
        let decision = operation.decide(&loaded, policy, &moment);
        let commit = match decision.write() {
            None => Ok(Commit::Done),
            Some(write) => store.commit(write).await,
        };
        let commit = match commit {
            Ok(commit) => commit,
            Err(error) => return Err(unwritten(operation, decision, error)),
        };
        if let Some(settled) = decision.settle(commit) {
            return Ok(settled);
        }
        moment = moment.again(clock.now());
    }
    Ok(contended(operation, &moment))
}

fn unread<E>(operation: &impl Operation, error: E) -> Failure<E> {
    Failure { error, refusal: Refusal::plain(Reason::StorageUnavailable, operation.surface()) }
}

fn unwritten<T, E>(operation: &impl Operation, decision: Decision<T>, error: E) -> Failure<E> {
    Failure { error, refusal: decision.abandon(operation.surface()) }
}

/// Every attempt lost its race: nothing was written, and the client may come back.
fn contended<O: Operation>(operation: &O, moment: &Moment) -> Settled<O::Response> {
    let refused: Decision<O::Response> = Decision::refuse(Reason::Contended, operation.surface(), &Loaded::default(), moment);
    refused.into_settled()
}
