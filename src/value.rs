//! The values of the protocol, one per file. Each is checked when it is made and cannot be
//! malformed afterwards.
//!
//! Never here: a decision, a record, a response.

pub(crate) mod acr;
pub(crate) mod auth_method;
pub(crate) mod base64url;
pub(crate) mod credential;
pub(crate) mod document_url;
pub(crate) mod grant_types;
pub(crate) mod hints;
pub(crate) mod invisible;
pub(crate) mod issuer;
pub(crate) mod machine_rights;
pub(crate) mod names;
pub(crate) mod overlap;
pub(crate) mod pkce;
pub(crate) mod prefix;
pub(crate) mod prompt;
pub(crate) mod properties;
pub(crate) mod redirect_uri;
pub(crate) mod resource;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod seen_key;
pub(crate) mod text;
pub(crate) mod uri;

pub use self::auth_method::SecretMethod;
pub use self::credential::{GrantId, GrantIdError};
pub use self::grant_types::{GrantType, GrantTypes};
pub use self::machine_rights::MachineRights;
pub use self::names::NameError;
pub use self::overlap::Overlap;
pub use self::prompt::{RequestDigest, RequestDigestError};
pub use self::properties::{Properties, PropertiesError};
pub use self::redirect_uri::{
    EDITOR_SCHEMES, LoopbackPorts, PrivateUseSchemes, RedirectRules, RedirectUriError,
    RegisteredRedirectUri, VerifiedRedirectUri,
};
pub use self::scope::{Scope, ScopeError};
pub use self::secret::Digest;
pub use self::seen_key::{SeenKey, SeenKeyError};
pub use self::text::{ClientId, ClientIdError, Subject, display_text};
