//! The library's store that was chosen for grants, clients and the standing of accounts. Nothing is
//! decided here: each call is passed on.

use std::sync::Arc;

use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Keys, Seen, SeenKey, StoreAdministration, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts, Client, MemoryStore, Store, Timestamp};
use grantcore_postgres::PostgresStore;
use grantcore_redis::RedisStore;
use grantcore_sqlite::TokioSqliteStore;

use super::{BackendError, Result};

/// An open store.
#[derive(Clone)]
pub(crate) enum Grants {
    Memory(Arc<MemoryStore>),
    Sqlite(TokioSqliteStore),
    Postgres(PostgresStore),
    Redis(RedisStore),
}

/// Makes the same call on the store of the variant. The futures of network databases are on the
/// heap: they have kilobytes, and the future of a request has room for the largest of each call.
macro_rules! each {
    ($grants:expr, $store:ident => $call:expr) => {
        match $grants {
            Grants::Memory($store) => Ok($call.await?),
            Grants::Sqlite($store) => Ok($call.await?),
            Grants::Postgres($store) => Ok(Box::pin($call).await?),
            Grants::Redis($store) => Ok(Box::pin($call).await?),
        }
    };
}

impl Grants {
    /// Suspends an account, or lifts its suspension.
    pub(super) async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<()> {
        match self {
            Self::Memory(store) => store.set_suspended(subject, suspended),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                store.call(move |store| store.set_suspended(&subject, suspended)).await?;
            }
            Self::Postgres(store) => store.set_suspended(subject, suspended).await?,
            Self::Redis(store) => store.set_suspended(subject, suspended).await?,
        }
        Ok(())
    }

    /// Adds a client, and returns whether it was added. One that exists already stays as it is.
    pub(super) async fn add_client(&self, client: Client) -> Result<bool> {
        each!(self, store => StoreAdministration::add_client(store, client))
    }

    /// Lists up to `limit` clients, ascending by their ids, after `after`.
    pub(crate) async fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>> {
        each!(self, store => StoreAdministration::clients(store, after, limit))
    }

    /// Lists up to `limit` grants, ascending by their ids, after `after`.
    pub(crate) async fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<Stored<Grant>>> {
        each!(self, store => StoreAdministration::grants(store, after, limit))
    }

    /// Lists up to `limit` single-use marks, ascending by their keys, after `after`.
    pub(crate) async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>> {
        each!(self, store => StoreAdministration::marks(store, after, limit))
    }

    /// Lists up to `limit` accounts that were ever suspended or whose epoch was ever raised,
    /// ascending by their subjects, after `after`. Those in memory are not listed.
    pub(crate) async fn standings(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Subject, Account)>> {
        match self {
            Self::Memory(_) => Ok(Vec::new()),
            Self::Sqlite(store) => {
                let after = after.map(str::to_owned);
                Ok(store.call(move |store| store.accounts(after.as_deref(), limit)).await?)
            }
            Self::Postgres(store) => Ok(store.accounts(after, limit).await?),
            Self::Redis(store) => Ok(store.accounts(after, limit).await?),
        }
    }

    /// Writes whether an account is suspended, and its epoch, over what is stored.
    pub(crate) async fn put_standing(&self, subject: &Subject, account: Account) -> Result<()> {
        match self {
            Self::Memory(store) => store.put_account(subject.clone(), account),
            Self::Sqlite(store) => {
                let subject = subject.clone();
                store.call(move |store| store.put_account(subject.as_str(), account)).await?;
            }
            Self::Postgres(store) => store.put_account(subject.as_str(), account).await?,
            Self::Redis(store) => store.put_account(subject.as_str(), account).await?,
        }
        Ok(())
    }

    /// Drops up to `limit` grants, clients and marks that may be dropped, and returns how many.
    pub(super) async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        each!(self, store => StoreAdministration::sweep(store, now, limit))
    }
}

impl Store for Grants {
    type Error = BackendError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        each!(self, store => Store::client(store, id))
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        each!(self, store => Store::grant(store, id))
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        each!(self, store => Store::commit(store, write))
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        each!(self, store => Store::seen(store, key))
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        each!(self, store => Store::grants_of(store, subject, after, limit))
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        each!(self, store => Store::load(store, keys))
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        each!(self, store => Store::load_grants(store, ids))
    }
}

impl Accounts for Grants {
    type Error = BackendError;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        each!(self, store => Accounts::account(store, subject))
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        each!(self, store => Accounts::raise_epoch(store, subject))
    }
}
