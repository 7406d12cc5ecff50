//! What callgrind counts: each step once, in the function [`measured_calls`]. Run it with
//! `.ci/counts`, which reads the counts of each step from callgrind's dumps, in the order that is
//! printed here.

#[cfg(feature = "peers")]
mod peers;
#[path = "../../../benches/support/mod.rs"]
mod support;

use support::steps::{self, Measured, Run};

/// How many calls of each step are prepared, and then measured in one go.
const CALLS: usize = 64;

fn main() {
    let mut all = vec![steps::block()];
    all.extend(steps::floor());
    all.extend(steps::ours());
    all.extend(steps::ours_from_bytes());
    #[cfg(feature = "peers")]
    all.extend(peers::all());
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    for measured in &mut all {
        let Measured { step, who, .. } = *measured;
        // The block is always measured.
        let name = format!("{step} {who}");
        if step == "block" || wanted.is_empty() || wanted.contains(&name) {
            // What is done once in the life of a program is not counted.
            measured.calls(1, &mut |run| run());
            measured.calls(CALLS, &mut |run| measured_calls(run));
            println!("{CALLS}\t{step}\t{who}");
        }
    }
}

/// What callgrind collects, and after which it writes a dump.
#[inline(never)]
fn measured_calls(run: Run<'_>) {
    run();
}
