//! Tests of writes whose futures are dropped, which still run to their end, and of the journal
//! mode.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use grantcore::store::{Commit, Write};
use grantcore::{Accounts as _, Client, Store as _};
use tempfile::TempDir;

use super::*;
use crate::store::tests::databases::file;

/// An open file with one account, and another process's lock on the file.
struct Fixture {
    grants: Grants,
    ledger: SqliteLedger,
    other: Connection,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (grants, ledger) = open(&file(&directory)).await.unwrap();
        let Kind::Sqlite(ledger) = ledger.kind else { panic!("not SQLite") };
        ledger.add_account("alice", 100).await.unwrap();
        let other = Connection::open(file(&directory)).unwrap();
        Self { grants, ledger, other, _directory: directory }
    }

    /// Begins a write while the file is locked, and drops its future. A second write waits behind
    /// it, and finds the first write done.
    async fn drop_while_writing<T>(&self, write: impl Future<Output = T>) {
        self.other.execute_batch("BEGIN IMMEDIATE").unwrap();
        {
            let first = pin!(write);
            let mut context = Context::from_waker(Waker::noop());
            assert!(matches!(first.poll(&mut context), Poll::Pending));
        }
        let mut second = pin!(self.ledger.top_up("alice", 10));
        assert!(matches!(
            second.as_mut().poll(&mut Context::from_waker(Waker::noop())),
            Poll::Pending
        ));
        self.other.execute_batch("COMMIT").unwrap();
        second.await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_write_of_the_ledger_is_made() {
    let fixture = Fixture::new().await;
    fixture.drop_while_writing(fixture.ledger.top_up("alice", 1)).await;
    assert_eq!(fixture.ledger.balance("alice").await.unwrap(), Some(111));
}

#[tokio::test]
async fn a_dropped_write_of_a_grant_or_client_is_made() {
    let fixture = Fixture::new().await;
    let client = Client::public("app").redirect_uri("https://app.example/cb").build().unwrap();
    let write = Write::client(None, client);
    fixture.drop_while_writing(fixture.grants.commit(&write)).await;
    assert!(fixture.grants.client("app").await.unwrap().is_some(), "the write was done");
    assert_eq!(fixture.grants.commit(&write).await.unwrap(), Commit::Conflict);

    fixture.drop_while_writing(fixture.grants.raise_epoch("alice")).await;
    fixture.drop_while_writing(fixture.grants.set_suspended("alice", true)).await;
    let alice = fixture.grants.account("alice").await.unwrap().unwrap();
    assert_eq!((alice.epoch, alice.suspended), (1, true));
}

/// A VFS without shared memory stands for a network file system.
#[test]
fn a_file_that_cannot_be_in_wal_mode_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("file:{}?vfs=unix-dotfile", file(&directory).display());
    let error = connection(Path::new(&uri)).unwrap_err().to_string();
    assert!(error.contains("its journal mode is delete"), "{error}");
    assert!(error.contains("network file system"), "{error}");
}
