//! What may be dropped is, so many at a time; what may not, or is being renewed at this moment,
//! never is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Database, app, connect, grant, life};
use grantcore::store::{Commit, Keys, StoreAdministration as _, Write};
use grantcore::{Store, Timestamp};
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::Postgres;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// So many pending consents, each with the write that makes it a code.
async fn pending(store: &PostgresStore, number: usize) -> Vec<Vec<Write>> {
    let mut lives = Vec::new();
    for _ in 0..number {
        let life = life("alice", "s", 0);
        assert_eq!(store.commit(&life[0]).await.unwrap(), Commit::Done);
        lives.push(life);
    }
    lives
}

/// From when on all of these consents may be dropped.
fn end(lives: &[Vec<Write>]) -> u64 {
    grant(&lives[0][0]).drop_after().unix_seconds()
}

/// A client that a stranger registered: it has an end. No operator's has.
fn registered(id: &str, expires: u64) -> grantcore::Client {
    let mut record = serde_json::to_value(app(id)).unwrap();
    record["origin"] = serde_json::json!({ "dynamic": { "issuer": "https://auth.example", "registration_access_token_digest": null } });
    record["expires"] = expires.into();
    serde_json::from_value(record).unwrap()
}

#[tokio::test]
async fn so_many_at_a_time_grants_before_clients_and_none_early() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let lives = pending(&store, 5).await;
    let end = end(&lives);
    for (id, expires) in [("one", end), ("two", end), ("three", end + 1)] {
        assert_eq!(
            store.commit(&Write::client(None, registered(id, expires))).await.unwrap(),
            Commit::Done
        );
    }
    assert_eq!(store.commit(&Write::client(None, app("operators"))).await.unwrap(), Commit::Done);

    assert_eq!(store.sweep(at(end - 1), 100).await.unwrap(), 0);
    assert_eq!(store.sweep(at(end), 0).await.unwrap(), 0);
    assert_eq!(store.sweep(at(end), 2).await.unwrap(), 2);
    assert_eq!(store.grants_of("alice", None, 9).await.unwrap().len(), 3);
    assert_eq!(store.sweep(at(end), 4).await.unwrap(), 4);
    assert_eq!(store.grants_of("alice", None, 9).await.unwrap().len(), 0);
    assert_eq!(store.clients(None, 9).await.unwrap().len(), 3);
    assert_eq!(store.sweep(at(end), 4).await.unwrap(), 1);
    assert_eq!(store.sweep(at(end), 4).await.unwrap(), 0);
    // What the operator added has no end, whatever the clock says.
    for time in [at(u64::MAX), at(i64::MAX.unsigned_abs()), at(i64::MAX.unsigned_abs() - 1)] {
        store.sweep(time, 100).await.unwrap();
    }
    let left = store.clients(None, 9).await.unwrap();
    assert_eq!(
        left.iter().map(|client| client.record.id().as_str()).collect::<Vec<_>>(),
        ["operators"]
    );
}

#[tokio::test]
async fn on_the_day_of_its_end_a_record_stays_until_its_second() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let life = life("alice", "s", 1);
    for write in &life {
        assert_eq!(store.commit(write).await.unwrap(), Commit::Done);
    }
    let end = grant(life.last().unwrap()).drop_after().unix_seconds();
    for early in [end - end % 86_400 - 1, end - end % 86_400, end - 1] {
        assert_eq!(store.sweep(at(early), 100).await.unwrap(), 0);
    }
    assert_eq!(store.sweep(at(end + 10 * 86_400), 100).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_being_written_is_passed_over_and_what_is_not_is_dropped() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let lives = pending(&store, 2).await;
    let end = end(&lives);
    let locked = grant(&lives[0][0]).id();
    let mut beside = database.beside().await;
    let change = beside.transaction().await.unwrap();
    let renew = "UPDATE grantcore_grants SET drop_after = drop_after + 1 WHERE id = $1";
    assert_eq!(change.execute(renew, &[&locked.as_bytes().as_slice()]).await.unwrap(), 1);
    assert_eq!(store.sweep(at(end), 100).await.unwrap(), 1);
    change.commit().await.unwrap();
    assert_eq!(store.sweep(at(end), 100).await.unwrap(), 0);
    assert_eq!(store.grants_of("alice", None, 9).await.unwrap(), [locked]);
    assert_eq!(store.sweep(at(end + 1), 100).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_renewed_in_a_race_with_the_sweep_is_there() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let lives = Arc::new(pending(&store, 200).await);
    let end = end(&lives);
    let sweeps: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut dropped = 0;
                for _ in 0..60 {
                    dropped += store.sweep(at(end), 1).await.unwrap();
                }
                dropped
            })
        })
        .collect();
    let mut renewed = 0;
    for life in lives.iter().rev() {
        let written = store.commit(&life[1]).await.unwrap();
        let keys = Keys { grant: Some(grant(&life[1]).id()), ..Keys::default() };
        let found = store.load(&keys).await.unwrap().grant;
        assert_eq!(found, (written == Commit::Done).then(|| grant(&life[1]).stored()));
        renewed += usize::from(written == Commit::Done);
    }
    let mut dropped = 0;
    for sweep in sweeps {
        dropped += sweep.await.unwrap();
    }
    assert_eq!(store.grants_of("alice", None, 999).await.unwrap().len(), renewed);
    assert_eq!(renewed + dropped + store.sweep(at(end), 999).await.unwrap(), 200);
}

#[tokio::test]
async fn refreshes_within_a_day_touch_no_index() {
    // A server of its own: a transaction in another database would delay the reuse of a page's
    // room.
    let Some(server) = Postgres::start(&[("autovacuum", "off")]) else { return };
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    let lives = [life("alice", "s", 60), life("bob", "s", 60)];
    // A grant moves from day to day with the kind of its credentials, and then by ten minutes.
    let (first, rest): (Vec<_>, Vec<_>) = lives.iter().map(|life| life.split_at(3)).unzip();
    let days = rest
        .iter()
        .flat_map(|refreshes| refreshes.iter())
        .map(|write| grant(write).drop_after().unix_seconds() / 86_400);
    assert_eq!(days.collect::<BTreeSet<_>>().len(), 1);
    for write in first.into_iter().flatten() {
        assert_eq!(store.commit(write).await.unwrap(), Commit::Done);
    }
    let before = heap_only_updates(&server, &store, 4).await;
    for write in rest.into_iter().flatten() {
        assert_eq!(store.commit(write).await.unwrap(), Commit::Done);
    }
    assert_eq!(heap_only_updates(&server, &store, 124).await - before, 120);
}

/// Waits until the database has counted this many updates, and returns how many of them were
/// heap-only. A session reports its counts at its end at the latest, so the sessions are closed.
async fn heap_only_updates(server: &Postgres, store: &PostgresStore, updates: i64) -> i64 {
    let limit = store.pool().status().max_size;
    store.pool().resize(0);
    store.pool().resize(limit);
    let counts = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'grantcore_grants'";
    loop {
        let row = connect(&server.url()).await.query_one(counts, &[]).await.unwrap();
        if row.get::<_, i64>(0) == updates {
            return row.get(1);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
