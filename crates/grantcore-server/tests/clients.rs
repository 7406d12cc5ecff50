//! Interoperability tests with MCP clients of other projects. Each client gets only the URL of the
//! MCP endpoint. It discovers the server, registers, sends the user to the consent page, calls a
//! tool, waits until its access token expires, refreshes it and calls again.
//!
//! The clients and the user's browser are those of `grantcore-testing-clients`. If a client is not
//! installed, its tests are skipped, unless `GRANTCORE_REQUIRE_CLIENTS=1`. The tests verify the
//! server's side in its log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[cfg(unix)]
#[path = "clients/deployed.rs"]
mod deployed;
mod support;

use std::io::Write;
use std::sync::{Mutex, Once};
use std::time::Duration;

use grantcore_server::Running;
use grantcore_testing_clients::{
    Arguments, Program, Script, call, connect_rmcp, connect_rmcp_machine, start_rmcp,
};
use rmcp::transport::auth::AuthError;
use serde_json::{Value, json};
use support::publisher::Publisher;
use support::{Browser, mcp_upstream, param};

/// The access lifetime: short enough to wait for, long enough for the calls of a slow machine.
const LIFETIME: Duration = Duration::from_secs(5);

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

/// Starts a client. Returns `None` if it is not installed.
fn start_client(program: Program, resource: &str, document: Option<&str>) -> Option<Script> {
    Script::start(program, &Arguments { resource, tool: "whoami", waits: true, document })
}

/// Runs a script that registers itself.
async fn connects(program: Program) {
    let (server, resource) = start().await;
    let Some(script) = start_client(program, &resource, None) else { return };
    let client = run_script(script).await;
    assert_eq!(logged("client_registered", &client), 1);
    server.stop().await.unwrap();
}

/// Runs a script whose client is known by a document and does not register.
async fn connects_by_its_document(program: Program) {
    let publisher =
        Publisher::start(&["http://127.0.0.1/callback", "http://localhost/callback"]).await;
    let authority = publisher.authority();
    let (server, resource) = start_with(&[
        "--allow-loopback-documents",
        "--document-authority",
        authority.to_str().unwrap(),
    ])
    .await;
    let Some(script) = start_client(program, &resource, Some(&publisher.url())) else { return };
    assert_eq!(run_script(script).await, publisher.url());
    server.stop().await.unwrap();
}

/// Runs all steps of a script, and returns its client id.
async fn run_script(mut script: Script) -> String {
    let client = script.authorize(&Browser::new("alice"), "allow").await;
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
async fn is_denied(program: Program) {
    let (server, resource) = start().await;
    let Some(mut script) = start_client(program, &resource, None) else { return };
    let client = script.authorize(&Browser::new("alice"), "deny").await;
    assert_eq!(script.step("denied").await, "access_denied without tokens");
    assert_eq!((logged("consent_shown", &client), logged("code_redeemed", &client)), (1, 0));
    script.end().await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn npm_sdk_1_connects_from_the_resource_url_alone() {
    connects(Program::Sdk1).await;
}

#[tokio::test]
async fn npm_client_2_connects_from_the_resource_url_alone() {
    connects(Program::Sdk2).await;
}

#[tokio::test]
async fn mcp_remote_connects_from_the_resource_url_alone() {
    connects(Program::Remote).await;
}

#[tokio::test]
async fn python_mcp_connects_from_the_resource_url_alone() {
    connects(Program::Python).await;
}

#[tokio::test]
async fn npm_sdk_1_connects_by_its_document() {
    connects_by_its_document(Program::Sdk1).await;
}

#[tokio::test]
async fn npm_client_2_connects_by_its_document() {
    connects_by_its_document(Program::Sdk2).await;
}

#[tokio::test]
async fn python_mcp_connects_by_its_document() {
    connects_by_its_document(Program::Python).await;
}

#[tokio::test]
async fn npm_sdk_1_reports_that_the_user_denied() {
    is_denied(Program::Sdk1).await;
}

#[tokio::test]
async fn npm_client_2_reports_that_the_user_denied() {
    is_denied(Program::Sdk2).await;
}

#[tokio::test]
async fn python_mcp_reports_that_the_user_denied() {
    is_denied(Program::Python).await;
}

#[tokio::test]
async fn rmcp_connects_from_the_resource_url_alone() {
    let (server, resource) = start().await;
    let (service, client) = connect_rmcp(&resource, &Browser::new("alice")).await;
    let tools = service.list_all_tools().await.unwrap();
    assert_eq!(
        tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(),
        ["note_add", "note_list", "whoami"]
    );
    check_identity(&call(&service, "whoami").await, &client);
    let refreshed = logged("tokens_refreshed", &client);
    tokio::time::sleep(LIFETIME + Duration::from_secs(1)).await;
    check_identity(&call(&service, "whoami").await, &client);
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
    let (client, answer) = Browser::new("alice").decide(&url, "deny").await;
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
    let (first, first_id) = connect_rmcp(&resource, &Browser::new("alice")).await;
    let (second, second_id) = connect_rmcp(&resource, &Browser::new("alice")).await;
    assert_ne!(first_id, second_id);
    check_identity(&call(&first, "whoami").await, &first_id);
    check_identity(&call(&second, "whoami").await, &second_id);
    server.stop().await.unwrap();
}

/// Checks what an upstream without OAuth knows of the caller.
fn check_forwarded(text: &str, client: &str) {
    check_identity(text, client);
    let seen: Value = serde_json::from_str(text).unwrap();
    assert!(seen["scope"].as_str().unwrap().split(' ').any(|scope| scope == "notes"), "{text}");
    let headers = seen["headers"].as_array().unwrap();
    for name in ["authorization", "cookie", "origin"] {
        assert!(!headers.contains(&json!(name)), "{name}: {text}");
    }
}

/// Every client calls a tool of an MCP server that has no OAuth, behind this server.
#[tokio::test]
async fn protect_every_client_connects_to_an_upstream_without_oauth() {
    let flag = format!("/notes=http://{}/mcp", mcp_upstream::start().await);
    let (server, _) = start_with(&["--protect", &flag]).await;
    let resource = format!("{}/notes", server.issuer());

    let (service, client) = connect_rmcp(&resource, &Browser::new("alice")).await;
    let tools = service.list_all_tools().await.unwrap();
    assert_eq!(tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["whoami"]);
    check_forwarded(&call(&service, "whoami").await, &client);
    service.cancel().await.unwrap();

    for program in [Program::Sdk1, Program::Sdk2, Program::Remote, Program::Python] {
        let arguments =
            Arguments { resource: &resource, tool: "whoami", waits: false, document: None };
        let Some(mut script) = Script::start(program, &arguments) else { continue };
        let client = script.authorize(&Browser::new("alice"), "allow").await;
        assert_eq!(script.step("tools").await, "whoami", "{program:?}");
        check_forwarded(&script.step("call").await, &client);
        script.end().await;
    }
    server.stop().await.unwrap();
}

/// Checks what the tool `whoami` knows of the demonstration's machine: there is no user.
fn check_machine(text: &str) {
    let identity: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (&identity["client_id"], identity.get("subject")),
        (&json!(MACHINE), None),
        "{text}"
    );
    assert_eq!(identity["scopes"], json!(["notes"]));
}

/// The demonstration's machine and its secret.
const MACHINE: &str = "demo-machine";
const MACHINE_SECRET: &str = "demo-confidential-secret";

/// A service without a user gets a token by the client's own provider of client credentials, and
/// calls a tool. With a wrong secret it gets none.
async fn acts_on_its_own_behalf(program: Program) {
    let (server, resource) = start().await;
    let start = |secret| Script::start_machine(program, &resource, "whoami", (MACHINE, secret));
    let Some(mut script) = start(MACHINE_SECRET) else { return };
    let issued = logged("machine_issued", MACHINE);
    assert_eq!(script.step("tools").await, "note_add note_list whoami");
    check_machine(&script.step("call").await);
    assert!(logged("machine_issued", MACHINE) > issued);
    script.end().await;
    let mut refused = start("wrong").unwrap();
    let why = refused.step("refused").await;
    assert!(why.ends_with("without tokens"), "{why}");
    refused.end().await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn npm_sdk_1_acts_on_its_own_behalf() {
    acts_on_its_own_behalf(Program::Sdk1).await;
}

#[tokio::test]
async fn npm_client_2_acts_on_its_own_behalf() {
    acts_on_its_own_behalf(Program::Sdk2).await;
}

#[tokio::test]
async fn python_mcp_acts_on_its_own_behalf() {
    acts_on_its_own_behalf(Program::Python).await;
}

/// It sends its secret in the body. The demonstration's machine is registered for the header.
#[tokio::test]
async fn rmcp_acts_on_its_own_behalf() {
    let (server, resource) = start_with(&["--lenient-on-method"]).await;
    let service = connect_rmcp_machine(&resource, MACHINE, MACHINE_SECRET).await.unwrap();
    check_machine(&call(&service, "whoami").await);
    service.cancel().await.unwrap();
    let refused = connect_rmcp_machine(&resource, MACHINE, "wrong").await;
    assert!(matches!(refused, Err(AuthError::ClientCredentialsError(_))), "{refused:?}");
    server.stop().await.unwrap();
}

/// The identity provider of an organization speaks for its user: the client's own provider of
/// Enterprise-Managed Authorization gets a token without a page, and calls a tool as alice.
#[tokio::test]
async fn npm_client_2_is_connected_by_an_organization() {
    let pairs: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/signing-keys.json")).unwrap();
    let mut key = pairs["ec"]["jwk"].clone();
    key["kid"] = json!("1");
    let port = grantcore_testing_servers::free_port();
    let issuer = format!("http://127.0.0.1:{port}");
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    write("idp.json", &json!({ "keys": [key] }).to_string());
    let config = write(
        "c.toml",
        &format!(
            "issuer = '{issuer}'\nlisten = '127.0.0.1:{port}'\ndatabase = 'memory:'
[[scopes]]\nname = 'notes'\ndescription = 'Read your notes'\ndefault = true
[[resources]]\nurl = '{issuer}/mcp'\nscopes = ['notes']\nbuiltin = 'mcp'
[[clients]]\nid = 'assistant'\nredirect_uris = ['https://assistant.example/cb']
secret_digest = 'sha256:{}'
[[trusted_issuers]]\nissuer = 'https://idp.example'\nprofile = 'id_jag'\nkeys_file = 'idp.json'
scopes = ['notes']\nclients = ['assistant']\n[trusted_issuers.accounts]\nu-1 = 'alice'",
            // Of the demonstration's secret.
            sha256_hex(MACHINE_SECRET)
        ),
    );
    let server =
        Running::start(["grantcore-server", "--config", config.to_str().unwrap()]).await.unwrap();
    let resource = format!("{issuer}/mcp");
    let key = pairs["ec"]["pkcs8"].as_str().unwrap();
    let script = Script::start_enterprise(
        (&issuer, &resource),
        "whoami",
        ("assistant", MACHINE_SECRET),
        ("https://idp.example", key),
    );
    let Some(mut script) = script else { return };
    assert_eq!(script.step("tools").await, "note_add note_list whoami");
    check_identity(&script.step("call").await, "assistant");
    script.end().await;
    server.stop().await.unwrap();
}

fn sha256_hex(text: &str) -> String {
    use sha2::Digest as _;
    format!("{:x}", sha2::Sha256::digest(text))
}
