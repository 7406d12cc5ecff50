//! A cluster that changes under load: a node dies and its replica is promoted, and slots move to
//! another node with their keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grantcore_testing_servers::RedisCluster;

use crate::harmed::Harmed;

/// How often the cluster changes: each third of it once.
const CHANGES: usize = 3;
/// How many of its 5,461 slots a node gives away at a time.
const MOVED: usize = 800;

/// Returns a cluster that changes under load. `change` gets the number of the third.
fn changing(
    cluster: RedisCluster,
    change: impl Fn(&mut RedisCluster, usize) + Send + Sync + 'static,
) -> Harmed<RedisCluster> {
    let url = cluster.url();
    let next = AtomicUsize::new(0);
    Harmed::by(cluster, url, move |cluster| {
        change(cluster, next.fetch_add(1, Ordering::SeqCst) % CHANGES);
    })
}

/// Nobody restarts a host after that. What the dead node had not yet sent to its replica is lost,
/// and a cluster promises no more.
#[test]
fn store_05_a_cluster_goes_on_with_a_promoted_replica() {
    let Some(cluster) = RedisCluster::start_with_replicas() else { return };
    let verdict = changing(cluster, RedisCluster::fail_over).survive(CHANGES);
    assert!(verdict.acknowledged > 50, "{verdict:?}");
}

#[test]
fn store_05_slots_that_move_under_load_lose_nothing() {
    let Some(cluster) = RedisCluster::start() else { return };
    let moved = Arc::new(AtomicUsize::new(0));
    let keys = Arc::clone(&moved);
    let cluster = changing(cluster, move |cluster, third| {
        keys.fetch_add(cluster.move_slots(third, MOVED), Ordering::SeqCst);
    });
    let verdict = cluster.survive(CHANGES);
    verdict.holds().unwrap();
    let moved = moved.load(Ordering::SeqCst);
    assert!(verdict.acknowledged > 50 && moved > 0, "{moved} keys moved, {verdict:?}");
}
