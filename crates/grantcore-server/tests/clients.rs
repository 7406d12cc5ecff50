//! Interoperability tests with MCP clients of other projects. Each client gets only the URL of the
//! MCP endpoint. It discovers the server, registers, sends the user to the consent page, calls a
//! tool, waits until its access token expires, refreshes it and calls again.
//!
//! The user is the `Browser` of the other tests. `rmcp` runs in this process. The clients for
//! Node.js and Python run as scripts in `clients/`, which print their steps on standard output and
//! read the address of the redirect from standard input; `clients/install` installs them. If they
//! are not installed, their tests are skipped, unless `GRANTCORE_REQUIRE_CLIENTS=1`. The tests
//! verify the server's side in its log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, Once};
use std::time::Duration;

use grantcore_server::Running;
use reqwest::Url;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, AuthError, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{Peer, ServiceExt as _};
use serde_json::{Value, json};
use support::publisher::Publisher;
use support::{Browser, CALLBACK, install_crypto_provider, param};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The access lifetime: short enough to wait for, long enough for the calls of a slow machine.
const LIFETIME: Duration = Duration::from_secs(5);
/// How long one step of a client may take, including the wait for the expiry.
const STEP: Duration = Duration::from_secs(90);

/// The log of all servers of this process, one JSON object per line.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns how many events of a kind the server logged for a client.
fn logged(kind: &str, client: &str) -> usize {
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["kind"] == kind && event["client"] == client).count()
}

/// Starts a server, and returns it with the URL of its MCP endpoint.
async fn start() -> (Running, String) {
    start_with(&[]).await
}

async fn start_with(more: &[&str]) -> (Running, String) {
    static LOGGING: Once = Once::new();
    LOGGING.call_once(|| {
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(|| Log).init();
    });
    let lifetime = format!("{}s", LIFETIME.as_secs());
    let arguments = [
        "grantcore-server",
        "--listen",
        "127.0.0.1:0",
        "--database",
        "memory:",
        "--access-lifetime",
        lifetime.as_str(),
    ];
    let server = Running::start(arguments.iter().chain(more).copied()).await.unwrap();
    let resource = format!("{}/mcp", server.issuer());
    (server, resource)
}

/// Checks the result of the tool `whoami` for this client.
fn check_identity(text: &str, client: &str) {
    let identity: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (&identity["subject"], &identity["client_id"]),
        (&json!("alice"), &json!(client)),
        "{text}"
    );
}

/// Lets the user decide, and returns the client id and the address of the redirect.
async fn decide(authorize: &str, decision: &str) -> (String, Url) {
    let asked = Url::parse(authorize).unwrap();
    let answer = Browser::new("alice").authorize(authorize, decision).await;
    assert!(answer.as_str().starts_with(&param(&asked, "redirect_uri").unwrap()), "{answer}");
    (param(&asked, "client_id").unwrap(), answer)
}

/// A client in a process of its own.
struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The working directory, which has the file of standard error.
    directory: TempDir,
}

impl Script {
    /// Starts a client for Node.js. Returns `None` if it is not installed. The scripts are copied
    /// below the packages, so that Node.js finds the packages.
    fn node(name: &str, arguments: &[&str]) -> Option<Self> {
        let place = installed("node", include_str!("clients/node/package-lock.json"))?;
        let directory = tempfile::tempdir_in(place).unwrap();
        for file in ["app.mjs", name] {
            std::fs::copy(sources("node").join(file), directory.path().join(file)).unwrap();
        }
        let mut command = Command::new("node");
        command.arg(name).args(arguments);
        Some(Self::start(command, directory))
    }

    /// Starts the client for Python. Returns `None` if it is not installed.
    fn python(arguments: &[&str]) -> Option<Self> {
        let place = installed("python", include_str!("clients/python/requirements.txt"))?;
        let mut command = Command::new(place.join("bin/python"));
        command.arg(sources("python").join("client.py")).args(arguments);
        Some(Self::start(command, tempfile::tempdir().unwrap()))
    }

    fn start(mut command: Command, directory: TempDir) -> Self {
        let errors = std::fs::File::create(directory.path().join("errors")).unwrap();
        command.current_dir(directory.path()).kill_on_drop(true);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, directory }
    }

    /// Waits for the next step, which must be this one, and returns its text.
    async fn step(&mut self, step: &str) -> String {
        let line = timeout(STEP, self.lines.next_line())
            .await
            .unwrap_or_else(|_| panic!("no `{step}` in time"))
            .unwrap();
        let errors = || std::fs::read_to_string(self.directory.path().join("errors")).unwrap();
        let text = line.as_deref().and_then(|line| line.strip_prefix(step)?.strip_prefix(' '));
        text.unwrap_or_else(|| panic!("not `{step}` but {line:?}; {}", errors())).to_owned()
    }

    /// Opens the authorization URL of the client, passes the address of the redirect to the client,
    /// and returns the client id.
    async fn authorize(&mut self, decision: &str) -> String {
        let url = self.step("authorize").await;
        let (client, answer) = decide(&url, decision).await;
        self.child.stdin.take().unwrap().write_all(format!("{answer}\n").as_bytes()).await.unwrap();
        client
    }

    /// Checks that the script prints nothing more and succeeds.
    async fn end(mut self) {
        let line = timeout(STEP, self.lines.next_line()).await.expect("an end in time").unwrap();
        assert_eq!(line, None);
        assert!(timeout(STEP, self.child.wait()).await.expect("an end in time").unwrap().success());
    }
}

fn sources(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(kind)
}

/// Returns the directory of the clients of this kind, if the versions that `wanted` names are
/// installed.
fn installed(kind: &str, wanted: &str) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(kind);
    if std::fs::read_to_string(place.join("installed")).is_ok_and(|installed| installed == wanted) {
        return Some(place);
    }
    let why = format!(
        "the clients for {kind} are not installed; \
         crates/grantcore-server/tests/clients/install installs them"
    );
    assert!(std::env::var("GRANTCORE_REQUIRE_CLIENTS").as_deref() != Ok("1"), "{why}");
    // A test that passes hides the output of `eprintln`.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
    None
}

/// Runs a script that registers itself.
async fn connects(start_script: impl FnOnce(&[&str]) -> Option<Script>) {
    let (server, resource) = start().await;
    let Some(script) = start_script(&[&resource]) else { return };
    let client = run_script(script).await;
    assert_eq!(logged("client_registered", &client), 1);
    server.stop().await.unwrap();
}

/// Runs a script whose client is known by a document and does not register.
async fn connects_by_its_document(start_script: impl FnOnce(&[&str]) -> Option<Script>) {
    let publisher =
        Publisher::start(&["http://127.0.0.1/callback", "http://localhost/callback"]).await;
    let authority = publisher.authority();
    let (server, resource) = start_with(&[
        "--allow-loopback-documents",
        "--document-authority",
        authority.to_str().unwrap(),
    ])
    .await;
    let Some(script) = start_script(&[&resource, &publisher.url()]) else { return };
    assert_eq!(run_script(script).await, publisher.url());
    server.stop().await.unwrap();
}

/// Runs all steps of a script, and returns its client id.
async fn run_script(mut script: Script) -> String {
    let client = script.authorize("allow").await;
    assert_eq!(
        script.step("tools").await.split(' ').collect::<Vec<_>>(),
        ["note_add", "note_list", "whoami"]
    );
    check_identity(&script.step("call").await, &client);
    let refreshed = logged("tokens_refreshed", &client);
    // The next step would be `authorize` if the client needed another authorization.
    check_identity(&script.step("again").await, &client);
    assert_eq!(script.step("refreshed").await, "true");
    assert_eq!(
        (logged("code_redeemed", &client), logged("tokens_refreshed", &client)),
        (1, refreshed + 1)
    );
    script.end().await;
    client
}

/// The user presses Deny: the client gets the error and no tokens.
async fn is_denied(start_script: impl FnOnce(&[&str]) -> Option<Script>) {
    let (server, resource) = start().await;
    let Some(mut script) = start_script(&[&resource]) else { return };
    let client = script.authorize("deny").await;
    assert_eq!(script.step("denied").await, "access_denied without tokens");
    assert_eq!((logged("consent_shown", &client), logged("code_redeemed", &client)), (1, 0));
    script.end().await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn npm_sdk_1_connects_from_the_resource_url_alone() {
    connects(|arguments| Script::node("sdk1.mjs", arguments)).await;
}

#[tokio::test]
async fn npm_client_2_connects_from_the_resource_url_alone() {
    connects(|arguments| Script::node("sdk2.mjs", arguments)).await;
}

#[tokio::test]
async fn python_mcp_connects_from_the_resource_url_alone() {
    connects(Script::python).await;
}

#[tokio::test]
async fn npm_sdk_1_connects_by_its_document() {
    connects_by_its_document(|arguments| Script::node("sdk1.mjs", arguments)).await;
}

#[tokio::test]
async fn npm_client_2_connects_by_its_document() {
    connects_by_its_document(|arguments| Script::node("sdk2.mjs", arguments)).await;
}

#[tokio::test]
async fn python_mcp_connects_by_its_document() {
    connects_by_its_document(Script::python).await;
}

#[tokio::test]
async fn npm_sdk_1_reports_that_the_user_denied() {
    is_denied(|arguments| Script::node("sdk1.mjs", arguments)).await;
}

#[tokio::test]
async fn npm_client_2_reports_that_the_user_denied() {
    is_denied(|arguments| Script::node("sdk2.mjs", arguments)).await;
}

#[tokio::test]
async fn python_mcp_reports_that_the_user_denied() {
    is_denied(Script::python).await;
}

/// Starts an authorization with an `rmcp` client. Returns the client and the authorization URL.
async fn start_rmcp(resource: &str) -> (OAuthState, String) {
    install_crypto_provider();
    let mut state = OAuthState::new(resource, None).await.unwrap();
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("Interoperability test");
    state.start_authorization(request).await.unwrap();
    let url = state.get_authorization_url().await.unwrap();
    (state, url)
}

/// Returns an `rmcp` client that the user allowed, and its client id.
async fn rmcp_connects(resource: &str) -> (RunningService<RoleClient, ()>, String) {
    let (mut state, url) = start_rmcp(resource).await;
    let (client, answer) = decide(&url, "allow").await;
    state.handle_callback_url(answer.as_str()).await.unwrap();
    let http = AuthClient::new(reqwest::Client::new(), state.into_authorization_manager().unwrap());
    let config = StreamableHttpClientTransportConfig::with_uri(resource);
    let service = ().serve(StreamableHttpClientTransport::with_client(http, config)).await.unwrap();
    (service, client)
}

async fn whoami(peer: &Peer<RoleClient>) -> String {
    let answer = peer.call_tool(CallToolRequestParams::new("whoami")).await.unwrap();
    answer.content[0].as_text().unwrap().text.clone()
}

#[tokio::test]
async fn rmcp_connects_from_the_resource_url_alone() {
    let (server, resource) = start().await;
    let (service, client) = rmcp_connects(&resource).await;
    let tools = service.list_all_tools().await.unwrap();
    assert_eq!(
        tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(),
        ["note_add", "note_list", "whoami"]
    );
    check_identity(&whoami(&service).await, &client);
    let refreshed = logged("tokens_refreshed", &client);
    tokio::time::sleep(LIFETIME + Duration::from_secs(1)).await;
    check_identity(&whoami(&service).await, &client);
    assert_eq!(
        (logged("code_redeemed", &client), logged("tokens_refreshed", &client)),
        (1, refreshed + 1)
    );
    service.cancel().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn rmcp_reports_that_the_user_denied() {
    let (server, resource) = start().await;
    let (mut state, url) = start_rmcp(&resource).await;
    let (client, answer) = decide(&url, "deny").await;
    assert_eq!(param(&answer, "error").as_deref(), Some("access_denied"));
    let refused = state.handle_callback_url(answer.as_str()).await;
    assert!(matches!(refused, Err(AuthError::AuthorizationFailed(_))), "{refused:?}");
    assert_eq!((logged("consent_shown", &client), logged("code_redeemed", &client)), (1, 0));
    server.stop().await.unwrap();
}

/// The same program registers on two computers, and both clients work.
#[tokio::test]
async fn the_same_program_may_register_twice() {
    let (server, resource) = start().await;
    let (first, first_id) = rmcp_connects(&resource).await;
    let (second, second_id) = rmcp_connects(&resource).await;
    assert_ne!(first_id, second_id);
    check_identity(&whoami(&first).await, &first_id);
    check_identity(&whoami(&second).await, &second_id);
    server.stop().await.unwrap();
}
