//! `kill -9` of the process that writes, again and again: every acknowledged write survives. The
//! process is another one of this program.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail loudly, and prints its verdict"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use grantcore::conformance::{Blocking, verify, work};
use grantcore_sqlite::SqliteStore;

const CRASHES: usize = 50;
/// The environment variable that names the file to a process that is to be killed.
const FILE: &str = "GRANTCORE_CRASH_FILE";

fn main() {
    match std::env::var(FILE) {
        Ok(path) => child(path.as_ref()),
        Err(_) => acknowledged_writes_survive_fifty_crashes(),
    }
}

/// The process that works until it is killed.
fn child(path: &Path) {
    let line = |line: &str| writeln!(std::io::stdout().lock(), "{line}").is_ok();
    work(&Blocking::new(|| SqliteStore::open(path).unwrap()), line).unwrap();
}

/// Starts two processes on one file, kills both after this many lines of each, and returns all
/// their lines.
fn killed_after(path: &Path, lines: usize) -> Vec<String> {
    let children = [(); 2].map(|()| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(FILE, path).stdout(Stdio::piped());
        command.spawn().unwrap()
    });
    let mut journal = Vec::new();
    let mut readers =
        children.map(|mut child| (BufReader::new(child.stdout.take().unwrap()).lines(), child));
    for (reader, _) in &mut readers {
        journal.extend(reader.by_ref().take(lines).map(Result::unwrap));
    }
    for (_, child) in &mut readers {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The lines that were left in the pipe were acknowledged as well.
    journal.extend(readers.into_iter().flat_map(|(reader, _)| reader.map_while(Result::ok)));
    journal
}

fn acknowledged_writes_survive_fifty_crashes() {
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
