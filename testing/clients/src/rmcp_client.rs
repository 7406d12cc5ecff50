//! The client of `rmcp`, in the process of the test.

use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationRequest, ClientCredentialsConfig, OAuthState,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{Peer, ServiceExt as _};

use crate::{Browser, CALLBACK, install_crypto_provider};

/// Discovers the server of a resource and registers. Returns the client and the authorization URL.
pub async fn start_rmcp(resource: &str) -> (OAuthState, String) {
    start(resource, None).await
}

async fn start(resource: &str, http: Option<reqwest::Client>) -> (OAuthState, String) {
    install_crypto_provider();
    let mut state = OAuthState::new(resource, http).await.unwrap();
    let request = AuthorizationRequest::new(CALLBACK).with_client_name("Interoperability test");
    state.start_authorization(request).await.unwrap();
    let url = state.get_authorization_url().await.unwrap();
    (state, url)
}

/// Returns a client that the user of this browser allowed, and its client id.
pub async fn connect_rmcp(
    resource: &str,
    browser: &Browser,
) -> (RunningService<RoleClient, ()>, String) {
    install_crypto_provider();
    connect(resource, browser, (start_rmcp(resource).await, reqwest::Client::new())).await
}

/// As [`connect_rmcp`]. All requests are made by `http`, which trusts the server's certificate.
pub async fn connect_rmcp_by(
    resource: &str,
    browser: &Browser,
    http: reqwest::Client,
) -> (RunningService<RoleClient, ()>, String) {
    connect(resource, browser, (start(resource, Some(http.clone())).await, http)).await
}

async fn connect(
    resource: &str,
    browser: &Browser,
    ((mut state, url), http): ((OAuthState, String), reqwest::Client),
) -> (RunningService<RoleClient, ()>, String) {
    let (client, answer) = browser.decide(&url, "allow").await;
    state.handle_callback_url(answer.as_str()).await.unwrap();
    let http = AuthClient::new(http, state.into_authorization_manager().unwrap());
    let config = StreamableHttpClientTransportConfig::with_uri(resource);
    let service = ().serve(StreamableHttpClientTransport::with_client(http, config)).await.unwrap();
    (service, client)
}

/// Returns a client that acts on its own behalf, with this `client_id` and this secret.
///
/// # Errors
/// The error of the client if it got no token.
pub async fn connect_rmcp_machine(
    resource: &str,
    client_id: &str,
    client_secret: &str,
) -> Result<RunningService<RoleClient, ()>, AuthError> {
    install_crypto_provider();
    let mut state = OAuthState::new(resource, None).await?;
    let credentials = ClientCredentialsConfig::ClientSecret {
        client_id: client_id.to_owned(),
        client_secret: client_secret.to_owned(),
        scopes: Vec::new(),
        resource: Some(resource.to_owned()),
    };
    state.authenticate_client_credentials(credentials).await?;
    let http = AuthClient::new(reqwest::Client::new(), state.into_authorization_manager().unwrap());
    let config = StreamableHttpClientTransportConfig::with_uri(resource);
    Ok(().serve(StreamableHttpClientTransport::with_client(http, config)).await.unwrap())
}

/// Calls a tool without arguments, and returns the text of its result.
pub async fn call(peer: &Peer<RoleClient>, tool: &'static str) -> String {
    let answer = peer.call_tool(CallToolRequestParams::new(tool)).await.unwrap();
    answer.content[0].as_text().unwrap().text.clone()
}
