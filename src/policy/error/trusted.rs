//! The reason why a trusted issuer is refused.

use std::time::Duration;

use crate::value::text::log_text;

/// The reason why a trusted issuer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedIssuerError {
    /// The issuer is this server itself.
    #[error(
        "it is this server's own issuer, and no token of this server is an assertion (ID-JAG §8.3). \
         Leave it out"
    )]
    Own,
    /// The identifier of an identity provider is not a URL that can be one.
    #[error(
        "an identity provider is an https URL with a host, and without user, password, query and \
         fragment, as the iss of its assertions has it. For development, allow_loopback_http(true) \
         admits http on a loopback host"
    )]
    Url,
    /// The identifier of a platform is empty, too long or an `http` URL.
    #[error(
        "a platform is named by the iss of its tokens: 1 to 2,048 printable ASCII characters, and \
         no http URL"
    )]
    Text,
    /// The identifier is a pattern.
    #[error("an issuer is named whole and not by a pattern. Name each issuer")]
    Pattern,
    /// The issuer is named twice.
    #[error("it is named twice. An issuer has one profile and one set of keys")]
    Repeated,
    /// There are too many issuers.
    #[error("a policy trusts at most 64 issuers")]
    TooMany,
    /// The policy has no library that verifies signatures.
    #[error(
        "the policy has no verifier() of signatures. Pass RingVerifier of the feature jws, or one of \
         your own"
    )]
    Verifier,
    /// The keys are at a loopback address.
    #[error(
        "its keys are at '{}', which is on this machine. For development, \
         allow_loopback_http(true) admits it",
        log_text(url)
    )]
    KeysUrl {
        /// The URL as it was given.
        url: String,
    },
    /// A time is out of its bounds.
    #[error(
        "{setting} is {value:?}: it is a whole number of seconds, from {} to {}",
        least.as_secs(),
        most.as_secs()
    )]
    Time {
        /// The setter.
        setting: &'static str,
        /// The value.
        value: Duration,
        /// The least value.
        least: Duration,
        /// The greatest value.
        most: Duration,
    },
    /// The ceiling has a scope token that the policy does not declare for people.
    #[error(
        "its ceiling has the scope '{}', which the policy does not declare for people. Declare it \
         with scope(), or leave it out of IdJag::new()",
        log_text(scope)
    )]
    Ceiling {
        /// The scope token.
        scope: String,
    },
    /// A client is named by a text that is no `client_id`.
    #[error(
        "'{}' is no client_id: it has 1 to 2,048 printable ASCII characters",
        log_text(client_id)
    )]
    Client {
        /// The text as it was given.
        client_id: String,
    },
    /// A tenant is named by an empty text.
    #[error("a tenant is named by an empty text. Leave it out if the issuer has none")]
    Tenant,
    /// The audience is an empty text.
    #[error("with_audience is empty. Leave it out for the issuer and the token endpoint")]
    Audience,
    /// A platform has no rule.
    #[error("it has no rule, so that none of its tokens is a client's. Add one with with_rule()")]
    RulesMissing,
    /// A platform has too many rules.
    #[error("it has {count} rules: an issuer has at most 256")]
    RulesTooMany {
        /// How many there are.
        count: usize,
    },
    /// A rule fits more than it should.
    #[error("a rule for client '{}' is refused: {what}", log_text(client_id))]
    Rule {
        /// The client of the rule.
        client_id: String,
        /// The rule that it breaks.
        what: &'static str,
    },
}
