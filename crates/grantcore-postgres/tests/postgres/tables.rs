//! The creation of the tables: once, also if several processes start, and never over those of a
//! newer version.

use crate::support::{self, Database, app};
use grantcore::store::{Commit, StoreAdministration as _, Write};
use grantcore::{Accounts, Store};
use grantcore_postgres::{PostgresError, PostgresStore};

async fn versions(database: &Database) -> Vec<i32> {
    let rows = database
        .beside()
        .await
        .query("SELECT version FROM grantcore_migrations ORDER BY version", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn opening_again_finds_what_is_there() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    assert_eq!(store.commit(&Write::client(None, app("app"))).await.unwrap(), Commit::Done);
    let again = database.store().await;
    assert!(again.client("app").await.unwrap().is_some());
    assert_eq!(versions(&database).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_that_start_at_once_succeed() {
    let Some(database) = Database::new().await else { return };
    let starts: Vec<_> = (0..12).map(|_| tokio::spawn(connect(database.url()))).collect();
    for start in starts {
        assert!(start.await.unwrap().unwrap().client("app").await.unwrap().is_none());
    }
    assert_eq!(versions(&database).await, [1]);
}

async fn connect(url: String) -> Result<PostgresStore, PostgresError> {
    PostgresStore::connect(&url).await
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let Some(database) = Database::new().await else { return };
    drop(database.store().await);
    database
        .beside()
        .await
        .batch_execute("INSERT INTO grantcore_migrations VALUES (2)")
        .await
        .unwrap();
    assert!(matches!(connect(database.url()).await.unwrap_err(), PostgresError::Newer(2)));
}

#[tokio::test]
async fn the_file_can_be_run_by_another_tool_and_a_role_without_rights_over_tables_will_do() {
    let Some(database) = Database::new().await else { return };
    let beside = database.beside().await;
    beside.batch_execute(include_str!("../../migrations/0001_init.sql")).await.unwrap();
    let grant =
        "DO $$ BEGIN CREATE ROLE modest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO modest";
    beside.batch_execute(grant).await.unwrap();
    let url = database.url().replace("postgres@", "modest@");
    let store = connect(url).await.unwrap();
    assert_eq!(store.commit(&Write::client(None, app("app"))).await.unwrap(), Commit::Done);
    assert!(store.raise_epoch("alice").await.unwrap());
    assert_eq!(
        store.sweep(grantcore::Timestamp::from_unix_seconds(support::T), 10).await.unwrap(),
        0
    );
}

#[tokio::test]
async fn a_database_that_forgets_what_it_acknowledges_is_refused() {
    let Some(database) = Database::new().await else { return };
    let url = format!("{}?options=-c%20synchronous_commit%3Doff", database.url());
    assert!(matches!(connect(url).await.unwrap_err(), PostgresError::NotDurable));
    // Anything else is at least as durable as the disk.
    let url = format!("{}?options=-c%20synchronous_commit%3Dlocal", database.url());
    assert!(connect(url).await.is_ok());
}

#[tokio::test]
async fn a_database_that_becomes_volatile_is_distinguished_from_one_that_wrote() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let held = store.pool().get().await.unwrap();
    held.batch_execute("SET synchronous_commit = off").await.unwrap();
    drop(held);
    let write = Write::client(None, app("app"));
    assert!(matches!(store.commit(&write).await.unwrap_err(), PostgresError::NotDurable));
    assert!(matches!(store.raise_epoch("alice").await.unwrap_err(), PostgresError::NotDurable));
    assert!(matches!(
        store.set_suspended("alice", true).await.unwrap_err(),
        PostgresError::NotDurable
    ));
}

#[tokio::test]
async fn no_password_is_shown() {
    let Some(database) = Database::new().await else { return };
    let store = connect(database.url().replace("postgres@", "postgres:hunter2@")).await.unwrap();
    assert!(!support::shown(&store).contains("hunter2"));
    let error =
        connect("postgres://postgres:hunter2@127.0.0.1:none/test".into()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error() {
    let Some(database) = Database::new().await else { return };
    let url =
        format!("postgres://postgres@127.0.0.1:{}/test", grantcore_testing_servers::free_port());
    assert!(matches!(connect(url).await.unwrap_err(), PostgresError::Pool(_)));
    let url = format!("{}_of_nobody", database.url());
    assert!(matches!(connect(url).await.unwrap_err(), PostgresError::Pool(_)));
    assert!(matches!(
        connect("no url at all".into()).await.unwrap_err(),
        PostgresError::Database(_)
    ));
}
