//! The library that verifies signatures.

use std::fmt;
use std::sync::Arc;

use crate::jws::Verify;

/// The verifier of one policy. Two policies of one process can have two.
#[derive(Clone)]
pub(super) struct Verifier(Arc<dyn Verify>);

impl Verifier {
    pub(super) fn new(verifier: impl Verify + 'static) -> Self {
        Self(Arc::new(verifier))
    }

    pub(super) fn get(&self) -> &dyn Verify {
        &*self.0
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}
