//! The laws of a store and of its accounts on an SQLite file, through both faces, and with damage
//! in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[cfg(feature = "tokio")]
mod together;

use std::path::PathBuf;

use grantcore::blocking::Accounts;
use grantcore::conformance::{Blocking, Damaged, damaged_records_are_errors};
use grantcore_sqlite::{SqliteError, SqliteStore};
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

mod blocking {
    use grantcore::blocking::{Ready, StoreAdministration as _};
    use grantcore::conformance::Harness;

    use super::{Blocking, File, SqliteStore};

    fn harness() -> impl Harness<Store = Ready<SqliteStore>> {
        let file = File::new();
        Blocking::new(move || file.open())
            .with_sweep(|store: &SqliteStore, now, limit| store.sweep(now, limit).unwrap())
    }

    grantcore::conformance!([harness()]);
    grantcore::administration_conformance!([harness()]);
    grantcore::accounts_conformance!([harness()], FromStore);
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use grantcore::conformance::{Async, Harness};
    use grantcore::store::StoreAdministration as _;
    use grantcore_sqlite::TokioSqliteStore;

    use super::File;

    fn harness() -> impl Harness<Store = TokioSqliteStore> {
        let file = File::new();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Async::new(move |future| runtime.block_on(future), async move || file.open().on_tokio())
            .with_sweep(async |store, now, limit| store.sweep(now, limit).await.unwrap())
    }

    grantcore::conformance!([harness()]);
    grantcore::administration_conformance!([harness()]);
    grantcore::accounts_conformance!([harness()], FromStore);
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
                connection.execute("UPDATE grantcore_clients SET body = x'7b7d' WHERE id = ?", [id])
            }
            Damaged::Seen(key) => connection.execute(
                "UPDATE grantcore_seen SET body = substr(body, 2) WHERE key = ?",
                [key.as_bytes()],
            ),
        };
        assert_eq!(changed, Ok(1));
    };
    damaged_records_are_errors(&Blocking::new(|| file.open()), damage).unwrap();
}

#[test]
fn tables_of_a_newer_version_are_refused_and_those_of_this_one_kept() {
    let file = File::new();
    let store = file.open();
    assert!(store.raise_epoch("alice").unwrap());
    assert_eq!(file.open().account("alice").unwrap().unwrap().epoch, 1);
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    connection.execute("INSERT INTO grantcore_migrations DEFAULT VALUES", []).unwrap();
    let refused = SqliteStore::open(file.path()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the tables have version 2, which this version of grantcore-sqlite does not know"
    );
}

#[test]
fn a_suspension_and_its_lifting_are_read_by_every_handle() {
    let file = File::new();
    let store = file.open();
    let other = file.open();
    let account = |subject: &str| other.account(subject).unwrap().unwrap();
    assert!(store.raise_epoch("alice").unwrap());
    for suspended in [true, false, true] {
        store.set_suspended("alice", suspended).unwrap();
        assert_eq!((account("alice").suspended, account("alice").epoch), (suspended, 1));
    }
    assert!(!account("bob").suspended);
}

#[test]
fn many_who_open_a_new_file_at_once_all_can() {
    for _ in 0..20 {
        let file = File::new();
        let stores: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| file.open())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(stores[0].raise_epoch("alice").unwrap());
        assert!(stores.iter().all(|store| store.account("alice").unwrap().unwrap().epoch == 1));
    }
}

#[test]
fn a_file_that_cannot_be_in_wal_mode_is_refused() {
    let refused = SqliteStore::open(":memory:").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the file cannot be opened in WAL mode; its journal mode is memory. The usual cause is a \
         network file system: the file must be on a local disk"
    );
}

/// A VFS without shared memory stands for a network file system.
#[cfg(unix)]
#[test]
fn a_file_system_without_shared_memory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grants.sqlite");
    let refused =
        SqliteStore::open(format!("file:{}?vfs=unix-dotfile", path.display())).unwrap_err();
    assert!(matches!(refused, SqliteError::Journal(ref mode) if mode == "delete"), "{refused}");
}
