//! The program as a process of its own: how it is started, and that it never outlives its test.
//! What it answers is the tests' to judge.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Program {
    pub child: Child,
    /// As it says itself in its first line.
    pub issuer: String,
}

impl Program {
    /// Starts it and waits for its first line, which it prints when it listens. Nothing if it ended
    /// before; `log` then says why.
    pub fn start(arguments: &[&str], directory: &Path, log: impl Into<Stdio>) -> Option<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantcore-server"));
        let child = command
            .args(arguments)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut program = Self { child, issuer: String::new() };
        let mut first = String::new();
        BufReader::new(program.child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        first.trim().strip_prefix("grantcore example server at ")?.clone_into(&mut program.issuer);
        Some(program)
    }

    /// Asks it to stop as a service manager does, and says whether it ended well.
    pub fn stop(mut self) -> bool {
        let asked =
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        asked.success() && self.child.wait().unwrap().success()
    }

    /// Ends it as a crash does: it is told nothing, and nothing of it runs any more afterwards.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
