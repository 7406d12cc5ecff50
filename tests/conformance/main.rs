//! Tests of the conformance suite: the reference store passes it, and it finds each store that is
//! broken on purpose by the law that the store breaks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(unreachable_pub, reason = "a test crate of several modules")]

mod administration;
mod broken;
mod bug;
mod found;
mod hooks;
mod index;
mod marking;
mod marks;
mod outside;
mod rows;
mod threads;
mod users;

/// The reference store passes.
mod memory {
    use std::sync::Arc;

    use grantcore::MemoryStore;
    use grantcore::blocking::Ready;
    use grantcore::conformance::{Blocking, Harness};

    fn harness() -> impl Harness<Store = Ready<Arc<MemoryStore>>> {
        let store = Arc::new(MemoryStore::new());
        Blocking::new(move || Arc::clone(&store))
            .with_sweep(|store: &Arc<MemoryStore>, now, limit| store.sweep(now, limit))
    }

    grantcore::conformance!([harness()]);
    grantcore::administration_conformance!([harness()]);
    grantcore::accounts_conformance!([harness()], FromStore);
}

/// The reference store passes on threads of a runtime. Its calls can then be cancelled.
mod on_threads {
    use std::sync::Arc;

    use grantcore::MemoryStore;
    use grantcore::blocking::OnThreads;
    use grantcore::conformance::{Async, AsyncAccounts};
    use grantcore::store::StoreAdministration as _;

    type Threads = OnThreads<Arc<MemoryStore>>;

    fn open() -> impl AsyncFn() -> Threads + Sync + 'static {
        let store = Arc::new(MemoryStore::new());
        async move || {
            OnThreads::new(Arc::clone(&store), |work| drop(tokio::task::spawn_blocking(work)))
        }
    }

    fn harness() -> Async<Threads> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Async::new(move |future| runtime.block_on(future), open())
            .with_sweep(async |store, now, limit| store.sweep(now, limit).await.unwrap())
            .with_sign_up(async |_, name| format!("{name} of a runtime"))
    }

    fn users() -> AsyncAccounts<Threads> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        AsyncAccounts::new(move |future| runtime.block_on(future), open())
            .with_sign_up(async |_, name| format!("{name} of a runtime"))
    }

    grantcore::conformance!([harness()]);
    grantcore::administration_conformance!([harness()]);
    grantcore::accounts_conformance!([harness()], FromStore);

    mod accounts {
        grantcore::accounts_conformance!([super::users()]);
    }
}

/// The plain store passes. The broken stores are made of it, so each is found by its bug alone.
mod plain {
    use crate::broken::harness;
    use crate::bug::Bug;

    grantcore::conformance!([harness(Bug::None)]);
    grantcore::accounts_conformance!([harness(Bug::None)], FromStore);
}

/// The smallest implementation of accounts passes.
mod always_active {
    use grantcore::AlwaysActive;
    use grantcore::conformance::BlockingAccounts;

    grantcore::accounts_conformance!([BlockingAccounts::new(|| AlwaysActive)]);
}
