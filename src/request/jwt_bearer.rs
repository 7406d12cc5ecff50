//! An assertion that a token request exchanges (RFC 7523 §2.1).

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::jws::{Fault, Jws, PublicKey, Verify};
use crate::policy::Policy;

/// An assertion of a trusted issuer to exchange.
pub(crate) struct AssertionExchange<'a> {
    assertion: Cow<'a, str>,
    pub(crate) scope: Option<Cow<'a, str>>,
    pub(crate) resources: Vec<Cow<'a, str>>,
    verified: Verification,
}

impl<'a> AssertionExchange<'a> {
    pub(super) fn new(
        assertion: Cow<'a, str>,
        scope: Option<Cow<'a, str>>,
        resources: Vec<Cow<'a, str>>,
    ) -> Self {
        Self { assertion, scope, resources, verified: Verification::default() }
    }

    /// Parses the assertion.
    pub(crate) fn jws(&self, policy: &Policy) -> Result<Jws<'_>, Fault> {
        Jws::parse(&self.assertion, policy.limits().assertion_bytes)
    }

    /// Returns the client whom the policy names for the workload of the assertion, if it is one of
    /// a workload. Nothing of it is verified: it is the record to load.
    pub(crate) fn mapped_client<'p>(&self, policy: &'p Policy) -> Option<&'p str> {
        let jws = self.jws(policy).ok()?;
        let claims = jws.claims().as_claimed();
        policy.trusted_issuer(claims.iss().ok()?)?.mapped_client(claims)
    }

    /// Returns the name that the rate of the request is counted under once its signature is
    /// verified, if no client has presented it: the mapped client, or else the issuer (ASSERT-58).
    pub(crate) fn rate_name<'p>(&self, policy: &'p Policy) -> Option<&'p str> {
        let jws = self.jws(policy).ok()?;
        let claims = jws.claims().as_claimed();
        let issuer = policy.trusted_issuer(claims.iss().ok()?)?;
        Some(issuer.mapped_client(claims).unwrap_or(issuer.issuer()))
    }

    /// Returns a verifier that verifies once.
    pub(crate) fn verifier<'v>(&'v self, verifier: &'v dyn Verify) -> VerifyOnce<'v> {
        self.verified.once(verifier)
    }
}

/// The result of verifying the signature of an assertion, once it is known. A request is decided
/// several times, on the same bytes and keys.
#[derive(Default)]
pub(crate) struct Verification(OnceLock<(PublicKey, bool)>);

impl Verification {
    /// Returns whether the signature was verified, with any key.
    pub(super) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// Returns a verifier that verifies once.
    pub(super) fn once<'v>(&'v self, verifier: &'v dyn Verify) -> VerifyOnce<'v> {
        VerifyOnce { verifier, known: self }
    }
}

/// Verifies the signature of one assertion once, whatever the number of decisions (I43).
pub(crate) struct VerifyOnce<'v> {
    verifier: &'v dyn Verify,
    known: &'v Verification,
}

impl Verify for VerifyOnce<'_> {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match self.known.0.get() {
            Some((known, is_valid)) if known == key => *is_valid,
            // A key that was fetched meanwhile.
            Some(_) => self.verifier.verify(key, message, signature),
            None => {
                let verify = || (key.clone(), self.verifier.verify(key, message, signature));
                self.known.0.get_or_init(verify).1
            }
        }
    }
}
