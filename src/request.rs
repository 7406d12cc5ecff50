//! Requests: bytes become an [`Operation`](crate::operation::Operation). Malformed requests are
//! refused here, so a parsed value is never malformed. One file per endpoint.
//!
//! Never here: a record, or a decision that needs one. The methods that decide on a request are in
//! `decide/`.

pub(crate) mod access;
pub(crate) mod authorization;
pub(crate) mod client_assertion;
pub(crate) mod client_status;
pub(crate) mod connection;
pub(crate) mod consent;
pub(crate) mod document;
pub(crate) mod introspection;
pub(crate) mod jwt_bearer;
pub(crate) mod login;
pub(crate) mod metadata;
pub(crate) mod narrowing;
pub(crate) mod others;
pub(crate) mod parameters;
pub(crate) mod parts;
pub(crate) mod registration;
pub(crate) mod revocation;
pub(crate) mod secret_rotation;
pub(crate) mod site;
pub(crate) mod supersession;
pub(crate) mod token;
pub(crate) mod token_form;

pub use self::access::{AccessCheck, Needs, NeedsError};
pub use self::authorization::{AuthorizationRequest, User, UserError};
pub use self::client_status::ClientStatusChange;
pub use self::connection::{ClientRevocation, ConnectionList, GrantRevocation, RevokedBy};
pub use self::consent::{Choice, ConsentDecision};
pub use self::document::{Fetch, FetchedDocument};
pub use self::introspection::IntrospectionRequest;
pub use self::login::{Login, LoginFailure, LoginGivenUp};
pub use self::narrowing::{GrantNarrowing, Narrowing};
pub use self::parts::{Authorization, ContentType, RequestParts};
pub use self::registration::{ManagementRequest, RegistrationRequest};
pub use self::revocation::RevocationRequest;
pub use self::secret_rotation::SecretRotation;
pub use self::site::Site;
pub use self::supersession::GrantSupersession;
pub use self::token::TokenRequest;
