//! The program itself: starts by its command, says where to go, keeps its grants over a restart,
//! stops when told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::program::Program;
use support::{Browser, CALLBACK, VERIFIER, authorization_url, param, plain_client};

/// Its log goes nowhere: none of these tests reads it.
fn start(listen: &str, directory: &Path) -> Program {
    Program::start(&["--listen", listen], directory, Stdio::null()).expect("it starts")
}

#[tokio::test]
async fn grants_survive_a_restart_and_the_program_stops_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let program = start("127.0.0.1:0", directory.path());
    let issuer = program.issuer.clone();
    let url = authorization_url(&issuer, &format!("{issuer}/api"));
    let code = param(&Browser::new("alice").authorize(&url, "allow").await, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "demo-public"),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let tokens: Value = plain_client(false)
        .post(format!("{issuer}/oauth/token"))
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(program.stop());
    assert!(directory.path().join("grantcore.sqlite").exists(), "the default database");

    let program = start(issuer.strip_prefix("http://").unwrap(), directory.path());
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
    let directory = tempfile::tempdir().unwrap();
    let mut program = start("127.0.0.1:0", directory.path());
    let mut stuck =
        std::net::TcpStream::connect(program.issuer.strip_prefix("http://").unwrap()).unwrap();
    stuck
        .write_all(b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        .unwrap();
    let ended = loop {
        Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
        match program.child.try_wait().unwrap() {
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
        let output = Command::new(env!("CARGO_BIN_EXE_grantcore-server"))
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let window =
        started(&["--listen", "127.0.0.1:0", "--database", "memory:", "--replay-window", "2h"]);
    assert_eq!(
        window,
        "grantcore-server: the replay window is at most the access lifetime and shorter than the idle lifetime\n"
    );
    assert!(started(&["--database", "cloud:x"]).contains("sqlite:PATH"));
}

#[cfg(unix)]
#[test]
fn the_database_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let program = start("127.0.0.1:0", directory.path());
    let mode =
        std::fs::metadata(directory.path().join("grantcore.sqlite")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    assert!(program.stop());
}

/// Nothing of what was given is repeated: there may be a password in it.
#[test]
fn a_database_that_is_not_there_keeps_it_from_starting_and_its_password_is_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, by) in [
        (format!("postgres://auth:hunter2@{nobody}/auth"), "error connecting to server"),
        ("postgres://auth:hunter2@127.0.0.1:none/auth".to_owned(), "invalid"),
        (format!("redis://auth:hunter2@{nobody}/"), ""),
        ("redis://auth:hunter2@".to_owned(), ""),
        (format!("rediss://auth:hunter2@{nobody}/"), ""),
        (format!("redis-cluster://auth:hunter2@{nobody},{nobody}"), ""),
        ("redis-cluster://auth:hunter2@127.0.0.1:none,b:2".to_owned(), ""),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantcore-server"));
        let command = command
            .args(["--listen", "127.0.0.1:0", "--log", "trace"])
            .env("GRANTCORE_DATABASE", &url);
        let output = command.current_dir(directory.path()).output().unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success() && !told.contains("hunter2"), "{told}");
        let last = told.lines().last().unwrap();
        assert!(
            last.starts_with("grantcore-server: the database cannot be opened: ")
                && last.contains(by),
            "{told}"
        );
        assert_eq!(
            told.lines().filter(|line| line.contains("grantcore-server: ")).count(),
            1,
            "{told}"
        );
    }
    let help = Command::new(env!("CARGO_BIN_EXE_grantcore-server"))
        .arg("--help")
        .env("GRANTCORE_DATABASE", "redis://auth:hunter2@h/")
        .output()
        .unwrap();
    assert!(help.status.success() && !String::from_utf8(help.stdout).unwrap().contains("hunter2"));
}
