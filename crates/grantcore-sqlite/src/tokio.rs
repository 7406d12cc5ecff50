//! The async traits. A call whose future is dropped still runs to its end, and its result is then
//! not known.

use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Counts, Keys, StoreAdministration, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Account, Accounts, Client, LoadsAccounts, Store, Timestamp, blocking};

use super::{Result, SqliteError, SqliteStore};

impl SqliteStore {
    /// Runs a call on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        ::tokio::task::spawn_blocking(move || call(&store)).await?
    }
}

impl Store for SqliteStore {
    type Error = SqliteError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        let id = id.to_owned();
        self.blocking(move |store| blocking::Store::client(store, &id)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.blocking(move |store| blocking::Store::grant(store, id)).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        let write = write.clone();
        self.blocking(move |store| blocking::Store::commit(store, &write)).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let subject = subject.to_owned();
        self.blocking(move |store| blocking::Store::grants_of(store, &subject, after, limit)).await
    }

    /// Loads all records of an attempt in one hop to another thread.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let subject = keys.subject.map(str::to_owned);
        let keys = Keys {
            grant: keys.grant,
            client: keys.client.clone().into_owned(),
            subject: None,
            caller: keys.caller.clone().into_owned(),
            balance: keys.balance,
            skip_accounts: keys.skip_accounts,
        };
        self.blocking(move |store| {
            blocking::Store::load(store, &Keys { subject: subject.as_deref(), ..keys })
        })
        .await
    }

    /// Loads all of these grants in one hop to another thread.
    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let ids = ids.to_vec();
        self.blocking(move |store| blocking::Store::load_grants(store, &ids)).await
    }
}

impl Accounts for SqliteStore {
    type Error = SqliteError;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        let subject = subject.to_owned();
        self.blocking(move |store| blocking::Accounts::account(store, &subject)).await
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let subject = subject.to_owned();
        self.blocking(move |store| blocking::Accounts::raise_epoch(store, &subject)).await
    }
}

impl LoadsAccounts for SqliteStore {}

impl StoreAdministration for SqliteStore {
    async fn put_client(&self, client: Client) -> Result<()> {
        self.blocking(move |store| store.put_client(client)).await
    }

    async fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        let after = after.map(str::to_owned);
        self.blocking(move |store| store.clients(after.as_deref(), limit)).await
    }

    async fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        self.blocking(move |store| store.grants(after, limit)).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.blocking(Self::counts).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.blocking(move |store| store.sweep(now, limit)).await
    }
}
