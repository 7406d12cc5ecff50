//! One process of Redis and its directory.
//!
//! What never lives here: the commands that join nodes to a cluster.

use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::wire::ask;
use crate::free_port;

/// The pause between two polls, and the number of polls.
pub(super) const INTERVAL: Duration = Duration::from_millis(20);
pub(super) const ATTEMPTS: usize = 3_000;

/// How often the server is started on other ports, if another program took its port.
const STARTS: usize = 5;

#[derive(Debug)]
pub(super) struct Node {
    program: PathBuf,
    directory: TempDir,
    settings: Vec<(String, String)>,
    port: u16,
    bus: Option<u16>,
    child: Option<Child>,
}

impl Node {
    /// Starts a server on a free port. A node of a cluster gets another free port for its bus.
    pub(super) fn start<'a>(
        program: PathBuf,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        clustered: bool,
    ) -> Self {
        let directory = TempDir::with_prefix("grantcore-redis-").expect("a directory for Redis");
        let settings =
            settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut node = Self { program, directory, settings, port: 0, bus: None, child: None };
        for _ in 0..STARTS {
            (node.port, node.bus) = (free_port(), clustered.then(free_port));
            if node.spawn() {
                return node;
            }
        }
        panic!("Redis does not start: {}", node.log());
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path of the server's program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Swaps the ports of two servers that do not run.
    pub(super) fn swap_ports(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.port, &mut other.port);
    }

    /// Returns the port of the cluster bus.
    pub(super) fn bus(&self) -> Option<u16> {
        self.bus
    }

    /// Returns whether the server has not been killed.
    pub(super) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Sends a command.
    pub(super) fn ask(&self, words: &[&str]) -> String {
        ask(self.port, words).unwrap_or_else(|error| panic!("{words:?}: {error}; {}", self.log()))
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The process may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(super) fn restart(&mut self) {
        self.kill();
        assert!(self.spawn(), "Redis does not start again: {}", self.log());
    }

    /// Starts the process, and returns whether it runs and has loaded its data.
    fn spawn(&mut self) -> bool {
        let log = File::create(self.directory.path().join("log")).expect("a log for Redis");
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(log);
        command.args([
            "--bind",
            "127.0.0.1",
            "--daemonize",
            "no",
            "--port",
            &self.port.to_string(),
        ]);
        if let Some(bus) = self.bus {
            command.args(["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()]);
        }
        for (name, value) in &self.settings {
            command.args([&format!("--{name}"), value]);
        }
        self.child = Some(command.spawn().expect("Redis can be run"));
        // While the server loads, it answers with an error.
        let up = (0..ATTEMPTS).any(|_| {
            sleep(INTERVAL);
            self.has_ended() || ask(self.port, &["PING"]).is_ok()
        });
        // Another program's server may have answered on the port.
        let up = up && !self.has_ended();
        if !up {
            self.kill();
        }
        up
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn log(&self) -> String {
        read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
