//! A primary is killed under load and its standby is promoted, again and again. With a synchronous
//! standby, every acknowledged write survives. With an asynchronous one, some are lost and are
//! found.

use std::sync::Mutex;
use std::time::Duration;

use grantcore::conformance::{Crash, Harness, Verdict, acknowledged_commits_survive};
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::{Pace, PostgresPair};
use tokio::runtime::Runtime;

/// How long the primary goes on after its standby is gone.
const ALONE: Duration = Duration::from_millis(300);
/// How long a statement may take. A commit waits for a standby that is gone.
const PATIENCE: Duration = Duration::from_secs(2);

struct Pair {
    runtime: Runtime,
    servers: Mutex<PostgresPair>,
    url: String,
    pace: Pace,
}

impl Pair {
    fn start(is_synchronous: bool) -> Option<Self> {
        let servers = PostgresPair::start(is_synchronous)?;
        let url = servers.url();
        Some(Self {
            runtime: Runtime::new().unwrap(),
            servers: Mutex::new(servers),
            url,
            pace: Pace::default(),
        })
    }

    fn survive(&self, failovers: usize) -> Verdict {
        let verdict = acknowledged_commits_survive(self, failovers).unwrap();
        eprintln!("PostgreSQL, {failovers} failovers: {verdict:?}");
        verdict
    }
}

impl Harness for Pair {
    type Store = PostgresStore;

    fn open(&self) -> PostgresStore {
        self.wait(PostgresStore::connect(&self.url)).unwrap().with_statement_timeout(PATIENCE)
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.pace.keep();
        self.runtime.block_on(future)
    }
}

impl Crash for Pair {
    fn crash(&self) {
        self.pace.slow(|| self.servers.lock().unwrap().fail_over(ALONE));
    }
}

#[test]
fn store_05_a_synchronous_standby_has_every_acknowledged_write() {
    let Some(pair) = Pair::start(true) else { return };
    let verdict = pair.survive(2);
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 4, "{verdict:?}");
}

/// What the primary acknowledges after its standby is gone, the promoted standby does not have.
#[test]
fn store_05_an_asynchronous_standby_lacks_writes_and_they_are_found() {
    let Some(pair) = Pair::start(false) else { return };
    let verdict = pair.survive(2);
    verdict.holds().unwrap_err();
    let Verdict { lost, redeemed_twice, revived, accepted_twice, .. } = verdict;
    assert!(lost > 0 && redeemed_twice + revived + accepted_twice > 0, "{verdict:?}");
}
