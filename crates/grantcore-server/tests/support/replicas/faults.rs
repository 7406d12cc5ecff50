//! The faults: a replica is killed, the database is killed, and the other replica is restarted.
//! Each comes while the service is busy, and ends after the service was used without its victim.

use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::Run;
use super::site::{PASSED_ON, UNAVAILABLE};
use crate::load::lock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of replica 0, which is then started again.
    ReplicaKilled,
    /// `kill -9` of PostgreSQL, which is then started again.
    DatabaseKilled,
    /// `SIGTERM` for replica 1, which is then started again.
    ReplicaRestarted,
}

impl Fault {
    pub const ALL: [Self; 3] = [Self::ReplicaKilled, Self::DatabaseKilled, Self::ReplicaRestarted];

    /// Returns the processes that the fault leaves running. Their counters cover the whole phase.
    pub fn survivors(self) -> &'static [usize] {
        match self {
            Self::ReplicaKilled => &[1, 2],
            Self::DatabaseKilled => &[0, 1, 2],
            Self::ReplicaRestarted => &[0, 2],
        }
    }
}

/// The times of the faults, each from its beginning to its end.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Period>>);

struct Period {
    fault: Fault,
    ended: Option<Instant>,
}

impl Faults {
    fn begin(&self, fault: Fault) {
        lock(&self.0).push(Period { fault, ended: None });
    }

    fn end(&self) {
        lock(&self.0).last_mut().unwrap().ended = Some(Instant::now());
    }

    /// Returns whether a request that began then, and has ended now, can have met the fault.
    pub fn met(&self, fault: Fault, began: Instant) -> bool {
        let periods = lock(&self.0);
        let mut of_fault = periods.iter().filter(|period| period.fault == fault);
        of_fault.any(|period| period.ended.is_none_or(|ended| began <= ended))
    }
}

/// How many requests are under way when a fault begins.
const BUSY: usize = 12;
/// How many responses 503 there are before the database is started again.
const UNANSWERED: usize = 20;

impl Run {
    /// Brings the fault of a phase about, and ends it.
    pub async fn fault(&self, fault: Fault) {
        let at = self.turns() + self.clients / 4;
        self.until(|| self.turns() >= at && self.site.under_way() >= BUSY).await;
        self.site.faults.begin(fault);
        match fault {
            Fault::ReplicaKilled => self.replica_killed().await,
            Fault::DatabaseKilled => self.database_killed().await,
            Fault::ReplicaRestarted => self.replica_restarted().await,
        }
        self.site.faults.end();
        self.over_at.store(self.turns() + self.clients / 4, SeqCst);
    }

    async fn replica_killed(&self) {
        let passed_on = self.counted(PASSED_ON);
        block_in_place(|| self.site.take_process(0).kill());
        self.site.tally.count("replicas killed");
        let until = self.turns() + self.clients / 4;
        self.until(|| self.turns() >= until && self.counted(PASSED_ON) > passed_on).await;
        block_in_place(|| self.site.start_process(0));
    }

    async fn database_killed(&self) {
        let before = self.counted(UNAVAILABLE);
        block_in_place(|| lock(self.site.database()).kill());
        self.site.tally.count("databases killed");
        self.until(|| self.counted(UNAVAILABLE) >= before + UNANSWERED).await;
        block_in_place(|| lock(self.site.database()).restart());
    }

    async fn replica_restarted(&self) {
        let has_ended = block_in_place(|| self.site.take_process(1).stop());
        if !has_ended {
            self.violation("the replica did not end well after SIGTERM".into());
        }
        self.site.tally.count("replicas restarted");
        let until = self.turns() + self.clients / 4;
        self.until(|| self.turns() >= until).await;
        block_in_place(|| self.site.start_process(1));
    }

    fn counted(&self, what: &str) -> usize {
        self.site.tally.counts().get(what).copied().unwrap_or_default()
    }

    /// Waits until the condition holds. A run with too many violations does not wait.
    async fn until(&self, holds: impl Fn() -> bool) {
        while !holds() && !self.has_failed() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}
