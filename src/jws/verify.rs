//! The verification of a signature: the only place where a claim becomes a [`Verified`] one.

use super::algorithm::{Algorithm, Algorithms};
use super::claims::{Claims, Verified};
use super::compact::Jws;
use super::dummy::dummy_key;
use super::fault::Fault;
use super::key::PublicKey;

/// A library that verifies signatures. [`RingVerifier`](super::RingVerifier) is one, with the
/// feature `jws`.
///
/// It is a value of the policy, so that servers in one process can use different ones.
pub trait Verify: Send + Sync {
    /// Returns whether the signature is one of this key, by the key's algorithm, over exactly this
    /// message. Returns `false` if the signature cannot be verified.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

impl Jws<'_> {
    /// Verifies the signature over the bytes that were received (KEYS-54), once.
    ///
    /// # Errors
    /// [`Fault::Algorithm`] if the header does not have the algorithm of the key, and
    /// [`Fault::Signature`] if the signature is wrong.
    pub fn verify(
        &self,
        key: &PublicKey,
        verifier: &(impl Verify + ?Sized),
    ) -> Result<Verified<&Claims>, Fault> {
        let has_algorithm = |algorithm| algorithm == key.algorithm();
        if !self.header().algorithm(Algorithms::ALL).is_ok_and(has_algorithm) {
            return Err(Fault::Algorithm);
        }
        if !verifier.verify(key, self.signing_input.as_bytes(), &self.signature) {
            return Err(Fault::Signature);
        }
        Ok(Verified(self.claims().as_claimed()))
    }

    /// Verifies the signature with a key of this crate and drops the result, so that an assertion
    /// of an unknown client takes as long as a bad one of a known client (KEYS-56).
    pub fn equalize_timing(&self, algorithm: Algorithm, verifier: &(impl Verify + ?Sized)) {
        let message = self.signing_input.as_bytes();
        // A wrong answer changes nothing, because it is not used. `black_box` keeps the call.
        std::hint::black_box(verifier.verify(dummy_key(algorithm), message, &self.signature));
    }
}
