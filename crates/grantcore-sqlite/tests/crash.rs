//! `kill -9` of the process that writes, again and again: what it was told was done is there. The
//! process is this program, once more.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail loudly, and says what came of it"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use grantcore::conformance::{Blocking, verify, work};
use grantcore_sqlite::SqliteStore;

const CRASHES: usize = 50;
/// Names the file to a process of this test that is there to be killed.
const FILE: &str = "GRANTCORE_CRASH_FILE";

fn main() {
    match std::env::var(FILE) {
        Ok(path) => child(path.as_ref()),
        Err(_) => what_was_acknowledged_is_there_after_fifty_crashes(),
    }
}

/// The process that works until it is killed.
fn child(path: &Path) {
    let line = |line: &str| writeln!(std::io::stdout().lock(), "{line}").is_ok();
    work(&Blocking::new(|| SqliteStore::open(path).unwrap()), line).unwrap();
}

/// Starts two that work on one file, kills both when they have told of so much, and brings all they
/// told of.
fn killed_after(path: &Path, lines: usize) -> Vec<String> {
    let children = [(); 2].map(|()| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(FILE, path).stdout(Stdio::piped());
        command.spawn().unwrap()
    });
    let mut told = Vec::new();
    let mut readers =
        children.map(|mut child| (BufReader::new(child.stdout.take().unwrap()).lines(), child));
    for (reader, _) in &mut readers {
        told.extend(reader.by_ref().take(lines).map(Result::unwrap));
    }
    for (_, child) in &mut readers {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // What was in the pipe was acknowledged as well.
    told.extend(readers.into_iter().flat_map(|(reader, _)| reader.map_while(Result::ok)));
    told
}

fn what_was_acknowledged_is_there_after_fifty_crashes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grants.sqlite");
    let mut journal = Vec::new();
    for crash in 0..CRASHES {
        journal.extend(killed_after(&path, 10 + crash * 7 % 40));
    }
    let verdict = verify(&Blocking::new(|| SqliteStore::open(&path).unwrap()), &journal).unwrap();
    println!("{CRASHES} crashes: {verdict:?}");
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 10 * CRASHES, "{verdict:?}");
}
