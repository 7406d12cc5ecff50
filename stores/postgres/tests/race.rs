//! Eight workers of two processes race for each of 150 records: one wins, and what it wrote is what is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;

use grantcore::{AsyncStore, Commit, Write};
use grantcore_postgres::PostgresStore;
use support::{Database, app, grant, life};
use tokio::sync::Barrier;

const WORKERS: usize = 8;
const KEYS: usize = 150;

/// Each worker's write of each key, all at once; and which worker won it.
async fn winners(stores: &[PostgresStore; 2], writes: Vec<Vec<Write>>) -> Vec<usize> {
    let gate = Arc::new(Barrier::new(WORKERS));
    let workers: Vec<_> = writes
        .into_iter()
        .enumerate()
        .map(|(worker, writes)| {
            let (store, gate) = (stores[worker % 2].clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let mut won = Vec::new();
                for write in writes {
                    gate.wait().await;
                    won.push(store.commit(&write).await.unwrap() == Commit::Done);
                }
                won
            })
        })
        .collect();
    let mut won = Vec::new();
    for worker in workers {
        won.push(worker.await.unwrap());
    }
    let winner = |key: usize| {
        let winners: Vec<_> = (0..WORKERS).filter(|worker| won[*worker][key]).collect();
        assert_eq!(winners.len(), 1, "key {key}");
        winners[0]
    };
    (0..KEYS).map(winner).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_eight_wins_each_client_and_each_change_of_it() {
    let Some(database) = Database::new().await else { return };
    let stores = [database.store().await, database.store().await];
    let name = |worker: usize, key: usize, turn: usize| format!("worker {worker}, key {key}, turn {turn}");
    let mut seen: Vec<_> = vec![None; KEYS];
    for turn in 0..2 {
        let write = |worker, key: usize| {
            let client = app(&format!("key-{key}")).edit().name(name(worker, key, turn)).build().unwrap();
            Write::client(seen[key].as_ref(), client)
        };
        let writes = (0..WORKERS).map(|worker| (0..KEYS).map(|key| write(worker, key)).collect()).collect();
        for (key, winner) in winners(&stores, writes).await.into_iter().enumerate() {
            let found = stores[0].client(&format!("key-{key}")).await.unwrap();
            assert_eq!(found.as_ref().unwrap().record.about().name.as_deref(), Some(&*name(winner, key, turn)));
            seen[key] = found;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_eight_wins_each_step_of_each_grant() {
    let Some(database) = Database::new().await else { return };
    let stores = [database.store().await, database.store().await];
    let lives: Vec<_> = (0..KEYS).map(|_| life("alice", "s", 0)).collect();
    for step in 0..lives[0].len() {
        let steps: Vec<_> = lives.iter().map(|life| life[step].clone()).collect();
        winners(&stores, vec![steps.clone(); WORKERS]).await;
        for write in &steps {
            assert_eq!(stores[0].grant(grant(write).id()).await.unwrap(), Some(grant(write).stored()));
        }
    }
}
