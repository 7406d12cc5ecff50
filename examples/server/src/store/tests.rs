//! Accounts, their balances and the lists, in memory and on the disk.

use std::collections::BTreeSet;
use std::path::PathBuf;

use grantcore::{Account, AsyncStore, Balance, Client, Store};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// One of each, with the directory that the second is in. Balances below 10 are low.
fn backends() -> ([Backend; 2], TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let databases = [Database::Memory, Database::Sqlite(file(&directory))];
    (databases.map(|database| Backend::open(&database, 10).unwrap()), directory)
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("grants.sqlite")
}

#[tokio::test]
async fn an_account_keeps_what_it_has_when_it_is_added_again() {
    let (backends, _directory) = backends();
    for backend in backends {
        for subject in ["bob", "alice"] {
            backend.add_account(subject, 1000).await.unwrap();
        }
        assert_eq!(backend.top_up("alice", 5).await.unwrap(), Some(1005));
        assert!(backend.set_suspended("alice", true).await.unwrap());
        assert!(AsyncStore::raise_epoch(&backend, "alice").await.unwrap());
        backend.add_account("alice", 1).await.unwrap();
        let alice = AccountRow { subject: "alice".to_owned(), suspended: true, epoch: 1, balance: 1005 };
        let bob = AccountRow { subject: "bob".to_owned(), suspended: false, epoch: 0, balance: 1000 };
        assert_eq!(backend.accounts().await.unwrap(), [alice.clone(), bob]);
        assert_eq!(backend.account_row("alice").await.unwrap(), Some(alice));
        let standing = AsyncStore::account(&backend, "alice").await.unwrap();
        assert_eq!(standing, Some(Account { suspended: true, epoch: 1 }));
        assert!(backend.set_suspended("alice", false).await.unwrap());
        assert!(!AsyncStore::account(&backend, "alice").await.unwrap().unwrap().suspended);
    }
}

#[tokio::test]
async fn who_has_no_account_has_nothing_and_gets_none_by_accident() {
    let (backends, _directory) = backends();
    for backend in backends {
        assert_eq!(AsyncStore::account(&backend, "eve").await.unwrap(), None);
        assert_eq!(AsyncStore::balance(&backend, "eve").await.unwrap(), Balance::Insufficient);
        assert!(!AsyncStore::raise_epoch(&backend, "eve").await.unwrap());
        assert!(!backend.set_suspended("eve", true).await.unwrap());
        assert_eq!((backend.top_up("eve", 5).await.unwrap(), backend.spend("eve").await.unwrap()), (None, None));
        assert_eq!(backend.accounts().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_balance_is_drawn_to_nothing_and_topped_up_without_end() {
    let (backends, _directory) = backends();
    for backend in backends {
        backend.add_account("alice", 11).await.unwrap();
        let balance = async || AsyncStore::balance(&backend, "alice").await.unwrap();
        let spend = async || backend.spend("alice").await.unwrap();
        assert_eq!((balance().await, spend().await), (Balance::Sufficient, Some(10)));
        assert_eq!((balance().await, spend().await), (Balance::Sufficient, Some(9)));
        assert_eq!(balance().await, Balance::Low { left: 9 });
        for left in (0..9).rev() {
            assert_eq!(spend().await, Some(left));
        }
        assert_eq!((balance().await, spend().await), (Balance::Insufficient, None));
        assert_eq!(backend.top_up("alice", 1).await.unwrap(), Some(1));
        assert_eq!(balance().await, Balance::Low { left: 1 });
        for _ in 0..2 {
            assert!(backend.top_up("alice", u64::MAX).await.unwrap().unwrap() >= i64::MAX.cast_unsigned());
        }
        assert_eq!(balance().await, Balance::Sufficient);
    }
}

/// Through two stores on one file, so that not even the lock of one is between them.
#[test]
fn however_many_draw_at_once_each_unit_is_drawn_once() {
    let directory = tempfile::tempdir().unwrap();
    let stores = [(); 2].map(|()| SqliteStore::open(&file(&directory), 10).unwrap());
    stores[0].add_account("alice", 100).unwrap();
    let drawn: Vec<_> = std::thread::scope(|scope| {
        let draw = |store: &SqliteStore| (0..20).filter_map(|_| store.spend("alice").unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let store = &stores[number % 2];
                    move || draw(store)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(drawn.len(), 100);
    assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), (0..100).collect());
    assert_eq!(stores[1].account_row("alice").unwrap().unwrap().balance, 0);
}

#[tokio::test]
async fn clients_are_listed_by_id_and_in_parts() {
    let (backends, _directory) = backends();
    for backend in backends {
        for id in ["c", "a", "d", "b"] {
            let client = Client::public(id).redirect_uri("https://app.example/cb").build().unwrap();
            backend.add_client(client).await.unwrap();
        }
        let list = async |after, most| {
            let clients = backend.clients(after, most).await.unwrap();
            clients.iter().map(|stored| stored.record.id().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 3).await, ["a", "b", "c"]);
        assert_eq!(list(Some("c"), 3).await, ["d"]);
        assert_eq!(list(Some("bb"), 1).await, ["c"]);
        assert_eq!(list(Some("d"), 3).await, [""; 0]);
        backend.sweep(Timestamp::from_unix_seconds(0)).await.unwrap();
        assert_eq!(list(None, 9).await.len(), 4);
    }
}

#[test]
fn grants_of_the_format_before_are_dropped_with_the_file_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(file(&directory)).unwrap();
    for migration in [include_str!("../../migrations/0001_init.sql"), include_str!("../../migrations/0002_clients.sql")] {
        connection.execute_batch(migration).unwrap();
    }
    connection.pragma_update(None, "user_version", 2).unwrap();
    let insert = "INSERT INTO grants VALUES (x'00112233445566778899aabbccddeeff', 1, 'alice', 99, '{}')";
    connection.execute(insert, []).unwrap();
    let kept = || {
        let store = SqliteStore::open(&file(&directory), 10).unwrap();
        Store::grants_of(&store, "alice", None, 9).unwrap().len()
    };
    assert_eq!(kept(), 0);
    connection.execute(insert, []).unwrap();
    assert_eq!(kept(), 1);
}
