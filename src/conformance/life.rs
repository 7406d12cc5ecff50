//! How long records are kept: not shorter than they say, and a key that comes back is another
//! record.

use std::thread::sleep;
use std::time::Duration;

use super::harness::Harness;
use super::keys::{Key, Record, came_back, commit, shown};
use super::records::{DAY, now};
use super::{Law, Violation};
use crate::moment::Timestamp;
use crate::record::Commit;

/// How long a store that drops records by itself is given to drop one that is over.
const PATIENCE: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_millis(50);

fn put<H: Harness>(
    harness: &H,
    store: &H::Store,
    key: &Key,
    over: Option<&Record>,
    mark: &str,
) -> Result<Record, Violation> {
    let write = key.write(over.map(Record::version), mark)?;
    let said = harness.wait(commit(store, &write))?;
    Law::Progress.holds(said == Commit::Done, || {
        format!("a commit of {key:?} over {} was told {said:?}", shown(over))
    })?;
    Ok(Record::of(&write))
}

fn gone<H: Harness>(harness: &H, store: &H::Store, key: &Key) -> Result<bool, Violation> {
    Ok(harness.wait(key.read(store))?.is_none())
}

/// Sweeps until nothing is left to drop; false if the store drops by itself. No sweep may drop more
/// than it is told to. It is of this very moment, for others may be at work in this database, and
/// what is over now is nobody's any more.
fn sweep<H: Harness>(harness: &H, store: &H::Store) -> Result<bool, Violation> {
    const MOST: usize = 3;
    loop {
        match harness.sweep(store, now(), MOST) {
            None => return Ok(false),
            Some(0) => return Ok(true),
            Some(dropped) => Law::Swept.holds(dropped <= MOST, || {
                format!("a sweep of at most {MOST} dropped {dropped}")
            })?,
        }
    }
}

/// No record is dropped before its `drop_after`, as it was written last: not by a sweep, and not by
/// the store's own expiry. What is over is dropped by a sweep, bounded.
///
/// # Errors
/// The first [`Violation`].
pub fn nothing_is_dropped_early<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, start) = (harness.open(), now());
    let mut soon = start;
    let mut kept = Vec::new();
    for key in Key::all()? {
        // Ends in a day; never; would have ended soon, and ends in a day now; ended later, and ends
        // in an hour now.
        kept.push((key.clone(), put(harness, &store, &key, None, "for a day")?));
        let never = key.another()?.until(Timestamp::NEVER);
        kept.push((never.clone(), put(harness, &store, &never, None, "for ever")?));
        let longer = key.another()?;
        soon = now().after(Duration::from_secs(3));
        let short = put(harness, &store, &longer.until(soon), None, "for a moment")?;
        kept.push((
            longer.clone(),
            put(harness, &store, &longer, Some(&short), "for a day after all")?,
        ));
        let shorter = key.another()?;
        let long = put(harness, &store, &shorter.until(start.after(20 * DAY)), None, "for long")?;
        let hour = shorter.until(start.after(Duration::from_secs(3600)));
        kept.push((shorter, put(harness, &store, &hour, Some(&long), "for an hour after all")?));
    }
    are_kept(harness, &store, &kept)?;
    while now() <= soon {
        sleep(TURN);
    }
    are_kept(harness, &store, &kept)?;
    over_is_dropped(harness, &store)
}

fn are_kept<H: Harness>(
    harness: &H,
    store: &H::Store,
    kept: &[(Key, Record)],
) -> Result<(), Violation> {
    sweep(harness, store)?;
    for (key, record) in kept {
        let found = harness.wait(key.read(store))?;
        let told = || {
            format!(
                "{record:?} may not be dropped for an hour yet, and there is {}",
                shown(found.as_ref())
            )
        };
        Law::NotEarly.holds(found.as_ref() == Some(record), told)?;
    }
    Ok(())
}

fn over_is_dropped<H: Harness>(harness: &H, store: &H::Store) -> Result<(), Violation> {
    let mut keys = Vec::new();
    for _ in 0..4 {
        for key in Key::all()? {
            put(harness, store, &key.until(now()), None, "over from the beginning")?;
            keys.push(key);
        }
    }
    if sweep(harness, store)? {
        for key in &keys {
            Law::Swept.holds(gone(harness, store, key)?, || {
                format!("{key:?} is over, and no sweep dropped it")
            })?;
        }
    }
    Ok(())
}

/// A key whose record was dropped is a new one when it comes back: a commit over what it was before
/// conflicts, whenever it lands.
///
/// # Errors
/// The first [`Violation`].
pub fn a_key_that_comes_back_is_another_record<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, other) = (harness.open(), harness.open());
    for key in Key::all()? {
        let first = put(harness, &store, &key, None, "the first")?;
        let over = key.until(Timestamp::from_unix_seconds(now().unix_seconds() - 10));
        let second = put(harness, &store, &over, Some(&first), "the first, over")?;
        if !is_dropped(harness, &store, &key)? {
            // It may be kept for longer.
            continue;
        }
        let late = |seen: &Record| -> Result<(), Violation> {
            let said =
                harness.wait(commit(&other, &key.write(Some(seen.version()), "too late")?))?;
            let told = || format!("a commit over {seen:?}, which was dropped, was told {said:?}");
            Law::Compares.holds(said == Commit::Conflict, told)
        };
        late(&second)?;
        Law::Compares.holds(gone(harness, &store, &key)?, || {
            format!("a commit over the dropped {key:?} brought it back")
        })?;
        let again = key.again()?;
        let back = put(harness, &store, &again, None, "the second")?;
        came_back(&back, harness.wait(again.read(&other))?.as_ref(), None)?;
        late(&second)?;
        if back.version() != first.version() {
            late(&first)?;
        }
        came_back(&back, harness.wait(again.read(&store))?.as_ref(), None)?;
    }
    Ok(())
}

/// Whether the store drops what is over: when it is swept, or within some time by itself.
fn is_dropped<H: Harness>(harness: &H, store: &H::Store, key: &Key) -> Result<bool, Violation> {
    if sweep(harness, store)? {
        let told = || format!("{key:?} is over, and no sweep dropped it");
        return Law::Swept.holds(gone(harness, store, key)?, told).map(|()| true);
    }
    for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
        if gone(harness, store, key)? {
            return Ok(true);
        }
        sleep(TURN);
    }
    Ok(false)
}

/// A client that was renewed for its grant's sake is there as long as the grant is.
///
/// # Errors
/// The first [`Violation`].
pub fn a_client_outlives_its_grants<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (store, start) = (harness.open(), now());
    // Time enough for one flow.
    let soon = start.after(Duration::from_secs(5));
    let [.., client] = Key::all()?;
    let host = super::flows::Host::open(harness, 0)?;
    host.sign_up_owner(&client);
    let known = put(harness, &store, &client.until(soon), None, "registered")?;
    super::flows::grant_of(&host, &client)?;
    let renewed = harness.wait(client.read(&store))?;
    Law::NotEarly.holds(renewed.as_ref().is_some_and(|renewed| *renewed != known), || {
        format!(
            "a client that would not have outlived its grant should have been renewed; there is {}",
            shown(renewed.as_ref())
        )
    })?;
    while now() <= soon {
        sleep(TURN);
    }
    sweep(harness, &store)?;
    let found = harness.wait(client.read(&store))?;
    Law::NotEarly.holds(found.is_some(), || {
        "the client of a grant in use was dropped at the end it had before".to_owned()
    })
}
