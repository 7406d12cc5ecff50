//! An OAuth 2.1 authorization server as pure functions. It opens no socket, reads no clock, draws
//! no randomness, touches no file and spawns nothing: the host passes bytes in, gets a value out,
//! and keeps one small record per authorization in whatever database it already has.
//!
//! ```text
//!            your server                         │              grantcore
//!                                                │
//!   bytes of a request  ────────────────────────►│  request/   parse, refuse what is malformed
//!   Store: load the records it names  ◄──────────│     │ keys
//!                           records  ───────────►│     ▼
//!   Clock, EntropySource  ──── Moment  ─────────►│  decide/    a pure function, one per verb
//!   Store: commit  ◄──────────── Write  ─────────│     │ Decision, its outcome sealed
//!                    Done or Conflict  ─────────►│     ▼
//!   status, headers, body  ◄─────────────────────│  response/  values, no HTTP crate
//!   your log  ◄───────────────── Event  ─────────│
//! ```
//!
//! # In ten minutes
//!
//! Build a [`Policy`], open a [`Store`], put them into a [`Server`] (or, without an async runtime, a
//! [`blocking::Server`]), and call it once per endpoint: [`authorize`](Server::authorize),
//! [`consent`](Server::consent), [`token`](Server::token), [`check`](Server::check). For clients
//! that come by themselves there are [`register`](Server::register) and [`manage`](Server::manage),
//! for those that go [`revoke`](Server::revoke), for resource servers elsewhere
//! [`introspect`](Server::introspect). Users see and end their
//! [`connections`](Server::connections); a [`AuditLog`] keeps what happened. [`Policy::well_known`] is
//! what clients discover all this by. The README mounts the endpoints, writes a store and says
//! where login and consent go; `examples/quickstart.rs` is the whole story in one `main`, and
//! `crates/grantcore-server` a server to read.
//!
//! # One grant, one record, one compare-and-set
//!
//! Everything that belongs to one authorization of one client by one user is one record, the
//! [`Grant`]: the pending consent, the code, the family of refresh tokens, the digests of live
//! access tokens, the revocation. Its phase is a state machine, and every change of it is one
//! conditional write. Each credential is a prefix and the base64url of the grant's id and a 256-bit
//! secret, so that the request alone says what to load; a refresh token has its family's secret
//! between the two, which tells a replay (the family's secret is right) from a forgery (it is not)
//! without keeping old tokens.
//!
//! The successor of a refresh token is derived from it and a salt of the rotation, so that within a
//! [replay window](PolicyBuilder::replay_window) the same token yields the same successor again,
//! with nothing in the clear at rest.
//!
//! Beside it stands the [`Client`]'s record, which changes in the same way. The two are never
//! written together: where a grant is about to outlive its client, the client is renewed first, by
//! a decision that has no outcome yet, and the request is decided again.
//!
//! # What holds
//!
//! - A [`Decision`] keeps its outcome sealed until its write is durable, refusals included: a
//!   replay is refused *and* revokes.
//! - A lost compare-and-set means: load again, decide again, with the same entropy. A record that
//!   holds what this very request would mint is its own commit come back late, not a replay.
//! - A redirect is built from a [`VerifiedRedirectUri`] and nothing else. Secrets have no `Clone`,
//!   no `Display` and a redacted `Debug`. Digests compare in constant time. Time and randomness are
//!   arguments.
//! - Every rule that a request can break is one [`Reason`]: its section, its public code, what the
//!   client is told, and for the operator the cause and the fix. [`troubleshooting()`] is all of it
//!   as a page, by symptom.
//!
//! # Features
//!
//! - `system` (default): [`SystemClock`] and [`SystemEntropy`], the only ambient reads in the
//!   crate.
//! - `http`: conversions from and to the `http` crate's types.
//! - `time`: conversions of a [`Timestamp`] from and to `time::OffsetDateTime`, and RFC 3339.
//! - `tracing`: `Event::trace`, which hands the trail to `tracing`: `server.observe(Event::trace)`.
//!   A refusal comes with its cause and the place in `docs/troubleshooting.md` where it is
//!   explained.
//! - `conformance`: [the laws of a store](store) as tests that you run on your own: `conformance!`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod account;
mod audit;
pub mod blocking;
mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
mod decide;
mod drive;
mod event;
mod grant;
mod keys;
mod limiter;
mod memory;
mod moment;
mod operation;
mod policy;
mod rate;
mod reason;
mod record;
mod refusal;
mod request;
mod response;
mod schema;
mod server;
pub mod store;
mod throttle;
mod value;

// The public face: everything a host names, in the order it meets it.
pub use crate::account::{Account, Accounts, AlwaysActive, Balance};
pub use crate::audit::{AuditError, AuditLog, AuditPolicy, AuditQuery, MemoryAuditLog};
pub use crate::client::{
    ApplicationType, Authentication, Client, ClientBuilder, ClientDescription, ClientError,
    ClientStatus, Registration, Restrictions, StoredSecret,
};
pub use crate::drive::drive;
pub use crate::event::{Event, EventClass, EventKind, Fate, SentError, Written, WrittenRecord};
pub use crate::grant::{Grant, GrantState, RevocationCause};
pub use crate::keys::{ClientKey, GrantList, Keys};
pub use crate::memory::MemoryStore;
#[cfg(feature = "time")]
pub use crate::moment::TimestampError;
pub use crate::moment::{
    Clock, CorrelationId, CorrelationIdError, Entropy, EntropyError, EntropySource, Moment,
    Timestamp,
};
#[cfg(feature = "system")]
pub use crate::moment::{SystemClock, SystemEntropy};
pub use crate::operation::{Decision, Loaded, Operation, Settled};
pub use crate::policy::{
    Audience, AuthMethods, CheckRules, DocumentRules, ErrorDelivery, IntrospectionRules, Lifetimes,
    Limits, Policy, PolicyBuilder, PolicyError, RateBucket, RateHit, RateKey, RateRules,
    RegistrationRules, Resource, RevocationRules, ScopeInfo, TokenRedirectUri,
};
pub use crate::rate::RateWindow;
pub use crate::reason::{Endpoint, ErrorCode, Reason, troubleshooting};
pub use crate::record::{Change, Commit, Stored, Version, Write};
pub use crate::refusal::Refusal;
pub use crate::request::access::{AccessCheck, Needs, NeedsError};
pub use crate::request::authorization::{AuthorizationRequest, User, UserError};
pub use crate::request::client_status::ClientStatusChange;
pub use crate::request::connection::{
    ClientRevocation, ConnectionList, GrantRevocation, RevokedBy,
};
pub use crate::request::consent::{Choice, ConsentDecision};
pub use crate::request::document::{Fetch, FetchedDocument};
pub use crate::request::introspection::IntrospectionRequest;
pub use crate::request::parts::{Authorization, RequestParts};
pub use crate::request::registration::{ManagementRequest, RegistrationRequest};
pub use crate::request::revocation::RevocationRequest;
pub use crate::request::token::TokenRequest;
pub use crate::response::access::{Access, Warning};
pub use crate::response::authorization::{AuthorizationStep, ConsentPage, LoginPage};
pub use crate::response::connection::{Connection, ConnectionState, Connections};
pub use crate::response::document::DocumentRequest;
pub use crate::response::introspection::Introspected;
pub use crate::response::metadata::WellKnown;
pub use crate::response::problem::Problem;
pub use crate::response::redirect::Redirect;
pub use crate::response::registration::{Managed, Registered};
pub use crate::response::reply::{PAGE_HEADERS, Reply};
pub use crate::response::revocation::Revoked;
pub use crate::response::token::Tokens;
pub use crate::server::{Error, RevokedGrants, Server};
#[doc(inline)]
pub use crate::store::{
    AccountSource, Counts, Failure, FailureCause, FromStore, LoadsAccounts, Store,
    StoreAdministration,
};
pub use crate::value::auth_method::SecretMethod;
pub use crate::value::credential::{GrantId, GrantIdError};
pub use crate::value::grant_types::{GrantType, GrantTypes};
pub use crate::value::names::NameError;
pub use crate::value::prompt::RequestDigest;
pub use crate::value::redirect_uri::{
    EDITOR_SCHEMES, LoopbackPorts, PrivateUseSchemes, RedirectRules, RedirectUriError,
    RegisteredRedirectUri, VerifiedRedirectUri,
};
pub use crate::value::scope::{Scope, ScopeError};
pub use crate::value::secret::Digest;
pub use crate::value::text::{ClientId, ClientIdError, Subject, display_text};

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
