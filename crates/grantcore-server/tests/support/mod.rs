//! What the tests of the server share. The browser is that of `grantcore-testing-clients`.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

pub mod accounts;
pub mod cases;
pub mod client;
pub mod commands;
pub mod deploy;
pub mod mcp_upstream;
pub mod nginx;
pub mod program;
pub mod provider;
pub mod publisher;

use grantcore_server::Running;
pub use grantcore_testing_clients::{
    Browser, CALLBACK, Form, form, install_crypto_provider, param, plain_client,
};
use reqwest::Url;

/// The verifier and challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Starts a server with a database in memory and these further arguments.
pub async fn start(more: &[&str]) -> Running {
    let arguments = ["grantcore-server", "--listen", "127.0.0.1:0", "--database", "memory:"];
    Running::start(arguments.iter().chain(more).copied()).await.unwrap()
}

/// Returns the form of a page with this action.
pub fn form_to(page: &str, action: &str) -> Form {
    let at = page.find(&format!("action=\"{action}\"")).unwrap_or_else(|| panic!("none in {page}"));
    form(&page[page[..at].rfind("<form").unwrap()..])
}

/// Returns the authorization URL of the demo client.
pub fn authorization_url(issuer: &str, resource: &str) -> String {
    let url = Url::parse_with_params(
        &format!("{issuer}/oauth/authorize"),
        [
            ("response_type", "code"),
            ("client_id", "demo-public"),
            ("redirect_uri", CALLBACK),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", resource),
        ],
    );
    url.unwrap().into()
}
