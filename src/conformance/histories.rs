//! What several workers saw of the same few records, written down call by call, and judged
//! afterwards.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::faults::{Fault, Faults, settled};
use super::harness::{Harness, at_once, calmly};
use super::judge::{Call, What, judge};
use super::keys::{Key, Record, commit};
use super::law::works;
use super::records::Dice;
use super::{Law, Violation};
use crate::record::{Commit, Version};
use crate::store::AsyncStore as _;

const WORKERS: usize = 4;
const CALLS: usize = 60;

/// Whatever several handles read and write of the same records at once, there is an order of it all
/// that is the clock's as well.
///
/// # Errors
/// The first [`Violation`].
pub fn histories_are_linearizable<H: Harness>(harness: &H) -> Result<(), Violation> {
    let (clock, stores) =
        (AtomicU64::new(1), (0..WORKERS).map(|_| harness.open()).collect::<Vec<_>>());
    for key in Key::all()? {
        let first = created(harness, &key)?;
        let seen = at_once(stores.iter().enumerate(), |(worker, store)| {
            Watch { harness, store, key: &key, first, clock: &clock, failures: false }.watch(worker)
        })?;
        judge((0, MARK), &seen.concat())?;
    }
    Ok(())
}

/// The same, while requests and answers are lost: what failed may have happened at any time since,
/// or never, and all the rest must fit.
///
/// # Errors
/// The first [`Violation`].
pub fn histories_with_faults_are_linearizable<H: Faults>(harness: &H) -> Result<(), Violation> {
    let (clock, stores) =
        (AtomicU64::new(1), (0..WORKERS).map(|_| harness.open()).collect::<Vec<_>>());
    for key in Key::all()? {
        let made = settled(harness, &harness.open(), &key, None)?;
        let first = made.version();
        let watched = AtomicUsize::new(0);
        let calls =
            at_once(stores.iter().map(Some).chain([None]).enumerate(), |(worker, store)| {
                let Some(store) = store else {
                    // Loses one request after the other until all have seen enough.
                    let mut dice = Dice(9);
                    while watched.load(Ordering::SeqCst) < WORKERS {
                        harness.arm(*dice.pick(&Fault::ALL));
                        std::thread::sleep(std::time::Duration::from_millis(10));
                    }
                    harness.disarm();
                    return Ok(Vec::new());
                };
                let seen = calmly(|| {
                    Watch { harness, store, key: &key, first, clock: &clock, failures: true }
                        .watch(worker)
                });
                watched.fetch_add(1, Ordering::SeqCst);
                seen
            })?;
        let calls = calls.concat();
        let some = |wanted: fn(&What) -> bool| calls.iter().any(|call| wanted(&call.what));
        let works = some(|what| matches!(what, What::Wrote(..)))
            && some(|what| matches!(what, What::Read(..)));
        Law::Works.holds(works, || {
            format!(
                "while requests were lost now and then, nobody ever got anything of {key:?} done"
            )
        })?;
        judge((0, made.mark()), &calls)?;
    }
    Ok(())
}

const MARK: &str = "created";

/// Makes the record, and says its version.
fn created<H: Harness>(harness: &H, key: &Key) -> Result<Version, Violation> {
    let write = key.write(None, MARK)?;
    let said = harness.wait(commit(&harness.open(), &write))?;
    Law::Progress
        .holds(said == Commit::Done, || format!("{key:?}, which is new, was told {said:?}"))?;
    Ok(Record::of(&write).version())
}

/// One worker's view of one record.
struct Watch<'a, H: Harness> {
    harness: &'a H,
    store: &'a H::Store,
    key: &'a Key,
    /// The version it had at first. Versions are counted from there, so that they do not wrap.
    first: Version,
    clock: &'a AtomicU64,
    /// Whether calls may fail.
    failures: bool,
}

impl<H: Harness> Watch<'_, H> {
    /// Reads and writes, and what came of each.
    fn watch(&self, worker: usize) -> Result<Vec<Call>, Violation> {
        let mut dice = Dice(u64::try_from(worker).unwrap_or(0));
        let (mut calls, mut known) = (Vec::with_capacity(CALLS), self.first);
        for number in 0..CALLS {
            if dice.below(2) == 0 {
                calls.extend(self.read(&mut known)?);
            } else {
                calls.push(self.write(&mut known, format!("worker {worker}, write {number}"))?);
            }
        }
        Ok(calls)
    }

    /// A read; nothing if it failed.
    fn read(&self, known: &mut Version) -> Result<Option<Call>, Violation> {
        let began = self.tick();
        let found = self.harness.wait(self.key.find(self.store));
        let ended = Some(self.tick());
        if found.is_err() && self.failures {
            return Ok(None);
        }
        let Some(record) = works("a read", found)? else {
            return Err(Law::Linearizable
                .broken(format_args!("{:?} was there, and a read brought nothing", self.key)));
        };
        *known = record.version();
        Ok(Some(Call {
            began,
            ended,
            what: What::Read(self.number(*known), record.mark().to_owned()),
        }))
    }

    fn write(&self, known: &mut Version, mark: String) -> Result<Call, Violation> {
        let (write, over) = (self.key.write(Some(*known), mark.clone())?, self.number(*known));
        let began = self.tick();
        let said = self.harness.wait(self.store.commit(&write));
        let ended = Some(self.tick());
        if said.is_err() && self.failures {
            return Ok(Call { began, ended: None, what: What::Unknown(over, mark) });
        }
        Ok(match works("a commit", said)? {
            Commit::Done => {
                *known = known.next();
                Call { began, ended, what: What::Wrote(over, mark) }
            }
            Commit::Conflict => Call { began, ended, what: What::Conflict(over) },
        })
    }

    fn number(&self, version: Version) -> u64 {
        version.0.wrapping_sub(self.first.0)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}
