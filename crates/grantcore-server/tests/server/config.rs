//! Tests of the file of settings: its precedence, what a server does with it, and what shows it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::commands::{
    PROGRAM, authenticates, connect, introspect, private, ran, refresh, run, run_with, settings,
    start, with_file,
};
use crate::support::deploy::blocks;
use crate::support::plain_client;
use crate::support::program::Program;
use serde_json::Value;

const EXAMPLE: &str = include_str!("../../config.example.toml");
/// A secret of a client.
const SECRET: &str = "kGvYw0mbnZ5yH3s2uQ7fXw";

#[test]
fn the_command_line_precedes_the_environment_the_file_and_the_default() {
    let directory = with_file(
        "issuer = 'http://127.0.0.1:1001'\ndatabase = 'memory:'\nlisten = '127.0.0.1:0'
        [[resources]]\nurl = 'https://api.example'",
    );
    let issuer = |flags: &[&str], variable: Option<&str>| {
        let mut command = Command::new(PROGRAM);
        command
            .args(flags)
            .current_dir(directory.path())
            .envs(variable.map(|value| ("GRANTCORE_ISSUER", value)));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        first.trim().rsplit(' ').next().unwrap().to_owned()
    };
    let file = ["--config", "c.toml"];
    let all = ["--config", "c.toml", "--issuer", "http://127.0.0.1:1003"];
    assert_eq!(issuer(&all, Some("http://127.0.0.1:1002")), "http://127.0.0.1:1003");
    assert_eq!(issuer(&file, Some("http://127.0.0.1:1002")), "http://127.0.0.1:1002");
    assert_eq!(issuer(&file, None), "http://127.0.0.1:1001");
    let none = ["--database=memory:", "--listen=127.0.0.1:0"];
    let default = issuer(&none, None);
    assert!(default.starts_with("http://127.0.0.1:") && !default.contains(":100"), "{default}");
}

/// A file replaces the scopes, resources and clients of the demonstration. Its changes reach the
/// database at the next start, and the grants of a client stay.
#[tokio::test]
async fn a_server_serves_what_its_file_declares() {
    let port = grantcore_testing_servers::free_port();
    let issuer = format!("http://127.0.0.1:{port}");
    let digest = "sha256:5f5d6a3b5c0d3ec6b8f2e54a1ed2a4a8d0bb0d8ea9d6a30a6cc7bdbed5b8a3a4";
    let reports = |secret: &str| {
        format!("[[clients]]\nid = 'reports'\n{secret}\nintrospects = ['{issuer}/reports']")
    };
    let by_file = format!(
        "{}\n[[clients]]\nid = 'digest'\nsecret_digest = '{digest}'\nauth_method = 'client_secret_post'\n\
         redirect_uris = ['https://app.example/cb']\nscopes = ['reports']\ntrusted = false\nrate_limit = 5\n\
         owner = 'bob'\nloopback_ports = 'off'\ngrant_types = ['authorization_code']",
        reports("secret_file = 'secret'")
    );
    let directory = with_file(&settings(port, &by_file));
    let path = directory.path();
    let secret = path.join("secret");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    private(&secret);
    let program = start(path);
    let tokens = connect(&issuer, &format!("{issuer}/reports")).await;
    assert_eq!(tokens["scope"], "reports", "{tokens}");
    let access = tokens["access_token"].as_str().unwrap();
    let (status, answer) = introspect(&issuer, "reports", SECRET, access).await;
    assert!(status == 200 && answer.contains("\"active\":true"), "{status} {answer}");
    assert_eq!(introspect(&issuer, "reports", "wrong", access).await.0, 401);
    let of_api = connect(&issuer, &format!("{issuer}/api")).await;
    let api = plain_client(false)
        .get(format!("{issuer}/api"))
        .bearer_auth(of_api["access_token"].as_str().unwrap())
        .send();
    assert_eq!(api.await.unwrap().status(), 200, "a resource of the demonstration that is kept");
    assert!(!authenticates(&issuer, "demo-confidential", "demo-confidential-secret").await);
    let mcp = plain_client(false).post(format!("{issuer}/mcp")).send().await.unwrap();
    assert_eq!(mcp.status(), 404, "a resource of the demonstration that is not kept");
    let metadata = format!("{issuer}/.well-known/oauth-authorization-server");
    let metadata: Value =
        plain_client(false).get(metadata).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["scopes_supported"], serde_json::json!(["reports"]));
    assert!(program.stop());

    // The secret changes; the grant of the other client stays.
    let next = "env:REPORTS_SECRET";
    fs::write(path.join("c.toml"), settings(port, &reports(&format!("secret = '{next}'"))))
        .unwrap();
    let program = {
        let mut command = Command::new(PROGRAM);
        command.args(["--config", "c.toml"]).env("REPORTS_SECRET", "another-secret-of-this-client");
        command.env("GRANTCORE_DRAIN", "0s");
        let child = command.current_dir(path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        Program { child, issuer: issuer.clone() }
    };
    assert_eq!(introspect(&issuer, "reports", SECRET, access).await.0, 401);
    let (status, answer) =
        introspect(&issuer, "reports", "another-secret-of-this-client", access).await;
    assert!(status == 200 && answer.contains("\"active\":true"), "{status} {answer}");
    let next = refresh(&issuer, tokens["refresh_token"].as_str().unwrap()).await;
    assert!(next["access_token"].is_string(), "{next}");
    assert!(program.stop());
}

/// The help shows neither the values of the file nor those of variables that may be secrets.
#[test]
fn the_help_shows_no_secret() {
    let directory = with_file(
        "registration_token = 'hunter2hunter2hunter2hunter2'\ndatabase = 'redis://hunter2@h/'",
    );
    private(&directory.path().join("c.toml"));
    let set = [
        ("GRANTCORE_REGISTRATION_TOKEN", "hunter2hunter2hunter2hunter2"),
        ("GRANTCORE_DATABASE", "redis://hunter2@h/"),
    ];
    for arguments in [&["--config", "c.toml", "--help"][..], &["add-client", "--help"]] {
        let help = run_with(directory.path(), arguments, &set, "");
        assert!(help.is_success && help.output.contains("--config"), "{}", help.errors);
        assert!(!help.output.contains("hunter2"), "{}", help.output);
    }
    let checked = run_with(directory.path(), &["check-config", "--config", "c.toml"], &set, "");
    assert!(!checked.output.contains("hunter2") && !checked.errors.contains("hunter2"));
}

/// The supervisor's addresses answer to any host, also under a path, and are in no log.
#[tokio::test]
async fn health_and_readiness_are_answered_and_not_logged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let port = grantcore_testing_servers::free_port();
    let listen = format!("127.0.0.1:{port}");
    let issuer = format!("http://{listen}/auth");
    let postgres = grantcore_testing_servers::Postgres::start(&[]);
    let url = postgres
        .as_ref()
        .map_or_else(|| "memory:".to_owned(), grantcore_testing_servers::Postgres::url);
    let flags = ["--listen", &listen, "--issuer", &issuer, "--database", &url];
    let log = fs::File::create(path.join("log")).unwrap();
    let program = Program::start(&flags, path, log).unwrap();
    let get = async |what: &str| {
        let asked = plain_client(false).get(format!("http://{listen}{what}"));
        let asked = asked.header("host", "supervisor.internal").send().await.unwrap();
        (asked.status().as_u16(), asked.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get("/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get("/auth/").await.0, 403, "any other address refuses the host");
    if let Some(mut postgres) = postgres {
        postgres.kill();
        assert_eq!(get("/healthz").await.0, 200);
        let (status, text) = get("/readyz").await;
        assert!(status == 503 && text.contains("accounts: the database does not answer"), "{text}");
        assert!(text.starts_with("grants: the database does not answer"), "{text}");
        postgres.restart();
        assert_eq!(get("/readyz").await.0, 200);
    }
    assert!(program.stop());
    let log = fs::read_to_string(path.join("log")).unwrap();
    assert!(log.contains("path=\"/auth/\"") && !log.contains("healthz"), "{log}");
    assert!(!log.contains("readyz"), "{log}");
}

/// Follows the section "Configuration" of docs/deploy.md: its file, and each of its commands.
#[test]
fn the_documented_file_and_commands_work() {
    assert_eq!(blocks("Configuration", "toml"), [EXAMPLE], "one source");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("grantcore.toml"), EXAMPLE).unwrap();
    let scripts = blocks("Configuration", "sh");
    assert_eq!(scripts.len(), 3, "{scripts:?}");
    let programs = Path::new(PROGRAM).parent().unwrap().to_str().unwrap();
    let search = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut outputs = Vec::new();
    for (number, script) in scripts.iter().enumerate() {
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", script]).current_dir(path).env("PATH", &search);
        if number > 0 {
            // The state directory of the example is not this user's.
            command.env("GRANTCORE_DATABASE", "sqlite:grants.sqlite");
        }
        command
            .env("OLD_DATABASE", "sqlite:grants.sqlite")
            .env("NEW_DATABASE", "sqlite:new.sqlite");
        let done = ran(command.output().unwrap());
        assert!(done.is_success, "{script}: {}", done.errors);
        outputs.push(done);
    }
    let [checked, secrets, moved] = &outputs[..] else { panic!() };
    for part in [
        "issuer     https://auth.example.com\n",
        "accounts   2 in ",
        "https://mcp.example.com/mcp  (your notes)  notes:read notes:write\n",
        "  https://auth.example.com/calendar  (your calendar)  calendar\n",
        "  https://auth.example.com/calendar -> http://127.0.0.1:3000/mcp  calendar\n",
        "  files-server  client_secret_basic",
        "  reports  private_key_jwt",
        "  nightly  client_secret_basic  without a user: notes:read at https://mcp.example.com/mcp\n",
        "  deployer  federated  without a user: notes:read at every resource  with assertions of ",
        "  https://portal.example.com/callback  with assertions of https://idp.example.org\n",
        "  files-server  client_secret_basic  introspects tokens for https://files.example.com\n",
        "\n\nno errors\n",
    ] {
        assert!(checked.output.contains(part), "{part}: {}", checked.output);
    }
    assert!(!checked.errors.contains("warning"), "{}", checked.errors);
    let secrets: Vec<_> = secrets.output.lines().collect();
    assert!(secrets.len() == 3 && secrets[0] != secrets[2], "{secrets:?}");
    assert!(
        moved.output.starts_with(
            "moved 2 clients, 0 grants, 0 marks and 0 accounts (0 suspended or ended) to"
        ),
        "{}",
        moved.output
    );
    // The unit names the commands with the file of the example.
    let unit = blocks("Configuration", "ini").join("");
    for line in unit.lines().filter_map(|line| line.split_once("=/usr/local/bin/grantcore-server "))
    {
        let arguments = line.1.replace("/etc/grantcore/", "");
        let arguments: Vec<_> = arguments.split(' ').collect();
        assert!(arguments.contains(&"--config"), "{arguments:?}");
        let started = if line.0 == "ExecStartPre" {
            run(path, &arguments).is_success
        } else {
            let flags = ["--listen", "127.0.0.1:0", "--database", "memory:"];
            let program = Program::start(&[&arguments[..], &flags].concat(), path, Stdio::null());
            program.is_some_and(Program::stop)
        };
        assert!(started, "{}", line.1);
    }
    assert_eq!(unit.matches("grantcore-server ").count(), 2);
}
