//! The name of each write, by which Redis recognizes a write that arrives twice. It is no secret.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names calls: a random origin and a counter, so that no two calls of any program share a name.
#[derive(Debug)]
pub(crate) struct Calls {
    origin: [u8; 8],
    count: AtomicU64,
}

impl Calls {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut origin = [0; 8];
        getrandom::fill(&mut origin)?;
        Ok(Self { origin, count: AtomicU64::new(0) })
    }

    pub(crate) fn next(&self) -> [u8; 16] {
        let mut name = [0; 16];
        let (origin, count) = name.split_at_mut(8);
        origin.copy_from_slice(&self.origin);
        count.copy_from_slice(&self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        name
    }
}
