//! An OAuth 2.1 authorization server and resource check as pure functions.
//!
//! The crate opens no socket, reads no clock, draws no randomness, touches no file and spawns no
//! task. The host passes the bytes of a request in, gets a value out, and keeps one small record
//! per authorization in its own database.
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
//! # Start here
//!
//! Build a [`Policy`], choose a [`Store`] and [`Accounts`], put them into a [`Server`], and call it
//! once for each endpoint: [`authorize`](Server::authorize), [`consent`](Server::consent),
//! [`token`](Server::token), and [`check`](Server::check) at your resources. The page of [`Server`]
//! has an example. Without an async runtime, use [`blocking::Server`].
//!
//! Clients register themselves by [`register`](Server::register) and [`manage`](Server::manage),
//! and give tokens back by [`revoke`](Server::revoke). Resource servers in other processes call
//! [`introspect`](Server::introspect). [`connections`](Server::connections) lists the applications
//! of a user. [`Policy::well_known`] is what clients discover all of this by. An [`AuditLog`]
//! records every step.
//!
//! The names that most hosts use stand at the root. Everything else is in the module of its
//! subject.
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
//!   [7591](https://www.rfc-editor.org/rfc/rfc7591),
//!   [7592](https://www.rfc-editor.org/rfc/rfc7592),
//!   [7636](https://www.rfc-editor.org/rfc/rfc7636),
//!   [7662](https://www.rfc-editor.org/rfc/rfc7662),
//!   [8252](https://www.rfc-editor.org/rfc/rfc8252),
//!   [8414](https://www.rfc-editor.org/rfc/rfc8414),
//!   [8707](https://www.rfc-editor.org/rfc/rfc8707),
//!   [9207](https://www.rfc-editor.org/rfc/rfc9207),
//!   [9700](https://www.rfc-editor.org/rfc/rfc9700), [9728](https://www.rfc-editor.org/rfc/rfc9728)
//!
//! Rows such as AUTHZ-05, invariants such as I44 and laws such as LAW 1 are defined in the pages of
//! `docs/`, which are in the rendered documentation as well.
//!
//! # Features
//!
//! - `system` (default): [`SystemClock`](moment::SystemClock) and
//!   [`SystemEntropy`](moment::SystemEntropy), the only ambient reads of the crate.
//! - `http`: conversions from and to the types of the `http` crate.
//! - `time`: conversions of [`Timestamp`] from and to the types of the `time` crate, and RFC 3339.
//! - `tracing`: `Event::trace`, which hands events to `tracing`:
//!   `server.with_observer(Event::trace)`.
//! - `conformance`: the laws of a store and of accounts as tests: `conformance!` and
//!   `accounts_conformance!`.
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
mod keys;
mod limiter;
mod memory;
pub mod moment;
pub mod operation;
pub mod policy;
pub mod rate;
pub mod reason;
mod record;
pub mod refusal;
pub mod request;
pub mod response;
mod schema;
mod server;
pub mod store;
mod throttle;
pub mod value;

// The names that most hosts use.
pub use crate::account::{Account, Accounts, AlwaysActive};
pub use crate::audit::AuditLog;
pub use crate::client::Client;
pub use crate::event::Event;
pub use crate::memory::MemoryStore;
pub use crate::moment::Timestamp;
pub use crate::policy::Policy;
pub use crate::reason::Reason;
pub use crate::refusal::Refusal;
pub use crate::request::{Authorization, Choice, Needs, RequestParts, RevokedBy, User};
pub use crate::response::{Access, AuthorizationStep, ConsentPage, LoginPage, Reply};
pub use crate::server::{Error, RevokedGrants, Server};
pub use crate::store::{FromStore, LoadsAccounts, Store};

/// The pages of `docs/`: what the crate promises, and why it has this shape.
///
/// This module is in the rendered documentation only.
#[cfg(doc)]
pub mod documentation {
    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
    #[doc = include_str!("../docs/requirements.md")]
    pub mod requirements {}
    #[doc = include_str!("../docs/invariants.md")]
    pub mod invariants {}
    #[doc = include_str!("../docs/decisions.md")]
    pub mod decisions {}
}

#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/stores.md")]
struct Stores;
