//! Many commits at once on one version: a comparison and a write that are two steps are found out
//! here.

use std::sync::Barrier;

use super::harness::{Harness, at_once, calmly};
use super::keys::{Key, Record, came_back, commit};
use super::{Law, Violation};
use crate::record::{Commit, Write};

const WORKERS: usize = 8;
const ROUNDS: usize = 40;

/// Of many commits on one version, by as many handles at once, exactly one is done, the others
/// conflict, and what is there is what that one wrote. Of new records, and of records that are
/// there.
///
/// # Errors
/// The first [`Violation`].
pub fn of_many_commits_on_one_version_one_wins<H: Harness>(harness: &H) -> Result<(), Violation> {
    let barrier = Barrier::new(WORKERS);
    let keys = (0..ROUNDS).map(|_| Key::all()).collect::<Result<Vec<_>, _>>()?.concat();
    let stores: Vec<_> = (0..WORKERS).map(|_| harness.open()).collect();
    let told = at_once(stores.iter().enumerate(), |(worker, store)| {
        Ok(race(harness, store, worker, &keys, &barrier))
    })?;
    let store = harness.open();
    for (at, key) in keys.iter().enumerate() {
        // Two races of each key: the one to create it, and the one to replace what came of that.
        for turn in [2 * at, 2 * at + 1] {
            let mut done = Vec::new();
            for answer in told.iter().filter_map(|worker| worker.get(turn)) {
                let (write, said) = answer.as_ref().map_err(Clone::clone)?;
                if *said == Commit::Done {
                    done.push(write);
                }
            }
            let told = || {
                format!(
                    "{WORKERS} commits at once on one version of {key:?}: {} were Done",
                    done.len()
                )
            };
            Law::OneWinner.holds(done.len() <= 1, told)?;
            let Some(winner) = done.first() else {
                return Err(Law::Progress.broken(told()));
            };
            if turn % 2 == 1 {
                came_back(&Record::of(winner), harness.wait(key.read(&store))?.as_ref(), None)?;
            }
        }
    }
    Ok(())
}

type Told = Result<(Write, Commit), Violation>;

/// What one worker was told in each race. It runs all of them, whatever comes of one, for the
/// others wait for it.
fn race<H: Harness>(
    harness: &H,
    store: &H::Store,
    worker: usize,
    keys: &[Key],
    barrier: &Barrier,
) -> Vec<Told> {
    let run = |key: &Key, turn: usize| {
        let read = || {
            calmly(|| harness.wait(key.read(store)))
                .map(|record| record.map(|record| record.version()))
        };
        let stored = if turn == 0 { Ok(None) } else { read() };
        let write =
            stored.and_then(|stored| key.write(stored, format!("worker {worker}, turn {turn}")));
        barrier.wait();
        let told = write.and_then(|write| {
            calmly(|| harness.wait(commit(store, &write))).map(|said| (write, said))
        });
        // Nobody reads for the next race before all have run this one.
        barrier.wait();
        told
    };
    keys.iter().flat_map(|key| [run(key, 0), run(key, 1)]).collect()
}
