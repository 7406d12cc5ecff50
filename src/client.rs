//! The client's record, what it may do, and how it proves who it is (OAuth 2.1 §2).
//!
//! Never here: registration over the wire, or a document about a client; those are requests, and
//! end in the same builder.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

mod builder;
mod description;
mod life;
mod restrictions;

pub use builder::ClientBuilder;
pub(crate) use description::is_page;
pub use description::{ApplicationType, ClientDescription};
pub use restrictions::Restrictions;

use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::schema::{self, Schema};
use crate::value::auth_method::{AuthMethod, SecretMethod};
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::{
    LoopbackPorts, RedirectUriError, RegisteredRedirectUri, VerifiedRedirectUri, is_dangerous,
    record,
};
use crate::value::scope::Scope;
use crate::value::secret::Digest;
use crate::value::text::{ClientId, ClientIdError, Subject};

/// A registered client. Built with [`Client::public`] or [`Client::confidential`], checked when
/// built. For a store it is a record as a [grant](crate::Grant#as-a-record) is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Client(Fields);

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        schema::read("Client", deserializer).map(Self)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "Client", deny_unknown_fields)]
struct Fields {
    schema: Schema,
    id: ClientId,
    authentication: Authentication,
    #[serde(with = "record::list")]
    redirect_uris: Vec<RegisteredRedirectUri>,
    grant_types: GrantTypes,
    /// The scope it registered for; `None` stands for all that the policy knows.
    #[serde(deserialize_with = "Option::deserialize")]
    scope: Option<Scope>,
    restrictions: Restrictions,
    #[serde(deserialize_with = "Option::deserialize")]
    loopback_ports: Option<LoopbackPorts>,
    description: ClientDescription,
    origin: Origin,
    /// The account that answers for it, if one does.
    #[serde(deserialize_with = "Option::deserialize")]
    owner: Option<Subject>,
    trusted: bool,
    status: ClientStatus,
    epoch: u64,
    created: Timestamp,
    /// When it is unknown again, unless it is used before.
    expires: Timestamp,
}

/// How it came to be known, and what only such a client has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Origin {
    Operator,
    Dynamic {
        /// Of the token that reads, changes and deletes the registration (RFC 7592 §3).
        #[serde(deserialize_with = "Option::deserialize")]
        management: Option<Digest>,
    },
    MetadataDocument {
        /// When the document must be fetched again before the next authorization.
        fresh_until: Timestamp,
    },
}

/// How a client authenticates at the token endpoint. A public client with a secret does not exist
/// as a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Authentication {
    /// `none`: it identifies itself with its `client_id`, which proves nothing.
    Public,
    /// With a secret, sent as registered.
    Confidential {
        /// Where the secret is sent.
        method: SecretMethod,
        /// What is kept of it.
        secret: StoredSecret,
    },
}

/// What is kept of a client secret.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredSecret {
    /// SHA-256, for secrets of at least 128 random bits, such as a server generates.
    Digest(Digest),
    /// A slow hash, for secrets a person chose. Verified by
    /// [`PolicyBuilder::slow_hash`](crate::PolicyBuilder::slow_hash).
    SlowHash(String),
}

/// A slow hash is still a lead to what a person chose: it is not shown.
impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::SlowHash(_) => f.write_str("SlowHash(redacted)"),
        }
    }
}

/// How the server came to know a client: what the consent page says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Registration {
    /// By the operator, who vouches for it.
    Operator,
    /// It registered itself; its name and URLs are its own claims (RFC 7591).
    Dynamic,
    /// Its `client_id` is the URL of a document about it (Client ID Metadata Document).
    MetadataDocument,
}

/// Whether a client is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientStatus {
    /// Served. Its tokens work as far as they have not expired or been revoked.
    Active,
    /// Refused at every endpoint, with its tokens, exactly as if it did not exist. Nothing is deleted.
    Deactivated,
}

/// Why a client cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The identifier.
    #[error(transparent)]
    Id(#[from] ClientIdError),
    /// One of its redirect URIs, or their number.
    #[error(transparent)]
    RedirectUri(#[from] RedirectUriError),
    /// `refresh_token` without `authorization_code`: there would be nothing to refresh (RFC 7591
    /// §2.1).
    #[error("a client that refreshes uses the code flow")]
    GrantTypes,
    /// A page or logo of the client that is not at an `https` URL.
    #[error("a client's pages and its logo are at https URLs")]
    Uri,
}

impl Authentication {
    pub(crate) fn method(&self) -> AuthMethod {
        match self {
            Self::Public => AuthMethod::None,
            Self::Confidential { method, .. } => AuthMethod::Secret(*method),
        }
    }
}

impl Client {
    /// Starts a client that keeps no secret: an app, an IDE, an agent on a user's machine.
    ///
    /// ```
    /// let client = grantcore::Client::public("notes-cli").redirect_uri("http://127.0.0.1/callback").build()?;
    /// assert_eq!(client.id().as_str(), "notes-cli");
    /// # Ok::<(), grantcore::ClientError>(())
    /// ```
    pub fn public(id: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(id.into(), Authentication::Public)
    }

    /// Starts a client that proves itself with a secret.
    pub fn confidential(
        id: impl Into<String>,
        method: SecretMethod,
        secret: StoredSecret,
    ) -> ClientBuilder {
        ClientBuilder::new(id.into(), Authentication::Confidential { method, secret })
    }

    /// The `client_id`.
    pub fn id(&self) -> &ClientId {
        &self.0.id
    }

    /// What it or the operator says of it; not cleaned for display.
    pub fn description(&self) -> &ClientDescription {
        &self.0.description
    }

    /// How it was registered.
    pub fn registration(&self) -> Registration {
        match self.0.origin {
            Origin::Operator => Registration::Operator,
            Origin::Dynamic { .. } => Registration::Dynamic,
            Origin::MetadataDocument { .. } => Registration::MetadataDocument,
        }
    }

    /// The account that answers for it: while that is suspended, so is the client.
    pub fn owner(&self) -> Option<&Subject> {
        self.0.owner.as_ref()
    }

    /// When it was registered; the epoch's beginning if it was the operator who did.
    pub fn created(&self) -> Timestamp {
        self.0.created
    }

    /// Whether it is served at all.
    pub fn status(&self) -> ClientStatus {
        self.0.status
    }

    /// The epoch its grants capture.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// How it authenticates.
    pub fn authentication(&self) -> &Authentication {
        &self.0.authentication
    }

    /// Returns the grant types it may use: what it registered for, within its
    /// [restrictions](Self::restrictions).
    pub fn grant_types(&self) -> GrantTypes {
        let registered = self.0.grant_types;
        self.0.restrictions.grant_types.map_or(registered, |allowed| registered.within(allowed))
    }

    /// Returns the grant types it registered for, whatever the operator left of them.
    pub(crate) fn registered_grant_types(&self) -> GrantTypes {
        self.0.grant_types
    }

    /// Returns the scope it registered for; `None` stands for all that the policy knows. What it may
    /// ask for lies within its [restrictions](Self::restrictions) as well.
    pub fn scope(&self) -> Option<&Scope> {
        self.0.scope.as_ref()
    }

    /// Returns what the operator imposed on it.
    pub fn restrictions(&self) -> &Restrictions {
        &self.0.restrictions
    }

    /// Its redirect URIs.
    pub fn redirect_uris(&self) -> &[RegisteredRedirectUri] {
        &self.0.redirect_uris
    }

    /// Whether errors may be sent to it without the user's doing.
    pub fn is_trusted(&self) -> bool {
        self.0.trusted
    }

    /// Returns whether every redirect URI is a loopback one, which any program on the user's device
    /// can claim.
    pub fn is_loopback_only(&self) -> bool {
        self.0.redirect_uris.iter().all(RegisteredRedirectUri::is_loopback)
    }

    /// Starts a changed version of this client. Its status and epoch stay: a client built anew in
    /// its place would bring ended grants back to life.
    ///
    /// Of a client that registered itself or is known by a document,
    /// [`scope`](ClientBuilder::scope), [`grant_types`](ClientBuilder::grant_types) and
    /// [`authentication`](ClientBuilder::authentication) become [restrictions](Self::restrictions),
    /// which the client cannot lift.
    pub fn edit(self) -> ClientBuilder {
        ClientBuilder::editing(self)
    }

    /// Returns whether a scope token is open to it: within the scope it registered for, what the
    /// operator imposed on it and, unless the operator registered it, the policy's scope for such
    /// clients, which may have been narrowed since.
    pub(crate) fn may_ask_for(&self, token: &str, policy: &Policy) -> bool {
        let ceiling =
            policy.unverified_scope().filter(|_| self.registration() != Registration::Operator);
        [self.scope(), self.0.restrictions.scope(), ceiling]
            .into_iter()
            .flatten()
            .all(|allowed| allowed.contains(token))
    }

    /// The redirect URI of a request, verified against the registered ones (OAuth 2.1 §2.3).
    pub(crate) fn verify_redirect(
        &self,
        requested: Option<&str>,
        policy: &Policy,
    ) -> Result<VerifiedRedirectUri, Reason> {
        let verified = match (requested, self.0.redirect_uris.as_slice()) {
            (None, [only]) => only.verified_as_registered().ok_or(Reason::RedirectUriMissing)?,
            (None, _) => return Err(Reason::RedirectUriMissing),
            (Some(requested), registered) => {
                let ports = self.0.loopback_ports.unwrap_or(policy.redirect_rules().loopback_ports);
                registered
                    .iter()
                    .find_map(|uri| uri.verify(requested, ports))
                    .ok_or(Reason::RedirectUriMismatch)?
            }
        };
        if is_dangerous(verified.as_str()) {
            Err(Reason::RedirectUriForbidden)
        } else {
            Ok(verified)
        }
    }
}
