//! The laws of single-use marks: created once and never changed, read by every handle, and kept
//! until their `drop_after`. A mark that is lost makes its assertion usable again.

use std::thread::sleep;
use std::time::Duration;

use super::assertion::AssertionRequest;
use super::harness::{Harness, at_once};
use super::keys::commit;
use super::law::works;
use super::life::sweep;
use super::records::{drawn, now};
use super::{Law, Violation};
use crate::account::AlwaysActive;
use crate::drive::drive;
use crate::moment::{CorrelationId, EntropySource as _, SystemClock, SystemEntropy, Timestamp};
use crate::reason::Reason;
use crate::record::{Commit, Write};
use crate::seen::Seen;
use crate::store::Store;
use crate::value::seen_key::SeenKey;

/// The number of handles that create a mark at the same time.
const WORKERS: usize = 8;
/// The number of repetitions: a fault shows only if two creations meet.
const ROUNDS: usize = 20;
/// The number of whole requests that are raced.
const FLOWS: usize = 12;
/// How long the conformance suite waits for a store that drops marks by itself.
const PATIENCE: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_millis(50);

/// Returns a new key.
pub(super) fn new_key() -> Result<SeenKey, Violation> {
    let entropy = drawn()?;
    Ok(SeenKey::from_bytes(*entropy.secret().digest().bytes()))
}

/// Returns a mark of this key by another request, which may be dropped at this time.
pub(super) fn mark_until(key: SeenKey, drop_after: Timestamp) -> Result<Seen, Violation> {
    let end = Timestamp::from_unix_seconds(drop_after.unix_seconds().saturating_sub(600));
    Ok(Seen::new(key, drawn()?.correlation(), end))
}

/// Returns a mark of this key by another request, which is kept for an hour.
pub(super) fn mark(key: SeenKey) -> Result<Seen, Violation> {
    mark_until(key, now().after(Duration::from_secs(3600)))
}

async fn create<S: Store>(store: &S, seen: &Seen) -> Result<Commit, Violation> {
    commit(store, &Write::moved_seen(seen.clone())).await
}

fn read<H: Harness>(
    harness: &H,
    store: &H::Store,
    key: &SeenKey,
) -> Result<Option<Seen>, Violation> {
    works("a read of a mark", harness.wait(store.seen(key)))
}

/// Checks that a mark is created if there is none of its key, that a second creation conflicts and
/// changes nothing, and that every handle reads the first one at once.
///
/// # Errors
/// The first [`Violation`].
pub fn a_mark_is_created_once<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, other) = (harness.open(), harness.open());
    for round in 0..ROUNDS {
        let key = new_key()?;
        for handle in [&store, &other] {
            let found = read(harness, handle, &key)?;
            Law::MarkOnce.holds(found.is_none(), || format!("a new key has the mark {found:?}"))?;
        }
        let first = mark(key)?;
        let created = harness.wait(create(&store, &first))?;
        Law::Progress.holds(created == Commit::Done, || {
            format!("the creation of a new mark returned {created:?}")
        })?;
        for (handle, law) in [(&other, Law::Fresh), (&store, Law::Done)] {
            is_read(harness, handle, &first, law)?;
        }
        // The same request again, as a driver that repeats a command, and another request.
        for (handle, again) in [(&store, first.clone()), (&other, mark(key)?), (&store, mark(key)?)]
        {
            let created = harness.wait(create(handle, &again))?;
            Law::MarkOnce.holds(created == Commit::Conflict, || {
                format!("round {round}: a second creation of a mark returned {created:?}")
            })?;
            for handle in [&store, &other] {
                is_read(harness, handle, &first, Law::MarkOnce)?;
            }
        }
        // Neighbors of the key are other marks.
        let mut neighbor = *key.as_bytes();
        if let Some(last) = neighbor.last_mut() {
            *last ^= 1;
        }
        let neighbor = mark(SeenKey::from_bytes(neighbor))?;
        let created = harness.wait(create(&other, &neighbor))?;
        Law::Progress.holds(created == Commit::Done, || {
            format!("the creation of a mark beside another returned {created:?}")
        })?;
    }
    Ok(())
}

fn is_read<H: Harness>(
    harness: &H,
    store: &H::Store,
    written: &Seen,
    law: Law,
) -> Result<(), Violation> {
    let found = read(harness, store, written.key())?;
    law.holds(found.as_ref() == Some(written), || {
        format!("after the creation of {written:?}, a read of its key returned {found:?}")
    })
}

/// Checks that of many simultaneous creations of one mark, each through a handle of its own,
/// exactly one is done, and that the mark is the winner's.
///
/// # Errors
/// The first [`Violation`].
pub fn one_of_many_creations_of_a_mark_is_done<H: Harness>(harness: &H) -> Result<(), Violation> {
    let stores: Vec<_> = (0..WORKERS).map(|_| harness.open()).collect();
    let witness = harness.open();
    for _ in 0..ROUNDS {
        let key = new_key()?;
        let commits = at_once(&stores, |store| {
            let own = mark(key)?;
            Ok((harness.wait(create(store, &own))?, own))
        })?;
        let done: Vec<_> = commits
            .iter()
            .filter(|(commit, _)| *commit == Commit::Done)
            .map(|(_, own)| own)
            .collect();
        let observed = || format!("{WORKERS} creations of one mark: {} were Done", done.len());
        Law::MarkOnce.holds(done.len() <= 1, observed)?;
        let Some(winner) = done.first() else { return Err(Law::Progress.broken(observed())) };
        is_read(harness, &witness, winner, Law::MarkOnce)?;
    }
    Ok(())
}

/// Checks that no mark is dropped before its `drop_after`, by a sweep or by the store's own expiry,
/// and that a sweep drops the marks that are due, up to its limit.
///
/// # Errors
/// The first [`Violation`].
pub fn marks_are_kept_until_drop_after<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let start = now();
    let after = |seconds| start.after(Duration::from_secs(seconds));
    // The first ones are past the end of their assertions, and kept for the margin.
    let mut kept = Vec::new();
    for seconds in [60, 540, 599, 660, 4_200, 30 * 24 * 60 * 60] {
        kept.push(mark_until(new_key()?, after(seconds))?);
    }
    for seen in &kept {
        let created = harness.wait(create(&store, seen))?;
        Law::Progress.holds(created == Commit::Done, || {
            format!("the creation of a new mark returned {created:?}")
        })?;
    }
    let mut due = Vec::new();
    for _ in 0..5 {
        let seen = mark_until(new_key()?, start)?;
        harness.wait(create(&store, &seen))?;
        due.push(seen);
    }
    let is_swept = sweep(harness, &store)?;
    let soon = now().after(Duration::from_secs(2));
    while now() <= soon {
        sleep(TURN);
    }
    for seen in &kept {
        is_read(harness, &store, seen, Law::NotEarly)?;
        let created = harness.wait(create(&store, &mark(*seen.key())?))?;
        Law::NotEarly.holds(created == Commit::Conflict, || {
            format!("a mark must be kept for another minute, and was created again: {created:?}")
        })?;
    }
    for seen in &due {
        let mut found = read(harness, &store, seen.key())?;
        // A store that drops marks by itself may take its time.
        for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
            if is_swept || found.is_none() {
                break;
            }
            sleep(TURN);
            found = read(harness, &store, seen.key())?;
        }
        Law::Swept
            .holds(found.is_none(), || format!("{found:?} is due, and no sweep dropped it"))?;
    }
    Ok(())
}

/// Checks that of several nodes that get one assertion at once, one accepts it, and that no node
/// accepts it afterwards (I32).
///
/// # Errors
/// The first [`Violation`].
pub fn an_assertion_is_accepted_once<H: Harness>(harness: &H) -> Result<(), Violation> {
    let stores: Vec<_> = (0..4).map(|_| harness.open()).collect();
    for _ in 0..FLOWS {
        let jti = new_key()?.to_string();
        let accept = |store: &H::Store| accepted(harness, store, &jti);
        let accepted = at_once(&stores, accept)?;
        let count = accepted.iter().flatten().count();
        Law::OneAcceptance.holds(count == 1, || {
            format!("{} requests with one assertion: {count} were accepted", stores.len())
        })?;
        for store in &stores {
            let again = accept(store)?;
            Law::OneAcceptance.holds(again.is_none(), || {
                "an assertion was accepted again after it was used".to_owned()
            })?;
        }
    }
    Ok(())
}

/// Sends a request with this assertion, and returns its id if it was accepted.
pub(super) fn accepted<H: Harness>(
    harness: &H,
    store: &H::Store,
    jti: &str,
) -> Result<Option<CorrelationId>, Violation> {
    let request = AssertionRequest::new(jti, now().after(Duration::from_secs(300)))?;
    let policy = AssertionRequest::policy()?;
    let entropy = works("drawing randomness", SystemEntropy.draw())?;
    let by = entropy.correlation();
    let run = drive(&request, store, &AlwaysActive, &policy, &SystemClock, entropy);
    match works("a request", harness.wait(run))?.outcome {
        Ok(_) => Ok(Some(by)),
        Err(refusal) => {
            let reason = refusal.reason();
            let is_right = [AssertionRequest::REPLAYED, Reason::Contended].contains(&reason);
            Law::Works.holds(is_right, || format!("a request was refused as {reason:?}"))?;
            Ok(None)
        }
    }
}
