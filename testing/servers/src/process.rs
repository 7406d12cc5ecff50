//! Processes of a server: their user, their children, and how they are killed at once.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

/// The user that a server runs as, in place of root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// Returns the system's user of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find(|fields| fields.clone().next() == Some(name))?
            .skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }
}

/// Returns whether the tests run as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Kills a process and its children, as a crash would. The process is stopped first, so that it can
/// neither react nor start another child.
pub(crate) fn crash(process: &mut Child) {
    let pid = Pid::from_child(process);
    // The process may have ended by itself.
    let _ = kill_process(pid, Signal::STOP);
    for child in children(pid) {
        let _ = kill_process(child, Signal::KILL);
    }
    let _ = process.kill();
    let _ = process.wait();
}

/// Returns the children of a process. A process group would miss the backends of a server, because
/// they have their own sessions.
fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    let processes =
        fs::read_dir("/proc").expect("/proc lists the processes").filter_map(io::Result::ok);
    processes
        .filter(|entry| parent_of(&entry.path()) == Some(parent))
        .filter_map(|entry| pid_of(&entry.path()))
        .collect()
}

/// Returns the parent of a process, the fourth field of `stat`. The second field is a name in
/// parentheses that may contain any character.
fn parent_of(process: &Path) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn pid_of(process: &Path) -> Option<Pid> {
    Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)
}
