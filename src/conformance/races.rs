//! Many simultaneous commits over the same version. They find a store that compares and writes in
//! two steps, between which another commit can come.

use std::sync::Barrier;

use super::harness::{Harness, at_once, catching_panics};
use super::keys::{Key, Record, came_back, commit};
use super::{Law, Violation};
use crate::record::{Commit, Write};

/// The number of handles that commit at the same time.
const WORKERS: usize = 8;
/// The number of repetitions: a fault shows only if two commits meet.
const ROUNDS: usize = 40;

/// Checks that of many simultaneous commits over one version, each through a handle of its own,
/// exactly one is done and the others conflict, and that the stored record is the winner's. Checked
/// for new records and for replaced ones.
///
/// # Errors
/// The first [`Violation`].
pub fn one_of_many_commits_over_a_version_is_done<H: Harness>(
    harness: &H,
) -> Result<(), Violation> {
    let barrier = Barrier::new(WORKERS);
    let keys = (0..ROUNDS).map(|_| Key::all()).collect::<Result<Vec<_>, _>>()?.concat();
    let stores: Vec<_> = (0..WORKERS).map(|_| harness.open()).collect();
    let results = at_once(stores.iter().enumerate(), |(worker, store)| {
        Ok(race(harness, store, worker, &keys, &barrier))
    })?;
    let store = harness.open();
    for (at, key) in keys.iter().enumerate() {
        // Two races for each key: to create the record, and to replace it.
        for turn in [2 * at, 2 * at + 1] {
            let mut done = Vec::new();
            for result in results.iter().filter_map(|worker| worker.get(turn)) {
                let (write, commit) = result.as_ref().map_err(Clone::clone)?;
                if *commit == Commit::Done {
                    done.push(write);
                }
            }
            let observed = || {
                let done = done.len();
                format!("{WORKERS} commits at once over one version of {key:?}: {done} were Done")
            };
            Law::OneWinner.holds(done.len() <= 1, observed)?;
            let Some(winner) = done.first() else {
                return Err(Law::Progress.broken(observed()));
            };
            if turn % 2 == 1 {
                came_back(&Record::of(winner), harness.wait(key.read(&store))?.as_ref(), None)?;
            }
        }
    }
    Ok(())
}

type Raced = Result<(Write, Commit), Violation>;

/// Runs all races of one worker and returns the results. After a failure the worker goes on,
/// because the others wait for it at the barrier.
fn race<H: Harness>(
    harness: &H,
    store: &H::Store,
    worker: usize,
    keys: &[Key],
    barrier: &Barrier,
) -> Vec<Raced> {
    let run = |key: &Key, turn: usize| {
        let read = || {
            catching_panics(|| harness.wait(key.read(store)))
                .map(|record| record.map(|record| record.version()))
        };
        let stored = if turn == 0 { Ok(None) } else { read() };
        let write =
            stored.and_then(|stored| key.write(stored, format!("worker {worker}, turn {turn}")));
        barrier.wait();
        let raced = write.and_then(|write| {
            catching_panics(|| harness.wait(commit(store, &write))).map(|commit| (write, commit))
        });
        // No worker may read the version for the next race while another still runs this one.
        barrier.wait();
        raced
    };
    keys.iter().flat_map(|key| [run(key, 0), run(key, 1)]).collect()
}
