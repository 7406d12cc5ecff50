//! A cluster that changes under load: a node dies and its replica is promoted, and slots move to
//! another node with their keys.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use grantcore::conformance::{Crash, Harness, Verdict, acknowledged_commits_survive};
use grantcore_redis::RedisStore;
use grantcore_testing_servers::{Pace, RedisCluster};
use tokio::runtime::Runtime;

/// How often the cluster changes.
const CHANGES: usize = 3;
/// How many of its 5,461 slots a node gives away at a time.
const MOVED: usize = 800;

struct Changing {
    runtime: Runtime,
    cluster: Mutex<RedisCluster>,
    url: String,
    /// Changes the third of this number, and returns how many keys were moved.
    change: fn(&mut RedisCluster, usize) -> usize,
    changes: AtomicUsize,
    moved: AtomicUsize,
    pace: Pace,
}

impl Changing {
    fn of(cluster: RedisCluster, change: fn(&mut RedisCluster, usize) -> usize) -> Self {
        let url = cluster.url();
        let cluster = Mutex::new(cluster);
        let [changes, moved] = [const { AtomicUsize::new(0) }; 2];
        let pace = Pace::default();
        Self { runtime: Runtime::new().unwrap(), cluster, url, change, changes, moved, pace }
    }

    fn survive(&self, what: &str) -> Verdict {
        let verdict = acknowledged_commits_survive(self, CHANGES).unwrap();
        eprintln!("Redis in a cluster, {what}: {verdict:?}");
        verdict
    }
}

impl Harness for Changing {
    type Store = RedisStore;

    fn open(&self) -> RedisStore {
        self.wait(RedisStore::connect(&self.url)).unwrap()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.pace.keep();
        self.runtime.block_on(future)
    }
}

impl Crash for Changing {
    fn crash(&self) {
        let third = self.changes.fetch_add(1, Ordering::SeqCst) % 3;
        let moved = self.pace.slow(|| (self.change)(&mut self.cluster.lock().unwrap(), third));
        self.moved.fetch_add(moved, Ordering::SeqCst);
    }
}

/// Nobody restarts a host after that. What the dead node had not yet sent to its replica is lost,
/// and a cluster promises no more.
#[test]
fn store_05_a_cluster_goes_on_with_a_promoted_replica() {
    let Some(cluster) = RedisCluster::start_with_replicas() else { return };
    let changing = Changing::of(cluster, |cluster, third| {
        cluster.fail_over(third);
        0
    });
    let verdict = changing.survive("a promoted replica each time");
    assert!(verdict.acknowledged > 50, "{verdict:?}");
}

#[test]
fn store_05_slots_that_move_under_load_lose_nothing() {
    let Some(cluster) = RedisCluster::start() else { return };
    let changing = Changing::of(cluster, |cluster, third| cluster.move_slots(third, MOVED));
    let verdict = changing.survive("800 slots moved each time");
    verdict.holds().unwrap();
    let moved = changing.moved.load(Ordering::SeqCst);
    assert!(verdict.acknowledged > 50 && moved > 0, "{moved} keys moved, {verdict:?}");
    eprintln!("{moved} keys moved");
}
