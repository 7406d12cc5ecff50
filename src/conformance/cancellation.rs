//! Calls that are dropped half way, as those of a client that went away: at each point where they
//! wait.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::harness::Harness;
use super::keys::{Key, Record, came_back, commit, shown};
use super::{Law, Violation};
use crate::keys::Keys;
use crate::record::{Commit, Version};
use crate::store::AsyncStore as _;

/// A call that waits more often than this is not cut at every point.
const MOST_POINTS: usize = 64;
/// What was dropped may land late and be in the way so often.
const MOST_TURNS: usize = 20;

/// A commit that is dropped where it waits has written all or nothing, sooner or later. The handle
/// is as good as before, and nothing that is acknowledged on it afterwards is lost with what was
/// dropped (as it would be if a transaction were left open).
///
/// # Errors
/// The first [`Violation`].
pub fn a_dropped_future_leaves_all_or_nothing<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, other) = (harness.open(), harness.open());
    let mut points = 0;
    while points < MOST_POINTS {
        let mut cut = false;
        for key in Key::all()? {
            cut |= drop_at(harness, (&store, &other), &key, points)?;
        }
        if !cut {
            break;
        }
        points += 1;
    }
    Ok(())
}

/// Drops one commit where it waits for the time of this number, and says whether it had to wait so
/// often.
fn drop_at<H: Harness>(
    harness: &H,
    (store, other): (&H::Store, &H::Store),
    key: &Key,
    point: usize,
) -> Result<bool, Violation> {
    let first = key.write(None, "before")?;
    let said = harness.wait(commit(store, &first))?;
    Law::WholeOrNothing.holds(said == Commit::Done, || {
        format!("a new {key:?} was told {said:?} after calls were dropped")
    })?;
    let (before, dropped) =
        (Record::of(&first), key.write(Some(Record::of(&first).version()), "dropped half way")?);
    let ended = harness.wait(at_most(point, store.commit(&dropped)));
    // Reads are dropped as well.
    let reads = Keys { grant: grant_of(key), client: "nobody".into(), ..Keys::default() };
    let _ = harness.wait(at_most(point, store.load(&reads)));

    for _ in 0..MOST_TURNS {
        let Some(found) = harness.wait(key.read(other))? else {
            return Err(Law::WholeOrNothing
                .broken(format_args!("after a dropped commit of {key:?} nothing is there")));
        };
        let whole = found == before || found == Record::of(&dropped);
        Law::WholeOrNothing
            .holds(whole, || format!("after a dropped commit, there is {}", shown(Some(&found))))?;
        if another(harness, (store, other), key, found.version())? {
            return Ok(ended.is_none());
        }
    }
    let told = "after a dropped commit, every commit over what is there is told Conflict";
    Err(Law::WholeOrNothing.broken(told))
}

/// Commits over what is there, and says whether it was done. Then it is there for the other handle,
/// too.
fn another<H: Harness>(
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

fn grant_of(key: &Key) -> Option<crate::GrantId> {
    if let Key::Grant(draft) = key { Some(draft.id) } else { None }
}

/// Polls a future so often, and once more, and drops it if it is not ready then.
async fn at_most<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), times);
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
