//! The driver: load, decide, commit, and again where that has not settled it. It knows no operation
//! and no protocol.

use crate::event::{Event, EventKind};
use crate::moment::{Clock, Entropy, Moment};
use crate::operation::{Decision, Operation, Settled};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::record::Commit;
use crate::refusal::Refusal;
use crate::store::{AsyncStore, Store};

/// How often one request is decided before it is told to come back. Each conflict means that
/// another request made progress; the rare write that only prepares takes one turn as well.
const ATTEMPTS: u32 = 4;

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
/// # Errors
/// [`Failure`] with the store's own error, at once: a result that is not known is not retried here.
pub fn drive<O: Operation, S: Store>(
    operation: &O,
    store: &S,
    policy: &Policy,
    clock: &(impl Clock + ?Sized),
    entropy: Entropy,
) -> Result<Settled<O::Response>, Failure<S::Error>> {
    let (mut moment, mut attempt) = (Moment::new(clock.now(), entropy), 1);
    loop {
        let loaded = store
            .load(&operation.keys(&moment))
            .map_err(|error| unread(operation, policy, &moment, error))?;
        let decision = operation.decide(&loaded, policy, &moment);
        let commit = decision.write().map_or(Ok(Commit::Done), |write| store.commit(write));
        if let Some(end) = conclude(operation, decision, commit, attempt) {
            return told(end, policy);
        }
        (moment, attempt) = (moment.again(clock.now()), attempt + 1);
    }
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
    let (mut moment, mut attempt) = (Moment::new(clock.now(), entropy), 1);
    loop {
        let loaded = store
            .load(&operation.keys(&moment))
            .await
            .map_err(|error| unread(operation, policy, &moment, error))?;
        let decision = operation.decide(&loaded, policy, &moment);
        let commit = match decision.write() {
            Some(write) => store.commit(write).await,
            None => Ok(Commit::Done),
        };
        if let Some(end) = conclude(operation, decision, commit, attempt) {
            return told(end, policy);
        }
        (moment, attempt) = (moment.again(clock.now()), attempt + 1);
    }
}

/// What an attempt ends in; nothing if it has not settled the request and there is another.
fn conclude<O: Operation, E>(
    operation: &O,
    decision: Decision<O::Response>,
    commit: Result<Commit, E>,
    attempt: u32,
) -> Option<Result<Settled<O::Response>, Failure<E>>> {
    match commit {
        Err(error) => {
            let (refusal, event) =
                decision.given_up(Reason::StorageUnavailable, operation.surface());
            Some(Err(Failure { error, refusal, event: Box::new(event) }))
        }
        Ok(commit) if attempt >= ATTEMPTS && decision.is_undecided(commit) => {
            let (refusal, event) = decision.given_up(Reason::Contended, operation.surface());
            Some(Ok(Settled { outcome: Err(refusal), event }))
        }
        Ok(commit) => decision.settle(commit).map(Ok),
    }
}

/// Notes in the event what is about to be answered.
fn told<T, E>(
    end: Result<Settled<T>, Failure<E>>,
    policy: &Policy,
) -> Result<Settled<T>, Failure<E>> {
    match end {
        Ok(settled) => Ok(settled.told(policy)),
        Err(mut failure) => {
            failure.event.sent = Some(Box::new(failure.refusal.sent(policy)));
            Err(failure)
        }
    }
}

fn unread<E>(operation: &impl Operation, policy: &Policy, moment: &Moment, error: E) -> Failure<E> {
    let reason = Reason::StorageUnavailable;
    let mut event = Event::new(EventKind::Refused, Some(reason), moment);
    event.flow = operation.keys(moment).grant;
    event.claim(&operation.keys(moment).client.unwrap_or_default());
    let refusal = Refusal::plain(reason, operation.surface()).correlated(event.correlation);
    event.sent = Some(Box::new(refusal.sent(policy)));
    Failure { error, refusal, event: Box::new(event) }
}
