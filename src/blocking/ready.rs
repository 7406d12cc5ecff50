//! A blocking part as an async one whose futures are ready at once.

use super::traits::{Accounts, AuditLog, LoadsAccounts, Outside, Store, StoreAdministration};
use crate::account::{Account, Balance, RefreshDecision};
use crate::audit::AuditError;
use crate::client::Client;
use crate::decision::{Loaded, Records};
use crate::event::Event;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::outside::{DocumentRequest, FetchResult, KeysRequest, Link, Linked};
use crate::record::{Commit, Stored, Write};
use crate::seen::Seen;
use crate::store::{AccountSource, Counts, FailureCause, FromStore, Sealed};
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;

/// A blocking [`Store`], [`Accounts`] or [`AuditLog`] as its async namesake.
///
/// Its futures block the thread that polls them: in an async server it stops the executor, which
/// takes [`OnThreads`](super::OnThreads) instead. It is the adapter of
/// [`blocking::Server`](super::Server), and of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper is its own constructor")]
pub struct Ready<T>(pub T);

impl<T: Store> crate::Store for Ready<T> {
    type Error = T::Error;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, T::Error> {
        self.0.client(id)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, T::Error> {
        self.0.grant(id)
    }

    async fn commit(&self, write: &Write) -> Result<Commit, T::Error> {
        self.0.commit(write)
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, T::Error> {
        self.0.seen(key)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, T::Error> {
        self.0.grants_of(subject, after, limit)
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, T::Error> {
        self.0.load(keys)
    }

    async fn inspect(
        &self,
        keys: &Keys<'_>,
        visit: &mut (dyn FnMut(Records<'_>) + Send),
    ) -> Result<(), T::Error> {
        self.0.inspect(keys, visit)
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, T::Error> {
        self.0.load_grants(ids)
    }
}

impl<T: Accounts> crate::Accounts for Ready<T> {
    type Error = T::Error;

    async fn account(&self, subject: &str) -> Result<Option<Account>, T::Error> {
        self.0.account(subject)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool, T::Error> {
        self.0.raise_epoch(subject)
    }

    async fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, T::Error> {
        self.0.refresh_decision(grant)
    }

    async fn balance(&self, subject: &str) -> Result<Balance, T::Error> {
        self.0.balance(subject)
    }
}

impl<T: LoadsAccounts> crate::LoadsAccounts for Ready<T> {}

impl<T: StoreAdministration> crate::store::StoreAdministration for Ready<T> {
    async fn add_client(&self, client: Client) -> Result<bool, T::Error> {
        self.0.add_client(client)
    }

    async fn put_client(&self, client: Client) -> Result<(), T::Error> {
        self.0.put_client(client)
    }

    async fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>, T::Error> {
        self.0.clients(after, limit)
    }

    async fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<Stored<Grant>>, T::Error> {
        self.0.grants(after, limit)
    }

    async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>, T::Error> {
        self.0.marks(after, limit)
    }

    async fn counts(&self) -> Result<Counts, T::Error> {
        self.0.counts()
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, T::Error> {
        self.0.sweep(now, limit)
    }
}

impl<T: Outside> crate::Outside for Ready<T> {
    async fn keys(&self, needed: &KeysRequest) -> FetchResult {
        self.0.keys(needed)
    }

    async fn document(&self, needed: &DocumentRequest) -> FetchResult {
        self.0.document(needed)
    }

    async fn account(&self, link: &Link) -> Linked {
        self.0.account(link)
    }
}

impl<T: AuditLog> crate::AuditLog for Ready<T> {
    type Reservation = T::Reservation;

    async fn reserve(&self, event: &Event) -> Result<T::Reservation, AuditError> {
        self.0.reserve(event)
    }

    async fn record(&self, event: &Event, reservation: T::Reservation) -> Result<(), AuditError> {
        self.0.record(event, reservation)
    }

    fn abandoned(&self, event: Event) {
        self.0.abandoned(event);
    }
}

impl<S: crate::LoadsAccounts> Sealed<S> for Ready<FromStore> {}

impl<S: crate::LoadsAccounts> AccountSource<S> for Ready<FromStore> {
    const IN_STORE: bool = true;

    async fn complete(
        &self,
        store: &S,
        keys: &Keys<'_>,
        loaded: &mut Loaded,
    ) -> Result<(), FailureCause<<S as crate::Store>::Error>> {
        FromStore.complete(store, keys, loaded).await
    }

    async fn raise_epoch(
        &self,
        store: &S,
        subject: &str,
    ) -> Result<bool, FailureCause<<S as crate::Store>::Error>> {
        FromStore.raise_epoch(store, subject).await
    }
}
