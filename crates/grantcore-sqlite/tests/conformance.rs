//! The laws of a store, on an SQLite file: called and awaited, over restarts of its writer, and
//! with damage in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::path::PathBuf;

use grantcore::Store;
use grantcore::conformance::{Blocking, Damaged, damage_is_an_error};
use grantcore_sqlite::SqliteStore;
use tempfile::TempDir;

/// A file of its own, and stores on it that share nothing else.
struct File {
    directory: TempDir,
}

impl File {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("grants.sqlite")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap()
    }
}

mod called {
    use super::{Blocking, File, SqliteStore};

    fn harness() -> impl grantcore::conformance::Harness {
        let file = File::new();
        Blocking::new(move || file.open())
            .swept_by(|store: &SqliteStore, now, limit| store.sweep(now, limit).unwrap())
    }

    grantcore::conformance!([harness()]);
}

#[cfg(feature = "tokio")]
mod awaited {
    use grantcore::Timestamp;
    use grantcore::conformance::Harness;

    use super::{File, SqliteStore};

    struct Waiting(tokio::runtime::Runtime, File);

    impl Harness for Waiting {
        type Store = SqliteStore;

        fn open(&self) -> SqliteStore {
            self.1.open()
        }

        fn wait<F: Future>(&self, future: F) -> F::Output {
            self.0.block_on(future)
        }

        fn sweep(&self, store: &SqliteStore, now: Timestamp, limit: usize) -> Option<usize> {
            Some(store.sweep(now, limit).unwrap())
        }
    }

    fn harness() -> Waiting {
        Waiting(tokio::runtime::Runtime::new().unwrap(), File::new())
    }

    grantcore::conformance!([harness()]);
}

#[test]
fn a_damaged_record_is_an_error() {
    let file = File::new();
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    let damage = |damaged: Damaged<'_>| {
        let changed = match damaged {
            Damaged::Grant(id) => connection.execute(
                "UPDATE grantcore_grants SET body = substr(body, 2) WHERE id = ?",
                [id.as_bytes()],
            ),
            Damaged::Client(id) => {
                connection.execute("UPDATE grantcore_clients SET body = '{}' WHERE id = ?", [id])
            }
        };
        assert_eq!(changed, Ok(1));
    };
    damage_is_an_error(&Blocking::new(|| file.open()), damage).unwrap();
}

#[test]
fn tables_of_a_newer_version_are_refused_and_those_of_this_one_kept() {
    let file = File::new();
    let store = file.open();
    assert!(Store::raise_epoch(&store, "alice").unwrap());
    assert_eq!(Store::account(&file.open(), "alice").unwrap().unwrap().epoch, 1);
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    connection.execute("INSERT INTO grantcore_migrations DEFAULT VALUES", []).unwrap();
    let refused = SqliteStore::open(file.path()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the tables are of version 2, which this program does not know"
    );
}

#[test]
fn a_suspension_and_its_lifting_are_read_by_every_handle() {
    let file = File::new();
    let (store, other) = (file.open(), file.open());
    let standing = |subject: &str| Store::account(&other, subject).unwrap().unwrap();
    assert!(Store::raise_epoch(&store, "alice").unwrap());
    for suspended in [true, false, true] {
        store.set_suspended("alice", suspended).unwrap();
        assert_eq!((standing("alice").suspended, standing("alice").epoch), (suspended, 1));
    }
    assert!(!standing("bob").suspended);
}

#[test]
fn many_who_open_a_new_file_at_once_all_can() {
    for _ in 0..20 {
        let file = File::new();
        let stores: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| file.open())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(Store::raise_epoch(&stores[0], "alice").unwrap());
        assert!(
            stores.iter().all(|store| Store::account(store, "alice").unwrap().unwrap().epoch == 1)
        );
    }
}

#[test]
fn what_cannot_be_kept_in_wal_mode_is_refused() {
    let refused = SqliteStore::open(":memory:").unwrap_err();
    assert_eq!(refused.to_string(), "the file cannot be kept in WAL mode, but in memory");
}
