//! An MCP server without OAuth, with sessions and event streams, as the SDKs make one by default.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Tools;

#[tool_router]
impl Tools {
    /// Returns the headers that name the caller, and the names of all others.
    #[tool]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        let value = |name: &str| {
            let mut lines = parts.headers.get_all(name).iter();
            let line = lines.next().map(|line| line.to_str().unwrap().to_owned());
            assert!(lines.next().is_none(), "one {name}");
            line
        };
        let names: Vec<Value> = parts.headers.keys().map(|name| name.as_str().into()).collect();
        json!({
            "subject": value("grantcore-subject"),
            "client_id": value("grantcore-client"),
            "scope": value("grantcore-scope"),
            "headers": names,
        })
        .to_string()
    }
}

#[tool_handler(name = "upstream")]
impl ServerHandler for Tools {}

/// Starts the server, which ends with the test. Its endpoint is `/mcp`.
pub async fn start() -> SocketAddr {
    let config = StreamableHttpServerConfig::default();
    let sessions = Arc::new(LocalSessionManager::default());
    let mcp = StreamableHttpService::new(|| Ok(Tools), sessions, config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().nest_service("/mcp", mcp);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
