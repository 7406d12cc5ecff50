//! The program's commands, run to their end, and a server with a file of settings.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::client::redeem;
use super::program::Program;
use super::{Browser, CALLBACK, CHALLENGE, VERIFIER, plain_client};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_grantcore-server");

/// The output of a command: whether it succeeded, standard output and standard error.
pub struct Ran {
    pub is_success: bool,
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

/// Runs the program in a directory, with variables and standard input.
pub fn run_with(directory: &Path, arguments: &[&str], set: &[(&str, &str)], input: &str) -> Ran {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .envs(set.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ran(child.wait_with_output().unwrap())
}

pub fn ran(output: Output) -> Ran {
    Ran {
        is_success: output.status.success(),
        code: output.status.code(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn run(directory: &Path, arguments: &[&str]) -> Ran {
    run_with(directory, arguments, &[], "")
}

/// Returns a directory with the file `c.toml`.
pub fn with_file(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("c.toml"), text).unwrap();
    directory
}

/// Returns the names of the files in a directory, in order.
pub fn files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns a file of settings for a server on this machine. `clients` are its clients.
pub fn settings(port: u16, clients: &str) -> String {
    format!(
        "issuer = 'http://127.0.0.1:{port}'
listen = '127.0.0.1:{port}'
database = 'sqlite:grants.sqlite'
[[scopes]]
name = 'reports'
description = 'Read your reports'
default = true
[[resources]]
url = 'http://127.0.0.1:{port}/api'
scopes = ['reports']
builtin = 'api'
[[resources]]
url = 'http://127.0.0.1:{port}/reports'
name = 'Reports'
scopes = ['reports']
default = true
[[clients]]
id = 'app'
name = 'Reporting'
redirect_uris = ['http://127.0.0.1/callback']
{clients}"
    )
}

pub fn start(directory: &Path) -> Program {
    Program::start(&["--config", "c.toml"], directory, Stdio::null()).expect("it starts")
}

/// Authorizes `app` for a resource as alice, and returns its tokens.
pub async fn connect(issuer: &str, resource: &str) -> Value {
    let url = reqwest::Url::parse_with_params(
        &format!("{issuer}/oauth/authorize"),
        [
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", resource),
        ],
    );
    let at = Browser::new("alice").authorize(url.unwrap().as_str(), "allow").await;
    redeem(issuer, "app", &at).await
}

pub async fn refresh(issuer: &str, token: &str) -> Value {
    let form = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token)];
    super::client::token(issuer, &form).await.1
}

/// Introspects a token as a client, and returns the status with the answer.
pub async fn introspect(issuer: &str, client: &str, secret: &str, token: &str) -> (u16, String) {
    let asked = plain_client(false)
        .post(format!("{issuer}/oauth/introspect"))
        .basic_auth(client, Some(secret))
        .form(&[("token", token)])
        .send()
        .await
        .unwrap();
    (asked.status().as_u16(), asked.text().await.unwrap())
}

/// Returns the status of a token request by a client with a secret. A wrong secret is 401, and a
/// right one fails at the code.
pub async fn authenticates(issuer: &str, client: &str, secret: &str) -> bool {
    let form = [("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", VERIFIER)];
    let answer = plain_client(false)
        .post(format!("{issuer}/oauth/token"))
        .basic_auth(client, Some(secret))
        .form(&form)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    assert!([400, 401].contains(&status), "{status}");
    status == 400
}

/// Takes the permissions of others away.
pub fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    }
}
