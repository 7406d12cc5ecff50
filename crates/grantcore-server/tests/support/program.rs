//! The program as a process, which ends with its test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Program {
    pub child: Child,
    /// The issuer of the first line that the program prints.
    pub issuer: String,
}

impl Program {
    /// Starts the program and waits for its first line, which it prints when it listens. Returns
    /// `None` if it ended before; `log` has the error then. It stops without a time to drain,
    /// unless the arguments name one.
    pub fn start(arguments: &[&str], directory: &Path, log: impl Into<Stdio>) -> Option<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantcore-server"));
        let child = command
            .args(arguments)
            .env("GRANTCORE_DRAIN", "0s")
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut program = Self { child, issuer: String::new() };
        let mut first = String::new();
        BufReader::new(program.child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        first.trim().strip_prefix("grantcore-server at ")?.clone_into(&mut program.issuer);
        Some(program)
    }

    /// Stops the program as a service manager does, and returns whether it succeeded.
    pub fn stop(mut self) -> bool {
        let asked =
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        asked.success() && self.child.wait().unwrap().success()
    }

    /// Kills the program without a signal that it could handle, and waits for its end.
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
