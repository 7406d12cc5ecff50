//! The client's record, what it may do, and how it proves who it is (OAuth 2.1 §2).
//!
//! Registration requests and metadata documents are parsed in `request/`. Both use the builder of
//! this module, which checks every client.

use serde::{Deserialize, Deserializer, Serialize, de};

mod assertions;
mod builder;
mod client_keys;
mod consent;
mod description;
mod error;
mod issuer;
mod kind;
mod life;
mod machine;
mod restrictions;
mod secrets;

pub use builder::{ClientBuilder, ClientRules};
pub(crate) use client_keys::preferred;
pub use client_keys::{ClientKeys, KeySource};
pub use consent::ConsentMode;
pub use description::{ApplicationType, ClientDescription};
pub use error::ClientError;
pub use kind::Authentication;
use kind::{CodeFlow, Kind};
pub use restrictions::Restrictions;
pub use secrets::{Retiring, Secrets, StoredSecret, UsedSecret};

use crate::moment::Timestamp;
use crate::policy::{LifetimeOverrides, Policy};
use crate::reason::Reason;
use crate::schema::{self, Schema};
use crate::value::auth_method::SecretMethod;
use crate::value::grant_types::GrantTypes;
use crate::value::issuer::Issuer;
use crate::value::redirect_uri::{RegisteredRedirectUri, VerifiedRedirectUri};
use crate::value::scope::Scope;
use crate::value::secret::Digest;
use crate::value::text::{ClientId, Subject};

/// A registered client.
///
/// [`Client::public`] and [`Client::confidential`] start one, and [`ClientBuilder::build`] checks
/// it. For a store it is a record in the same way as a [grant](crate::grant::Grant#as-a-record).
///
/// ```
/// use grantcore::Client;
///
/// let app = Client::public("notes-cli")
///     .name("Notes")
///     .redirect_uri("http://127.0.0.1/cb")
///     .build()?;
/// assert_eq!(app.display_name(), "Notes");
/// assert!(app.is_loopback_only() && app.grant_types().refresh_token);
/// # Ok::<(), grantcore::client::ClientError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Client(Fields);

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields: Fields = schema::read("Client", deserializer)?;
        fields.restrictions.check().map_err(de::Error::custom)?;
        if matches!(fields.origin, Origin::Operator { .. })
            && fields.restrictions.auth_method().is_some()
        {
            // The operator states the method of such a client in its kind.
            return Err(de::Error::custom("an operator's client has no restricted auth_method"));
        }
        if matches!(fields.kind, Kind::Federated(_))
            && !matches!(fields.origin, Origin::Operator { .. })
        {
            return Err(de::Error::custom("only an operator's client is federated"));
        }
        if matches!(fields.kind, Kind::Either { .. })
            && !matches!(fields.origin, Origin::MetadataDocument { .. })
        {
            return Err(de::Error::custom("only a client with a document has keys or none"));
        }
        fields.check_consent().map_err(de::Error::custom)?;
        Ok(Self(fields))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "Client", deny_unknown_fields)]
struct Fields {
    schema: Schema,
    id: ClientId,
    kind: Kind,
    /// The scope that the client registered for. `None` is every scope of the policy.
    #[serde(deserialize_with = "Option::deserialize")]
    scope: Option<Scope>,
    restrictions: Restrictions,
    /// What the operator set. `None` is the policy's.
    #[serde(deserialize_with = "Option::deserialize")]
    lifetimes: Option<LifetimeOverrides>,
    description: ClientDescription,
    origin: Origin,
    /// The account that is responsible for the client.
    #[serde(deserialize_with = "Option::deserialize")]
    owner: Option<Subject>,
    trusted: bool,
    /// `None` if the policy decides.
    #[serde(deserialize_with = "Option::deserialize")]
    consent: Option<ConsentMode>,
    status: ClientStatus,
    /// Captured by each grant. Once the client has another epoch, those grants are ended.
    epoch: u64,
    created: Timestamp,
    /// From when on it describes itself so. The Unix epoch for a client of the operator.
    described: Timestamp,
    /// When the client expires unless it is used before.
    expires: Timestamp,
}

/// How the server came to know the client, with the facts that only such a client has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Origin {
    Operator {
        /// The only issuer that serves the client. `None` is every issuer that shares the store.
        #[serde(deserialize_with = "Option::deserialize")]
        issuer: Option<Issuer>,
    },
    Dynamic {
        /// The issuer where the client registered. `None` if the operator made the client a
        /// registered one.
        #[serde(deserialize_with = "Option::deserialize")]
        issuer: Option<Issuer>,
        /// Of the registration access token, which reads, updates and deletes the registration
        /// (RFC 7592 §3). `None` if the policy had no management.
        #[serde(deserialize_with = "Option::deserialize")]
        registration_access_token_digest: Option<Digest>,
    },
    MetadataDocument {
        /// When the host was last asked for the document.
        asked: Timestamp,
        /// When the document must be fetched again before the next authorization.
        fresh_until: Timestamp,
    },
}

/// How the server came to know a client, for the consent page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Registration {
    /// The operator registered the client and vouches for it.
    Operator,
    /// The client registered itself (RFC 7591). Its name and URLs are its own claims.
    Dynamic,
    /// The `client_id` is the URL of a document about the client (Client ID Metadata Document).
    MetadataDocument,
}

/// Whether a client is active or deactivated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a host must handle each, or it could serve a deactivated client"
)]
pub enum ClientStatus {
    /// The client is served.
    Active,
    /// The client and its tokens are refused at every endpoint, as those of an unknown client.
    /// Nothing is deleted.
    Deactivated,
}

impl Client {
    /// Starts a client without a secret, such as an app, an IDE or an agent on a user's machine.
    ///
    /// ```
    /// use grantcore::Client;
    ///
    /// let client = Client::public("notes-cli").redirect_uri("http://127.0.0.1/cb").build()?;
    /// assert_eq!(client.id().as_str(), "notes-cli");
    /// # Ok::<(), grantcore::client::ClientError>(())
    /// ```
    pub fn public(id: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(id.into(), Authentication::Public)
    }

    /// Starts a client that proves itself with a secret.
    ///
    /// ```
    /// use grantcore::value::{Digest, SecretMethod};
    /// use grantcore::client::StoredSecret;
    /// use grantcore::Client;
    ///
    /// let stored = StoredSecret::Digest(Digest::of(b"256 random bits as text"));
    /// let client = Client::confidential("notes-web", SecretMethod::Basic, stored)
    ///     .redirect_uri("https://notes.example/callback")
    ///     .build()?;
    /// assert!(client.grant_types().refresh_token);
    /// # Ok::<(), grantcore::client::ClientError>(())
    /// ```
    pub fn confidential(
        id: impl Into<String>,
        method: SecretMethod,
        secret: StoredSecret,
    ) -> ClientBuilder {
        ClientBuilder::new(id.into(), Authentication::by_secret(method, secret))
    }

    /// Starts a client that introspects tokens and does nothing else (RFC 7662): a resource server
    /// in another process. It authenticates by `client_secret_basic`, and has no redirect URI and
    /// no grant type.
    ///
    /// ```
    /// use grantcore::client::StoredSecret;
    /// use grantcore::value::Digest;
    /// use grantcore::Client;
    ///
    /// let stored = StoredSecret::Digest(Digest::of(b"256 random bits as text"));
    /// let client = Client::resource_server("files-server", stored).build()?;
    /// assert!(!client.grant_types().authorization_code);
    /// # Ok::<(), grantcore::client::ClientError>(())
    /// ```
    pub fn resource_server(id: impl Into<String>, secret: StoredSecret) -> ClientBuilder {
        let none = GrantTypes { authorization_code: false, refresh_token: false };
        Self::confidential(id, SecretMethod::Basic, secret).grant_types(none)
    }

    /// Returns the `client_id`.
    pub fn id(&self) -> &ClientId {
        &self.0.id
    }

    /// Returns the description that the client or the operator gave. It is not cleaned for display:
    /// see [`display_name`](Self::display_name) and [`display_text`](crate::value::display_text).
    pub fn description(&self) -> &ClientDescription {
        &self.0.description
    }

    /// Returns how the server came to know the client.
    pub fn registration(&self) -> Registration {
        match self.0.origin {
            Origin::Operator { .. } => Registration::Operator,
            Origin::Dynamic { .. } => Registration::Dynamic,
            Origin::MetadataDocument { .. } => Registration::MetadataDocument,
        }
    }

    /// Returns the account that is responsible for the client. While that account is suspended, the
    /// client is refused.
    pub fn owner(&self) -> Option<&Subject> {
        self.0.owner.as_ref()
    }

    /// Returns when the client registered itself or its document was first read, and the Unix epoch
    /// for a client of the operator.
    pub fn created(&self) -> Timestamp {
        self.0.created
    }

    /// Returns whether the client is active or deactivated.
    pub fn status(&self) -> ClientStatus {
        self.0.status
    }

    /// Returns the epoch, which each grant captures at its consent page.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// Returns how the client authenticates.
    pub fn authentication(&self) -> Authentication {
        self.0.kind.authentication()
    }

    /// Returns the grant types that the client may use: what it registered for, within its
    /// [restrictions](Self::restrictions).
    pub fn grant_types(&self) -> GrantTypes {
        let registered = self.registered_grant_types();
        self.0.restrictions.grant_types.map_or(registered, |allowed| registered.within(allowed))
    }

    /// Returns the grant types that the client registered for, without its restrictions.
    pub(crate) fn registered_grant_types(&self) -> GrantTypes {
        self.0.kind.grant_types()
    }

    /// Returns the scope that the client registered for, or `None` for every scope of the policy.
    /// What the client may ask for lies within its [restrictions](Self::restrictions) as well.
    pub fn scope(&self) -> Option<&Scope> {
        self.0.scope.as_ref()
    }

    /// Returns the limits that the operator set.
    pub fn restrictions(&self) -> &Restrictions {
        &self.0.restrictions
    }

    /// Returns the redirect URIs. Only a client without the code flow has none.
    pub fn redirect_uris(&self) -> &[RegisteredRedirectUri] {
        self.code_flow().map_or(&[], |code_flow| code_flow.redirect_uris.as_slice())
    }

    fn code_flow(&self) -> Option<&CodeFlow> {
        self.0.kind.code_flow()
    }

    /// Returns whether errors are sent to the client by redirect, without an action of the user.
    pub fn is_trusted(&self) -> bool {
        self.0.trusted
    }

    /// Returns whether every redirect URI is a loopback one, which any program on the user's device
    /// can claim.
    pub fn is_loopback_only(&self) -> bool {
        self.redirect_uris().iter().all(RegisteredRedirectUri::is_loopback)
    }

    /// Starts a changed version of this client. The status and the epoch stay. A client that was
    /// built anew begins in epoch 0, and would bring ended grants back to life if it was committed
    /// in place of this one.
    ///
    /// For a client that registered itself or has a metadata document,
    /// [`scope`](ClientBuilder::scope), [`grant_types`](ClientBuilder::grant_types) and
    /// [`authentication`](ClientBuilder::authentication) become [restrictions](Self::restrictions),
    /// which the client cannot lift.
    ///
    /// ```
    /// use grantcore::blocking::Store;
    /// use grantcore::store::{Commit, Write};
    /// # use grantcore::{Client, MemoryStore};
    /// # let store = MemoryStore::new();
    /// # store.put_client(Client::public("notes-app").redirect_uri("https://app.example/cb").build()?);
    ///
    /// let seen = store.client("notes-app")?.ok_or("there is no such client")?;
    /// let app = (*seen.record).clone().edit().redirect_uri("com.example.notes:/cb").build()?;
    /// let commit = store.commit(&Write::client(Some(&seen), app))?;
    /// assert_eq!(commit, Commit::Done); // After a conflict, read it and edit it again.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn edit(self) -> ClientBuilder {
        ClientBuilder::editing(self)
    }

    /// Verifies the redirect URI of a request against the registered ones (OAuth 2.1 §2.3). Without
    /// one in the request, the only registered URI is taken.
    pub(crate) fn verify_redirect<'s>(
        &'s self,
        requested: Option<&str>,
        policy: &Policy,
    ) -> Result<VerifiedRedirectUri, Reason> {
        let registered = self.redirect_uris();
        let (own, verified) = match (requested, registered) {
            // A client without redirect URIs is not one with a wrong redirect URI.
            (_, []) => return Err(Reason::CodeFlowUnauthorized),
            (None, [only]) => {
                (only, only.verified_as_registered().ok_or(Reason::RedirectUriMissing)?)
            }
            (None, _) => return Err(Reason::RedirectUriMissing),
            (Some(requested), _) => {
                let ports = self.code_flow().and_then(|code_flow| code_flow.loopback_ports);
                let ports = ports.unwrap_or(policy.redirect_rules().loopback_ports);
                let except_port = |uri: &'s RegisteredRedirectUri| {
                    Some((uri, uri.verify_except_port(requested, ports)?))
                };
                registered
                    .iter()
                    .find_map(|uri| Some((uri, uri.verify(requested)?)))
                    .or_else(|| registered.iter().find_map(except_port))
                    .ok_or(Reason::RedirectUriMismatch)?
            }
        };
        if own.is_dangerous() {
            return Err(Reason::RedirectUriForbidden);
        }
        // The client may have registered before the rule.
        if self.may_redirect_to(own, policy) {
            Ok(verified)
        } else {
            Err(Reason::RedirectHostDenied)
        }
    }
}
