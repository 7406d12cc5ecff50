//! Tests of the laws of the administration. The reference store passes them, and each broken
//! `put_client` and `add_client` is found.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use grantcore::conformance::{
    Harness, Law, a_client_is_added_once, a_client_put_again_revives_no_grant,
};
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Counts, Keys, Seen, SeenKey, StoreAdministration, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Client, MemoryStore, Store, Timestamp};

/// The bug of `put_client` or `add_client`.
#[derive(Clone, Copy, Debug)]
enum Bug {
    None,
    /// Writes the epoch of the client that is put.
    LowersEpoch,
    /// Keeps the stored client if the client that is put has a higher epoch.
    IgnoresHigherEpoch,
    /// Keeps the stored client.
    IgnoresClient,
    /// `add_client` replaces the stored client.
    AddReplaces,
    /// `add_client` returns `true` for a client that exists.
    AddClaims,
    /// `add_client` returns `false` for a new client.
    AddDenies,
}

/// A reference store with a `put_client` of its own.
#[derive(Clone)]
struct Broken {
    store: Arc<MemoryStore>,
    bug: Bug,
}

impl Store for Broken {
    type Error = Infallible;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Store::client(&self.store, id).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Store::grant(&self.store, id).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Store::commit(&self.store, write).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        Store::grants_of(&self.store, subject, after, limit).await
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Infallible> {
        Store::load(&self.store, keys).await
    }
}

impl StoreAdministration for Broken {
    async fn add_client(&self, client: Client) -> Result<bool, Infallible> {
        if let Bug::AddReplaces = self.bug {
            let is_new = Store::client(self, client.id().as_str()).await?.is_none();
            self.put_client(client).await?;
            return Ok(is_new);
        }
        let done = Store::commit(self, &Write::client(None, client)).await? == Commit::Done;
        Ok(match self.bug {
            Bug::AddClaims => true,
            Bug::AddDenies => false,
            _ => done,
        })
    }

    async fn put_client(&self, client: Client) -> Result<(), Infallible> {
        let seen = Store::client(self, client.id().as_str()).await?;
        let write = match (self.bug, &seen) {
            (_, None) => Write::put_client(seen.as_ref(), client),
            (Bug::LowersEpoch, _) => Write::client(seen.as_ref(), client),
            (Bug::IgnoresClient, _) => return Ok(()),
            (Bug::IgnoresHigherEpoch, Some(stored)) if client.epoch() > stored.record.epoch() => {
                return Ok(());
            }
            _ => Write::put_client(seen.as_ref(), client),
        };
        let _done = Store::commit(self, &write).await?;
        Ok(())
    }

    async fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>, Infallible> {
        StoreAdministration::clients(&self.store, after, limit).await
    }

    async fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<Stored<Grant>>, Infallible> {
        StoreAdministration::grants(&self.store, after, limit).await
    }

    async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>, Infallible> {
        StoreAdministration::marks(&self.store, after, limit).await
    }

    async fn counts(&self) -> Result<Counts, Infallible> {
        StoreAdministration::counts(&self.store).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, Infallible> {
        StoreAdministration::sweep(&self.store, now, limit).await
    }
}

/// Returns handles of this store. Its futures are ready at once.
struct Handles<S>(S);

impl<S: Store + Clone + Sync> Harness for Handles<S> {
    type Store = S;

    fn open(&self) -> S {
        self.0.clone()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("a store in memory waits for nothing"),
        }
    }
}

fn broken(bug: Bug) -> Handles<Broken> {
    Handles(Broken { store: Arc::default(), bug })
}

mod memory {
    use super::{Arc, Handles, MemoryStore};

    grantcore::administration_conformance!([Handles(Arc::<MemoryStore>::default())]);
}

mod without_a_bug {
    use super::{Bug, broken};

    grantcore::administration_conformance!([broken(Bug::None)]);
}

#[test]
fn bugs_of_put_client_are_found() {
    for (bug, law) in [
        (Bug::LowersEpoch, Law::NoRevival),
        (Bug::IgnoresHigherEpoch, Law::NoRevival),
        (Bug::IgnoresClient, Law::Faithful),
    ] {
        let found = a_client_put_again_revives_no_grant(&broken(bug)).unwrap_err();
        assert_eq!(found.law(), law, "{bug:?}: {found}");
    }
}

#[test]
fn bugs_of_add_client_are_found() {
    for bug in [Bug::AddReplaces, Bug::AddClaims, Bug::AddDenies] {
        let found = a_client_is_added_once(&broken(bug)).unwrap_err();
        assert_eq!(found.law(), Law::AddedOnce, "{bug:?}: {found}");
    }
}
