//! What this host keeps of its own: accounts, their balances, and the lists for its pages.

use grantcore::{Account, Balance, Client, Stored};

use super::{Backend, Result, SqliteStore, blocking};

/// An account as stored: who it is, how it stands, what its applications have to spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) subject: String,
    pub(crate) suspended: bool,
    /// Raised to end every grant of the account.
    pub(crate) epoch: u64,
    /// In units: a call of the API or of a tool costs one.
    pub(crate) balance: u64,
}

impl AccountRow {
    /// What the library wants to know of it.
    pub(super) fn account(&self) -> Account {
        Account { suspended: self.suspended, epoch: self.epoch }
    }

    /// Whether it can pay for a call, and whether little is left: less than `low`.
    pub(super) fn balance(&self, low: u64) -> Balance {
        match self.balance {
            0 => Balance::Insufficient,
            left if left < low => Balance::Low { left },
            _ => Balance::Sufficient,
        }
    }
}

impl Backend {
    /// Adds an account in good standing, unless it is there already.
    pub(crate) async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        let subject = subject.to_owned();
        match self {
            Self::Memory(store) => {
                store.put_account(AccountRow { subject, suspended: false, epoch: 0, balance });
                Ok(())
            }
            Self::Sqlite(store) => blocking(store, move |store| store.add_account(&subject, balance)).await,
        }
    }

    /// All accounts, by subject.
    pub(crate) async fn accounts(&self) -> Result<Vec<AccountRow>> {
        match self {
            Self::Memory(store) => Ok(store.accounts()),
            Self::Sqlite(store) => blocking(store, SqliteStore::accounts).await,
        }
    }

    /// One account; nothing if there is no such one.
    pub(crate) async fn account_row(&self, subject: &str) -> Result<Option<AccountRow>> {
        match self {
            Self::Memory(store) => Ok(store.account_row(subject)),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| store.account_row(&subject)).await
            }
        }
    }

    /// Suspends an account, or lifts its suspension; says no if there is no such account.
    pub(crate) async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<bool> {
        match self {
            Self::Memory(store) => Ok(store.set_suspended(subject, suspended)),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| store.set_suspended(&subject, suspended)).await
            }
        }
    }

    /// Adds to what an account has to spend, and says what that is then; nothing if there is no such account.
    pub(crate) async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        match self {
            Self::Memory(store) => Ok(store.top_up(subject, by)),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| store.top_up(&subject, by)).await
            }
        }
    }

    /// Draws one unit, and says what is left; nothing if there was nothing to draw.
    pub(crate) async fn spend(&self, subject: &str) -> Result<Option<u64>> {
        match self {
            Self::Memory(store) => Ok(store.spend(subject)),
            Self::Sqlite(store) => {
                let subject = subject.to_owned();
                blocking(store, move |store| store.spend(&subject)).await
            }
        }
    }

    /// Some of the clients, by id: at most so many of those after this one.
    pub(crate) async fn clients(&self, after: Option<&str>, most: usize) -> Result<Vec<Stored<Client>>> {
        match self {
            Self::Memory(store) => Ok(store.clients(after, most)),
            Self::Sqlite(store) => {
                let after = after.map(str::to_owned);
                blocking(store, move |store| store.clients(after.as_deref(), most)).await
            }
        }
    }
}
