//! Puts a [`grantcore`] OAuth 2.1 server into an [`axum`] application.
//!
//! [`grantcore`] decides; this crate is what each axum host would write around it:
//!
//! - [`router`] mounts every endpoint of the policy and the discovery documents, with the right
//!   cross-origin rules, body limits and page headers. A request is decided in a task of its own,
//!   so that a client that hangs up cancels nothing.
//! - [`Pages`] is the host's part: who is signed in, and the login page. The consent page and the
//!   error page have plain defaults. [`DemoLogin`] is a login for trials.
//! - [`RequireToken`] is a tower layer that checks the access tokens of a protected resource, and
//!   [`Caller`] the extractor of the user and the client that it let through. [`cors`] lets web
//!   pages call the resource.
//! - [`sweep`] drops what the store no longer needs, and [`Tasks`] waits for requests whose clients
//!   have hung up.
//! - [`TrustedProxies`] finds the address that a request comes from, behind reverse proxies.
#![cfg_attr(
    feature = "introspection",
    doc = "- [`Introspection`] is the check of a resource in another process."
)]
//!
//! # An MCP server behind OAuth
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::post};
//! use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
//! use grantcore_axum::{Caller, DemoLogin, RequireToken, cors, router};
//!
//! # fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let issuer = "http://127.0.0.1:8080";
//! let mcp = format!("{issuer}/mcp");
//! let policy = Policy::mcp(issuer, &mcp, [("notes", "Read and change your notes")])
//!     .allow_loopback_http(true)
//!     .build()?;
//! let needs = policy.needs(&mcp, "notes")?;
//! let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
//! let login = DemoLogin::new([("alice", "wonderland")]);
//!
//! let notes = Router::new()
//!     .route("/mcp", post(|caller: Caller| async move { format!("Hello {}", caller.subject()) }))
//!     .route_layer(RequireToken::new(Arc::clone(&server), needs))
//!     .route_layer(cors());
//! let app = router(server, login.clone())?.merge(login.router()).merge(notes);
//! # Ok(app)
//! # }
//! # app().unwrap();
//! ```
//!
//! Serve `app` with `app.into_make_service_with_connect_info::<SocketAddr>()`: limits go by the
//! address of the caller. The example `mcp_server` is the whole program, with tools.
//!
//! # Logs
//!
//! What an operator must know is logged by `tracing`: why a store or a fetch failed, a route without
//! its layer, a missing source. Install a subscriber, such as that of `tracing-subscriber`.
//!
//! # Features
//!
//! - `fetch` (default): client metadata documents are fetched with `grantcore-fetch`. Without it, a
//!   policy that accepts such documents has no router.
//! - `introspection`: `Introspection`, for resources in another process.
//! - `rmcp`: [`Caller`] is an argument of rmcp's tools.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod authorize;
mod bearer;
mod body;
mod cors;
mod demo;
mod endpoints;
#[cfg(feature = "introspection")]
mod introspection;
mod pages;
mod router;
mod same_origin;
mod source;
mod tasks;

pub use self::bearer::{Caller, RequireToken, RequireTokenService};
pub use self::cors::cors;
pub use self::demo::DemoLogin;
#[cfg(feature = "introspection")]
pub use self::introspection::{Introspection, IntrospectionBuilder, IntrospectionError};
pub use self::pages::{
    BoxError, Consent, ErrorPage, Login, LoginTarget, Pages, ReturnTo, SignedIn,
};
pub use self::router::{OAuthRouter, RouterError, program_router, router, well_known_router};
pub use self::same_origin::is_same_origin;
pub use self::source::{FindSource, Source, TrustedProxies};
pub use self::tasks::{Tasks, sweep};
