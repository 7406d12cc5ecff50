//! Settings of the endpoints, and of the features that some of them belong to. A feature is off
//! until its rules are set.

use serde::Serialize;

use super::PolicyBuilder;
use crate::policy::{
    DocumentRules, DomainRules, IntrospectionRules, MachineRules, RegistrationRules,
    RevocationRules,
};
#[cfg(doc)]
use crate::policy::{Lifetimes, Limits};
use crate::value::issuer::Issuer;

/// # Endpoints
///
/// The URLs of the endpoints, which the metadata advertise. The host routes them to its
/// [`Server`](crate::Server).
///
/// ```
/// let policy = grantcore::Policy::builder("https://example.com/auth")
///     .scope("notes", "Read and change your notes")
///     .resource("https://example.com/mcp", "notes")
///     .authorization_endpoint("https://example.com/connect")
///     .build()?;
/// assert_eq!(policy.authorization_endpoint(), "https://example.com/connect");
/// assert_eq!(policy.token_endpoint(), "https://example.com/auth/oauth/token");
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Sets the URL of the authorization endpoint (OAuth 2.1 §3.1), of the issuer's origin.
    /// Default: the issuer and `/oauth/authorize`.
    pub fn authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.policy.authorization_endpoint = url.into();
        self
    }

    /// Sets the URL of the token endpoint (OAuth 2.1 §3.2), of the issuer's origin. Default: the
    /// issuer and `/oauth/token`.
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.policy.token_endpoint = url.into();
        self
    }

    /// Sets the URL of the registration endpoint, of the issuer's origin and without query: each
    /// registration has its own URL below it (RFC 7592 §3). Default: the issuer and
    /// `/oauth/register`. Refused unless [`registration`](Self::registration) is on.
    pub fn registration_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoints.registration = Some(url.into());
        self
    }

    /// Sets the URL of the revocation endpoint, of the issuer's origin. Default: the issuer and
    /// `/oauth/revoke`. Refused unless [`revocation`](Self::revocation) is on.
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoints.revocation = Some(url.into());
        self
    }

    /// Sets the URL of the introspection endpoint, of the issuer's origin. Default: the issuer and
    /// `/oauth/introspect`. Refused unless [`introspection`](Self::introspection) is on.
    pub fn introspection_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoints.introspection = Some(url.into());
        self
    }

    /// Adds a member to the server's metadata, such as `service_documentation` (RFC 8414 §2).
    /// Default: none. At most 64, of 16 KiB in all. A member that the crate writes, or may write in
    /// a later version, is refused.
    ///
    /// Clients believe what the document says, and nothing checks it.
    pub fn metadata_member(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.policy.metadata_members.add(name.into(), &value);
        self
    }

    /// Accepts the records of an issuer that this one was before, such as after a change of its
    /// domain. Each record has the new issuer after its next write. Default: none, and the records
    /// of every other issuer do not exist.
    ///
    /// Clients keep their credentials by issuer (RFC 8414 §3.3), so that most must authorize anew
    /// in any case. Leave it out when the grants of before have ended. Never name an issuer that is
    /// still served on the same store: its tokens would be accepted here.
    pub fn former_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.policy.former_issuers.push(Issuer::new(issuer.into()));
        self
    }

    /// Sets whether the server's metadata are served under `openid-configuration` too (RFC 8414
    /// §5). Default: `false`.
    ///
    /// The document is not an OpenID provider's. A client that asks there first takes it for one
    /// and gives up, while after a 404 it goes on to `oauth-authorization-server`.
    pub fn openid_alias(mut self, alias: bool) -> Self {
        self.policy.openid_alias = alias;
        self
    }
}

/// # Features that are off by default
///
/// A feature is off until its rules are set. The metadata advertise it only then.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::{
///     DocumentRules, IntrospectionRules, RegistrationRules, RevocationRules,
/// };
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .registration(RegistrationRules::default())
///     .client_documents(DocumentRules::default())
///     .revocation(RevocationRules::default())
///     .introspection(IntrospectionRules::default()
///         .with_resource_server("files-server", "https://mcp.example/mcp"))
///     .build()?;
/// assert_eq!(policy.revocation_endpoint(), Some("https://auth.example/oauth/revoke"));
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Lets clients register themselves (RFC 7591). Default: they cannot.
    ///
    /// Clients that do not know the server need it. Open registration lets strangers have records
    /// stored; [`Limits`] and [`Lifetimes::with_unused_client`] bound how many.
    pub fn registration(mut self, rules: RegistrationRules) -> Self {
        self.policy.registration = Some(rules);
        self
    }

    /// Accepts a `client_id` that is the URL of a Client ID Metadata Document
    /// (draft-ietf-oauth-client-id-metadata-document). Default: only clients whose documents were
    /// recorded while it was on are known.
    ///
    /// The host must then fetch what
    /// [`AuthorizationStep::NeedsDocument`](crate::AuthorizationStep::NeedsDocument) asks for. All
    /// users of a product share one such id: with
    /// [`RateKey::ClientAndGrant`](crate::policy::RateKey::ClientAndGrant) in the [rate
    /// rules](Self::rate_rules), they do not use up each other's limit.
    pub fn client_documents(mut self, rules: DocumentRules) -> Self {
        self.policy.documents = Some(rules);
        self
    }

    /// Sets which domains the documents of clients can be at, before anything is fetched. Default:
    /// every domain, and none is trusted.
    pub fn document_domains(mut self, rules: DomainRules) -> Self {
        self.policy.domains = rules;
        self
    }

    /// Lets clients revoke their tokens (RFC 7009), public clients too. Default: they cannot.
    pub fn revocation(mut self, rules: RevocationRules) -> Self {
        self.policy.revocation = Some(rules);
        self
    }

    /// Lets clients act on their own behalf (`client_credentials`, OAuth 2.1 §4.2). Default: none
    /// can.
    ///
    /// Only clients whose [record](crate::client::ClientBuilder::machine) gives them the right do,
    /// and resources serve their tokens only where they [say so](crate::Needs::machines).
    pub fn machines(mut self, rules: MachineRules) -> Self {
        self.policy.machines = Some(rules);
        self
    }

    /// Lets resource servers ask about tokens (RFC 7662). Default: none can.
    pub fn introspection(mut self, rules: IntrospectionRules) -> Self {
        self.policy.introspection = Some(rules);
        self
    }
}
