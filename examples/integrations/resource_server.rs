//! A JSON API in another process than its authorization server, which it asks about each token
//! (RFC 7662). It has the document that leads clients to that server (RFC 9728), and web pages of
//! any origin can call it.
//!
//! `cargo run -p grantcore-examples --example resource_server -- 127.0.0.1:8081
//! https://auth.example SECRET`
//!
//! The authorization server has the same resource and the same `IntrospectionRules` in its policy,
//! and this client in its store:
//!
//! ```ignore
//! Client::resource_server("files-server", StoredSecret::Digest(Digest::of(secret))).build()?
//! ```
//!
//! For production: `https` URLs, the secret from where your secrets are, and a `MAX_AGE` that you
//! can answer for.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use grantcore::Policy;
use grantcore::policy::IntrospectionRules;
use grantcore_axum::{Caller, Introspection, RequireToken, cors};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// For how long an active token is cached. A revoked token is refused after this time at the
/// latest. With zero, each call costs one round trip more.
const MAX_AGE: Duration = Duration::from_secs(3);

/// The user and the client are those of the token.
async fn files(caller: Caller) -> Json<Value> {
    Json(json!({ "files_of": caller.subject(), "for": caller.client_id() }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |name| arguments.next().ok_or(format!("{name} is missing"));
    let listener = TcpListener::bind(argument("the address to listen at")?).await?;
    let issuer = argument("the issuer")?;
    let secret = argument("the secret of files-server")?;
    let files_url = format!("http://{}/files", listener.local_addr()?);

    // What this process must know of the authorization server. A workspace with both of them has
    // one function for both.
    let policy = Policy::builder(issuer)
        .scope("files", "Read your files")
        .resource(&files_url, "files")
        .introspection(
            IntrospectionRules::default().with_resource_server("files-server", &files_url),
        )
        .allow_loopback_http(true)
        .build()?;
    let needs = policy.needs(&files_url, "files")?;
    let introspection =
        Introspection::builder(policy, "files-server", secret).max_age(MAX_AGE).build()?;

    let documents = introspection.router()?;
    let api = Router::new()
        .route("/files", get(files))
        .route_layer(RequireToken::introspected(introspection, needs))
        // Outside of the check of the token: a browser sends its preflight request without one.
        .route_layer(cors());
    println!("The API is at {files_url}");
    axum::serve(listener, documents.merge(api)).await?;
    Ok(())
}
