//! The store of `own_store.rs`: the laws of a store and of accounts, and `kill -9` of the process
//! that writes.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use grantcore::conformance::{AccountsHarness, Harness, verify, work};
use grantcore::store::StoreAdministration;
use grantcore::{Account, Timestamp};
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[allow(dead_code, reason = "the example's own flow is run by `tests/run.rs`")]
#[path = "../own_store.rs"]
mod own_store;

use own_store::RedbStore;

/// A file and its store. redb lets one handle of the file be open, so the others are its clones.
struct File {
    runtime: Runtime,
    store: RedbStore,
    _directory: Option<TempDir>,
}

impl File {
    fn open(path: &Path) -> Self {
        let store = RedbStore::open(path).unwrap();
        Self { runtime: Runtime::new().unwrap(), store, _directory: None }
    }

    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = Self::open(&directory.path().join("grants.redb"));
        Self { _directory: Some(directory), ..file }
    }
}

impl Harness for File {
    type Store = RedbStore;

    fn open(&self) -> RedbStore {
        self.store.clone()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn sweep(&self, store: &RedbStore, now: Timestamp, limit: usize) -> Option<usize> {
        Some(self.wait(store.sweep(now, limit)).unwrap())
    }
}

struct Users(File);

impl AccountsHarness for Users {
    type Accounts = RedbStore;

    fn open(&self) -> RedbStore {
        self.0.store.clone()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.runtime.block_on(future)
    }

    fn sign_up(&self, accounts: &RedbStore, subject: &str) -> String {
        self.wait(accounts.put_user(subject, Account::ACTIVE)).unwrap();
        subject.to_owned()
    }
}

mod store {
    grantcore::conformance!([super::File::new()]);
}

mod accounts {
    grantcore::accounts_conformance!([super::Users(super::File::new())]);
}

/// The environment variable that names the file to the process that is to be killed.
const FILE: &str = "GRANTCORE_OWN_STORE_FILE";
const CRASHES: usize = 10;

#[test]
fn acknowledged_writes_survive_kill_9() {
    if let Ok(path) = std::env::var(FILE) {
        return write_until_killed(path.as_ref());
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grants.redb");
    let mut journal = Vec::new();
    for crash in 0..CRASHES {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["acknowledged_writes_survive_kill_9", "--exact", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        journal.extend(lines.by_ref().take(20 + crash * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        // The lines that were left in the pipe were acknowledged as well.
        journal.extend(lines);
    }
    let verdict = verify(&File::open(&path), &journal).unwrap();
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 10 * CRASHES, "{verdict:?}");
}

/// Works until it is killed, and prints each acknowledged write to the standard error: the test
/// harness prints to the standard output.
fn write_until_killed(path: &Path) {
    let print = |line: &str| writeln!(std::io::stderr(), "{line}").is_ok();
    work(&File::open(path), print).unwrap();
}
