//! Writers that race: of all that were decided on one state, one wins.

use std::sync::Arc;

use crate::place::{Place, approval, client, everywhere, now, pending, policy, stored};
use grantcore::Store;
use grantcore::store::{Commit, StoreAdministration as _, Write};
use grantcore_redis::RedisStore;
use tokio::sync::Barrier;

const WORKERS: u64 = 8;
const KEYS: u64 = 150;

/// All workers commit their own write at once, each over a connection of its own: who won.
async fn winners(place: &Place, writes: &[Vec<Write>]) -> Vec<Vec<usize>> {
    let writes: Arc<[Vec<Write>]> = writes.into();
    let barrier = Arc::new(Barrier::new(writes.len()));
    let mut tasks = Vec::new();
    for worker in 0..writes.len() {
        let store = RedisStore::connect(&place.url).await.unwrap();
        let writes = Arc::clone(&writes);
        let barrier = Arc::clone(&barrier);
        tasks.push(tokio::spawn(async move {
            let mut won = Vec::new();
            for write in &writes[worker] {
                barrier.wait().await;
                won.push(store.commit(write).await.unwrap() == Commit::Done);
            }
            won
        }));
    }
    let mut winners = vec![Vec::new(); writes[0].len()];
    for (worker, task) in tasks.into_iter().enumerate() {
        for (race, won) in task.await.unwrap().into_iter().enumerate() {
            if won {
                winners[race].push(worker);
            }
        }
    }
    winners
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_writers_of_a_state_one_wins() {
    everywhere(async |place: Place| {
        let policy = policy();
        let now = now();
        let mut pages = Vec::new();
        for key in 0..KEYS {
            let (write, ticket) = pending(&policy, "alice", key, now);
            assert_eq!(place.store.commit(&write).await.unwrap(), Commit::Done);
            pages.push((stored(write.as_grant()), ticket));
        }
        let approvals = |worker| {
            let codes =
                (0_u64..).zip(&pages).map(move |(key, page)| (1000 + worker * KEYS + key, page));
            codes.map(|(seed, (page, ticket))| approval(&policy, page, ticket, seed, now)).collect()
        };
        let writes: Vec<Vec<_>> = (0..WORKERS).map(approvals).collect();
        for (race, winners) in winners(&place, &writes).await.into_iter().enumerate() {
            let [winner] = winners[..] else { panic!("{winners:?} won race {race}") };
            let change = writes[winner][race].as_grant().unwrap();
            assert_eq!(place.store.grant(change.id()).await.unwrap(), Some(change.stored()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_creators_of_a_record_one_wins_even_if_all_write_the_same() {
    everywhere(async |place: Place| {
        let create = |key| Write::client(None, client(&format!("app-{key}")));
        let writes: Vec<Vec<_>> = (0..WORKERS).map(|_| (0..KEYS).map(create).collect()).collect();
        for (race, winners) in winners(&place, &writes).await.into_iter().enumerate() {
            assert_eq!(winners.len(), 1, "{winners:?} won race {race}");
        }
        assert_eq!(place.store.clients(None, usize::MAX).await.unwrap().len(), 150);
    })
    .await;
}
