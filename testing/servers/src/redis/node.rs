//! One process of Redis and its directory.
//!
//! Never here: what makes several of them a cluster.

use std::fs::{File, read_to_string};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::wire::ask;
use crate::free_port;

/// How long to wait between two looks, and how often to look.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
pub(super) const LOOKS: usize = 3_000;

/// Another program may take a free port before the server does: it then gets others, so often.
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
    /// Starts one on a free port, and its bus on another if it will be one of a cluster.
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

    /// The port that the nodes of a cluster talk over.
    pub(super) fn bus(&self) -> Option<u16> {
        self.bus
    }

    /// Whether it was not killed.
    pub(super) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Sends a command.
    pub(super) fn ask(&self, words: &[&str]) -> String {
        ask(self.port, words).unwrap_or_else(|error| panic!("{words:?}: {error}; {}", self.log()))
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; either way it is waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(super) fn restart(&mut self) {
        self.kill();
        assert!(self.spawn(), "Redis does not start again: {}", self.log());
    }

    /// Whether it came up and has loaded what it had.
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
        // While it loads, it answers with an error.
        let up = (0..LOOKS).any(|_| {
            sleep(PAUSE);
            self.has_ended() || ask(self.port, &["PING"]).is_ok()
        });
        // The port may have answered for another program's server.
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
