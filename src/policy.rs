//! The policy: whose server this is, what it protects, and every lifetime, window and cap, each
//! with a safe default.
//!
//! A policy is checked when it is built: what cannot work or would be a false promise is refused
//! then, not at a request.

mod access;
mod builder;
mod clients;
mod introspection;
mod rates;
mod revocation;
mod validate;

pub use access::{Audience, CheckRules};
pub use builder::PolicyBuilder;
pub use clients::{AuthMethods, DocumentRules, RegistrationRules};
pub use introspection::IntrospectionRules;
pub use rates::{RateBucket, RateHit, RateKey, RateRules};
pub use revocation::RevocationRules;
pub use validate::PolicyError;

use std::fmt;
use std::time::Duration;

use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::RedirectRules;
use crate::value::resource;
use crate::value::scope::Scope;
use crate::value::text::ClientId;

/// The rules of one authorization server. Immutable; made by [`Policy::builder`].
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent yes or no of the operator's, set by its own name"
)]
pub struct Policy {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: String,
    registration: Option<RegistrationRules>,
    revocation_endpoint: String,
    revocation: Option<RevocationRules>,
    introspection_endpoint: String,
    introspection: Option<IntrospectionRules>,
    documents: Option<DocumentRules>,
    auth_methods: AuthMethods,
    unverified_scope: Option<Scope>,
    default_grant_types: GrantTypes,
    openid_alias: bool,
    resources: Vec<Resource>,
    scopes: Vec<ScopeInfo>,
    /// Each scope token with one that it includes, directly or through others.
    implied: Vec<(String, String)>,
    checks: CheckRules,
    default_scope: Option<Scope>,
    drop_unknown_scopes: bool,
    default_resource: Option<String>,
    require_resource: bool,
    lifetimes: Lifetimes,
    replay_window: Duration,
    limits: Limits,
    rates: RateRules,
    redirect_rules: RedirectRules,
    error_delivery: ErrorDelivery,
    token_redirect_uri: TokenRedirectUri,
    terse_errors: bool,
    troubleshooting_url: Option<String>,
    lenient_on_method: bool,
    revoke_previous_access: bool,
    refuse_reused_challenges: bool,
    slow_hash: Option<SlowHash>,
}

/// How client secrets that people chose are verified, and a hash of nothing to verify where there
/// is none.
#[derive(Clone)]
struct SlowHash {
    verify: fn(&[u8], &str) -> bool,
    dummy: String,
}

impl fmt::Debug for SlowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlowHash(redacted)")
    }
}

/// How long things live. All half open: valid while `now < issued + lifetime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A consent page and its ticket. Default 600 s.
    pub consent: Duration,
    /// A code. Default 600 s, which is also the most (OAuth 2.1 §4.1.2).
    pub code: Duration,
    /// An access token. Default 3,600 s.
    pub access: Duration,
    /// A refresh token that is not used. Each use starts it anew. Default 30 days.
    pub refresh_idle: Duration,
    /// A family of refresh tokens from its consent on, however often it is used. Default 180 days;
    /// `None` is for ever.
    pub refresh_absolute: Option<Duration>,
    /// A client that registered itself, or is known by a document, and that nobody has authorized.
    /// Default 24 h. One that is used lives at least as long as its grants.
    pub unused_client: Duration,
}

/// Caps on what arrives and on what is kept. Each bounds the work that a stranger can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a query string or form body. Default 16 KiB.
    pub request_bytes: usize,
    /// Parameters in one request. Default 64.
    pub parameters: usize,
    /// Bytes of one parameter's value, decoded. Default 4 KiB.
    pub value_bytes: usize,
    /// Access tokens of one grant that may be alive at once; the one that expires first makes
    /// room. Default 32. It bounds the record of a client that refreshes far more often than
    /// it needs to.
    pub live_access_tokens: usize,
    /// Requests to the token endpoint in any 60 s by one `client_id` from one source, or by what
    /// else [`RateRules::key`] has share a limit. Default 60.
    pub token_requests_per_minute: u32,
    /// Failed authentications in any 60 s by one `client_id`, after which even the right secret is
    /// refused. Default 10.
    pub failed_authentications_per_minute: u32,
    /// Bytes of a registration's body. Default 16 KiB.
    pub registration_bytes: usize,
    /// Registrations and their updates in any 60 s from one source, which the host names (an
    /// address, say). Default 300: many users share an address, and some clients register at each connection.
    pub registrations_per_minute: u32,
    /// Registrations and their updates in any 60 s from all sources together. Default 600. With
    /// [`registration_bytes`](Self::registration_bytes) it bounds what strangers can have stored:
    /// at most 864,000 registrations or some 14 GiB a day, each of which may be dropped after
    /// [`Lifetimes::unused_client`] unless a user authorizes it. What it costs: strangers at
    /// several addresses can use it up.
    pub all_registrations_per_minute: u32,
    /// New clients in any 60 s that are known by a document, from all sources together. Default
    /// 600: at most 864,000 records or some 4 GiB a day, each of which may be dropped after
    /// [`Lifetimes::unused_client`] unless a user authorizes it. A client that is on record is not
    /// counted: it is written again at most once in [`DocumentRules::fresh_at_least`]. What it
    /// costs: strangers at several addresses can use it up, and clients that are not on record
    /// then wait.
    pub all_documents_per_minute: u32,
    /// Consent pages that are made for one user in any 60 s. Default 60. Any site can have a
    /// signed-in browser open them, and each is a record of some kilobytes that is kept for an hour
    /// past [`Lifetimes::consent`]: by default at most 4,200 of one user's at any time.
    pub consent_pages_per_minute: u32,
}

/// How an error reaches a client whose redirect URI is verified (OAuth 2.1 §4.1.2.1, §7.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorDelivery {
    /// By redirect if the user is signed in and the client trusted; else by a page with a link to
    /// continue.
    #[default]
    Auto,
    /// By redirect whenever the user is signed in. Whoever registers a client can then bounce users
    /// off this server.
    AlwaysRedirect,
    /// By a page, always.
    AlwaysBanner,
}

/// When the token request must repeat the redirect URI of the authorization request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenRedirectUri {
    /// If it was sent there (RFC 6749 §4.1.3).
    #[default]
    RequiredIfSent,
    /// Never, but one that is sent must be the same (OAuth 2.1 §4.1.3).
    MatchIfPresent,
}

/// A protected resource: something that access tokens are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub(crate) identifier: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) metadata_url: String,
}

/// A scope token the server knows, and what it means to the user who is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeInfo {
    pub(crate) name: String,
    pub(crate) description: String,
}

impl Resource {
    /// The absolute URI that tokens for it name (RFC 8707 §2): best the exact URL that clients
    /// call.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The scope tokens it understands.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    /// Where its RFC 9728 document is.
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }
}

impl ScopeInfo {
    /// The token.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it lets a client do, in the user's words.
    pub fn description(&self) -> &str {
        &self.description
    }
}

impl Policy {
    /// Starts a policy for this issuer: an `https` URL without query and fragment, used byte for
    /// byte everywhere.
    pub fn builder(issuer: impl Into<String>) -> PolicyBuilder {
        PolicyBuilder::new(issuer.into())
    }

    /// The issuer identifier (RFC 8414 §2).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The authorization endpoint's URL. Default: the issuer and `/oauth/authorize`.
    pub fn authorization_endpoint(&self) -> &str {
        &self.authorization_endpoint
    }

    /// The token endpoint's URL. Default: the issuer and `/oauth/token`.
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The registration endpoint's URL, below which each registration has its own. Default: the
    /// issuer and `/oauth/register`. It is there only if [`registration`](Self::registration)
    /// is.
    pub fn registration_endpoint(&self) -> &str {
        &self.registration_endpoint
    }

    /// The endpoint of one registration (RFC 7592 §3): the registration endpoint's URL, a slash and
    /// the `client_id`.
    pub(crate) fn management_url(&self, client: &ClientId) -> String {
        format!("{}/{client}", self.registration_endpoint)
    }

    /// The rules by which clients may register themselves, if they may.
    pub fn registration(&self) -> Option<&RegistrationRules> {
        self.registration.as_ref()
    }

    /// The revocation endpoint's URL. Default: the issuer and `/oauth/revoke`. It is there only if
    /// [`revocation`](Self::revocation) is.
    pub fn revocation_endpoint(&self) -> &str {
        &self.revocation_endpoint
    }

    /// The rules by which clients may give tokens back, if they may.
    pub fn revocation(&self) -> Option<&RevocationRules> {
        self.revocation.as_ref()
    }

    /// The introspection endpoint's URL. Default: the issuer and `/oauth/introspect`. It is there
    /// only if [`introspection`](Self::introspection) is.
    pub fn introspection_endpoint(&self) -> &str {
        &self.introspection_endpoint
    }

    /// Who may ask about tokens, if anybody may.
    pub fn introspection(&self) -> Option<&IntrospectionRules> {
        self.introspection.as_ref()
    }

    /// The rules of Client ID Metadata Documents, if they are used.
    pub fn documents(&self) -> Option<&DocumentRules> {
        self.documents.as_ref()
    }

    /// The ways in which clients may authenticate.
    pub fn auth_methods(&self) -> AuthMethods {
        self.auth_methods
    }

    /// The most that a client may ask for that the operator did not register; nothing means
    /// whatever the policy knows.
    pub(crate) fn unverified_scope(&self) -> Option<&Scope> {
        self.unverified_scope.as_ref()
    }

    /// What a client gets that names no grant types.
    pub(crate) fn default_grant_types(&self) -> GrantTypes {
        self.default_grant_types
    }

    /// The resources it issues tokens for.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The scopes it knows.
    pub fn scopes(&self) -> &[ScopeInfo] {
        &self.scopes
    }

    /// The lifetimes.
    pub fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// How long after a rotation the same old refresh token gets the same successor again. Default
    /// zero: never.
    pub fn replay_window(&self) -> Duration {
        self.replay_window
    }

    /// The caps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The rules for redirect URIs.
    pub fn redirect_rules(&self) -> &RedirectRules {
        &self.redirect_rules
    }

    /// Whether `error_description` is left out of responses.
    pub fn is_terse(&self) -> bool {
        self.terse_errors
    }

    /// The page that explains each reason, if the policy names one.
    pub fn troubleshooting_url(&self) -> Option<&str> {
        self.troubleshooting_url.as_deref()
    }

    /// Whether the metadata is found where OpenID Connect clients look, too.
    pub(crate) fn has_openid_alias(&self) -> bool {
        self.openid_alias
    }

    /// The resource that callers mean who name none: the default, or else the only one.
    pub(crate) fn main_resource(&self) -> Option<&Resource> {
        match (self.resources.as_slice(), &self.default_resource) {
            (_, Some(default)) => self.resources.iter().find(|own| own.identifier == *default),
            ([only], None) => Some(only),
            (_, None) => None,
        }
    }

    pub(crate) fn default_scope(&self) -> Option<&Scope> {
        self.default_scope.as_ref()
    }

    pub(crate) fn drops_unknown_scopes(&self) -> bool {
        self.drop_unknown_scopes
    }

    /// The resource of a request that names none: the default, or else the only one; none if the
    /// policy demands a name.
    pub(crate) fn assumed_resource(&self) -> Option<&str> {
        self.main_resource().filter(|_| !self.require_resource).map(Resource::identifier)
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

    pub(crate) fn verify_slow_hash(&self, secret: &[u8], hash: &str) -> bool {
        self.slow_hash.as_ref().is_some_and(|slow| (slow.verify)(secret, hash))
    }

    /// Does the work of a slow hash for nothing, where there are any.
    pub(crate) fn waste_slow_hash(&self, secret: &[u8]) {
        if let Some(slow) = &self.slow_hash {
            let _ = (slow.verify)(secret, &slow.dummy);
        }
    }

    pub(crate) fn knows_scope(&self, token: &str) -> bool {
        self.scopes.iter().any(|scope| scope.name == token)
    }

    /// The rules of the resource check.
    pub fn checks(&self) -> &CheckRules {
        &self.checks
    }

    /// Whether a scope token includes another, as the host declared it (MCP, Step-Up Authorization
    /// Flow).
    pub fn implies(&self, granted: &str, needed: &str) -> bool {
        self.implied
            .binary_search_by(|(own, included)| {
                (own.as_str(), included.as_str()).cmp(&(granted, needed))
            })
            .is_ok()
    }

    /// The resource that this indicator names, if the server knows it.
    pub fn resource(&self, indicator: &str) -> Option<&Resource> {
        self.resources.iter().find(|known| self.is_same_resource(&known.identifier, indicator))
    }

    /// Whether two indicators name one resource.
    pub(crate) fn is_same_resource(&self, own: &str, other: &str) -> bool {
        match self.checks.audience {
            Audience::Exact => own == other,
            Audience::Canonical | Audience::PathPrefix => resource::same(own, other),
        }
    }

    /// Whether a token for the one resource is good at the other.
    pub(crate) fn is_good_at(&self, token_for: &str, called: &str) -> bool {
        let is_below =
            || self.checks.audience == Audience::PathPrefix && resource::covers(token_for, called);
        self.is_same_resource(token_for, called) || is_below()
    }
}
