//! The issuers whose signed assertions are accepted as grants (RFC 7523 §2.1): identity providers
//! that speak for their users (`id_jag`), and platforms that speak for the programs that they run
//! (`workload`).
//!
//! Each is named by the operator. Nothing here is found by discovery, and no pattern names one.

mod check;
mod id_jag;
mod workload;

use std::time::Duration;

pub(super) use self::check::{check_own_issuer, check_trusted};
pub use self::id_jag::{ActorClaim, IdJag};
pub use self::workload::{
    AssertionReuse, ClaimMatch, ClaimName, Workload, WorkloadCondition, WorkloadRule,
};
use super::Policy;
use crate::jws::{Algorithms, Claims, KeySet, KeysUrl};

/// The most trusted issuers of a policy.
pub(super) const MAX_ISSUERS: usize = 64;
/// The longest lifetime of an assertion, and that of a token that it brings (I42).
const LONGEST: Duration = Duration::from_secs(3600);

/// An issuer whose assertions bring tokens
/// ([`PolicyBuilder::trusted_issuer`](super::PolicyBuilder::trusted_issuer)).
///
/// An issuer has one profile. [`id_jag`](Self::id_jag) is for the identity provider of an
/// organization (MCP, Enterprise-Managed Authorization), [`workload`](Self::workload) for a
/// platform that runs programs (MCP, Workload Identity Federation).
///
/// ```
/// use grantcore::jws::KeysUrl;
/// use grantcore::policy::{IdJag, IssuerKeys, TrustedIssuer, Workload, WorkloadRule};
///
/// let keys = KeysUrl::parse("https://idp.example/jwks.json", false)?;
/// let people = TrustedIssuer::id_jag("https://idp.example", keys, IdJag::new("notes".parse()?)
///     .with_client("assistant"));
///
/// let keys = KeysUrl::parse("https://oidc.example/keys", false)?;
/// let deployments = TrustedIssuer::workload("https://oidc.example", keys, Workload::default()
///     .with_rule(WorkloadRule::new("deployer").equals("sub", "repo:acme/site:ref:refs/heads/main")));
/// assert_eq!(deployments.issuer(), "https://oidc.example");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an issuer is trusted once a policy is built with it"]
pub struct TrustedIssuer {
    pub(crate) issuer: String,
    pub(crate) keys: IssuerKeys,
    pub(crate) algorithms: Algorithms,
    pub(crate) longest: Duration,
    pub(crate) leeway: Duration,
    pub(crate) tokens: Duration,
    pub(crate) profile: Profile,
}

/// The place of an issuer's keys.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "keys are in the policy or they are fetched")]
pub enum IssuerKeys {
    /// In the policy.
    Inline(KeySet),
    /// At this URL, which the host fetches ([`Outside::keys`](crate::Outside::keys)).
    At(KeysUrl),
}

impl From<KeySet> for IssuerKeys {
    fn from(keys: KeySet) -> Self {
        Self::Inline(keys)
    }
}

impl From<KeysUrl> for IssuerKeys {
    fn from(url: KeysUrl) -> Self {
        Self::At(url)
    }
}

/// The profile of an issuer, with its rules.
#[derive(Clone, Debug)]
pub(crate) enum Profile {
    IdJag(IdJag),
    Workload(Workload),
}

/// The profile of an issuer's assertions: for whom the issuer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssertionProfile {
    /// An identity provider speaks for one of its users, to one client
    /// (draft-ietf-oauth-identity-assertion-authz-grant).
    IdJag,
    /// A platform speaks for a program that it runs.
    Workload,
}

impl AssertionProfile {
    /// Returns the name of the profile.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdJag => "id_jag",
            Self::Workload => "workload",
        }
    }
}

impl TrustedIssuer {
    /// Trusts an identity provider to speak for its users. `issuer` is the `iss` of its assertions,
    /// code point for code point.
    pub fn id_jag(issuer: impl Into<String>, keys: impl Into<IssuerKeys>, rules: IdJag) -> Self {
        Self::new(issuer.into(), keys.into(), Profile::IdJag(rules))
    }

    /// Trusts a platform to speak for the programs that it runs. `issuer` is the `iss` of its
    /// assertions, code point for code point.
    pub fn workload(
        issuer: impl Into<String>,
        keys: impl Into<IssuerKeys>,
        rules: Workload,
    ) -> Self {
        Self::new(issuer.into(), keys.into(), Profile::Workload(rules))
    }

    fn new(issuer: String, keys: IssuerKeys, profile: Profile) -> Self {
        Self {
            issuer,
            keys,
            algorithms: Algorithms::ALL,
            longest: Duration::from_secs(300),
            leeway: Duration::from_secs(10),
            tokens: LONGEST,
            profile,
        }
    }

    /// Sets the algorithms of the issuer's signatures. Default: all that this crate knows.
    pub fn with_algorithms(self, algorithms: Algorithms) -> Self {
        Self { algorithms, ..self }
    }

    /// Sets how long an assertion of the issuer may live, counted from its `iat` and from now: from
    /// one second to an hour. Default: 300 s.
    ///
    /// An assertion that was stolen before its use is accepted for as long.
    pub fn with_longest(self, time: Duration) -> Self {
        Self { longest: time, ..self }
    }

    /// Sets how far the issuer's clock may differ, at most 60 s. Default: 10 s.
    pub fn with_leeway(self, time: Duration) -> Self {
        Self { leeway: time, ..self }
    }

    /// Sets the longest lifetime of the tokens that the issuer's assertions bring, at most an hour.
    /// Default: an hour. The lifetime of access tokens bounds it as well.
    ///
    /// The end of the assertion does not bound it, because a client would otherwise need a new
    /// assertion every few minutes. A user who has left the organization keeps access until the
    /// token expires.
    pub fn with_tokens(self, lifetime: Duration) -> Self {
        Self { tokens: lifetime, ..self }
    }

    /// Returns the identifier of the issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns where the keys of the issuer are.
    pub fn keys(&self) -> &IssuerKeys {
        &self.keys
    }

    /// Returns the profile of the issuer's assertions.
    pub fn profile(&self) -> AssertionProfile {
        match self.profile {
            Profile::IdJag(_) => AssertionProfile::IdJag,
            Profile::Workload(_) => AssertionProfile::Workload,
        }
    }

    /// Returns the client that the rules name for these claims of a program. Returns `None` for the
    /// claims of a user.
    pub(crate) fn mapped_client(&self, claims: &Claims) -> Option<&str> {
        match &self.profile {
            Profile::IdJag(_) => None,
            Profile::Workload(rules) => rules.client_of(claims),
        }
    }

    getters! {
        algorithms: Algorithms,
        longest: Duration,
        leeway: Duration,
        tokens: Duration,
    }
}

impl Policy {
    /// Returns the issuers whose assertions bring tokens.
    pub fn trusted_issuers(&self) -> &[TrustedIssuer] {
        &self.trusted
    }

    /// Returns the trusted issuer of this identifier. It is compared code point for code point
    /// (ASSERT-04).
    pub(crate) fn trusted_issuer(&self, issuer: &str) -> Option<&TrustedIssuer> {
        self.trusted.iter().find(|trusted| trusted.issuer == issuer)
    }

    /// Returns whether an issuer of this profile is trusted.
    pub(crate) fn trusts(&self, profile: AssertionProfile) -> bool {
        self.trusted.iter().any(|trusted| trusted.profile() == profile)
    }
}
