//! The time of each step as the median of many short runs, which take turns, in the processor time
//! of one thread. What else the machine does disturbs it little, and all steps alike.

use rustix::time::{ClockId, clock_gettime};

use crate::support::steps::Measured;

/// Returns the nanoseconds of one call of each step.
pub(crate) fn medians(all: &mut [Measured], rounds: usize, calls: usize) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(rounds); all.len()];
    for _ in 0..rounds {
        for (measured, times) in all.iter_mut().zip(&mut times) {
            // The others have filled the caches with theirs.
            measured.calls(calls / 4, &mut |run| run());
            measured.calls(calls, &mut |run| {
                let start = thread_time();
                run();
                times.push((thread_time() - start) / calls as f64);
            });
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The processor time of this thread, in nanoseconds.
pub(crate) fn thread_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
