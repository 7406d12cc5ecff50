//! Why a policy cannot be built.

mod lifetimes;
mod parts;
mod scopes;
mod trusted;

use std::time::Duration;

pub use self::lifetimes::LifetimesError;
pub use self::parts::{IssuersError, ResourcesError};
pub use self::scopes::ScopesError;
pub use self::trusted::TrustedIssuerError;
use super::members::MemberError;
use crate::value::text::log_text;

/// The reason why a policy cannot be built.
///
/// The message names the value, the rule that it breaks and what to do. Values are cleaned for a
/// log line and cut at 256 bytes.
///
/// ```
/// let error = grantcore::Policy::builder("https://Auth.example/")
///     .resource("https://mcp.example/mcp", "")
///     .build()
///     .unwrap_err();
/// assert!(error.to_string().contains("Pass 'https://auth.example' to Policy::builder()."));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The issuer is not a URL that can be one (RFC 8414 §2).
    #[error(
        "issuer '{}' is refused: an issuer is an https URL with a host, and without user, \
         password, query and fragment (RFC 8414 §2). Correct the argument of Policy::builder(). For \
         development, allow_loopback_http(true) admits http on a loopback host.",
        log_text(issuer)
    )]
    Issuer {
        /// The issuer as it was given.
        issuer: String,
    },
    /// The issuer is not in its canonical spelling. Clients compare issuers byte for byte
    /// (RFC 8414 §3.3; RFC 9207 §2.4), and their URL libraries write the canonical one.
    #[error(
        "issuer '{}' is refused: it is another spelling of '{}', and clients compare issuers byte \
         for byte (RFC 8414 §3.3). Pass '{}' to Policy::builder().",
        log_text(issuer),
        log_text(canonical),
        log_text(canonical)
    )]
    IssuerSpelling {
        /// The issuer as it was given.
        issuer: String,
        /// The spelling to use.
        canonical: String,
    },
    /// An endpoint is not a URL of the issuer's origin (OAuth 2.1 §1.5, §3.1).
    #[error(
        "{endpoint} '{}' is refused: an endpoint is an https URL of the issuer's origin, without \
         user, password and fragment, and the registration endpoint has no query (OAuth 2.1 §1.5, \
         §3.1). Correct the URL, or leave {endpoint}() out for the default.",
        log_text(url)
    )]
    Endpoint {
        /// The metadata's name of the endpoint, such as `token_endpoint` (RFC 8414 §2).
        endpoint: &'static str,
        /// The URL as it was given.
        url: String,
    },
    /// An endpoint is named whose feature is off.
    #[error(
        "{endpoint} '{}' is refused: {feature} is off, so that nothing is served there. Turn it on \
         with {feature}(), or leave {endpoint}() out.",
        log_text(url)
    )]
    EndpointOff {
        /// The metadata's name of the endpoint, such as `revocation_endpoint` (RFC 8414 §2).
        endpoint: &'static str,
        /// The setter that turns the feature on, such as `revocation`.
        feature: &'static str,
        /// The URL as it was given.
        url: String,
    },
    /// The troubleshooting page is not a URL that an `error_uri` can begin with.
    #[error(
        "troubleshooting_url '{}' is refused: the page of every error_uri is an https URL with a \
         host, and without user, password and fragment. Correct the URL, or leave \
         troubleshooting_url() out.",
        log_text(url)
    )]
    TroubleshootingUrl {
        /// The URL as it was given.
        url: String,
    },
    /// The policy has no resource.
    #[error(
        "the policy has no resource: an access token is for at least one (RFC 8707 §2). Add one \
         with resource()."
    )]
    ResourceMissing,
    /// The policy has more resources than a token can name.
    #[error(
        "the policy has {count} resources: a token can name 64. Leave some out, or share them out to \
         several servers."
    )]
    ResourcesTooMany {
        /// How many there are.
        count: usize,
    },
    /// A resource is not a URL that can be one (RFC 9728 §1.2).
    #[error(
        "resource '{}' is refused: a resource is an https URL with a host, and without user, \
         password and fragment (RFC 9728 §1.2). Correct the argument of resource(). For \
         development, allow_loopback_http(true) admits http on a loopback host.",
        log_text(resource)
    )]
    Resource {
        /// The identifier as it was given.
        resource: String,
    },
    /// Two resources have their metadata document at one URL.
    #[error(
        "resource '{}' is refused: another resource has its metadata document at the same URL \
         (RFC 9728 §3.1), because the two differ in letter case or a closing slash at most. Name \
         the resource once.",
        log_text(resource)
    )]
    ResourceRepeated {
        /// The second of the two.
        resource: String,
    },
    /// The default resource is not one of the policy's.
    #[error(
        "default_resource '{}' is refused: the policy has no such resource. Add it with resource(), \
         or name one of its resources byte for byte.",
        log_text(resource)
    )]
    DefaultResource {
        /// The identifier as it was given.
        resource: String,
    },
    /// A scope token, or a setting that names scope tokens, is refused.
    #[error(transparent)]
    Scopes(#[from] ScopesError),
    /// The right of clients that register themselves has a scope token that the policy does not
    /// declare, or declares for people only.
    #[error(
        "scope '{}' in machines() is refused: the policy does not declare it, or declares it for \
         people only. Correct it, or see PolicyBuilder::scope_for().",
        log_text(scope)
    )]
    MachineScope {
        /// The token.
        scope: String,
    },
    /// The right of clients that register themselves names a resource that the policy does not
    /// have.
    #[error(
        "resource '{}' in machines() is refused: the policy has no such resource. Correct it, or add \
         it with resource().",
        log_text(resource)
    )]
    MachineResource {
        /// The resource.
        resource: String,
    },
    /// A lifetime is refused.
    #[error(transparent)]
    Lifetimes(#[from] LifetimesError),
    /// A resource lists `offline_access` (MCP, Scope Selection Strategy).
    #[error(
        "scope 'offline_access' of resource '{}' is refused: it asks the authorization server for a \
         refresh token and means nothing to a resource (MCP, Scope Selection Strategy). Leave it \
         out of resource().",
        log_text(resource)
    )]
    OfflineAccess {
        /// The identifier of the resource.
        resource: String,
    },
    /// No client authentication method is offered.
    #[error(
        "auth_methods is refused: it offers no method, so that the metadata would name none \
         (RFC 8414 §2) and no client could register. Offer at least one of AuthMethods."
    )]
    AuthMethods,
    /// Registration needs an initial access token, and there is none.
    #[error(
        "registration is refused: it requires an initial access token and accepts none, so that no \
         client could register. Pass the digests of your tokens to \
         RegistrationRules::with_initial_access_tokens(), or leave registration() out."
    )]
    InitialAccessTokens,
    /// A client that the operator did not register, and that names no grant types, could use no
    /// flow.
    #[error(
        "default_grant_types is refused: it lacks authorization_code, so that a client of {feature} \
         that names no grant types could use no flow. Add authorization_code."
    )]
    DefaultGrantTypes {
        /// The setter that lets such clients come, such as `registration`.
        feature: &'static str,
    },
    /// Client authentication by keys is on, and no library verifies signatures.
    #[error(
        "client_keys is refused: nothing verifies signatures. Pass a verifier to \
         PolicyBuilder::verifier(), such as jws::RingVerifier of the feature jws, or leave \
         client_keys() out."
    )]
    VerifierMissing,
    /// A duration of the rules of keys is out of bounds.
    #[error(
        "client_keys is refused: {setting} {value:?} is not within {least} s and {most} s, in whole \
         seconds. Correct KeyRules::with_{setting}()."
    )]
    KeyRules {
        /// The name of the duration.
        setting: &'static str,
        /// The duration as it was given.
        value: Duration,
        /// The least seconds.
        least: u64,
        /// The most seconds.
        most: u64,
    },
    /// Client documents are on, and the only method that their clients can use is not offered.
    #[error(
        "client_documents is refused: a client known by a document is a public one, and auth_methods \
         does not offer the method none. Offer it with AuthMethods::with_public_clients(true), or \
         leave client_documents() out."
    )]
    DocumentsMethod,
    /// Client documents are on, and native clients among them could not connect.
    #[error(
        "client_documents is refused: native clients listen on a free port, which no document can \
         name, and redirect_rules lets no port differ (RFC 8252 §7.3). Let loopback ports differ \
         with RedirectRules::with_loopback_ports(), or leave client_documents() out."
    )]
    DocumentsPorts,
    /// Documents are fresh for longer at least than at most.
    #[error(
        "fresh_at_least {at_least:?} is refused: it is longer than fresh_at_most {at_most:?}. Set \
         both with DocumentRules, the shorter one as fresh_at_least."
    )]
    DocumentsFreshness {
        /// How long a document is used at least.
        at_least: Duration,
        /// How long a document is used at most.
        at_most: Duration,
    },
    /// Introspection is on, and no client can ask.
    #[error(
        "introspection is refused: it names no resource server, so that nobody could ask. Name each \
         with IntrospectionRules::with_resource_server(), or leave introspection() out."
    )]
    IntrospectionCallers,
    /// A resource server is to ask about a resource that is not one of the policy's.
    #[error(
        "resource '{}' of resource server '{}' is refused: the policy has no such resource. Add it \
         with resource(), or correct IntrospectionRules::with_resource_server().",
        log_text(resource),
        log_text(client_id)
    )]
    IntrospectionResource {
        /// The resource server's `client_id`.
        client_id: String,
        /// The identifier as it was given.
        resource: String,
    },
    /// Introspection is on, and no method by a secret is offered (RFC 7662 §2.1).
    #[error(
        "introspection is refused: a resource server authenticates with a secret (RFC 7662 §2.1), and \
         auth_methods offers no method for one. Offer client_secret_basic or client_secret_post, or \
         leave introspection() out."
    )]
    IntrospectionMethods,
    /// The properties of a grant are to be a member of the introspection response that the protocol
    /// uses.
    #[error(
        "introspection member '{}' is refused: the protocol uses this name, or it is empty (RFC 7662 \
         §2.2). Pass another to IntrospectionRules::with_properties().",
        log_text(member)
    )]
    IntrospectionMember {
        /// The name as it was given.
        member: String,
    },
    /// A cap is zero.
    #[error(
        "limit {limit} is refused: at 0 it would refuse everything. Set {limit} to at least 1."
    )]
    Limit {
        /// The name of the limit, such as `request_bytes`.
        limit: &'static str,
    },
    /// A client's own rate limit is zero.
    #[error(
        "client limit of '{}' is refused: at 0 it would refuse all requests. Set at least 1 with \
         RateRules::with_client_limit(), or deactivate the client.",
        log_text(client_id)
    )]
    ClientLimit {
        /// The `client_id`.
        client_id: String,
    },
    /// A declared class of logins cannot be one (RFC 9470 §3).
    #[error(
        "acr value '{}' is refused: the class of a login is 1 to 128 printable ASCII characters \
         without a quote and a backslash (RFC 9470 §3). Correct the argument of acr_values().",
        log_text(acr)
    )]
    AcrValue {
        /// The value as it was given.
        acr: String,
    },
    /// A class of logins is declared twice.
    #[error("acr value '{}' is refused: it is declared twice. Name it once.", log_text(acr))]
    AcrRepeated {
        /// The value as it was given.
        acr: String,
    },
    /// The code of a 429 is not an error code (OAuth 2.1 §3.2.4), or one that makes clients drop
    /// their tokens or registration, or begin a new login.
    #[error(
        "error code '{}' of status 429 is refused: it is printable ASCII without quote and backslash \
         (OAuth 2.1 §3.2.4), and none that makes a client drop its tokens, as invalid_grant does, or begin a new login. \
         Set another with RateRules::with_error_code().",
        log_text(code)
    )]
    RateErrorCode {
        /// The code as it was given.
        code: &'static str,
    },
    /// A resource, or its description, is refused.
    #[error(transparent)]
    Resources(#[from] ResourcesError),
    /// An issuer of assertions is refused.
    #[error("trusted_issuer '{}' is refused: {error}.", log_text(issuer))]
    TrustedIssuer {
        /// The identifier of the issuer.
        issuer: String,
        /// The rule.
        error: TrustedIssuerError,
    },
    /// Several issuers, or a former one, cannot have these rules.
    #[error(transparent)]
    Issuers(#[from] IssuersError),
    /// A member cannot be added to the server's metadata.
    #[error(
        "metadata_member '{}' is refused: {error}. Correct it, or leave it out.",
        log_text(member)
    )]
    Member {
        /// The name of the member.
        member: String,
        /// The rule.
        error: MemberError,
    },
    /// A pattern of hosts is none.
    #[error(
        "pattern '{}' in {setting}() is refused: a pattern is a host, or '*.' and a host of at least \
         two labels, with a port if it is not the default, and nothing else. Correct it.",
        log_text(pattern)
    )]
    HostPattern {
        /// The setter.
        setting: &'static str,
        /// The pattern as it was given.
        pattern: String,
    },
}
