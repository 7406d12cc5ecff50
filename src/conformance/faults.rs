//! Requests and answers that are lost on the way: a store must not say what it does not know.

use std::fmt;

use super::harness::Harness;
use super::keys::{Key, Record, shown};
use super::{Law, Violation};
use crate::keys::Keys;
use crate::record::Commit;
use crate::store::AsyncStore as _;
use crate::value::credential::GrantId;

/// What becomes of the next request to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is lost before the request is there.
    DropBefore,
    /// The request is carried out, and the connection lost before the answer is there.
    DropAfter,
    /// The answer comes later than the store waits for it, or at least later.
    Delay,
    /// The request is carried out, and the connection reset.
    Reset,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [Self::DropBefore, Self::DropAfter, Self::Delay, Self::Reset];
}

/// How often each.
const ROUNDS: usize = 3;
/// A store finds its way back within so many calls.
const TURNS: usize = 50;

/// A database behind something that loses requests and answers on order.
pub trait Faults: Harness {
    /// Has this become of the next request to the database, by whichever handle, and of no other.
    fn arm(&self, fault: Fault);

    /// Nothing becomes of any request any more.
    fn disarm(&self);
}

/// A commit whose answer is lost is an error, or what it says is so; a read whose answer is lost is
/// an error, or right. Afterwards the handle works again.
///
/// # Errors
/// The first [`Violation`].
pub fn doubt_is_an_error<H: Faults>(harness: &H) -> Result<(), Violation> {
    for _ in 0..ROUNDS {
        for fault in Fault::ALL {
            for key in Key::all()? {
                lost(harness, fault, &key)?;
            }
        }
    }
    Ok(())
}

fn lost<H: Faults>(harness: &H, fault: Fault, key: &Key) -> Result<(), Violation> {
    let store = harness.open();
    let mut stored: Option<Record> = None;
    for mark in ["created", "replaced", "replaced again"] {
        // A connection that is there, so that it is the commit that is lost.
        healed(harness, &store, key)?;
        let write = key.write(stored.as_ref().map(Record::version), mark)?;
        harness.arm(fault);
        let said = harness.wait(store.commit(&write));
        harness.disarm();
        let (before, after) = (stored.clone(), Some(Record::of(&write)));
        stored = healed(harness, &store, key)?;
        let told = || {
            format!(
                "{fault:?}: a commit over {} was told {said:?}, and there is {}",
                shown(before.as_ref()),
                shown(stored.as_ref())
            )
        };
        let is_so = match &said {
            Ok(Commit::Done) => stored == after,
            // Nobody else writes here, so the version was right.
            Ok(Commit::Conflict) => false,
            Err(_) => stored == before || stored == after,
        };
        Law::Doubt.holds(is_so, told)?;
        // From here on nothing lands late.
        stored = Some(settled(harness, &store, key, stored)?);
        reads(harness, &store, fault, (key, stored.as_ref()))?;
    }
    Ok(())
}

/// A commit that was lost may land late; once a commit over what is there is done it cannot any
/// more.
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
        seen = healed(harness, store, key)?;
    }
    Err(Law::Works.broken("after a fault no commit is done any more"))
}

/// What is there, as soon as the handle finds its way back.
fn healed<H: Faults>(
    harness: &H,
    store: &H::Store,
    key: &Key,
) -> Result<Option<Record>, Violation> {
    let mut last = String::new();
    for _ in 0..TURNS {
        match harness.wait(key.find(store)) {
            Ok(found) => return Ok(found),
            Err(error) => last = format!("{error:?}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err(Law::Works.broken(format_args!("after a fault the handle finds no way back: {last}")))
}

/// A read that is lost says nothing, rather than that there is nothing.
fn reads<H: Faults>(
    harness: &H,
    store: &H::Store,
    fault: Fault,
    (key, stored): (&Key, Option<&Record>),
) -> Result<(), Violation> {
    harness.arm(fault);
    let found = harness.wait(key.find(store));
    harness.disarm();
    if let Ok(found) = &found {
        let told = || {
            format!(
                "{fault:?}: there is {}, and a read brought {}",
                shown(stored),
                shown(found.as_ref())
            )
        };
        Law::Doubt.holds(found.as_ref() == stored, told)?;
    }
    healed(harness, store, key)?;
    let Key::Grant(draft) = key else { return Ok(()) };
    harness.arm(fault);
    let loaded = harness.wait(store.load(&Keys { grant: Some(draft.id), ..Keys::default() }));
    harness.disarm();
    if let Ok(loaded) = &loaded {
        let found = loaded.grant.clone().map(Record::Grant);
        let told = || {
            format!(
                "{fault:?}: there is {}, and load brought {}",
                shown(stored),
                shown(found.as_ref())
            )
        };
        Law::Doubt.holds(found.as_ref() == stored, told)?;
    }
    Ok(())
}

/// A grant or client whose record `damage` has made undecodable is an error wherever it is read,
/// never absent.
///
/// # Errors
/// The first [`Violation`].
pub fn damage_is_an_error<H: Harness>(
    harness: &H,
    damage: impl Fn(Damaged<'_>),
) -> Result<(), Violation> {
    let store = harness.open();
    for key in Key::all()? {
        harness.wait(super::keys::commit(&store, &key.write(None, "whole")?))?;
        let keys = match &key {
            Key::Grant(draft) => {
                damage(Damaged::Grant(draft.id));
                Keys { grant: Some(draft.id), ..Keys::default() }
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
    Ok(())
}

/// Whose record is to be made undecodable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged<'a> {
    /// This grant's.
    Grant(GrantId),
    /// This client's.
    Client(&'a str),
}

fn is_error<T: fmt::Debug, E>(what: &str, result: Result<T, E>) -> Result<(), Violation> {
    match result {
        Err(_) => Ok(()),
        Ok(found) => {
            Err(Law::Doubt.broken(format_args!("{what} of a damaged record brought {found:?}")))
        }
    }
}
