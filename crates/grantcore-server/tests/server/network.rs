//! Tests of the server on the network: under a path, behind proxies, and with hostile connections.

mod addresses;
mod connections;
mod early;
mod metrics;
mod mounted;
mod nginx;
mod protect;

use reqwest::Response;
use serde_json::json;

use crate::support::start;

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

/// Initializes an MCP endpoint.
async fn call(resource: &str, token: &str) -> Response {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let call = crate::support::plain_client(false)
        .post(resource)
        .bearer_auth(token)
        .header("accept", "application/json, text/event-stream")
        .json(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}));
    call.send().await.unwrap()
}
