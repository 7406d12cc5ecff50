//! How client secrets that people chose are verified.

use std::fmt;
use std::sync::Arc;

/// The host's verifier of slow hashes, with a hash to verify where a client has none.
#[derive(Clone)]
pub(super) struct SlowHash {
    verify: Arc<Verify>,
    dummy: String,
}

/// Returns whether the secret is the one of the stored hash.
type Verify = dyn Fn(&[u8], &str) -> bool + Send + Sync;

impl SlowHash {
    pub(super) fn new(
        verify: impl Fn(&[u8], &str) -> bool + Send + Sync + 'static,
        dummy: String,
    ) -> Self {
        Self { verify: Arc::new(verify), dummy }
    }

    pub(super) fn verify(&self, secret: &[u8], hash: &str) -> bool {
        (self.verify)(secret, hash)
    }

    /// Verifies the secret against the dummy hash and ignores the result, so that the time of the
    /// response does not disclose which clients exist (TOKEN-14).
    pub(super) fn waste(&self, secret: &[u8]) {
        let _ = self.verify(secret, &self.dummy);
    }
}

/// Shows neither the verifier, which can hold a key, nor the dummy hash.
impl fmt::Debug for SlowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlowHash(redacted)")
    }
}
