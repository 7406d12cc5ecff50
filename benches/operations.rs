//! Processor time of each step: the floor of the design, and ours, with grants in memory and commits
//! that are kept. `testing/peers` measures other authorization servers beside them, and `just
//! counts` counts instructions and allocations.
//!
//! `cargo bench --bench operations`

mod support;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use support::steps;

/// How many calls are prepared, and then measured in one go.
const CALLS: u64 = 250;

fn operations(criterion: &mut Criterion) {
    let mut all = steps::floor();
    all.extend(steps::ours());
    all.extend(steps::ours_from_bytes());
    all.extend(steps::ours_with_system_entropy());
    for mut measured in all {
        let name = format!("{}/{}", measured.step, measured.who);
        criterion.bench_function(&name, |timer| {
            timer.iter_custom(|calls| {
                let mut time = Duration::ZERO;
                let mut left = calls;
                while left > 0 {
                    let now = left.min(CALLS);
                    measured.calls(usize::try_from(now).unwrap_or(usize::MAX), &mut |run| {
                        let start = thread_time();
                        run();
                        time += thread_time().saturating_sub(start);
                    });
                    left -= now;
                }
                time
            });
        });
    }
}

/// The processor time of this thread: what else the machine does disturbs it little.
fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

criterion_group!(benches, operations);
criterion_main!(benches);
