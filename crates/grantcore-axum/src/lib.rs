//! Puts a [`grantcore`] OAuth 2.1 server into an [`axum`] application.
//!
//! [`grantcore`] makes the protocol's decisions. This crate is the HTTP part that every axum
//! application would otherwise write itself:
//!
//! - [`router`] mounts every endpoint of the policy and the metadata documents, with CORS, body
//!   limits and the headers of pages. A request that has begun runs to its end, also if its client
//!   closes the connection.
//! - [`Pages`] is the application's part: who is signed in, and the login page. The consent page
//!   and the error page have plain defaults. [`DemoLogin`] is a login for trials.
//! - [`RequireToken`] is a tower layer that checks the access tokens of a protected resource, and
//!   [`Caller`] extracts the user, the client and the scope of an accepted token. [`cors`] lets web
//!   pages call the resource.
//! - [`sweep`] deletes expired records, and [`Tasks`] waits for requests whose clients have closed
//!   the connection.
//! - [`TrustedProxies`] finds the client's address behind reverse proxies.
#![cfg_attr(
    feature = "introspection",
    doc = "- [`Introspection`] checks the access tokens of a resource in another process (RFC 7662)."
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
//!     .route("/mcp", post(|caller: Caller| async move { format!("Hello {:?}", caller.subject()) }))
//!     .route_layer(RequireToken::new(Arc::clone(&server), needs))
//!     .route_layer(cors());
//! let app = router(server, login.clone())?.merge(login.router()).merge(notes);
//! # Ok(app)
//! # }
//! # app().unwrap();
//! ```
//!
//! Serve `app` with `app.into_make_service_with_connect_info::<SocketAddr>()`: rate limits are kept
//! per client address. The example `mcp_server` is the whole program, with tools.
//!
//! # Logs
//!
//! Faults that an operator must correct are logged with `tracing`: a failure of the store or of a
//! fetch, a route without its layer, a request without a client address. Install a subscriber, such
//! as that of `tracing-subscriber`.
//!
//! # Features
//!
//! - `fetch` (default): client metadata documents are fetched with `grantcore-fetch`. Without it,
//!   [`router`] returns [`RouterError::NoFetcher`] for a policy that accepts such documents.
//! - `introspection`: `Introspection`, for resources in another process.
//! - `rmcp`: a tool of rmcp can take the [`Caller`] as an argument.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod authorize;
mod bearer;
mod body;
mod consent_form;
mod cors;
mod demo;
mod documents;
mod endpoints;
#[cfg(feature = "introspection")]
mod introspection;
mod pages;
mod programs;
mod router;
mod same_origin;
mod signed_in;
mod source;
mod tasks;

pub use self::bearer::{Caller, RequireToken, RequireTokenService};
pub use self::consent_form::ConsentForm;
pub use self::cors::{allow_cross_origin, cors};
pub use self::demo::DemoLogin;
#[cfg(feature = "introspection")]
pub use self::introspection::{Introspection, IntrospectionBuilder, IntrospectionError};
pub use self::pages::{BoxError, Consent, ErrorPage, Login, LoginTarget, Pages, ReturnTo};
pub use self::programs::ProgramService;
pub use self::router::{
    OAuthRouter, RouterError, program_router, program_services, router, well_known_router,
};
pub use self::same_origin::is_same_origin;
pub use self::signed_in::SignedIn;
pub use self::source::{Source, TrustedProxies, TrustedProxiesService};
pub use self::tasks::{Tasks, sweep};
