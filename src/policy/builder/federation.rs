//! Settings of assertions: whose signatures bring tokens, and what verifies them.

use std::sync::Arc;

use super::PolicyBuilder;
use crate::jws::Verify;
use crate::policy::TrustedIssuer;
use crate::policy::verifier::Verifier;

/// # Trust in other issuers
///
/// The issuers whose signed assertions bring tokens (RFC 7523 §2.1). Off by default.
///
/// ```
/// # #[cfg(feature = "jws")] {
/// use grantcore::Policy;
/// use grantcore::jws::{KeysUrl, RingVerifier};
/// use grantcore::policy::{IdJag, TrustedIssuer};
///
/// let keys = KeysUrl::parse("https://idp.example/jwks.json", false)?;
/// let rules = IdJag::new("notes".parse()?).with_client("assistant");
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .verifier(RingVerifier)
///     .trusted_issuer(TrustedIssuer::id_jag("https://idp.example", keys, rules))
///     .build()?;
/// assert_eq!(policy.trusted_issuers().len(), 1);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl PolicyBuilder {
    /// Sets the library that verifies signatures. Default: none, and assertions cannot be turned
    /// on. [`RingVerifier`](crate::jws::RingVerifier) of the feature `jws` is one.
    pub fn verifier(mut self, verifier: impl Verify + 'static) -> Self {
        self.policy.verifier = Some(Verifier(Arc::new(verifier)));
        self
    }

    /// Trusts an issuer: its assertions bring tokens at the token endpoint. Default: none, and the
    /// grant type is not supported.
    ///
    /// An issuer, and everybody who has its keys, can act as any of its users or programs, within
    /// the rules. Assertions of an issuer that is left out of a later policy are refused. Tokens
    /// that they brought before live to their end.
    pub fn trusted_issuer(mut self, issuer: TrustedIssuer) -> Self {
        self.policy.trusted.push(issuer);
        self
    }
}
