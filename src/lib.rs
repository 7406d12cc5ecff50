//! An OAuth 2.1 authorization server as pure functions.
#![deny(missing_docs)]

mod client;
mod decide;
mod drive;
mod event;
mod grant;
mod memory;
mod moment;
mod operation;
mod policy;
mod rate;
mod reason;
mod refusal;
mod request;
mod response;
mod server;
pub mod store;
mod value;

// The public face: everything a host names, in the order it meets it.
pub use crate::client::{
    Authentication, Client, ClientBuilder, ClientError, ClientStatus, GrantTypes, Registration, SecretMethod, StoredSecret,
};
pub use crate::drive::{Failure, drive, drive_async};
pub use crate::event::{Event, EventKind};
pub use crate::grant::{Cause, Grant, GrantState};
pub use crate::memory::MemoryStore;
pub use crate::moment::{Clock, CorrelationId, Entropy, EntropyError, EntropySource, Moment, Timestamp};
#[cfg(feature = "system")]
pub use crate::moment::{SystemClock, SystemEntropy};
pub use crate::operation::{Account, Commit, Decision, Keys, Loaded, Operation, Settled, Stored, Version, Write};
pub use crate::policy::{
    ErrorDelivery, Lifetimes, Limits, Policy, PolicyBuilder, PolicyError, Resource, ScopeInfo, TokenRedirectUri,
};
pub use crate::rate::Hits;
pub use crate::reason::{Code, Reason, Surface};
pub use crate::refusal::{Problem, Refusal};
pub use crate::request::access::{AccessCheck, Needs};
pub use crate::request::authorization::{AuthorizationRequest, User};
pub use crate::request::consent::{Choice, ConsentDecision};
pub use crate::request::incoming::{Authorization, Incoming};
pub use crate::request::token::TokenRequest;
pub use crate::response::access::Access;
pub use crate::response::consent_page::{AuthorizationStep, ConsentPage, LoginPage};
pub use crate::response::redirect::Redirect;
pub use crate::response::reply::{PAGE_HEADERS, Reply};
pub use crate::response::token::Tokens;
pub use crate::server::{Answer, AsyncServer, Server};
#[doc(inline)]
pub use crate::store::{AsyncStore, Store};
pub use crate::value::credential::{GrantId, Issued};
pub use crate::value::pkce::CodeChallenge;
pub use crate::value::redirect_uri::{
    LoopbackPorts, PrivateUseSchemes, RedirectRules, RedirectUriError, RegisteredRedirectUri, VerifiedRedirectUri,
};
pub use crate::value::scope::{Scope, ScopeError};
pub use crate::value::secret::{Digest, Secret};
pub use crate::value::text::{ClientId, ClientIdError, Subject};
