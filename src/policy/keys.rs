//! How clients prove themselves by keys (`private_key_jwt`).

use std::time::Duration;

use super::{AuthMethods, Policy};
use crate::jws::Algorithms;

/// The rules of client authentication by keys (RFC 7523 §2.2, draft-ietf-oauth-rfc7523bis).
///
/// The policy needs a verifier too: [`PolicyBuilder::verifier`](super::PolicyBuilder::verifier).
///
/// ```
/// use grantcore::policy::{AssertionAudience, KeyRules};
///
/// let strict = KeyRules::default()
///     .with_audience(AssertionAudience::Strict)
///     .with_require_typ(true);
/// assert_eq!(strict.audience(), AssertionAudience::Strict);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent yes or no of the operator's, set by its own name"
)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct KeyRules {
    pub(crate) algorithms: Algorithms,
    pub(crate) audience: AssertionAudience,
    pub(crate) require_typ: bool,
    pub(crate) leeway: Duration,
    pub(crate) longest: Duration,
    pub(crate) stale: Duration,
    pub(crate) documents: DocumentMethod,
    pub(crate) registered_key_urls: bool,
    pub(crate) end_grants_on_key_change: bool,
    pub(crate) allow_loopback: bool,
}

/// The audiences that are accepted in the assertion of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer. The token endpoint is accepted too in an assertion without an explicit type, if
    /// the client may also act without proof, or if its record allows it. For a client that may act
    /// without proof this opens nothing: a request without an assertion is accepted as well. Its
    /// proof is a weak one: it never takes the place of one for the issuer (KEYS-11), and does not
    /// suffice where proof is needed.
    #[default]
    Balanced,
    /// The issuer and nothing else (draft-ietf-oauth-rfc7523bis, OAuth 2.1 §2.4).
    Strict,
    /// The issuer. For every client, the token endpoint is accepted too in an assertion without an
    /// explicit type.
    ///
    /// A server that a client confuses with this one can get an assertion that is good here. With
    /// this setting the operator accepts that risk for all clients, and the proof is as strong as
    /// one for the issuer.
    TokenEndpointToo,
}

/// The method of a client whose metadata document offers both `none` and `private_key_jwt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentMethod {
    /// Either, for codes, refresh tokens and revocation. Existing connections continue when keys
    /// are turned on.
    #[default]
    Either,
    /// The client must prove itself.
    Strongest,
}

impl Default for KeyRules {
    fn default() -> Self {
        Self {
            algorithms: Algorithms::ALL,
            audience: AssertionAudience::default(),
            require_typ: false,
            leeway: Duration::from_secs(10),
            longest: Duration::from_secs(3600),
            stale: Duration::from_secs(3600),
            documents: DocumentMethod::default(),
            registered_key_urls: false,
            end_grants_on_key_change: false,
            allow_loopback: false,
        }
    }
}

impl KeyRules {
    /// Sets the signature algorithms that are accepted and advertised. Default: RS256, PS256, ES256
    /// and Ed25519. `none`, symmetric ones and SHA-1 have no value.
    pub fn with_algorithms(self, algorithms: Algorithms) -> Self {
        Self { algorithms, ..self }
    }

    /// Sets what an assertion may name as its audience. Default: [`AssertionAudience::Balanced`].
    pub fn with_audience(self, audience: AssertionAudience) -> Self {
        Self { audience, ..self }
    }

    /// Sets whether an assertion must have the type of client authentication. Default: `false`,
    /// because the SDKs of today send `JWT` or no type.
    pub fn with_require_typ(self, require: bool) -> Self {
        Self { require_typ: require, ..self }
    }

    /// Sets how far the clocks of a client and of this server may differ. Default: 10 s, at most
    /// 60 s.
    ///
    /// A longer leeway makes each assertion usable for longer.
    pub fn with_leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// Sets how far ahead the `exp` of an assertion may be. Default: an hour, from 30 s to an hour.
    ///
    /// The store keeps a mark of each assertion for as long.
    pub fn with_longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Sets how long a key set is used after its freshness while it cannot be fetched. Default: an
    /// hour, at most an hour. With zero, a client is refused with a retryable 503 as soon as its
    /// keys cannot be fetched.
    ///
    /// A key that its owner has withdrawn may be accepted for as long.
    pub fn with_stale(self, stale: Duration) -> Self {
        Self { stale, ..self }
    }

    /// Sets what a client may do whose document offers both `none` and keys. Default:
    /// [`DocumentMethod::Either`].
    pub fn with_documents(self, method: DocumentMethod) -> Self {
        Self { documents: method, ..self }
    }

    /// Sets whether a client that registers itself may name a `jwks_uri`. Default: `false`.
    ///
    /// With `true`, anybody who can register makes the host fetch a URL (server-side request
    /// forgery).
    pub fn with_registered_key_urls(self, allow: bool) -> Self {
        Self { registered_key_urls: allow, ..self }
    }

    /// Sets whether a client's grants end when its registration or document has other keys.
    /// Default: `false`, because keys are replaced routinely.
    pub fn with_end_grants_on_key_change(self, end: bool) -> Self {
        Self { end_grants_on_key_change: end, ..self }
    }

    /// Sets whether a `jwks_uri` may lead to this machine, over `http` too. Default: `false`. It is
    /// for development only: a stranger's document could make the host call its own services.
    pub fn with_allow_loopback(self, allow: bool) -> Self {
        Self { allow_loopback: allow, ..self }
    }

    getters! {
        algorithms: Algorithms,
        audience: AssertionAudience,
        require_typ: bool,
        leeway: Duration,
        longest: Duration,
        stale: Duration,
        documents: DocumentMethod,
        registered_key_urls: bool,
        end_grants_on_key_change: bool,
        allow_loopback: bool,
    }
}

impl Policy {
    /// Returns the client authentication methods that are offered.
    pub fn auth_methods(&self) -> AuthMethods {
        AuthMethods { private_key_jwt: self.keys.is_some(), ..self.auth_methods }
    }

    /// Returns the rules of client authentication by keys, or `None` if it is off.
    pub fn client_keys(&self) -> Option<&KeyRules> {
        self.keys.as_ref()
    }
}
