//! Responses: values become status, headers and body, without an HTTP crate. The feature `http`
//! converts them.
//!
//! Never here: a decision.

pub(crate) mod access;
pub(crate) mod authorization;
pub(crate) mod challenge;
pub(crate) mod connection;
pub(crate) mod document;
pub(crate) mod introspection;
pub(crate) mod metadata;
pub(crate) mod problem;
pub(crate) mod redirect;
pub(crate) mod registration;
pub(crate) mod reply;
pub(crate) mod revocation;
pub(crate) mod secret_rotation;
pub(crate) mod token;

pub use self::access::{Access, Warning};
pub use self::authorization::{AuthorizationStep, ConsentPage, LoginPage};
pub use self::connection::{ConnectedBy, Connection, ConnectionState, Connections};
pub use self::document::DocumentRequest;
pub use self::introspection::Introspected;
pub use self::metadata::WellKnown;
pub use self::problem::Problem;
pub use self::redirect::Redirect;
pub use self::registration::{Managed, Registered};
pub use self::reply::{PAGE_HEADERS, Reply};
pub use self::revocation::Revoked;
pub use self::secret_rotation::RotatedSecret;
pub use self::token::Tokens;
