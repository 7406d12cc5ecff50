//! Lost answers, lost servers and callers that go away: what is not known is an error, what was
//! acknowledged is there, and the pool serves the next call.

use std::time::Duration;

use crate::support::{Database, app, grant, life};
use deadpool_postgres::{Manager, Pool, PoolError, Runtime};
use grantcore::store::{Commit, StoreAdministration as _, Write};
use grantcore::{Accounts, Store};
use grantcore_postgres::{PostgresError, PostgresStore};
use grantcore_testing_servers::{Fault, Postgres};
use tokio_postgres::{Client, NoTls};

/// Returns a pool of one connection, so that each call gets the connection of the call before.
fn narrow(url: &str) -> Pool {
    let pool = Pool::builder(Manager::new(url.parse().unwrap(), NoTls))
        .max_size(1)
        .runtime(Runtime::Tokio1);
    pool.wait_timeout(Some(Duration::from_millis(200))).build().unwrap()
}

/// Until so many statements wait for a lock.
async fn waiting(beside: &Client, number: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    while beside.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) != number {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn open_transactions(beside: &Client) -> i64 {
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()";
    beside.query_one(open, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_lost_connection_is_an_error_whether_or_not_it_wrote() {
    let Some(database) = Database::new().await else { return };
    let proxy = database.proxy();
    let store = PostgresStore::connect(&database.url_by(&proxy)).await.unwrap();
    for (fault, written) in
        [(Fault::DropBefore, false), (Fault::DropAfter, true), (Fault::Reset, true)]
    {
        let life = life("alice", "s", 0);
        for (step, write) in life.iter().enumerate() {
            // Once to prepare the statement on the connection that is then lost.
            let stranger = self::life("bob", "s", 0);
            for before in &stranger[..=step] {
                assert_eq!(store.commit(before).await.unwrap(), Commit::Done);
            }
            proxy.arm(fault);
            store.commit(write).await.unwrap_err();
            // The next call has a connection of its own, and knows.
            let found = store.grant(grant(write).id()).await.unwrap();
            assert_eq!(found == Some(grant(write).stored()), written, "{fault:?}, step {step}");
            let again = if written { Commit::Conflict } else { Commit::Done };
            assert_eq!(store.commit(write).await.unwrap(), again, "{fault:?}, step {step}");
        }
    }
    proxy.arm(Fault::DropAfter);
    store.load(&grantcore::store::Keys::default()).await.unwrap_err();
    assert!(store.load(&grantcore::store::Keys::default()).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_an_error_and_its_connection_is_given_up() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await.with_statement_timeout(Duration::from_secs(3));
    let write = Write::client(None, app("app"));
    let beside = database.beside().await;
    assert_eq!(store.commit(&write).await.unwrap(), Commit::Done);
    let seen = store.client("app").await.unwrap().unwrap();
    let change = Write::client(Some(&seen), app("app").edit().name("Changed").build().unwrap());
    beside
        .batch_execute("BEGIN; SELECT FROM grantcore_clients WHERE id = 'app' FOR UPDATE")
        .await
        .unwrap();
    assert!(matches!(store.commit(&change).await.unwrap_err(), PostgresError::TimedOut));
    assert_eq!(store.pool().status().size, 0);
    // Reads wait for nobody. What was given up may still land: then it is there, or it fits.
    assert_eq!(store.client("app").await.unwrap().unwrap().version, seen.version);
    beside.batch_execute("COMMIT").await.unwrap();
    waiting(&beside, 0).await;
    let landed = store.client("app").await.unwrap().unwrap().version != seen.version;
    assert_eq!(
        store.commit(&change).await.unwrap(),
        if landed { Commit::Conflict } else { Commit::Done }
    );
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_connection_that_serves_the_next() {
    let Some(database) = Database::new().await else { return };
    let store = PostgresStore::new(narrow(&database.url())).await.unwrap();
    let beside = database.beside().await;
    assert_eq!(store.commit(&Write::client(None, app("app"))).await.unwrap(), Commit::Done);
    let seen = store.client("app").await.unwrap().unwrap();
    let named =
        |name: &str| Write::client(Some(&seen), app("app").edit().name(name).build().unwrap());
    let gone = named("Gone");
    let late = named("Late");
    // Once for its statement to be prepared, once more with it prepared.
    for turn in 0..2 {
        beside
            .batch_execute("BEGIN; SELECT FROM grantcore_clients WHERE id = 'app' FOR UPDATE")
            .await
            .unwrap();
        tokio::select! {
            written = store.commit(&gone) => panic!("{written:?}"),
            () = waiting(&beside, 1) => {}
        }
        beside.batch_execute("COMMIT").await.unwrap();
        // The one that went away came first; the next waited for it, and it was a whole statement.
        assert_eq!(store.commit(&late).await.unwrap(), Commit::Conflict, "turn {turn}");
        let stored = store.client("app").await.unwrap().unwrap();
        assert_eq!(
            (stored.version, stored.record.description().name.as_deref()),
            (seen.version.next(), Some("Gone"))
        );
        assert_eq!((store.pool().status().size, open_transactions(&beside).await), (1, 0));
        let back = "UPDATE grantcore_clients SET version = version - 1";
        beside.batch_execute(back).await.unwrap();
    }
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_no_transaction_and_no_lock() {
    let Some(database) = Database::new().await else { return };
    let pool = narrow(&database.url());
    let beside = database.beside().await;
    let lock = format!("SELECT pg_advisory_lock({})", i64::from_be_bytes(*b"grantcor"));
    beside.batch_execute(&lock).await.unwrap();
    tokio::select! {
        store = PostgresStore::new(pool.clone()) => panic!("{store:?}"),
        () = waiting(&beside, 1) => {}
    }
    beside.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    let store = PostgresStore::new(pool).await.unwrap();
    assert!(store.clients(None, 1).await.unwrap().is_empty());
    assert_eq!(open_transactions(&beside).await, 0);
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_an_error() {
    let Some(database) = Database::new().await else { return };
    let store = PostgresStore::new(narrow(&database.url())).await.unwrap();
    let held = store.pool().get().await.unwrap();
    assert!(matches!(
        store.account("alice").await.unwrap_err(),
        PostgresError::Pool(PoolError::Timeout(_))
    ));
    drop(held);
    assert!(store.account("alice").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_there_after_a_crash_of_the_database() {
    let Some(mut server) = Postgres::start(&[]) else { return };
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    let (ready, mut started) = tokio::sync::mpsc::unbounded_channel();
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let store = store.clone();
            let ready = ready.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                loop {
                    for write in life(&format!("user {worker}"), "s", 3) {
                        // The first that is not known is the last.
                        let Ok(commit) = store.commit(&write).await else { return acknowledged };
                        assert_eq!(commit, Commit::Done);
                        acknowledged.push(write);
                        let _ = ready.send(());
                    }
                }
            })
        })
        .collect();
    for _ in 0..500 {
        started.recv().await.unwrap();
    }
    server.kill();
    let mut acknowledged = Vec::new();
    for worker in workers {
        acknowledged.extend(worker.await.unwrap());
    }
    assert!(matches!(store.account("alice").await.unwrap_err(), PostgresError::Pool(_)));
    server.restart();
    // The same store goes on, with no connection left of those it had.
    for write in &acknowledged {
        let found = store.grant(grant(write).id()).await.unwrap().unwrap();
        assert!(found.version >= grant(write).version());
    }
    assert!(acknowledged.len() >= 500);
}
