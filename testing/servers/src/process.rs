//! Processes of a server: who they run as, who their children are, and how they are stopped at
//! once.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};

/// The user a server runs as instead of root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The system's user of this name.
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

/// Whether these tests run as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Ends a process and its children as a crash would. It is stopped first, so that it can neither
/// react nor start another child.
pub(crate) fn crash(process: &mut Child) {
    let pid = Pid::from_child(process);
    // Nothing is left to be done where it has ended by itself.
    let _ = kill_process(pid, Signal::STOP);
    for child in children(pid) {
        let _ = kill_process(child, Signal::KILL);
    }
    let _ = process.kill();
    let _ = process.wait();
}

/// The processes whose parent this is: the backends of a server have sessions of their own, so a
/// process group would miss them.
fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    let processes =
        fs::read_dir("/proc").expect("/proc lists the processes").filter_map(io::Result::ok);
    processes
        .filter(|entry| parent_of(&entry.path()) == Some(parent))
        .filter_map(|entry| pid_of(&entry.path()))
        .collect()
}

/// The fourth field of `stat`. The second is a name in parentheses that may hold anything.
fn parent_of(process: &Path) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn pid_of(process: &Path) -> Option<Pid> {
    Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)
}
