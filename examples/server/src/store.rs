//! Which store the server runs on, by the URL it was given. Another backend is another variant.

mod accounts;
mod memory;
mod sqlite;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::convert::Infallible;
#[cfg(unix)]
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use grantcore::{Account, AsyncStore, Balance, Client, Commit, Grant, GrantId, Keys, Loaded, Store, Stored, Timestamp, Write};

pub(crate) use self::accounts::AccountRow;
use self::memory::Memory;
pub use self::sqlite::{SqliteError, SqliteStore};
use crate::config::Database;

/// An open database.
#[derive(Clone)]
pub(crate) enum Backend {
    Memory(Arc<Memory>),
    Sqlite(Arc<SqliteStore>),
}

/// What can go wrong in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    #[error(transparent)]
    File(#[from] std::io::Error),
    #[error("the database thread ended before it answered")]
    Thread(#[from] tokio::task::JoinError),
}

impl From<Infallible> for BackendError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

type Result<T> = std::result::Result<T, BackendError>;

/// What one sweep drops at most, so that it holds no lock for long.
pub(crate) const SWEPT_AT_ONCE: u16 = 1000;

impl Backend {
    /// Opens it. Balances below `low_balance` are low.
    pub(crate) fn open(database: &Database, low_balance: u64) -> Result<Self> {
        Ok(match database {
            Database::Memory => Self::Memory(Arc::new(Memory::new(low_balance))),
            Database::Sqlite(path) => {
                keep_private(path)?;
                Self::Sqlite(Arc::new(SqliteStore::open(path, low_balance)?))
            }
        })
    }

    /// Adds a client unless it is there already, whatever has become of it meanwhile.
    pub(crate) async fn add_client(&self, client: Client) -> Result<()> {
        AsyncStore::commit(self, &Write::client(None, client)).await.map(drop)
    }

    /// Drops some of what may be dropped. Nothing depends on it but the size of the database.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<usize> {
        match self {
            Self::Memory(store) => Ok(store.sweep(now, SWEPT_AT_ONCE.into())),
            Self::Sqlite(store) => blocking(store, move |store| store.sweep(now, SWEPT_AT_ONCE.into())).await,
        }
    }
}

/// Makes a new file one that only this user can read: digests are no secrets, but whose grants there are is nobody else's business.
#[cfg(unix)]
fn keep_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

#[cfg(not(unix))]
fn keep_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Runs a call that waits for the disk on a thread that may. If the caller is gone meanwhile, the call still runs to its end; its
/// result is then one that nobody knows, which the library expects.
pub(crate) async fn blocking<T, E>(
    store: &Arc<SqliteStore>,
    call: impl FnOnce(&SqliteStore) -> std::result::Result<T, E> + Send + 'static,
) -> Result<T>
where
    T: Send + 'static,
    E: Send + 'static,
    BackendError: From<E>,
{
    let store = Arc::clone(store);
    Ok(tokio::task::spawn_blocking(move || call(&store)).await??)
}

impl AsyncStore for Backend {
    type Error = BackendError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        match self {
            Self::Memory(store) => Ok(Store::client(store, id)?),
            Self::Sqlite(store) => {
                let id = id.to_owned();
                blocking(store, move |store| Store::client(store, &id)).await
            }
        }
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        match self {
            Self::Memory(store) => Ok(Store::grant(store, id)?),
            Self::Sqlite(store) => blocking(store, move |store| store.grant(id)).await,
        }
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        match self {
            Self::Memory(store) => Ok(Store::commit(store, write)?),
            Self::Sqlite(store) => {
                let write = write.clone();
                blocking(store, move |store| Store::commit(store, &write)).await
            }
        }
    }

    async fn grants_of(&self, subject: &str, after: Option<GrantId>, most: usize) -> Result<Vec<GrantId>> {
        match self {
            Self::Memory(store) => Ok(Store::grants_of(store, subject, after, most)?),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| Store::grants_of(store, &subject, after, most)).await
            }
        }
    }

    /// One hop to another thread for all that an attempt needs.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        match self {
            Self::Memory(store) => Ok(Store::load(store, keys)?),
            Self::Sqlite(store) => {
                let client = keys.client.as_ref().map(|id| Cow::Owned(id.to_string()));
                let (grant, balance) = (keys.grant, keys.balance);
                let (subject, caller) = (keys.subject.map(str::to_owned), keys.caller.map(str::to_owned));
                blocking(store, move |store| {
                    let (subject, caller) = (subject.as_deref(), caller.as_deref());
                    store.load(&Keys { grant, client, subject, caller, balance })
                })
                .await
            }
        }
    }

    /// See `load`: it never comes alone.
    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        match self {
            Self::Memory(store) => Ok(Store::account(store, subject)?),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| Store::account(store, &subject)).await
            }
        }
    }

    /// See `account`.
    async fn balance(&self, subject: &str) -> Result<Balance> {
        match self {
            Self::Memory(store) => Ok(Store::balance(store, subject)?),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| Store::balance(store, &subject)).await
            }
        }
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        match self {
            Self::Memory(store) => Ok(Store::raise_epoch(store, subject)?),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| Store::raise_epoch(store, &subject)).await
            }
        }
    }

    /// One hop for a whole page of connected apps.
    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        match self {
            Self::Memory(store) => Ok(Store::load_grants(store, ids)?),
            Self::Sqlite(store) => {
                let ids = ids.to_vec();
                blocking(store, move |store| Store::load_grants(store, &ids)).await
            }
        }
    }
}
