//! An MCP server behind OAuth, a note pad for each user. Claude, Cursor, ChatGPT connectors and
//! `mcp-remote` need its URL alone: they find the authorization server, register themselves, and
//! send their user to the login and the consent page.
//!
//! `cargo run -p grantcore-examples --example mcp_server`, then for example
//! `npx mcp-remote http://127.0.0.1:8080/mcp`; sign in as alice with the password wonderland.
//! Connectors that call from the internet need a proxy or tunnel with TLS, which passes `Host` on:
//! change the password, and name the public URL: `-- 127.0.0.1:8080 https://mcp.example`.
//!
//! For production: your own `Pages` for `DemoLogin`, your own `Accounts` for `AlwaysActive`,
//! `TrustedProxies`, and `sweep`. The example `axum` has all of them.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::Uri;
use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
use grantcore_axum::{Caller, DemoLogin, RequireToken, cors, router};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<HashMap<String, Vec<String>>>>);

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct NewNote {
    text: String,
}

#[tool_router]
impl Notes {
    /// Adds a note to the user's note pad, and returns all notes on it.
    #[tool]
    async fn note_add(&self, caller: Caller, Parameters(note): Parameters<NewNote>) -> String {
        self.add(&caller, Some(note.text))
    }

    /// Returns the notes on the user's note pad.
    #[tool]
    async fn note_list(&self, caller: Caller) -> String {
        self.add(&caller, None)
    }

    /// The pad is that of the token's user. Arguments are written by a model, and can name anybody.
    fn add(&self, caller: &Caller, note: Option<String>) -> String {
        let mut pads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The layer serves no calls without a user, unless its needs say so.
        let Some(user) = caller.subject() else { return String::new() };
        let pad = pads.entry(user.to_owned()).or_default();
        pad.extend(note);
        pad.join("\n")
    }
}

#[tool_handler(name = "notes", instructions = "A note pad for each user.")]
impl ServerHandler for Notes {}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let url = arguments.next().unwrap_or(format!("http://{}", listener.local_addr()?));
    let mcp = format!("{url}/mcp");

    let policy = Policy::mcp(&url, &mcp, [("notes", "Read and change your notes")])
        .allow_loopback_http(true)
        .build()?;
    let needs = policy.needs(&mcp, "notes")?;
    // In production a `SqliteStore`, `PostgresStore` or `RedisStore`: this one forgets at its end.
    let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
    let login = DemoLogin::new([("alice", "wonderland")]);

    // Each POST is complete in itself and is answered in JSON: no session that a stranger could
    // continue, none that a restart could lose. The tools never call back, so none is needed.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // Refuses a web page that has bound its own name to this machine (DNS rebinding): it sends
        // that name as `Host`. The default admits names of loopback alone, not the public one.
        // Origins stay open: no cookie is read here, so a page can do no more than its token
        // allows.
        .with_allowed_hosts(url.parse::<Uri>()?.authority().map(ToString::to_string));
    let notes = Notes::default();
    let sessions = Arc::<NeverSessionManager>::default();
    let service = StreamableHttpService::new(move || Ok(notes.clone()), sessions, config);
    let resource = Router::new()
        .route_service("/mcp", service)
        .route_layer(RequireToken::new(Arc::clone(&server), needs))
        .route_layer(cors());

    let app = router(server, login.clone())?.merge(login.router()).merge(resource);
    println!("Give this URL to an MCP client: {mcp}");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
