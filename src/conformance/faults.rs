//! Requests and answers that are lost on the way: a store returns nothing that it does not know.

use std::fmt;

use super::harness::Harness;
use super::keys::{Key, Record, shown};
use super::{Law, Violation, marks};
use crate::keys::Keys;
use crate::record::{Commit, Write};
use crate::store::Store as _;
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;

/// What happens to the next request to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a harness must produce each of them")]
pub enum Fault {
    /// The connection is closed before the request arrives.
    DropBefore,
    /// The request is carried out, and the connection is closed before the answer arrives.
    DropAfter,
    /// The answer is late, if possible later than the store waits for it.
    Delay,
    /// The request is carried out, and the connection is reset.
    Reset,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [Self::DropBefore, Self::DropAfter, Self::Delay, Self::Reset];
}

/// How often each fault happens to each kind of record.
const ROUNDS: usize = 3;
/// Within how many calls a store recovers.
const TURNS: usize = 50;

/// A database behind a proxy that loses requests and answers on demand.
pub trait Faults: Harness {
    /// Lets this happen to the next request to the database, through any handle, and to no other.
    fn arm(&self, fault: Fault);

    /// Lets nothing happen any more.
    fn disarm(&self);
}

/// Checks that a commit whose answer is lost is an error or returns the truth, and that a read
/// whose answer is lost is an error or right. The handle must work again afterwards.
///
/// # Errors
/// The first [`Violation`].
pub fn unknown_results_are_errors<H: Faults>(harness: &H) -> Result<(), Violation> {
    for _ in 0..ROUNDS {
        for fault in Fault::ALL {
            for key in Key::all()? {
                lose(harness, fault, &key)?;
            }
            lose_mark(harness, fault)?;
        }
    }
    Ok(())
}

/// Loses the creation of a mark, and then a read of it.
fn lose_mark<H: Faults>(harness: &H, fault: Fault) -> Result<(), Violation> {
    let store = harness.open();
    let own = marks::mark(marks::new_key()?)?;
    let find =
        || recover(|| harness.wait(store.seen(own.key())).map_err(|error| format!("{error:?}")));
    // The connection is open by now, so that the creation is what is lost.
    find()?;
    let write = Write::moved_seen(own.clone());
    harness.arm(fault);
    let result = harness.wait(store.commit(&write));
    harness.disarm();
    let stored = find()?;
    let is_there = stored.as_ref() == Some(&own);
    let is_true = match &result {
        // A driver that repeats its command meets its own mark. The library recognizes it.
        Ok(Commit::Done | Commit::Conflict) => is_there,
        Err(_) => is_there || stored.is_none(),
    };
    Law::Unknown.holds(is_true, || {
        format!("{fault:?}: the creation of a mark returned {result:?}, and {stored:?} is stored")
    })?;
    // From here on nothing lands late.
    recover(|| harness.wait(store.commit(&write)).map_err(|error| format!("{error:?}")))?;
    harness.arm(fault);
    let found = harness.wait(store.seen(own.key()));
    harness.disarm();
    let is_right = found.as_ref().map_or(true, |found| found.as_ref() == Some(&own));
    Law::Unknown
        .holds(is_right, || format!("{fault:?}: a mark is stored, and a read returned {found:?}"))
}

fn lose<H: Faults>(harness: &H, fault: Fault, key: &Key) -> Result<(), Violation> {
    let store = harness.open();
    let mut stored: Option<Record> = None;
    for mark in ["created", "replaced", "replaced again"] {
        // The connection is open by now, so that the commit is what is lost.
        recovered(harness, &store, key)?;
        let write = key.write(stored.as_ref().map(Record::version), mark)?;
        harness.arm(fault);
        let result = harness.wait(store.commit(&write));
        harness.disarm();
        let before = stored.clone();
        let after = Some(Record::of(&write));
        stored = recovered(harness, &store, key)?;
        let is_true = match &result {
            Ok(Commit::Done) => stored == after,
            // Nobody else writes here, so the version was right.
            Ok(Commit::Conflict) => false,
            Err(_) => stored == before || stored == after,
        };
        Law::Unknown.holds(is_true, || {
            format!(
                "{fault:?}: a commit over {} returned {result:?}, and {} is stored",
                shown(before.as_ref()),
                shown(stored.as_ref())
            )
        })?;
        // From here on nothing lands late.
        stored = Some(settled(harness, &store, key, stored)?);
        reads(harness, &store, fault, (key, stored.as_ref()))?;
    }
    Ok(())
}

/// Commits over the stored version until that is done. A lost commit may land late until then, and
/// not afterwards.
pub(super) fn settled<H: Faults>(
    harness: &H,
    store: &H::Store,
    key: &Key,
    mut seen: Option<Record>,
) -> Result<Record, Violation> {
    for _ in 0..TURNS {
        let write = key.write(seen.as_ref().map(Record::version), "settled")?;
        if let Ok(Commit::Done) = harness.wait(store.commit(&write)) {
            return Ok(Record::of(&write));
        }
        seen = recovered(harness, store, key)?;
    }
    Err(Law::Works.broken("after a fault no commit is done any more"))
}

/// Reads the record as soon as the handle has recovered.
fn recovered<H: Faults>(
    harness: &H,
    store: &H::Store,
    key: &Key,
) -> Result<Option<Record>, Violation> {
    recover(|| harness.wait(key.find(store)).map_err(|error| format!("{error:?}")))
}

/// Makes the call until it succeeds.
fn recover<T>(call: impl Fn() -> Result<T, String>) -> Result<T, Violation> {
    let mut last = String::new();
    for _ in 0..TURNS {
        match call() {
            Ok(found) => return Ok(found),
            Err(error) => last = error,
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err(Law::Works.broken(format_args!("after a fault the handle does not recover: {last}")))
}

/// Checks that a lost read is an error or right, and never absent.
fn reads<H: Faults>(
    harness: &H,
    store: &H::Store,
    fault: Fault,
    (key, stored): (&Key, Option<&Record>),
) -> Result<(), Violation> {
    let is_right = |call: &str, found: Option<&Record>| {
        Law::Unknown.holds(found == stored, || {
            format!("{fault:?}: {} is stored, and {call} returned {}", shown(stored), shown(found))
        })
    };
    harness.arm(fault);
    let found = harness.wait(key.find(store));
    harness.disarm();
    if let Ok(found) = &found {
        is_right("a read", found.as_ref())?;
    }
    recovered(harness, store, key)?;
    let Key::Grant(draft) = key else { return Ok(()) };
    harness.arm(fault);
    let loaded = harness.wait(store.load(&Keys::of_grant(draft.id)));
    harness.disarm();
    if let Ok(loaded) = loaded {
        is_right("load", loaded.grant.map(Record::Grant).as_ref())?;
    }
    Ok(())
}

/// Checks that a record that `damage` has made undecodable is an error wherever it is read, and
/// never absent.
///
/// # Errors
/// The first [`Violation`].
pub fn damaged_records_are_errors<H: Harness>(
    harness: &H,
    damage: impl Fn(Damaged<'_>),
) -> Result<(), Violation> {
    let store = harness.open();
    for key in Key::all()? {
        harness.wait(super::keys::commit(&store, &key.write(None, "whole")?))?;
        let keys = match &key {
            Key::Grant(draft) => {
                damage(Damaged::Grant(draft.id));
                Keys::of_grant(draft.id)
            }
            Key::Client(client) => {
                damage(Damaged::Client(client.id().as_str()));
                Keys { client: client.id().as_str().into(), ..Keys::default() }
            }
        };
        is_error("a read", harness.wait(key.find(&store)))?;
        is_error("load", harness.wait(store.load(&keys)))?;
        if let Some(id) = keys.grant {
            is_error("load_grants", harness.wait(store.load_grants(&[id])))?;
        }
    }
    // An unreadable mark that is taken for an absent one makes its assertion usable again.
    let seen = marks::mark(marks::new_key()?)?;
    harness.wait(super::keys::commit(&store, &Write::moved_seen(seen.clone())))?;
    damage(Damaged::Seen(seen.key()));
    is_error("a read", harness.wait(store.seen(seen.key())))
}

/// The record to make undecodable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are three kinds of records")]
pub enum Damaged<'a> {
    /// The record of this grant.
    Grant(GrantId),
    /// The record of this client.
    Client(&'a str),
    /// The mark of this key.
    Seen(&'a SeenKey),
}

fn is_error<T: fmt::Debug, E>(call: &str, result: Result<T, E>) -> Result<(), Violation> {
    match result {
        Err(_) => Ok(()),
        Ok(found) => {
            let observed = format!("{call} of a damaged record returned {found:?}");
            Err(Law::Unknown.broken(observed))
        }
    }
}
