//! How long records are kept, and what a key means when it is created again.

use std::thread::sleep;
use std::time::Duration;

use super::harness::Harness;
use super::host::Host;
use super::keys::{Key, Record, came_back, commit, shown};
use super::records::{DAY, new_subject, now};
use super::{Law, Violation};
use crate::moment::Timestamp;
use crate::record::Commit;

/// How long the conformance suite waits for a store that drops records by itself.
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
    let result = harness.wait(commit(store, &write))?;
    Law::Progress.holds(result == Commit::Done, || {
        format!("a commit of {key:?} over {} returned {result:?}", shown(over))
    })?;
    Ok(Record::of(&write))
}

fn is_absent<H: Harness>(harness: &H, store: &H::Store, key: &Key) -> Result<bool, Violation> {
    Ok(harness.wait(key.read(store))?.is_none())
}

/// Sweeps until no record is due. Returns `false` if the store drops records by itself. It sweeps
/// as of now: others may use this database at the same time, and nobody uses what is due now.
pub(super) fn sweep<H: Harness>(harness: &H, store: &H::Store) -> Result<bool, Violation> {
    const LIMIT: usize = 3;
    loop {
        match harness.sweep(store, now(), LIMIT) {
            None => return Ok(false),
            Some(0) => return Ok(true),
            Some(dropped) => Law::Swept.holds(dropped <= LIMIT, || {
                format!("a sweep with the limit {LIMIT} dropped {dropped}")
            })?,
        }
    }
}

/// Checks that no record is dropped before its `drop_after`, as it was last written, by a sweep or
/// by the store's own expiry; and that a sweep drops the records that are due, up to its limit.
///
/// # Errors
/// The first [`Violation`].
pub fn records_are_kept_until_drop_after<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let start = now();
    let mut soon = start;
    let mut kept = Vec::new();
    for key in Key::all()? {
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
    due_is_dropped(harness, &store)
}

fn are_kept<H: Harness>(
    harness: &H,
    store: &H::Store,
    kept: &[(Key, Record)],
) -> Result<(), Violation> {
    sweep(harness, store)?;
    for (key, record) in kept {
        let found = harness.wait(key.read(store))?;
        Law::NotEarly.holds(found.as_ref() == Some(record), || {
            let found = shown(found.as_ref());
            format!("{record:?} must be kept for another hour, and {found} is stored")
        })?;
    }
    Ok(())
}

fn due_is_dropped<H: Harness>(harness: &H, store: &H::Store) -> Result<(), Violation> {
    let mut keys = Vec::new();
    for _ in 0..4 {
        for key in Key::all()? {
            put(harness, store, &key.until(now()), None, "due from the beginning")?;
            keys.push(key);
        }
    }
    if sweep(harness, store)? {
        for key in &keys {
            Law::Swept.holds(is_absent(harness, store, key)?, || {
                format!("{key:?} is due, and no sweep dropped it")
            })?;
        }
    }
    Ok(())
}

/// Checks that a record that is created again after it was dropped is a new one: a commit over the
/// version that it had before conflicts, whenever it lands.
///
/// # Errors
/// The first [`Violation`].
pub fn a_recreated_record_rejects_old_versions<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    let other = harness.open();
    for key in Key::all()? {
        let first = put(harness, &store, &key, None, "the first")?;
        let due = key.until(Timestamp::from_unix_seconds(now().unix_seconds() - 10));
        let second = put(harness, &store, &due, Some(&first), "the first, due")?;
        if !is_dropped(harness, &store, &key)? {
            // A store may keep it for longer.
            continue;
        }
        let late = |seen: &Record| -> Result<(), Violation> {
            let write = key.write(Some(seen.version()), "too late")?;
            let result = harness.wait(commit(&other, &write))?;
            Law::Compares.holds(result == Commit::Conflict, || {
                format!("a commit over {seen:?}, which was dropped, returned {result:?}")
            })
        };
        late(&second)?;
        Law::Compares.holds(is_absent(harness, &store, &key)?, || {
            format!("a commit over the dropped {key:?} created it again")
        })?;
        let again = key.recreated()?;
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

/// Returns whether the store drops a record that is due: in a sweep, or by itself within some time.
fn is_dropped<H: Harness>(harness: &H, store: &H::Store, key: &Key) -> Result<bool, Violation> {
    if sweep(harness, store)? {
        Law::Swept.holds(is_absent(harness, store, key)?, || {
            format!("{key:?} is due, and no sweep dropped it")
        })?;
        return Ok(true);
    }
    for _ in 0..PATIENCE.as_millis() / TURN.as_millis() {
        if is_absent(harness, store, key)? {
            return Ok(true);
        }
        sleep(TURN);
    }
    Ok(false)
}

/// Checks that a client that was renewed because of a grant is kept as long as the grant.
///
/// # Errors
/// The first [`Violation`].
pub fn a_client_outlives_its_grants<H: Harness>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    // Time enough for one flow.
    let soon = now().after(Duration::from_secs(5));
    let [.., client] = Key::all()?;
    let host = Host::open(harness, 0)?;
    let known = put(harness, &store, &client.until(soon), None, "registered")?;
    if let Key::Client(client) = &client {
        host.first_pair(client.id().as_str(), new_subject()?.as_str())?;
    }
    let renewed = harness.wait(client.read(&store))?;
    Law::NotEarly.holds(renewed.as_ref().is_some_and(|renewed| *renewed != known), || {
        let renewed = shown(renewed.as_ref());
        format!("a client must be renewed before it expires under its grant; {renewed} is stored")
    })?;
    while now() <= soon {
        sleep(TURN);
    }
    sweep(harness, &store)?;
    let found = harness.wait(client.read(&store))?;
    Law::NotEarly.holds(found.is_some(), || {
        "the client of a grant in use was dropped at its earlier drop_after".to_owned()
    })
}
