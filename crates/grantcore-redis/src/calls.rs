//! The name of each write, by which Redis recognizes a write that arrives twice. It is no secret.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names calls: a counter from a random number on, so that no two calls of any program that write
/// one record share a name.
#[derive(Debug)]
pub(crate) struct Calls(AtomicU64);

impl Calls {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self(AtomicU64::new(getrandom::u64()?)))
    }

    pub(crate) fn next(&self) -> [u8; 8] {
        self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes()
    }
}
