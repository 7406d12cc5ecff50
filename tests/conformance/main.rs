//! The conformance kit: the reference store passes it, and each store that is broken on purpose is
//! found out, by the law it breaks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(unreachable_pub, reason = "one crate, several rooms")]

mod broken;
mod found;
mod hooks;
mod rows;

/// The reference store passes.
mod memory {
    use std::sync::Arc;

    use grantcore::MemoryStore;
    use grantcore::conformance::{Blocking, Harness};

    fn harness() -> impl Harness {
        let store = Arc::new(MemoryStore::new());
        Blocking::new(move || Arc::clone(&store))
            .swept_by(|store: &Arc<MemoryStore>, now, limit| store.sweep(now, limit))
    }

    grantcore::conformance!([harness()]);
}

/// So does the plain store that the broken ones are made of: what is found in them is what is
/// broken there.
mod plain {
    use crate::broken::{Bug, harness};

    grantcore::conformance!([harness(Bug::None)]);
}
