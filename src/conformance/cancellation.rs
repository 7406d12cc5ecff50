//! Calls that are cancelled at each point where they wait, as the calls of a client that hangs up.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::harness::Harness;
use super::keys::{Key, Record, came_back, commit, shown};
use super::{Law, Violation};
use crate::keys::Keys;
use crate::record::{Commit, Version};
use crate::store::Store as _;

/// A call that waits more often than this is not cancelled at every point.
const POINT_LIMIT: usize = 64;
/// A cancelled commit may land late and conflict this often.
const TURN_LIMIT: usize = 20;

/// Checks that a commit that is dropped where it waits has written all or nothing, sooner or later.
/// The handle stays usable, and a later acknowledged commit on it is not lost with the dropped one,
/// as it would be in a transaction that was left open.
///
/// # Errors
/// The first [`Violation`].
pub fn a_cancelled_call_leaves_all_or_nothing<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let other = harness.open();
    let mut points = 0;
    while points < POINT_LIMIT {
        let mut was_cancelled = false;
        for key in Key::all()? {
            was_cancelled |= cancel_at(harness, (&store, &other), &key, points)?;
        }
        if !was_cancelled {
            break;
        }
        points += 1;
    }
    Ok(())
}

/// Drops one commit at this point, and returns whether the commit waited so often.
fn cancel_at<H: Harness>(
    harness: &H,
    (store, other): (&H::Store, &H::Store),
    key: &Key,
    point: usize,
) -> Result<bool, Violation> {
    let first = key.write(None, "before")?;
    let result = harness.wait(commit(store, &first))?;
    Law::WholeOrNothing.holds(result == Commit::Done, || {
        format!("after calls were cancelled, a commit of a new {key:?} returned {result:?}")
    })?;
    let before = Record::of(&first);
    let dropped = key.write(Some(before.version()), "cancelled")?;
    let ended = harness.wait(at_most(point, store.commit(&dropped)));
    // Reads are cancelled as well.
    let reads = Keys { grant: grant_of(key), client: "nobody".into(), ..Keys::default() };
    let _ = harness.wait(at_most(point, store.load(&reads)));

    for _ in 0..TURN_LIMIT {
        let Some(found) = harness.wait(key.read(other))? else {
            return Err(Law::WholeOrNothing.broken(format_args!(
                "after a cancelled commit of {key:?}, the record is absent"
            )));
        };
        let is_whole = found == before || found == Record::of(&dropped);
        Law::WholeOrNothing.holds(is_whole, || {
            format!("after a cancelled commit, {} is stored", shown(Some(&found)))
        })?;
        if commit_again(harness, (store, other), key, found.version())? {
            return Ok(ended.is_none());
        }
    }
    let observed = "after a cancelled commit, every commit over the stored version is Conflict";
    Err(Law::WholeOrNothing.broken(observed))
}

/// Commits over the stored version and returns whether that was done. The other handle must then
/// read it.
fn commit_again<H: Harness>(
    harness: &H,
    (store, other): (&H::Store, &H::Store),
    key: &Key,
    seen: Version,
) -> Result<bool, Violation> {
    let write = key.write(Some(seen), "afterwards")?;
    if harness.wait(commit(store, &write))? == Commit::Conflict {
        return Ok(false);
    }
    let read = harness.wait(key.read(other))?;
    came_back(&Record::of(&write), read.as_ref(), None)
        .map_err(|violation| Law::WholeOrNothing.broken(violation))?;
    Ok(true)
}

fn grant_of(key: &Key) -> Option<crate::value::GrantId> {
    if let Key::Grant(draft) = key { Some(draft.id) } else { None }
}

/// Polls a future this often and once more, and drops it if it is not ready then.
async fn at_most<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}
