//! A load for a time: `just load 10`. In the second half both processes are restarted in turn. Their
//! memory, files and latencies are printed as a table.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::service::Service;
use super::{Load, lock};

/// The time between two restarts, and how long a process is away.
const BETWEEN: Duration = Duration::from_secs(20);
const AWAY: Duration = Duration::from_secs(2);
/// The time between two rows of the table.
const ROW: Duration = Duration::from_secs(30);

/// The times of the requests since the last row, in microseconds.
#[derive(Default)]
pub struct Times(Mutex<Vec<u128>>);

impl Times {
    pub fn add(&self, time: Duration) {
        lock(&self.0).push(time.as_micros());
    }

    fn take(&self) -> Vec<u128> {
        let mut times = std::mem::take(&mut *lock(&self.0));
        times.sort_unstable();
        times
    }
}

impl Load {
    /// Restarts the processes in turn in the second half of the time: one is stopped as a service
    /// manager does, the other is killed. In the first half they run on, so that the table shows
    /// whether their memory and files grow.
    pub(super) async fn restarts(self: Arc<Self>, until: Instant) {
        sleep(until.saturating_duration_since(Instant::now()) / 2).await;
        for turn in 0_usize.. {
            sleep(BETWEEN).await;
            if Instant::now() + BETWEEN > until || self.is_over() {
                return;
            }
            let node = turn % 2;
            if node == 0 {
                self.service.tally.count("processes stopped");
                block_in_place(|| self.service.stop(node));
            } else {
                self.service.tally.count("processes killed");
                block_in_place(|| self.service.kill(node));
            }
            sleep(AWAY).await;
            block_in_place(|| self.service.start_node(node));
        }
    }

    /// Prints a row of the table every half minute until the time is over.
    pub(super) async fn table(self: Arc<Self>, until: Instant) {
        println!("seconds  requests  p50 ms  p99 ms  max ms   flows  memory MB    open files");
        while Instant::now() < until {
            sleep(ROW).await;
            let times = self.service.times.take();
            let at = |share: usize| {
                let index = (times.len() * share / 1000).min(times.len().saturating_sub(1));
                times.get(index).copied().unwrap_or_default() / 1000
            };
            let [memory, files] = [memory, open_files]
                .map(|of| [0, 1].map(|node| of(&self.service, node).unwrap_or_default()));
            println!(
                "{:7}  {:8}  {:6}  {:6}  {:6}  {:6}  {:4} {:4}  {:6} {:6}",
                self.began.elapsed().as_secs(),
                times.len(),
                at(500),
                at(990),
                at(1000),
                self.done.load(SeqCst),
                memory[0] / 1024,
                memory[1] / 1024,
                files[0],
                files[1],
            );
        }
    }
}

/// Returns the resident memory of a process in kilobytes.
fn memory(service: &Service, node: usize) -> Option<usize> {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", service.process(node)?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Returns how many files and connections a process has open.
fn open_files(service: &Service, node: usize) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{}/fd", service.process(node)?)).ok()?.count())
}
