//! The calls of several workers on the same few records, recorded one by one and judged afterwards.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::faults::{Fault, Faults, settled};
use super::harness::{Harness, at_once, catching_panics};
use super::judge::{Call, CallKind, judge};
use super::keys::{Key, Record, commit};
use super::law::works;
use super::records::Dice;
use super::{Law, Violation};
use crate::record::{Commit, Version};
use crate::store::Store as _;

const WORKERS: usize = 4;
const CALLS: usize = 60;
/// How many calls begin or end between two faults. A fault at fixed times would hit every call of a
/// slow database.
const SPACING: u64 = 16;

/// Checks that the reads and writes of several handles on the same records have one order, which
/// agrees with the clock.
///
/// # Errors
/// The first [`Violation`].
pub fn histories_are_linearizable<H: Harness>(harness: &H) -> Result<(), Violation> {
    let clock = AtomicU64::new(1);
    let stores: Vec<_> = (0..WORKERS).map(|_| harness.open()).collect();
    for key in Key::all()? {
        let first = created(harness, &key)?;
        let seen = at_once(stores.iter().enumerate(), |(worker, store)| {
            Watch { harness, store, key: &key, first, clock: &clock, failures: false }.watch(worker)
        })?;
        judge((0, MARK), &seen.concat())?;
    }
    Ok(())
}

/// Checks the same while requests and answers are lost. A call that failed may have happened at any
/// later time, or never; all other calls must fit.
///
/// # Errors
/// The first [`Violation`].
pub fn histories_with_faults_are_linearizable<H: Faults>(harness: &H) -> Result<(), Violation> {
    let clock = AtomicU64::new(1);
    let stores: Vec<_> = (0..WORKERS).map(|_| harness.open()).collect();
    for key in Key::all()? {
        let made = settled(harness, &harness.open(), &key, None)?;
        let first = made.version();
        let watched = AtomicUsize::new(0);
        let calls =
            at_once(stores.iter().map(Some).chain([None]).enumerate(), |(worker, store)| {
                let Some(store) = store else {
                    // Loses requests until all workers have finished.
                    let mut dice = Dice(9);
                    let mut due = clock.load(Ordering::SeqCst);
                    while watched.load(Ordering::SeqCst) < WORKERS {
                        let now = clock.load(Ordering::SeqCst);
                        if now >= due {
                            harness.arm(*dice.pick(&Fault::ALL));
                            due = now + SPACING;
                        }
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    harness.disarm();
                    return Ok(Vec::new());
                };
                let seen = catching_panics(|| {
                    Watch { harness, store, key: &key, first, clock: &clock, failures: true }
                        .watch(worker)
                });
                watched.fetch_add(1, Ordering::SeqCst);
                seen
            })?;
        let calls = calls.concat();
        let some = |wanted: fn(&CallKind) -> bool| calls.iter().any(|call| wanted(&call.kind));
        let is_working = some(|kind| matches!(kind, CallKind::Wrote(..)))
            && some(|kind| matches!(kind, CallKind::Read(..)));
        Law::Works.holds(is_working, || {
            format!("while some requests were lost, no read or no commit of {key:?} succeeded")
        })?;
        judge((0, made.mark()), &calls)?;
    }
    Ok(())
}

const MARK: &str = "created";

/// Creates the record and returns its version.
fn created<H: Harness>(harness: &H, key: &Key) -> Result<Version, Violation> {
    let write = key.write(None, MARK)?;
    let result = harness.wait(commit(&harness.open(), &write))?;
    Law::Progress.holds(result == Commit::Done, || {
        format!("a commit of {key:?}, which is new, returned {result:?}")
    })?;
    Ok(Record::of(&write).version())
}

/// One worker on one record.
struct Watch<'a, H: Harness> {
    harness: &'a H,
    store: &'a H::Store,
    key: &'a Key,
    /// The first version of the record. Versions are counted from it, so that they do not wrap.
    first: Version,
    clock: &'a AtomicU64,
    /// Whether calls may fail.
    failures: bool,
}

impl<H: Harness> Watch<'_, H> {
    /// Reads and writes, and records each call.
    fn watch(&self, worker: usize) -> Result<Vec<Call>, Violation> {
        let mut dice = Dice(u64::try_from(worker).unwrap_or(0));
        let mut calls = Vec::with_capacity(CALLS);
        let mut known = self.first;
        for number in 0..CALLS {
            if dice.below(2) == 0 {
                calls.extend(self.read(&mut known)?);
            } else {
                calls.push(self.write(&mut known, format!("worker {worker}, write {number}"))?);
            }
        }
        Ok(calls)
    }

    /// Records a read. Returns `None` if it failed.
    fn read(&self, known: &mut Version) -> Result<Option<Call>, Violation> {
        let began = self.tick();
        let found = self.harness.wait(self.key.find(self.store));
        let ended = Some(self.tick());
        if found.is_err() && self.failures {
            return Ok(None);
        }
        let Some(record) = works("a read", found)? else {
            return Err(Law::Linearizable
                .broken(format_args!("{:?} is stored, and a read returned nothing", self.key)));
        };
        *known = record.version();
        Ok(Some(Call {
            began,
            ended,
            kind: CallKind::Read(self.number(*known), record.mark().to_owned()),
        }))
    }

    fn write(&self, known: &mut Version, mark: String) -> Result<Call, Violation> {
        let write = self.key.write(Some(*known), mark.clone())?;
        let over = self.number(*known);
        let began = self.tick();
        let result = self.harness.wait(self.store.commit(&write));
        let ended = Some(self.tick());
        if result.is_err() && self.failures {
            return Ok(Call { began, ended: None, kind: CallKind::Unknown(over, mark) });
        }
        Ok(match works("a commit", result)? {
            Commit::Done => {
                *known = known.next();
                Call { began, ended, kind: CallKind::Wrote(over, mark) }
            }
            Commit::Conflict => Call { began, ended, kind: CallKind::Conflict(over) },
        })
    }

    fn number(&self, version: Version) -> u64 {
        version.0.wrapping_sub(self.first.0)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}
