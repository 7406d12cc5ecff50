//! Why a client cannot be built.

use std::time::Duration;

use crate::reason::Reason;
use crate::value::redirect_uri::RedirectUriError;
use crate::value::text::{ClientIdError, log_text};

/// Why a client cannot be built.
///
/// The message names the value, the rule that it breaks and what to do. Values are cleaned for a
/// log line and cut at 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The `client_id` is not valid.
    #[error("client_id '{}' is refused: {error}. Choose another.", log_text(id))]
    Id {
        /// The identifier as it was given.
        id: String,
        /// The rule.
        error: ClientIdError,
    },
    /// A redirect URI cannot be registered.
    #[error(
        "redirect URI '{}' is refused: {error}. {}",
        log_text(uri),
        Reason::from(*error).fix()
    )]
    RedirectUri {
        /// The URI as it was given.
        uri: String,
        /// The rule.
        error: RedirectUriError,
    },
    /// The client uses the code flow and has no redirect URI (OAuth 2.1 §2.3.1).
    #[error(
        "redirect_uris is empty: a client that uses the code flow has at least one redirect URI, \
         and a public client can use no other flow. Add one with redirect_uri(). For a client with \
         a secret that only asks for introspection, leave both grant types out."
    )]
    RedirectUrisMissing,
    /// The client has more redirect URIs than the rules allow.
    #[error(
        "redirect_uris has {count} URIs: the redirect rules allow {limit}. Register fewer, or raise \
         RedirectRules::limit and pass the rules to build_under()."
    )]
    RedirectUrisTooMany {
        /// How many there are.
        count: usize,
        /// [`RedirectRules::limit`](crate::value::RedirectRules::limit).
        limit: usize,
    },
    /// The client has a redirect URI and is not registered for the code flow.
    #[error(
        "redirect URI '{}' is refused: the client is not registered for authorization_code, and \
         no other grant type uses a redirect URI. Add authorization_code to grant_types(), or drop \
         the URI with without_redirect_uris().",
        log_text(uri)
    )]
    RedirectUriUnused {
        /// The first of the URIs.
        uri: String,
    },
    /// The consent of a client is skipped that cannot prove its identity (OAuth 2.1 §7.3.1).
    #[error(
        "consent Skip is refused: only a client with a secret that the operator registered, and \
         whose redirect URIs are https and off the user's own device, gets codes that nobody was \
         asked about (OAuth 2.1 §7.3.1). Use ConsentMode::Remember, or leave consent() out."
    )]
    ConsentSkipped,
    /// `refresh_token` is listed without `authorization_code` (RFC 7591 §2.1).
    #[error(
        "grant type refresh_token is refused: without authorization_code there is nothing to \
         refresh. Add authorization_code to grant_types(), or leave refresh_token out."
    )]
    GrantTypes,
    /// A page or the logo of the client is not at an `https` URL.
    #[error(
        "{member} '{}' is refused: a client's pages and its logo are at https URLs of at most 2048 \
         URI characters, with a host and without user and password. Correct the URL, or leave \
         {member} out.",
        log_text(url)
    )]
    DescriptionUrl {
        /// The metadata's name of the member, such as `client_uri`.
        member: &'static str,
        /// The URL as it was given.
        url: String,
    },
    /// A lifetime is not a whole number of seconds, is zero, or is too long to count.
    #[error(
        "lifetime {lifetime} {value:?} is refused: a lifetime is a whole number of seconds, from one \
         second to a thousand years. Set {lifetime} to such a duration."
    )]
    Lifetime {
        /// The name of the lifetime, such as `access`.
        lifetime: &'static str,
        /// The duration as it was given.
        value: Duration,
    },
    /// A lifetime is longer than the policy allows for the client.
    #[error(
        "lifetime {lifetime} {value:?} is refused: the policy allows {limit:?}. Set a shorter one. \
         For clients of the operator, PolicyBuilder::client_lifetimes() can allow a longer one; a \
         code lives at most 600 s (OAuth 2.1 §4.1.2)."
    )]
    LifetimeTooLong {
        /// The name of the lifetime, such as `access`.
        lifetime: &'static str,
        /// The duration as it was given.
        value: Duration,
        /// The longest duration.
        limit: Duration,
    },
    /// The client is bound to an issuer that is none, or cannot be bound.
    #[error(
        "issuer '{}' is refused: a client is bound to an issuer in its canonical spelling, and a \
         client that is known by a document is bound to none. Correct issuer(), or leave it out.",
        log_text(issuer)
    )]
    Issuer {
        /// The issuer as it was given.
        issuer: String,
    },
    /// A client without a metadata document, or without the code flow, is to have keys or none.
    #[error(
        "authentication KeysOrNone is refused: only a client with a metadata document that uses the \
         code flow chooses at each request. Use Keys or Public."
    )]
    KeysOrNone,
    /// A secret is to be replaced of a client that has none.
    #[error(
        "the client has no secret: only a client that proves itself by a secret can get a new one."
    )]
    SecretMissing,
    /// A secret with a slow hash is to be accepted beside another one with a slow hash.
    #[error(
        "two secrets with a slow hash are refused: each request would cost two slow hashes. Replace \
         the secret by a generated one, or without an overlap."
    )]
    SlowSecrets,
    /// A client has a machine right and does not prove itself (OAuth 2.1 §4.2).
    #[error(
        "the machine right is refused: only a client that proves itself acts on its own behalf \
         (OAuth 2.1 §4.2). Give the client a secret, or leave machine() out."
    )]
    MachineUnproved,
    /// A client may exchange assertions and does not prove itself (ID-JAG §8.1).
    #[error(
        "assertions() is refused: only a client that proves itself has the right (ID-JAG §8.1). Give \
         the client a secret, or name it with IdJag::with_public_client()."
    )]
    AssertionsUnproved,
    /// The scope of a machine right has a token that the policy does not declare, or that is for
    /// people only.
    #[error(
        "machine scope '{}' is refused: the policy does not declare it, or declares it for people \
         only. Correct it, or see PolicyBuilder::scope_for().",
        log_text(scope)
    )]
    MachineScope {
        /// The token.
        scope: String,
    },
    /// A machine right names a resource that the policy does not have, or more than 64 resources.
    #[error(
        "machine resource '{}' is refused: a right names at most 64 resources, each of them the \
         policy's. Correct it, or add it with PolicyBuilder::resource().",
        log_text(resource)
    )]
    MachineResource {
        /// The resource.
        resource: String,
    },
    /// A client without a credential is not the operator's, uses the code flow, or has no right.
    #[error(
        "the client without a credential is refused: the operator registers it, it has a machine \
         right, and it uses no code flow. Use Client::federated() without redirect URIs."
    )]
    Federated,
}
