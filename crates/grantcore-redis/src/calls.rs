//! The name of each write, by which Redis knows one that comes twice. It is no secret.

use std::sync::atomic::{AtomicU64, Ordering};

/// Random once, then counted: no two calls of any program have the same name.
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
