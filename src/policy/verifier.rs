//! The library that verifies signatures, as a value of the policy.

use std::fmt;
use std::sync::Arc;

use super::Policy;
use crate::jws::Verify;

/// The host's library. It is a value, so that two policies of one process can have two.
#[derive(Clone)]
pub(super) struct Verifier(pub(super) Arc<dyn Verify>);

impl Policy {
    /// Returns the library that verifies signatures, or `None` if the policy accepts no assertion.
    pub fn verifier(&self) -> Option<&dyn Verify> {
        self.verifier.as_ref().map(|verifier| &*verifier.0)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}
