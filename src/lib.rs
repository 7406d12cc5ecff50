//! An OAuth 2.1 authorization server and resource check as pure functions.
//!
//! The crate opens no socket, reads no clock, draws no randomness, touches no file and spawns no
//! task. The host passes the parts of a request in, gets a value out, and keeps one small record
//! per authorization in its own database.
//!
//! ```
//! use grantcore::{
//!     Authorization, Client, FromStore, MemoryStore, Policy, ContentType, RequestParts, Server,
//! };
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let policy = Policy::builder("https://auth.example")
//!         .scope("notes", "Read and change your notes")
//!         .resource("https://mcp.example/mcp", "notes")
//!         .build()?;
//!     let notes = policy.needs("https://mcp.example/mcp", "notes")?;
//!     let store = MemoryStore::new();
//!     let app = Client::public("app").redirect_uri("https://app.example/cb").build()?;
//!     store.put_client(app);
//!     let server = Server::new(policy, store, FromStore);
//!
//!     // POST /oauth/token, from a client whose code is wrong.
//!     let request = RequestParts {
//!         method: "POST",
//!         content_type: ContentType::FORM,
//!         body: b"grant_type=authorization_code&client_id=app&code=x&code_verifier=x",
//!         ..RequestParts::default()
//!     };
//!     let reply = match server.token(&request).await {
//!         Ok(reply) => reply,
//!         Err(error) => error.reply(server.policy()),
//!     };
//!     assert_eq!(reply.status, 400);
//!     assert!(reply.body.starts_with(r#"{"error":"invalid_grant""#));
//!
//!     // GET /mcp, your resource. A call without a token learns where to get one.
//!     match server.check(&Authorization::None, &notes).await {
//!         Ok(access) => println!("{:?} by {}", access.subject(), access.client_id()),
//!         Err(error) => {
//!             let reply = error.reply(server.policy());
//!             assert_eq!(reply.status, 401);
//!             let challenge = reply.header("www-authenticate").unwrap_or_default();
//!             assert!(challenge.contains("resource_metadata"));
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Where to go next
//!
//! | to | go to |
//! |---|---|
//! | see a whole flow, from the login page to the refresh | [`Server`] |
//! | know every setting, and its default | [`PolicyBuilder`](policy::PolicyBuilder) |
//! | protect a resource | [`Server::check`], [`Needs`] |
//! | choose a database, or write a store for your own | [`guide::stores`] |
//! | suspend users, and charge them | [`Accounts`] |
//! | let clients register themselves, as MCP clients do | [`RegistrationRules`](policy::RegistrationRules), [`DocumentRules`](policy::DocumentRules) |
//! | go to production | [`guide::deploy`] |
//! | find out why a request was refused | [`guide::troubleshooting`], [`AuditLog`] |
//! | do without an async runtime | [`blocking`] |
//! | compare it with other servers | [`guide::comparison`] |
//!
//! # Who does what
//!
//! ```text
//!            the host                            │              grantcore
//!                                                │
//!   bytes of a request  ────────────────────────►│  request    parses, refuses what is malformed
//!   Store, Accounts: load  ◄───────── Keys  ─────│     │
//!                           Loaded  ────────────►│     ▼
//!   Clock, EntropySource  ──── Moment  ─────────►│  decide     a pure function for each operation
//!   Store: commit  ◄──────────── Write  ─────────│     │ Decision, its outcome sealed
//!                    Done or Conflict  ─────────►│     ▼
//!   status, headers, body  ◄─────────────────────│  response   values, no HTTP crate
//!   audit log  ◄──────────────── Event  ─────────│
//! ```
//!
//! The host owns the login, the two pages, the database, the clock and HTTP. [`Server`] has one
//! call for each endpoint:
//!
//! | endpoint | call | |
//! |---|---|---|
//! | `GET /oauth/authorize` | [`authorize`](Server::authorize), then [`consent`](Server::consent) for the form of your consent page | OAuth 2.1 §3.1 |
//! | `POST /oauth/token` | [`token`](Server::token) | OAuth 2.1 §3.2 |
//! | your resources | [`check`](Server::check) | OAuth 2.1 §5 |
//! | `GET /.well-known/…` | [`Policy::well_known`] | RFC 8414, RFC 9728 |
//! | `POST /oauth/register` | [`register`](Server::register), [`manage`](Server::manage) | RFC 7591, RFC 7592 |
//! | `POST /oauth/revoke` | [`revoke`](Server::revoke) | RFC 7009 |
//! | `POST /oauth/introspect` | [`introspect`](Server::introspect) | RFC 7662 |
//! | your page of connected apps | [`connections`](Server::connections), [`revoke_connection`](Server::revoke_connection) | OAuth 2.1 §7.9 |
//!
//! # Modules
//!
//! The names that most hosts use stand at the root. Everything else is in the module of its
//! subject.
//!
//! | for | modules |
//! |---|---|
//! | every host | [`policy`] the rules, [`request`] and [`response`] what goes in and comes out, [`client`] the clients of the operator, [`value`] scopes, ids, digests |
//! | hosts that operate a server | [`audit`] and [`event`] what happened, [`reason`] and [`refusal`] why a request was refused, [`rate`] a limit that several servers share, [`account`] users |
//! | authors of a store | [`store`] the traits and their laws, [`grant`] the record, `conformance` the laws as tests |
//! | hosts without an async runtime | [`blocking`] the same server, the same traits |
//! | experts | [`operation`] decisions without a server, [`moment`] time and randomness as arguments, [`jws`] signed assertions and key sets |
//! | readers | [`guide`] the pages of `docs/` |
//!
//! # One grant, one record, one compare-and-set
//!
//! Everything that belongs to one authorization of one client by one user is one record, the
//! [`Grant`](grant::Grant): the pending consent, the code, the refresh token family, the digests of
//! live access tokens, the revocation. Its phase is a state machine, and every change is one
//! conditional write.
//!
//! Each credential is a prefix and the base64url of the grant's id and a 256-bit secret, so that
//! the request alone says what to load. A refresh token also has the secret of its family. The
//! right family with an old secret is a replay, which revokes the grant. A wrong family is a
//! forgery, which writes nothing. No old token is kept for that.
//!
//! The successor of a refresh token is derived from the token and a salt of the rotation. Within a
//! [replay window](policy::PolicyBuilder::replay_window) the same token therefore yields the same
//! successor again, and nothing is stored in the clear.
//!
//! # What holds
//!
//! - A [`Decision`](operation::Decision) keeps its outcome sealed until its write is durable.
//!   Refusals are no exception: a replay is refused *and* revokes.
//! - After a lost compare-and-set the request is loaded and decided again, with the same entropy. A
//!   record that already holds what this request would make is the request's own commit, not a
//!   replay.
//! - A redirect is built from a [`VerifiedRedirectUri`](value::VerifiedRedirectUri) and from
//!   nothing else. Secrets have no `Clone`, no `Display` and a redacted `Debug`, and are wiped when
//!   they are dropped. Digests compare in constant time.
//! - Every rule that a request can break is one [`Reason`]: its section, its public code, the
//!   description for the client, and for the operator the cause and the fix.
//!   [`troubleshooting()`](reason::troubleshooting()) returns all of them as a page, by symptom.
//!
//! [`guide::design`] has the laws and the reasons, [`guide::invariants`] how each is tested.
//!
//! # Features
//!
//! - `system` (default): [`SystemClock`](moment::SystemClock) and
//!   [`SystemEntropy`](moment::SystemEntropy), the only ambient reads of the crate.
//! - `http`: conversions from and to the types of the `http` crate, which axum and hyper use.
//! - `time`: conversions of [`Timestamp`] from and to the types of the `time` crate, and RFC 3339.
//! - `tracing`: `Event::trace`, which hands events to `tracing`:
//!   `server.with_observer(Event::trace)`.
//! - `jws`: [`RingVerifier`](jws::RingVerifier), which verifies the signatures of assertions with
//!   the crate `ring`.
//! - `conformance`: the laws of a store and of accounts as tests: `conformance!` and
//!   `accounts_conformance!`.
//!
//! # Specifications
//!
//! Sections that the documentation cites are those of:
//!
//! - OAuth 2.1: the editor's draft of May 2026 of
//!   [draft-ietf-oauth-v2-1](https://datatracker.ietf.org/doc/draft-ietf-oauth-v2-1/)
//! - MCP authorization: [revision
//!   2026-07-28](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization)
//! - CIMD, OAuth Client ID Metadata Document: the text after version 01 of
//!   [draft-ietf-oauth-client-id-metadata-document](https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/)
//! - RFC [6749](https://www.rfc-editor.org/rfc/rfc6749),
//!   [6750](https://www.rfc-editor.org/rfc/rfc6750),
//!   [7009](https://www.rfc-editor.org/rfc/rfc7009),
//!   [7515](https://www.rfc-editor.org/rfc/rfc7515),
//!   [7517](https://www.rfc-editor.org/rfc/rfc7517),
//!   [7518](https://www.rfc-editor.org/rfc/rfc7518),
//!   [7519](https://www.rfc-editor.org/rfc/rfc7519),
//!   [7591](https://www.rfc-editor.org/rfc/rfc7591),
//!   [7592](https://www.rfc-editor.org/rfc/rfc7592),
//!   [7636](https://www.rfc-editor.org/rfc/rfc7636),
//!   [7662](https://www.rfc-editor.org/rfc/rfc7662),
//!   [8252](https://www.rfc-editor.org/rfc/rfc8252),
//!   [8414](https://www.rfc-editor.org/rfc/rfc8414),
//!   [8707](https://www.rfc-editor.org/rfc/rfc8707),
//!   [8725](https://www.rfc-editor.org/rfc/rfc8725),
//!   [9207](https://www.rfc-editor.org/rfc/rfc9207),
//!   [9700](https://www.rfc-editor.org/rfc/rfc9700), [9728](https://www.rfc-editor.org/rfc/rfc9728)
//!
//! Rows such as AUTHZ-05, invariants such as I44 and laws such as LAW 1 are defined in the pages of
//! [`guide`].
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod account;
pub mod audit;
pub mod blocking;
pub mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
mod decide;
mod decision;
mod drive;
pub mod event;
pub mod grant;
pub mod jws;
mod keys;
mod limiter;
mod memory;
pub mod moment;
pub mod operation;
pub mod outside;
pub mod policy;
pub mod rate;
pub mod reason;
mod record;
pub mod refusal;
pub mod request;
pub mod response;
mod schema;
mod seen;
mod server;
pub mod store;
mod sync;
mod throttle;
pub mod value;

// The names that most hosts use.
pub use crate::account::{Account, Accounts, AlwaysActive};
pub use crate::audit::AuditLog;
pub use crate::client::Client;
pub use crate::event::Event;
pub use crate::memory::MemoryStore;
pub use crate::moment::Timestamp;
pub use crate::outside::Outside;
pub use crate::policy::Policy;
pub use crate::reason::Reason;
pub use crate::refusal::Refusal;
pub use crate::request::{
    Authorization, Choice, ContentType, Needs, RequestParts, RevokedBy, User,
};
pub use crate::response::{Access, AuthorizationStep, ConsentPage, LoginPage, Reply};
pub use crate::server::{Error, RevokedGrants, Server};
pub use crate::store::{FromStore, LoadsAccounts, Store};

/// The crate whose types the feature `http` converts from and to, in the version that it uses.
#[cfg(feature = "http")]
pub use http;

/// The pages of `docs/`: how to run a server, and what the crate promises.
///
/// | page | for |
/// |---|---|
/// | [`stores`](guide::stores) | choosing a database, or writing a store for your own |
/// | [`deploy`](guide::deploy) | going to production: proxies, several processes, clocks, logs, secrets |
/// | [`troubleshooting`](guide::troubleshooting) | every error, by symptom, with its cause and its fix |
/// | [`comparison`](guide::comparison) | choosing between this crate and other servers |
/// | [`performance`](guide::performance) | what a request costs, what bounds it, and how it grows |
/// | [`changelog`](guide::changelog) | what changed for users |
/// | [`design`](guide::design) | the shape of the crate, its laws, and which module imports which |
/// | [`requirements`](guide::requirements) | what the server must do, row by row, with the source of each row |
/// | [`decisions`](guide::decisions) | what each operation decides, as tables |
/// | [`invariants`](guide::invariants) | what holds under races and faults, and which test checks it |
/// | [`assurance`](guide::assurance) | how each promise is checked, how far that reaches, and what nothing checks |
///
/// This module is in the rendered documentation only.
#[cfg(doc)]
pub mod guide {
    // The definitions of a page's links come before the page, so that they replace those at its
    // end, which are for readers of the repository.
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/stores.md")]
    pub mod stores {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/deploy.md")]
    pub mod deploy {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/troubleshooting.md")]
    // The page quotes descriptions as clients receive them, with `[::1]` and bare URLs.
    #[allow(rustdoc::broken_intra_doc_links, rustdoc::bare_urls)]
    pub mod troubleshooting {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/comparison.md")]
    pub mod comparison {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../CHANGELOG.md")]
    pub mod changelog {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/requirements.md")]
    pub mod requirements {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/decisions.md")]
    pub mod decisions {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/assurance.md")]
    pub mod assurance {}
    #[doc = include_str!("guide/links.md")]
    #[doc = include_str!("../docs/invariants.md")]
    pub mod invariants {}
}
