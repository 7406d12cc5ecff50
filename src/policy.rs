//! The policy: the issuer, the resources and scopes, and every lifetime, limit and rule, each with
//! a safe default.
//!
//! A policy is checked when it is built. What cannot work, or would be a false promise, is refused
//! then and not at a request. The discovery documents of a policy are in `response/metadata`, and
//! the requirements of a resource's operations in `request/access`.

/// Makes a getter for each field, which returns what the field's `with_` method sets.
macro_rules! getters {
    ($($name:ident: $type:ty,)+) => {
        $(
            #[doc = concat!(
                "Returns the value of [`with_", stringify!($name), "`](Self::with_",
                stringify!($name), ")."
            )]
            pub fn $name(&self) -> $type {
                self.$name
            }
        )+
    };
}

mod access;
mod auth_methods;
mod authorization;
mod builder;
mod consent;
mod description;
mod document;
mod domains;
mod endpoints;
mod error;
mod introspection;
mod issuers;
mod keys;
mod lifetimes;
mod limits;
mod machines;
mod mcp;
mod members;
mod overrides;
mod rates;
mod registered_scope;
mod registration;
mod resource;
mod revocation;
mod slow_hash;
mod supersede;
mod template;
mod trusted;
mod validate;
mod verifier;

pub use access::{Audience, CheckRules};
pub use auth_methods::AuthMethods;
pub use authorization::{ErrorDelivery, TokenRedirectUri};
pub use builder::PolicyBuilder;
pub use consent::{ConsentRules, Remember};
pub use description::ResourceDescription;
pub use document::{DocumentRedirects, DocumentRules};
pub use domains::DomainRules;
pub use endpoints::EndpointUrl;
pub use error::{
    IssuersError, LifetimesError, PolicyError, ResourcesError, ScopesError, TrustedIssuerError,
};
pub use introspection::IntrospectionRules;
pub use issuers::Issuers;
pub(crate) use issuers::{Belonging, is_issuer};
pub use keys::{AssertionAudience, DocumentMethod, KeyRules};
pub use lifetimes::Lifetimes;
pub use limits::Limits;
pub(crate) use machines::RightsError;
pub use machines::{MachineRules, MachineSub, ScopeFor};
pub use members::MemberError;
pub use overrides::{ClientLifetimes, EffectiveLifetimes, LifetimeOverrides};
pub(crate) use overrides::{TooLong, is_countable};
pub use rates::{RateBucket, RateHit, RateKey, RateRules};
pub use registered_scope::RegisteredScope;
pub use registration::RegistrationRules;
pub use resource::{Resource, ResourceError, ScopeInfo};
pub use revocation::RevocationRules;
pub use supersede::Supersede;
pub use template::TemplateError;
pub(crate) use trusted::Profile;
pub use trusted::{
    ActorClaim, AssertionProfile, AssertionReuse, ClaimMatch, ClaimName, IdJag, IssuerKeys,
    TrustedIssuer, Workload, WorkloadCondition, WorkloadRule,
};

use std::sync::Arc;
use std::time::Duration;

use self::members::Members;
use self::slow_hash::SlowHash;
use self::verifier::Verifier;
use crate::value::grant_types::GrantTypes;
use crate::value::issuer::Issuer;
use crate::value::redirect_uri::RedirectRules;
use crate::value::scope::Scope;
use crate::value::text::ClientId;

/// The rules of one authorization server. Immutable; built by [`Policy::builder`].
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::policy::{Lifetimes, Limits, RegistrationRules};
/// use grantcore::Policy;
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .registration(RegistrationRules::default())
///     .lifetimes(Lifetimes::default().with_access(Duration::from_secs(600)))
///     .limits(Limits::default().with_token_requests_per_minute(20))
///     .build()?;
/// assert_eq!(policy.token_endpoint(), "https://auth.example/oauth/token");
/// assert_eq!(policy.registration_endpoint(), Some("https://auth.example/oauth/register"));
/// assert_eq!(policy.revocation_endpoint(), None);
///
/// // What an operation of the resource needs, for `Server::check`. Built once, at the start.
/// let notes = policy.needs("https://mcp.example/mcp", "notes")?;
/// assert!(policy.needs("https://mcp.example/mcp", "note").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent yes or no of the operator's, set by its own name"
)]
pub struct Policy {
    issuer: Issuer,
    /// Form-encoded, for redirects.
    issuer_parameter: Box<str>,
    /// Issuers whose records belong to this one.
    former_issuers: Vec<Issuer>,
    /// Whether the server's document is at the root of the host too.
    is_at_root: bool,
    /// Whether `http` is allowed on a loopback host.
    loopback_http: bool,
    authorization_endpoint: String,
    token_endpoint: String,
    /// The URLs that the three endpoints below have or would have.
    registration_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    registration: Option<RegistrationRules>,
    revocation: Option<RevocationRules>,
    introspection: Option<IntrospectionRules>,
    documents: Option<DocumentRules>,
    machines: Option<MachineRules>,
    domains: DomainRules,
    auth_methods: AuthMethods,
    unverified_scope: Option<Scope>,
    registered_scope: RegisteredScope,
    default_grant_types: GrantTypes,
    openid_alias: bool,
    metadata_members: Members,
    resources: Vec<Resource>,
    scopes: Vec<ScopeInfo>,
    /// The positions of the scopes in the order of their names.
    scope_order: Vec<u16>,
    /// All scope tokens, as a client requests them that takes them from the metadata, and as a
    /// scope. `None` if they are more than a scope can have.
    whole_scope: Option<Box<(String, Scope)>>,
    /// Whether a scope token is for people or for machines alone.
    marks_scopes: bool,
    /// Each scope token with one that it includes, directly or through others. Sorted.
    implied: Vec<(String, String)>,
    check_rules: CheckRules,
    default_scope: Option<Scope>,
    drop_unknown_scopes: bool,
    default_resource: Option<String>,
    require_resource: bool,
    /// Made when the policy is built, for the grants to share.
    assumed_resources: Option<Arc<[Box<str>]>>,
    lifetimes: Lifetimes,
    unverified_lifetimes: LifetimeOverrides,
    /// Those of clients that the operator registered, and of all others, without overrides of a
    /// client. Made when the policy is built: to put them in order takes 70 instructions.
    class_lifetimes: Option<Box<[EffectiveLifetimes; 2]>>,
    client_lifetimes: ClientLifetimes,
    replay_window: Duration,
    limits: Limits,
    rate_rules: RateRules,
    redirect_rules: RedirectRules,
    error_delivery: ErrorDelivery,
    token_redirect_uri: TokenRedirectUri,
    /// The classes of logins that the host distinguishes.
    acr_values: Vec<String>,
    consent_rules: ConsentRules,
    terse_errors: bool,
    troubleshooting_url: Option<String>,
    lenient_on_method: bool,
    revoke_previous_access: bool,
    refuse_reused_challenges: bool,
    supersede: Supersede,
    slow_hash: Option<SlowHash>,
    keys: Option<KeyRules>,
    /// The issuers whose assertions bring tokens.
    trusted: Vec<TrustedIssuer>,
    verifier: Option<Verifier>,
}

impl Policy {
    /// Starts a policy for this issuer: an `https` URL without query and fragment, in its canonical
    /// spelling (RFC 8414 §2). It is used byte for byte everywhere.
    pub fn builder(issuer: impl Into<String>) -> PolicyBuilder {
        PolicyBuilder::new(issuer.into())
    }

    /// Returns the issuer identifier (RFC 8414 §2).
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Returns the URL of the authorization endpoint (OAuth 2.1 §3.1).
    pub fn authorization_endpoint(&self) -> &str {
        &self.authorization_endpoint
    }

    /// Returns the URL of the token endpoint (OAuth 2.1 §3.2).
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// Returns the URL of the registration endpoint (RFC 7591 §3), or `None` if registration is
    /// off. Each registration has its own URL below it (RFC 7592 §3).
    pub fn registration_endpoint(&self) -> Option<&str> {
        self.registration.as_ref().map(|_| self.registration_endpoint.as_str())
    }

    /// Returns the URL of one registration (RFC 7592 §3): that of the registration endpoint, a
    /// slash and the `client_id`.
    pub(crate) fn management_url(&self, client: &ClientId) -> String {
        format!("{}/{client}", self.registration_endpoint)
    }

    /// Returns the rules by which clients register themselves, or `None` if they cannot.
    pub fn registration(&self) -> Option<&RegistrationRules> {
        self.registration.as_ref()
    }

    /// Returns the URL of the revocation endpoint (RFC 7009 §2), or `None` if revocation is off.
    pub fn revocation_endpoint(&self) -> Option<&str> {
        self.revocation.as_ref().map(|_| self.revocation_endpoint.as_str())
    }

    /// Returns the rules by which clients revoke tokens, or `None` if they cannot.
    pub fn revocation(&self) -> Option<&RevocationRules> {
        self.revocation.as_ref()
    }

    /// Returns the rules of Client ID Metadata Documents, or `None` if they are not used.
    pub fn client_documents(&self) -> Option<&DocumentRules> {
        self.documents.as_ref()
    }

    /// Returns the rules about the domains of clients that are known by a document.
    pub fn document_domains(&self) -> &DomainRules {
        &self.domains
    }

    /// Returns the members that the operator added to the server's metadata.
    pub(crate) fn metadata_members(&self) -> &Members {
        &self.metadata_members
    }

    /// Returns the widest scope that a client can ask for that the operator did not register, or
    /// `None` for every scope of the policy.
    pub(crate) fn unverified_scope(&self) -> Option<&Scope> {
        self.unverified_scope.as_ref()
    }

    /// Returns the grant types of a client that names none.
    pub(crate) fn default_grant_types(&self) -> GrantTypes {
        self.default_grant_types
    }

    /// Returns the protected resources.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Returns the scopes.
    pub fn scopes(&self) -> &[ScopeInfo] {
        &self.scopes
    }

    /// Returns the lifetimes.
    pub fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// Returns for how long after a rotation the same old refresh token gets the same successor
    /// again.
    pub fn replay_window(&self) -> Duration {
        self.replay_window
    }

    /// Returns the caps on requests and records.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the rules of the token endpoint's rate limit.
    pub fn rate_rules(&self) -> &RateRules {
        &self.rate_rules
    }

    /// Returns the rules for redirect URIs.
    pub fn redirect_rules(&self) -> &RedirectRules {
        &self.redirect_rules
    }

    /// Returns the rules of consent.
    pub fn consent_rules(&self) -> &ConsentRules {
        &self.consent_rules
    }

    /// Returns the classes of logins (`acr`) that are declared.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        self.acr_values.iter().map(String::as_str)
    }

    /// Returns the rules of the check at a protected resource.
    pub fn check_rules(&self) -> &CheckRules {
        &self.check_rules
    }

    /// Returns whether tokens of a new consent end older grants.
    pub fn supersede(&self) -> Supersede {
        self.supersede
    }

    /// Returns whether `error_description` is left out of responses.
    pub fn is_terse(&self) -> bool {
        self.terse_errors
    }

    /// Returns the URL of the page that explains each reason.
    pub fn troubleshooting_url(&self) -> Option<&str> {
        self.troubleshooting_url.as_deref()
    }

    /// Returns whether the metadata are served under `openid-configuration` too.
    pub(crate) fn has_openid_alias(&self) -> bool {
        self.openid_alias
    }

    pub(crate) fn default_scope(&self) -> Option<&Scope> {
        self.default_scope.as_ref()
    }

    pub(crate) fn drops_unknown_scopes(&self) -> bool {
        self.drop_unknown_scopes
    }

    /// Returns whether a request that names no resource is refused.
    pub(crate) fn requires_resource(&self) -> bool {
        self.require_resource
    }

    pub(crate) fn error_delivery(&self) -> ErrorDelivery {
        self.error_delivery
    }

    pub(crate) fn token_redirect_uri(&self) -> TokenRedirectUri {
        self.token_redirect_uri
    }

    pub(crate) fn is_lenient_on_method(&self) -> bool {
        self.lenient_on_method
    }

    pub(crate) fn revokes_previous_access(&self) -> bool {
        self.revoke_previous_access
    }

    pub(crate) fn refuses_reused_challenges(&self) -> bool {
        self.refuse_reused_challenges
    }

    /// Verifies the secret against the slow hash. Without a verifier, nothing matches.
    pub(crate) fn verify_slow_hash(&self, secret: &[u8], hash: &str) -> bool {
        self.slow_hash.as_ref().is_some_and(|slow| slow.verify(secret, hash))
    }

    /// Does the work of a slow hash where there is none to verify.
    pub(crate) fn waste_slow_hash(&self, secret: &[u8]) {
        if let Some(slow) = &self.slow_hash {
            slow.waste(secret);
        }
    }

    pub(crate) fn knows_scope(&self, token: &str) -> bool {
        self.find_scope(token).is_some()
    }
}
