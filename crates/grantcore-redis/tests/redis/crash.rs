//! `kill -9` of Redis, again and again, under load: with its log of writes, every acknowledged
//! write survives. With snapshots alone some are lost, and are found.

use std::sync::Mutex;
use std::time::Duration;

use grantcore::conformance::{Crash, Harness, Verdict, acknowledged_commits_survive};
use grantcore_redis::RedisStore;
use grantcore_testing_servers::{Pace, Redis};
use tokio::runtime::Runtime;

struct Killed {
    runtime: Runtime,
    server: Mutex<Redis>,
    url: String,
    /// How long it is left alone before it is killed.
    alone: Duration,
    pace: Pace,
}

impl Killed {
    fn start(settings: &[(&str, &str)], alone: Duration) -> Option<Self> {
        let server = Redis::start(settings)?;
        Some(Self {
            runtime: Runtime::new().unwrap(),
            url: server.url(),
            server: Mutex::new(server),
            alone,
            pace: Pace::default(),
        })
    }

    fn survive(&self, crashes: usize) -> Verdict {
        let verdict = acknowledged_commits_survive(self, crashes).unwrap();
        eprintln!("Redis, {crashes} crashes: {verdict:?}");
        verdict
    }
}

impl Harness for Killed {
    type Store = RedisStore;

    fn open(&self) -> RedisStore {
        self.wait(RedisStore::connect(&self.url)).unwrap()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.pace.keep();
        self.runtime.block_on(future)
    }
}

impl Crash for Killed {
    fn crash(&self) {
        self.pace.slow(|| {
            std::thread::sleep(self.alone);
            let mut server = self.server.lock().unwrap();
            server.kill();
            server.restart();
        });
    }
}

#[test]
fn with_its_log_acknowledged_writes_survive_crashes() {
    let Some(killed) = Killed::start(&[], Duration::ZERO) else { return };
    let crashes = grantcore_testing_servers::crashes();
    let verdict = killed.survive(crashes);
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 10 * crashes, "{verdict:?}");
}

/// Redis takes a snapshot in each second in which something was written. The writes after the last
/// one are lost, and what they used up is usable again.
#[test]
fn with_snapshots_alone_losses_are_found() {
    let Some(killed) =
        Killed::start(&[("appendonly", "no"), ("save", "1 1")], Duration::from_secs(3))
    else {
        return;
    };
    let verdict = killed.survive(3);
    verdict.holds().unwrap_err();
    // Of a grant that is younger than the snapshot, all is lost, and nothing of it is usable.
    let usable_again = verdict.redeemed_twice + verdict.revived + verdict.accepted_twice;
    assert!(verdict.lost > 0 && usable_again > 0, "{verdict:?}");
}
