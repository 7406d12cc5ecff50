//! The program itself: starts by its command, says where to go, keeps its grants over a restart, stops when told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod support;

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::{Browser, CALLBACK, VERIFIER, authorization_url, param, plain_client};

struct Program(Child);

impl Program {
    /// Starts it and waits for its first line, which it prints when it listens.
    fn start(port: u16, directory: &Path) -> (Self, String) {
        let listen = format!("127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantcore-server"));
        let mut child = command
            .args(["--listen", &listen])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        (Self(child), first)
    }

    /// Asks it to stop as a service manager does, and says whether it ended well.
    fn stop(mut self) -> bool {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        asked.success() && self.0.wait().unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn grants_survive_a_restart_and_the_program_stops_when_told() {
    let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
    let issuer = format!("http://127.0.0.1:{port}");
    let (program, first) = Program::start(port, directory.path());
    assert_eq!(first.trim(), format!("grantcore example server at {issuer}"));
    let url = authorization_url(&issuer, &format!("{issuer}/api"));
    let code = param(&Browser::new("alice").authorize(&url, "allow").await, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "demo-public"),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let tokens: Value =
        plain_client(false).post(format!("{issuer}/oauth/token")).form(&form).send().await.unwrap().json().await.unwrap();
    assert!(program.stop());
    assert!(directory.path().join("grantcore.sqlite").exists(), "the default database");

    let (program, _) = Program::start(port, directory.path());
    let api = plain_client(false)
        .get(format!("{issuer}/api"))
        .bearer_auth(tokens["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(api.json::<Value>().await.unwrap()["subject"], "alice");
    assert!(program.stop());
}

/// A request whose body never comes keeps no operator waiting: the second signal ends the program.
#[test]
fn a_second_signal_stops_it_at_once() {
    let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
    let (mut program, _) = Program::start(port, directory.path());
    let mut stuck = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stuck.write_all(b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    let ended = loop {
        Command::new("kill").args(["-TERM", &program.0.id().to_string()]).status().unwrap();
        match program.0.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(std::time::Duration::from_millis(50)),
        }
    };
    assert!(ended.success());
    drop(stuck);
}

#[test]
fn what_keeps_it_from_starting_is_said_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let started = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_grantcore-server")).args(arguments).current_dir(directory.path()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let window = started(&["--listen", "127.0.0.1:0", "--database", "memory:", "--replay-window", "2h"]);
    assert_eq!(window, "grantcore-server: the replay window is at most the access lifetime and shorter than the idle lifetime\n");
    assert!(started(&["--database", "cloud:x"]).contains("sqlite:PATH"));
}

#[cfg(unix)]
#[test]
fn the_database_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let (program, _) = Program::start(free_port(), directory.path());
    let mode = std::fs::metadata(directory.path().join("grantcore.sqlite")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    assert!(program.stop());
}
