//! The same store, awaited. A caller that goes away half way leaves a call that still runs to its
//! end; nobody then knows its result, which the library expects.

use grantcore::{
    Account, AsyncStore, Client, Commit, Grant, GrantId, Keys, Loaded, Store, Stored, Write,
};

use super::{Result, SqliteError, SqliteStore};

impl SqliteStore {
    /// Runs a call that waits for the disk on a thread that may.
    async fn apart<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || call(&store)).await?
    }
}

impl AsyncStore for SqliteStore {
    type Error = SqliteError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        let id = id.to_owned();
        self.apart(move |store| Store::client(store, &id)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.apart(move |store| Store::grant(store, id)).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        let write = write.clone();
        self.apart(move |store| Store::commit(store, &write)).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let subject = subject.to_owned();
        self.apart(move |store| Store::grants_of(store, &subject, after, limit)).await
    }

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        let subject = subject.to_owned();
        self.apart(move |store| Store::account(store, &subject)).await
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let subject = subject.to_owned();
        self.apart(move |store| Store::raise_epoch(store, &subject)).await
    }

    /// One hop to another thread for all that an attempt needs.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let subject = keys.subject.map(str::to_owned);
        let keys = Keys {
            grant: keys.grant,
            client: keys.client.clone().into_owned(),
            subject: None,
            caller: keys.caller.clone().into_owned(),
            balance: keys.balance,
        };
        self.apart(move |store| Store::load(store, &Keys { subject: subject.as_deref(), ..keys }))
            .await
    }

    /// One hop for a whole page of connected apps.
    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let ids = ids.to_vec();
        self.apart(move |store| Store::load_grants(store, &ids)).await
    }
}
