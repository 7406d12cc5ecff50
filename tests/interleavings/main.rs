//! Two requests at once, in every order and under every fault.
//!
//! The library's real decisions are driven through every interleaving of two or three requests of one grant, while the store
//! loses acknowledgements, drops, delays and misreports commits, answers get lost, clients try again and the clock moves. A
//! state of this model is small, equal states are visited once, and every move is judged by every invariant.
//!
//! - [`scenario`]: the table of who races whom
//! - [`request`]: the requests as bytes, the answers as credentials
//! - [`state`], [`world`]: what changes, and what stays around it
//! - [`step`]: one request as a step machine, and all that can happen next
//! - [`search`]: the exploration
//! - [`invariants`]: the predicates, one for each invariant

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod invariants;
mod request;
mod scenario;
mod search;
mod state;
mod step;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use scenario::{SCENARIOS, WINDOWS};
use search::{Report, explore};

/// Every scenario under every window, explored once for all tests, on two threads.
fn reports() -> &'static [Report] {
    static REPORTS: OnceLock<Vec<Report>> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(scenario) = SCENARIOS.get(next.load(Ordering::SeqCst) / 2) {
                let turn = next.fetch_add(1, Ordering::SeqCst);
                let Some(scenario) = SCENARIOS.get(turn / 2) else { break };
                done.push((turn, explore(scenario, WINDOWS[turn % 2])));
            }
            done
        };
        let mut done: Vec<_> = std::thread::scope(|threads| {
            let workers: Vec<_> = (0..2).map(|_| threads.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("an exploration ends")).collect()
        });
        done.sort_by_key(|(turn, _)| *turn);
        done.into_iter().map(|(_, report)| report).collect()
    })
}

#[test]
fn t() {
    for r in reports() {
        println!("{:45} W={:2} {:7} states {:8} moves {:?}", r.scenario.name, r.window, r.states, r.moves, r.broken.keys());
    }
}
