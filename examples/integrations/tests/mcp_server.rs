//! The example `mcp_server` with the clients of other projects, which get the URL and nothing else.
//!
//! `rmcp` runs in this process. The clients for Node.js and Python are the scripts of
//! `crates/grantcore-server/tests/clients`, whose `install` installs them. Their tests are skipped
//! if they are not installed, unless `GRANTCORE_REQUIRE_CLIENTS=1`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{StatusCode, header};
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use support::{Browser, CALLBACK, Running, plain_client};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

type Http = AuthClient<reqwest::Client>;

/// Discovers the server, registers, and lets alice sign in and allow it.
async fn connect(mcp: &str) -> (RunningService<RoleClient, ()>, Http) {
    let http = plain_client(false);
    let mut state = OAuthState::new(mcp, None).await.unwrap();
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("A test");
    state.start_authorization(request).await.unwrap();
    let url = state.get_authorization_url().await.unwrap();
    let browser = Browser::new();
    let page = browser.sign_in(&url, "alice", "wonderland").await;
    assert!(page.contains("A test wants access"), "{page}");
    let answer = browser.decide(&url, &page, "allow").await;
    state.handle_callback_url(answer.as_str()).await.unwrap();
    let http = AuthClient::new(http, state.into_authorization_manager().unwrap());
    let config = StreamableHttpClientTransportConfig::with_uri(mcp);
    let transport = StreamableHttpClientTransport::with_client(http.clone(), config);
    (().serve(transport).await.unwrap(), http)
}

async fn call(
    service: &RunningService<RoleClient, ()>,
    tool: &'static str,
    arguments: Value,
) -> String {
    let arguments = arguments.as_object().unwrap().clone();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments);
    let answer = service.call_tool(request).await.unwrap();
    answer.content[0].as_text().unwrap().text.clone()
}

#[tokio::test]
async fn a_client_connects_from_the_url_alone_and_refreshes() {
    let server = Running::start("mcp_server", &["127.0.0.1:0"]).await;
    let (first, http) = connect(&server.url).await;
    let mut tools: Vec<_> = first.list_all_tools().await.unwrap();
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["note_add", "note_list"]);
    call(&first, "note_add", json!({ "text": "feed the cat" })).await;

    let before = http.get_access_token().await.unwrap();
    http.auth_manager.lock().await.refresh_token().await.unwrap();
    let after = http.get_access_token().await.unwrap();
    assert_ne!(before, after);
    assert_eq!(call(&first, "note_list", json!({})).await, "feed the cat");

    // Another client of the same user has the same notes: they are those of the token's user.
    let (second, _) = connect(&server.url).await;
    assert_eq!(call(&second, "note_list", json!({})).await, "feed the cat");
    first.cancel().await.unwrap();
    second.cancel().await.unwrap();
}

#[tokio::test]
async fn a_call_without_a_token_is_led_to_the_server_and_a_rebound_name_is_refused() {
    let server = Running::start("mcp_server", &["127.0.0.1:0"]).await;
    let http = plain_client(false);
    let refused = http.post(&server.url).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let challenge = refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    let issuer = server.url.strip_suffix("/mcp").unwrap();
    let document = format!("resource_metadata=\"{issuer}/.well-known/oauth-protected-resource/mcp");
    assert!(challenge.contains(&document), "{challenge}");

    let client = support::register(issuer).await;
    let url = support::authorization_url(issuer, &client, &server.url);
    let browser = Browser::new();
    let page = browser.sign_in(&url, "alice", "wonderland").await;
    let redirect = browser.decide(&url, &page, "allow").await;
    let token = support::redeem(issuer, &client, &redirect).await;
    let ping = |host: String| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let request = http.post(&server.url).bearer_auth(&token).header(header::HOST, host);
        request.header(header::ACCEPT, "application/json, text/event-stream").json(&body).send()
    };
    let own = issuer.strip_prefix("http://").unwrap();
    assert_eq!(ping(own.to_owned()).await.unwrap().status(), StatusCode::OK);
    let rebound = ping("attacker.example".to_owned()).await.unwrap();
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_public_url_is_the_issuer_and_the_host_that_is_admitted() {
    let listen = "127.0.0.1:0";
    let server = Running::start("mcp_server", &[listen, "http://localhost:8080"]).await;
    assert_eq!(server.url, "http://localhost:8080/mcp");
}

/// A client in a process of its own. It prints its steps, and reads the address of the redirect.
struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _directory: TempDir,
}

impl Script {
    /// Starts a client of this kind with these files, of which the first is its program. Returns
    /// `None` if it is not installed.
    fn start(kind: &str, lock: &str, files: &[&str], mcp: &str) -> Option<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../crates/grantcore-server/tests/clients")
            .join(kind);
        let place = installed(kind, &sources.join(lock))?;
        // Node.js finds the packages in the folders above the program.
        let directory = tempfile::tempdir_in(&place).unwrap();
        for file in files {
            // The tool of the server that the scripts were written for.
            let script = std::fs::read_to_string(sources.join(file)).unwrap();
            let script = script.replace("whoami", "note_list");
            std::fs::write(directory.path().join(file), script).unwrap();
        }
        let program = match kind {
            "python" => place.join("bin/python"),
            _ => PathBuf::from(kind),
        };
        let mut command = Command::new(program);
        command.arg(directory.path().join(files[0])).arg(mcp).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { child, lines, _directory: directory })
    }

    /// Waits for the next step, which must be this one, and returns its text.
    async fn step(&mut self, step: &str) -> String {
        let line = timeout(Duration::from_secs(90), self.lines.next_line()).await.unwrap();
        let line = line.unwrap().unwrap();
        let text = line.strip_prefix(step).unwrap_or_else(|| panic!("not `{step}` but {line}"));
        text.trim().to_owned()
    }
}

/// Returns the directory of the clients of this kind, if the versions in this file are installed.
fn installed(kind: &str, lock: &Path) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(kind);
    let wanted = std::fs::read_to_string(lock).unwrap();
    if std::fs::read_to_string(place.join("installed")).is_ok_and(|installed| installed == wanted) {
        return Some(place);
    }
    let is_required = std::env::var("GRANTCORE_REQUIRE_CLIENTS").as_deref() == Ok("1");
    assert!(!is_required, "the clients for {kind} are not installed");
    // A test that passes hides the output of `eprintln`.
    let _ = writeln!(std::io::stderr(), "skipped: the clients for {kind} are not installed");
    None
}

/// Runs a client up to its first call of a tool.
async fn connects(kind: &str, lock: &str, files: &[&str]) {
    let server = Running::start("mcp_server", &["127.0.0.1:0"]).await;
    let Some(mut script) = Script::start(kind, lock, files, &server.url) else { return };
    let url = script.step("authorize").await;
    let browser = Browser::new();
    let page = browser.sign_in(&url, "alice", "wonderland").await;
    let answer = browser.decide(&url, &page, "allow").await;
    let mut input = script.child.stdin.take().unwrap();
    input.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    assert_eq!(script.step("tools").await, "note_add note_list");
    assert_eq!(script.step("call").await, "");
}

#[tokio::test]
async fn npm_sdk_1_connects_from_the_url_alone() {
    connects("node", "package-lock.json", &["sdk1.mjs", "app.mjs"]).await;
}

#[tokio::test]
async fn npm_client_2_connects_from_the_url_alone() {
    connects("node", "package-lock.json", &["sdk2.mjs", "app.mjs"]).await;
}

#[tokio::test]
async fn python_mcp_connects_from_the_url_alone() {
    connects("python", "requirements.txt", &["client.py"]).await;
}
