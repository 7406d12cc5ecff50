//! Connected clients of two replicas behind nginx, on one PostgreSQL. While they call and refresh,
//! a replica is killed, the database is killed, and the other replica is restarted, each in a phase
//! of its own. Some clients are revoked in the middle.

#![allow(unreachable_pub, reason = "its parts are public to each other")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod client;
mod connect;
mod counts;
mod ending;
mod faults;
mod proxy;
mod site;
mod story;

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use grantcore_testing_servers::Postgres;
use tokio::task::JoinSet;

use self::client::{Client, Step};
use self::ending::Ending;
use self::faults::Fault;
use self::site::{PASSED_ON, PROCESSES, Site, USERS, user};
use self::story::{Checked, Violation};
use crate::load::report::Report;
use crate::load::{lock, number};
use crate::support::{Browser, authorization_url};

/// How many clients are served at the same time.
const WORKERS: usize = 48;
/// The default number of clients, for a quick run.
const CLIENTS: usize = 60;
/// The number of violations after which a run ends.
const MOST_VIOLATIONS: usize = 10;

pub struct Run {
    site: Site,
    seed: u64,
    clients: usize,
    browsers: Vec<Browser>,
    next: AtomicUsize,
    /// The clients that wait for their next turn.
    queue: Mutex<VecDeque<Client>>,
    /// The turns since the beginning of the phase.
    turns: AtomicUsize,
    /// The number of turns with which the phase ends. `usize::MAX` until its fault has ended.
    over_at: AtomicUsize,
    violations: Mutex<Vec<String>>,
    began: Instant,
}

impl Run {
    /// Starts the service.
    pub fn start(database: Postgres, directory: &Path) -> Arc<Self> {
        let of_clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
        let clients = number("GRANTCORE_CLIENTS").map(|clients| usize::try_from(clients).unwrap());
        Arc::new(Self {
            site: Site::start(database, directory),
            seed: number("GRANTCORE_SEED").unwrap_or_else(of_clock),
            clients: clients.unwrap_or_default().max(CLIENTS),
            browsers: (0..USERS).map(|number| Browser::new(user(number).leak())).collect(),
            next: AtomicUsize::new(0),
            queue: Mutex::default(),
            turns: AtomicUsize::new(0),
            over_at: AtomicUsize::new(0),
            violations: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// Connects all clients, runs the phases, and then checks each client again.
    pub async fn run(self: Arc<Self>) -> Report {
        self.for_each_worker(USERS, Self::sign_in).await;
        self.next.store(0, SeqCst);
        self.for_each_worker(WORKERS, Self::connect).await;
        let mut before = self.reading().await;
        for (phase, fault) in Fault::ALL.into_iter().enumerate() {
            self.turns.store(0, SeqCst);
            self.over_at.store(usize::MAX, SeqCst);
            let load = Arc::clone(&self);
            let faults = tokio::spawn(async move { load.fault(fault).await });
            self.for_each_worker(WORKERS, move |load| load.work(phase)).await;
            faults.await.unwrap();
            let after = self.reading().await;
            // A request can fail after its event if the database fails.
            let with_events = fault != Fault::DatabaseKilled;
            let name = format!("{fault:?}");
            self.compare(&name, (&before, &after), fault.survivors(), with_events);
            before = after;
        }
        let judged = Arc::new(Mutex::new(Vec::new()));
        let of_worker = Arc::clone(&judged);
        self.for_each_worker(WORKERS, move |load| load.judge(Arc::clone(&of_worker))).await;
        let after = self.reading().await;
        self.compare("at the end", (&before, &after), &[0, 1, 2], true);
        self.judge_together(&lock(&judged));
        Report {
            seed: self.seed,
            counts: self.site.tally.counts(),
            took: self.began.elapsed(),
            violations: std::mem::take(&mut *lock(&self.violations)),
            logs: [self.site.log(0), self.site.log(1)],
        }
    }

    async fn for_each_worker<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        workers: usize,
        work: impl Fn(Arc<Self>) -> F,
    ) {
        let workers: JoinSet<()> = (0..workers).map(|_| work(Arc::clone(self))).collect();
        workers.join_all().await;
    }

    /// Signs one user in. The consent page of a client that everybody knows asks for it.
    async fn sign_in(self: Arc<Self>) {
        let user = self.next.fetch_add(1, SeqCst);
        let issuer = self.site.issuer();
        let url = authorization_url(&issuer, &format!("{issuer}/api"));
        self.browsers[user].consent_page(&url).await;
    }

    async fn connect(self: Arc<Self>) {
        while !self.has_failed() {
            let number = self.next.fetch_add(1, SeqCst);
            if number >= self.clients {
                return;
            }
            match Client::connect(&self.site, &self.browsers, self.seed, number).await {
                Ok(client) => {
                    self.site.tally.count("clients connected");
                    lock(&self.queue).push_back(client);
                }
                Err(Violation(what)) => self.violation(format!("client {number}: {what}")),
            }
        }
    }

    /// Takes turns of clients until the phase is over.
    async fn work(self: Arc<Self>, phase: usize) {
        while !self.is_over() {
            let Some(mut client) = lock(&self.queue).pop_front() else { return };
            let done = self.turn(&mut client, phase).await;
            self.turns.fetch_add(1, SeqCst);
            if self.holds(&client, done) {
                lock(&self.queue).push_back(client);
            }
        }
    }

    async fn turn(&self, client: &mut Client, phase: usize) -> Checked<()> {
        if client.ended.is_some() {
            return client.stays_dead(&self.site).await;
        }
        match client.plan {
            // Not all of them at the beginning of the phase.
            Some((due, ending)) if phase >= due && client.random.below(2) == 0 => {
                client.end(&self.site, &self.browsers[client.user], ending).await
            }
            _ => client.step(&self.site).await,
        }
    }

    /// Checks every client after all phases.
    async fn judge(self: Arc<Self>, judged: Arc<Mutex<Vec<Client>>>) {
        while !self.has_failed() {
            let Some(mut client) = lock(&self.queue).pop_front() else { return };
            let done = client.is_as_it_ended(&self.site).await;
            if self.holds(&client, done) {
                self.site.tally.count("clients as they ended, at the end");
                lock(&judged).push(client);
            }
        }
    }

    /// Checks the whole run: every kind of step, end and fault occurred, and no token was issued
    /// twice.
    fn judge_together(&self, clients: &[Client]) {
        let tokens = || {
            let pairs = clients.iter().flat_map(|client| &client.pairs);
            pairs.flat_map(|pair| [&pair.access, &pair.refresh])
        };
        if tokens().collect::<BTreeSet<_>>().len() != tokens().count() {
            self.violation("a token was issued twice".into());
        }
        // A run that ended early has reported why, and is incomplete.
        if !lock(&self.violations).is_empty() {
            return;
        }
        if clients.len() != self.clients {
            self.violation(format!("{} clients were checked at the end", clients.len()));
        }
        let counts = self.site.tally.counts();
        let wanted = Step::names().chain(Ending::names()).chain([PASSED_ON]);
        for name in wanted.filter(|name| !counts.contains_key(name)) {
            self.violation(format!("there were no {name}"));
        }
        for process in 0..PROCESSES {
            let answered = lock(&self.site.answered);
            if !answered.keys().any(|(own, ..)| *own == process) {
                self.violation(format!("process {process} answered no request"));
            }
        }
    }

    /// Returns whether all conditions of a client held. Otherwise reports the violation.
    fn holds(&self, client: &Client, done: Checked<()>) -> bool {
        let Err(Violation(what)) = done else { return true };
        let Client { number, ended, story, .. } = client;
        let story = story.latest();
        self.violation(format!("client {number} (ended: {ended:?}): {what}\n    {story}"));
        false
    }

    fn violation(&self, what: String) {
        lock(&self.violations).push(what);
    }

    fn has_failed(&self) -> bool {
        lock(&self.violations).len() >= MOST_VIOLATIONS
    }

    fn turns(&self) -> usize {
        self.turns.load(SeqCst)
    }

    /// Returns whether the phase is over: all clients had a turn, and some after the fault.
    fn is_over(&self) -> bool {
        let turns = self.turns();
        self.has_failed() || turns >= self.clients && turns >= self.over_at.load(SeqCst)
    }
}
