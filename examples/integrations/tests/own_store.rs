//! The store of `own_store.rs`: the laws of a store, and `kill -9` of the process that writes.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use grantcore::blocking::OnThreads;
use grantcore::conformance::{Async, verify, work};
use grantcore::store::StoreAdministration as _;
use tokio::runtime::Runtime;

#[allow(dead_code, reason = "the example's own flow is run by `tests/run.rs`")]
#[path = "../own_store.rs"]
mod own_store;

use own_store::RedbStore;

/// Opens the file. redb lets one handle of it be open, so the others are its clones. `kept` lives
/// as long as the harness.
fn opened(path: &Path, kept: impl Sync + 'static) -> Async<OnThreads<RedbStore>> {
    let store = RedbStore::open(path).unwrap();
    let runtime = Runtime::new().unwrap();
    let open = async move || {
        let _kept = &kept;
        store.clone()
    };
    Async::new(move |future| runtime.block_on(future), open)
        .with_sweep(async |store, now, limit| store.sweep(now, limit).await.unwrap())
}

fn harness() -> Async<OnThreads<RedbStore>> {
    let directory = tempfile::tempdir().unwrap();
    opened(&directory.path().join("grants.redb"), directory)
}

grantcore::conformance!([harness()]);
grantcore::administration_conformance!([harness()]);

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
    let verdict = verify(&opened(&path, ()), &journal).unwrap();
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 10 * CRASHES, "{verdict:?}");
}

/// Works until it is killed, and prints each acknowledged write to the standard error: the test
/// harness prints to the standard output.
fn write_until_killed(path: &Path) {
    let print = |line: &str| writeln!(std::io::stderr(), "{line}").is_ok();
    work(&opened(path, ()), print).unwrap();
}
