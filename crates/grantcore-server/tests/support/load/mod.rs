//! The load: parallel flows on a service of two processes. One process is killed in the middle and
//! started again. The steps of a flow are in `flow.rs`.

#![allow(unreachable_pub, reason = "its parts are public to each other")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod browser;
mod flow;
pub mod random;
pub mod report;
mod service;
mod soak;
mod verdict;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

use self::browser::Browser;
use self::flow::{End, Ending, Flow, Pair, Refresh};
use self::random::Random;
use self::report::Report;
use self::service::{LOST_IN_A_CRASH, Service};

/// The counter of flows that cannot be judged, because the machine was too slow. Few are allowed.
const TOO_LATE: &str = "flows too late for the window";

const WORKERS: usize = 24;
/// The default number of flows, for a quick run.
const FLOWS: usize = 120;
/// How often a user starts a flow over.
const MOST_STARTS: usize = 100;
/// The number of violations after which a run ends.
const MOST_VIOLATIONS: usize = 10;

pub struct Load {
    service: Service,
    seed: u64,
    flows: usize,
    next: AtomicUsize,
    done: AtomicUsize,
    kept: Mutex<Vec<Kept>>,
    violations: Mutex<Vec<String>>,
    began: Instant,
    /// When a load for a time ends.
    until: Option<Instant>,
}

/// A completed flow, for the checks at the end.
struct Kept {
    flow: usize,
    ending: Ending,
    pairs: Vec<Pair>,
    used: Vec<Instant>,
    story: Vec<String>,
}

impl Load {
    /// Starts both processes.
    pub fn start(database: &str, directory: &Path) -> Arc<Self> {
        let minutes = number("GRANTCORE_MINUTES");
        let of_clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
        Arc::new(Self {
            service: Service::start(database, directory),
            seed: number("GRANTCORE_SEED").unwrap_or_else(of_clock),
            flows: usize::try_from(number("GRANTCORE_FLOWS").unwrap_or_default())
                .unwrap()
                .max(if minutes.is_some() { usize::MAX / 2 } else { FLOWS }),
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            kept: Mutex::default(),
            violations: Mutex::default(),
            began: Instant::now(),
            until: minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes)),
        })
    }

    /// Runs all flows with a crash in between, and then checks each of them again.
    pub async fn run(self: Arc<Self>) -> Report {
        let beside = match self.until {
            None => vec![tokio::spawn(Arc::clone(&self).crash())],
            Some(until) => vec![
                tokio::spawn(Arc::clone(&self).restarts(until)),
                tokio::spawn(Arc::clone(&self).table(until)),
            ],
        };
        self.for_each_worker(Self::work).await;
        for beside in beside {
            beside.await.unwrap();
        }
        self.next.store(0, SeqCst);
        let kept = std::mem::take(&mut *lock(&self.kept));
        let kept = Arc::new(kept);
        let of_worker = Arc::clone(&kept);
        self.for_each_worker(move |load| load.judge(Arc::clone(&of_worker))).await;
        self.judge_together(&kept);
        let violations = std::mem::take(&mut *lock(&self.violations));
        let logs = [self.service.log(0), self.service.log(1)];
        Report {
            seed: self.seed,
            counts: self.service.tally.counts(),
            took: self.began.elapsed(),
            violations,
            logs,
        }
    }

    async fn for_each_worker<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        work: impl Fn(Arc<Self>) -> F,
    ) {
        let workers: JoinSet<()> = (0..WORKERS).map(|_| work(Arc::clone(self))).collect();
        workers.join_all().await;
    }

    /// Runs flows one after the other until none is left.
    async fn work(self: Arc<Self>) {
        let browser = Browser::new();
        let is_time_over = || self.until.is_some_and(|until| Instant::now() >= until);
        while let Some(flow) = self.next(self.flows).filter(|_| !is_time_over()) {
            if let Some(kept) = self.flow(&browser, flow).await {
                lock(&self.kept).push(kept);
            }
            self.done.fetch_add(1, SeqCst);
        }
    }

    fn next(&self, limit: usize) -> Option<usize> {
        let next = self.next.fetch_add(1, SeqCst);
        (next < limit && lock(&self.violations).len() < MOST_VIOLATIONS).then_some(next)
    }

    /// Runs a flow, and starts it over until it completes.
    async fn flow(&self, browser: &Browser, number: usize) -> Option<Kept> {
        let mut random = Random::of(self.seed, number);
        let ending = Ending::of(number);
        for _ in 0..MOST_STARTS {
            let mut flow = self.begin(random, ending);
            match flow.run(browser).await {
                Ok(()) => {
                    self.service.tally.count(ending.name());
                    return Some(flow.kept(number)).filter(|_| ending != Ending::Denied);
                }
                Err(End::StartOver) => random = flow.random,
                Err(end) => {
                    self.ended(end, &flow.kept(number));
                    return None;
                }
            }
            self.service.tally.count("flows started over");
        }
        lock(&self.violations).push(format!("flow {number} never completed"));
        None
    }

    fn begin(&self, random: Random, ending: Ending) -> Flow<'_> {
        Flow {
            service: &self.service,
            random,
            ending,
            pairs: Vec::new(),
            used: Vec::new(),
            story: Vec::new(),
        }
    }

    fn ended(&self, end: End, kept: &Kept) {
        match end {
            End::Violation(what) => {
                let Kept { flow, ending, .. } = kept;
                let story = kept.story.join("; ");
                lock(&self.violations)
                    .push(format!("flow {flow} ({ending:?}): {what}\n    {story}"));
            }
            End::Late | End::StartOver => self.service.tally.count(TOO_LATE),
        }
    }

    /// Kills one process while it is busy, and starts it again after the other has served alone for
    /// a while.
    async fn crash(self: Arc<Self>) {
        let victim = Random::of(self.seed, self.flows).below(2);
        let at = self.flows * 2 / 5;
        let until = at + 10 + self.flows / 50;
        while !self.is_over() && (self.done.load(SeqCst) < at || self.service.under_way(victim) < 2)
        {
            sleep(Duration::from_millis(1)).await;
        }
        if self.is_over() {
            return;
        }
        self.service.tally.count("processes killed");
        block_in_place(|| self.service.kill(victim));
        while !self.is_over() && self.done.load(SeqCst) < until {
            sleep(Duration::from_millis(10)).await;
        }
        block_in_place(|| self.service.start_node(victim));
    }

    fn is_over(&self) -> bool {
        self.done.load(SeqCst) == self.flows || lock(&self.violations).len() >= MOST_VIOLATIONS
    }

    /// Checks completed flows at both processes: no grant has ended without a cause, and revoked
    /// grants stay revoked.
    async fn judge(self: Arc<Self>, all: Arc<Vec<Kept>>) {
        while let Some(next) = self.next(all.len()) {
            let kept = &all[next];
            let mut flow = self.begin(Random::of(!self.seed, kept.flow), kept.ending);
            flow.pairs.clone_from(&kept.pairs);
            flow.used.clone_from(&kept.used);
            flow.story.clone_from(&kept.story);
            match flow.is_as_it_ended().await {
                Ok(()) => self.service.tally.count("flows as they ended, at the end"),
                Err(end) => self.ended(end, &flow.kept(kept.flow)),
            }
        }
    }

    /// Checks the whole run: every kind of flow and refresh occurred, and no token was issued
    /// twice.
    fn judge_together(&self, kept: &[Kept]) {
        let mut violations = lock(&self.violations);
        let tokens = || {
            kept.iter().flat_map(|kept| &kept.pairs).flat_map(|pair| [&pair.access, &pair.refresh])
        };
        if tokens().collect::<BTreeSet<_>>().len() != tokens().count() {
            violations.push("a token was issued twice".into());
        }
        // A run that ended early has reported why, and is incomplete.
        if !violations.is_empty() {
            return;
        }
        let counts = self.service.tally.counts();
        let missing =
            Ending::names().chain(Refresh::names()).filter(|name| !counts.contains_key(name));
        violations.extend(missing.map(|name| format!("there were no {name}")));
        if !LOST_IN_A_CRASH.iter().any(|name| counts.contains_key(name)) {
            violations.push("no request was lost in the crash".into());
        }
        let late = counts.get(TOO_LATE).copied().unwrap_or_default();
        if late * 50 > self.done.load(SeqCst) {
            violations.push(format!("{late} flows were too slow for the window"));
        }
    }
}

impl Flow<'_> {
    fn kept(self, flow: usize) -> Kept {
        Kept { flow, ending: self.ending, pairs: self.pairs, used: self.used, story: self.story }
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a number from an environment variable.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
