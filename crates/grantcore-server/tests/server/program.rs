//! Tests of the program: its start, the grants after a restart, and its stop by a signal.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::redeem;
use crate::support::program::Program;
use crate::support::{Browser, authorization_url, plain_client};

/// Starts the program without a log, because these tests do not read it.
fn start(listen: &str, directory: &Path) -> Program {
    Program::start(&["--listen", listen], directory, Stdio::null()).expect("it starts")
}

#[tokio::test]
async fn grants_survive_a_restart_and_a_signal_stops_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let program = start("127.0.0.1:0", directory.path());
    let issuer = program.issuer.clone();
    let url = authorization_url(&issuer, &format!("{issuer}/api"));
    let redirect = Browser::new("alice").authorize(&url, "allow").await;
    let tokens = redeem(&issuer, "demo-public", &redirect).await;
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

/// As the README starts it, but for the port.
#[tokio::test]
async fn meta_01_without_a_setting_the_program_describes_itself_and_protects_its_resource() {
    let directory = tempfile::tempdir().unwrap();
    let program = start("127.0.0.1:0", directory.path());
    let issuer = &program.issuer;
    let http = plain_client(false);
    let metadata = http.get(format!("{issuer}/.well-known/oauth-authorization-server"));
    let metadata: Value = metadata.send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], **issuer);
    let refused = http.post(format!("{issuer}/mcp")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(program.stop());
}

/// A request whose body never comes does not delay the operator: the second signal ends the
/// program, long before the time of `--drain` is over.
#[test]
fn a_second_signal_stops_it_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--drain", "1h"];
    let mut program = Program::start(&arguments, directory.path(), Stdio::null()).unwrap();
    let mut stuck =
        std::net::TcpStream::connect(program.issuer.strip_prefix("http://").unwrap()).unwrap();
    stuck
        .write_all(b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        .unwrap();
    // Signals of one kind that come at once are one. A program that ends by its drain takes far
    // more of them.
    let ended = (0..600).find_map(|_| {
        Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        program.child.try_wait().unwrap()
    });
    assert!(ended.expect("the second signal ends it").success());
    drop(stuck);
}

/// Returns the status and the text of `/readyz`, on a connection of its own.
async fn readiness(issuer: &str) -> (u16, String) {
    let answer = plain_client(false).get(format!("{issuer}/readyz")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// After SIGTERM the server says that it is not ready and goes on. Then it closes its port, answers
/// what has begun, and writes the events of it.
#[tokio::test]
async fn a_stop_drains_closes_the_port_and_answers_what_has_begun() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--drain", "3s"];
    let mut program = Program::start(&arguments, directory.path(), Stdio::null()).unwrap();
    let issuer = program.issuer.clone();
    let address = issuer.strip_prefix("http://").unwrap();
    assert_eq!(readiness(&issuer).await, (200, "ready\n".to_owned()));
    let form = "grant_type=refresh_token&client_id=demo-public&refresh_token=none";
    let (first, rest) = form.split_at(20);
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = "Host: localhost\r\nContent-Type: application/x-www-form-urlencoded";
    let length = form.len();
    let head = format!("POST /oauth/token HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n");
    slow.write_all(format!("{head}{first}").as_bytes()).await.unwrap();

    let asked = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status();
    assert!(asked.unwrap().success());
    while readiness(&issuer).await.0 == 200 {}
    assert_eq!(readiness(&issuer).await, (503, "the server stops\n".to_owned()));
    let late = plain_client(false).get(format!("{issuer}/healthz")).send().await.unwrap();
    assert_eq!(late.status(), 200, "new requests are answered while it drains");
    let page = plain_client(false).get(format!("{issuer}/login")).send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), &page.headers()["connection"]),
        (200, &"close".parse().unwrap())
    );

    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(program.child.try_wait().unwrap().is_none(), "a request has begun");
    slow.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_grant"), "{answer}");
    assert!(program.child.wait().unwrap().success());
    let database = rusqlite::Connection::open(directory.path().join("grantcore.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM audit_log WHERE kind = 'refused' AND client = 'demo-public'";
    let events: u32 = database.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(events, 1, "its event is written");
}

#[test]
fn an_error_at_the_start_is_one_line() {
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
        "grantcore-server: replay_window 7200s is refused: it is at most the lifetime of an access \
         token, 3600s here, and shorter than refresh_idle, 2592000s here. Set a shorter one; 30 s is \
         usual.\n"
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

/// The error does not repeat the URL, because it may contain a password.
#[test]
fn a_missing_database_prevents_the_start_and_its_password_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, by) in [
        (format!("postgres://auth:hunter2@{unused}/auth"), "error connecting to server"),
        ("postgres://auth:hunter2@127.0.0.1:none/auth".to_owned(), "invalid"),
        (format!("redis://auth:hunter2@{unused}/"), ""),
        ("redis://auth:hunter2@".to_owned(), ""),
        (format!("rediss://auth:hunter2@{unused}/"), ""),
        (format!("redis-cluster://auth:hunter2@{unused},{unused}"), ""),
        ("redis-cluster://auth:hunter2@127.0.0.1:none,b:2".to_owned(), ""),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantcore-server"));
        let command = command
            .args(["--listen", "127.0.0.1:0", "--log", "trace"])
            .env("GRANTCORE_DATABASE", &url);
        let output = command.current_dir(directory.path()).output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success() && !printed.contains("hunter2"), "{printed}");
        let last = printed.lines().last().unwrap();
        assert!(
            last.starts_with("grantcore-server: the database cannot be opened: ")
                && last.contains(by),
            "{printed}"
        );
        assert_eq!(
            printed.lines().filter(|line| line.contains("grantcore-server: ")).count(),
            1,
            "{printed}"
        );
    }
    let help = Command::new(env!("CARGO_BIN_EXE_grantcore-server"))
        .arg("--help")
        .env("GRANTCORE_DATABASE", "redis://auth:hunter2@h/")
        .output()
        .unwrap();
    assert!(help.status.success() && !String::from_utf8(help.stdout).unwrap().contains("hunter2"));
}
