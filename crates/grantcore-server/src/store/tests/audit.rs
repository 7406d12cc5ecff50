//! Two servers that drop the audit events of one database at the same moment.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::{self, NoTls};

use super::databases::Databases;
use super::*;
use crate::audit::{Entry, Search};

const ROWS: usize = 30;
const SURPLUS: usize = 20;

/// Returns an event of this second and number.
fn entry(number: usize) -> Entry {
    Entry {
        at: 1000 + number as u64,
        correlation: number.to_string(),
        kind: "refused".into(),
        attributed: number.is_multiple_of(2),
        ..Entry::default()
    }
}

async fn fill(ledger: &AnyLedger) {
    ledger
        .append((0..ROWS + SURPLUS).map(|number| entry(number).into()).collect(), true)
        .await
        .unwrap();
}

async fn left(ledger: &AnyLedger) -> usize {
    ledger.find(&Search::default(), None, usize::MAX).await.unwrap().len()
}

/// Drops the surplus by both ledgers at once, and returns how many events each dropped.
fn drop_by_both(
    ledgers: [&Backend; 2],
) -> [tokio::task::JoinHandle<std::result::Result<usize, BackendError>>; 2] {
    ledgers.map(|backend| {
        let ledger = backend.ledger().clone();
        tokio::spawn(async move { ledger.drop_over(ROWS as u64, 1000).await })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_on_one_sqlite_file_drop_a_surplus_once() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(file(&directory));
    let one = Backend::open(&database, &DatabaseTls::default(), 10).await.unwrap();
    let two = Backend::open(&database, &DatabaseTls::default(), 10).await.unwrap();
    fill(one.ledger()).await;
    // The file is locked until both have counted the surplus and wait to drop it.
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let dropping = drop_by_both([&one, &two]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    other.execute_batch("COMMIT").unwrap();
    let mut dropped = 0;
    for handle in dropping {
        dropped += handle.await.unwrap().unwrap();
    }
    assert_eq!((dropped, left(two.ledger()).await), (SURPLUS, ROWS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_on_one_postgresql_drop_a_surplus_once() {
    let databases = Databases::start().await;
    let Some((_, database)) = databases.all.iter().find(|(name, _)| *name == "postgres") else {
        return;
    };
    let Database::Postgres(address) = database else { panic!("not PostgreSQL") };
    let one = Backend::open(database, &DatabaseTls::default(), 10).await.unwrap();
    let two = Backend::open(database, &DatabaseTls::default(), 10).await.unwrap();
    fill(one.ledger()).await;
    let (other, connection) = tokio_postgres::connect(address.reveal(), NoTls).await.unwrap();
    tokio::spawn(connection);
    // Events can be read and not dropped, until each server waits to drop them or has given up.
    other.batch_execute("BEGIN; LOCK TABLE audit_log IN EXCLUSIVE MODE").await.unwrap();
    let dropping = drop_by_both([&one, &two]);
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = \
        (SELECT oid FROM pg_database WHERE datname = current_database())";
    loop {
        let waiting: i64 = other.query_one(waiting, &[]).await.unwrap().get(0);
        let ended = dropping.iter().filter(|handle| handle.is_finished()).count();
        if usize::try_from(waiting).unwrap() + ended >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    other.batch_execute("COMMIT").await.unwrap();
    let mut dropped = 0;
    for handle in dropping {
        dropped += handle.await.unwrap().unwrap();
    }
    assert_eq!((dropped, left(two.ledger()).await), (SURPLUS, ROWS));
    assert_eq!(
        two.ledger().drop_over(ROWS as u64, 1000).await.unwrap(),
        0,
        "the lock is free again"
    );
    assert_eq!(two.ledger().drop_over(ROWS as u64 - 5, 3).await.unwrap(), 3);
}
