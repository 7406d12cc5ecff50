//! The example `mcp_server` with `rmcp`'s client, which gets the URL and nothing else.
//! `first_hour.rs` connects the clients of other languages to a server of the same parts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod support;

use reqwest::{StatusCode, header};
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use support::{Browser, CALLBACK, Running, plain_client};

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
