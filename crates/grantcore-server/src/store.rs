//! The server's database: the library's store of grants and clients, and beside it what only this
//! host keeps.
//!
//! Who has a balance here has an account, and nobody else: the stores know how accounts stand, not
//! which there are.

mod error;
mod grants;
mod ledger;
mod memory;
mod postgres;
mod redis;
mod sqlite;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use grantcore::{
    Account, Accounts, Balance, Client, Commit, Grant, GrantId, Keys, Loaded, LoadsAccounts, Store,
    Stored, Subject, Timestamp, Write,
};

pub(crate) use self::error::BackendError;
use self::grants::Grants;
pub(crate) use self::ledger::{AnyLedger, Ledger};
use crate::config::Database;

type Result<T> = std::result::Result<T, BackendError>;

/// What one sweep drops at most, so that it holds no lock for long.
pub(crate) const SWEPT_AT_ONCE: u16 = 1000;

/// An open database. A clone is another handle of the same.
#[derive(Clone)]
pub(crate) struct Backend {
    grants: Grants,
    ledger: AnyLedger,
    /// Below how much a balance is low.
    low_balance: u64,
}

/// An account: who it is, how it stands, what its applications have to spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) subject: String,
    pub(crate) suspended: bool,
    /// Raised to end every grant of the account.
    pub(crate) epoch: u64,
    /// In units: a call of the API or of a tool costs one.
    pub(crate) balance: u64,
}

impl Backend {
    /// Opens it. Balances below `low_balance` are low.
    pub(crate) async fn open(database: &Database, low_balance: u64) -> Result<Self> {
        let (grants, ledger) = match database {
            Database::Memory => (Grants::Memory(Arc::default()), AnyLedger::Memory(Arc::default())),
            Database::Sqlite(path) => sqlite::open(path).await?,
            Database::Postgres(address) => postgres::open(address).await?,
            Database::Redis(address) => redis::open(address).await?,
        };
        Ok(Self { grants, ledger, low_balance })
    }

    /// What only this host keeps.
    pub(crate) fn ledger(&self) -> &AnyLedger {
        &self.ledger
    }

    /// Adds a client unless it is there already, whatever has become of it meanwhile.
    pub(crate) async fn add_client(&self, client: Client) -> Result<()> {
        self.grants.commit(&Write::client(None, client)).await.map(drop)
    }

    /// Some of the clients, by id: at most so many of those after this one.
    pub(crate) async fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>> {
        self.grants.clients(after, limit).await
    }

    /// All accounts, by subject.
    pub(crate) async fn accounts(&self) -> Result<Vec<AccountRow>> {
        let mut rows = Vec::new();
        for (subject, balance) in self.ledger.accounts().await? {
            rows.extend(self.row(subject, balance).await?);
        }
        Ok(rows)
    }

    /// One account; nothing if there is no such one.
    pub(crate) async fn account_row(&self, subject: &str) -> Result<Option<AccountRow>> {
        match self.ledger.balance(subject).await? {
            Some(balance) => self.row(subject.to_owned(), balance).await,
            None => Ok(None),
        }
    }

    async fn row(&self, subject: String, balance: u64) -> Result<Option<AccountRow>> {
        let standing = self.grants.account(&subject).await?;
        Ok(standing.map(|Account { suspended, epoch }| AccountRow {
            subject,
            suspended,
            epoch,
            balance,
        }))
    }

    /// Suspends an account, or lifts its suspension; says no if there is no such account.
    pub(crate) async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<bool> {
        let is_there = self.ledger.balance(subject).await?.is_some();
        if is_there {
            self.grants.set_suspended(subject, suspended).await?;
        }
        Ok(is_there)
    }

    /// Drops some of what may be dropped. Nothing depends on it but the size of the database.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<usize> {
        self.grants.sweep(now, SWEPT_AT_ONCE.into()).await
    }

    /// Whether a balance can pay for a call, and whether little is left. Who has none has no
    /// account.
    fn verdict(&self, balance: Option<u64>) -> Balance {
        match balance.unwrap_or(0) {
            0 => Balance::Insufficient,
            left if left < self.low_balance => Balance::Low { left },
            _ => Balance::Sufficient,
        }
    }

    /// Adds what the ledger says to what the grants' store has found: whose account there is none
    /// of, and what the payer has.
    async fn complete(
        &self,
        mut loaded: Loaded,
        subject: Option<&str>,
        balance: bool,
    ) -> Result<Loaded> {
        let payer = loaded.grant.as_ref().map(|grant| grant.record.subject().as_str());
        if let Some(subject) = subject.or(payer) {
            let found = self.ledger.balance(subject).await?;
            loaded.account = loaded.account.filter(|_| found.is_some());
            loaded.balance = match payer.filter(|_| balance) {
                Some(payer) if payer == subject => Some(self.verdict(found)),
                Some(payer) => Some(self.balance(payer).await?),
                None => None,
            };
        }
        let owner =
            loaded.client.as_ref().and_then(|client| client.record.owner()).map(Subject::as_str);
        if let Some(owner) = owner.filter(|_| loaded.owner.is_some()) {
            let found = self.ledger.balance(owner).await?;
            loaded.owner = loaded.owner.filter(|_| found.is_some());
        }
        Ok(loaded)
    }
}

impl Store for Backend {
    type Error = BackendError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.grants.client(id).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.grants.grant(id).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        self.grants.commit(write).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        self.grants.grants_of(subject, after, limit).await
    }

    /// What the grants' store finds at once, and one look at the ledger.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let loaded = self.grants.load(&Keys { balance: false, ..keys.clone() }).await?;
        self.complete(loaded, keys.subject, keys.balance).await
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let mut found = Vec::with_capacity(ids.len());
        for loaded in self.grants.load_grants(ids).await? {
            found.push(self.complete(loaded, None, false).await?);
        }
        Ok(found)
    }
}

impl Accounts for Backend {
    type Error = BackendError;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        match self.ledger.balance(subject).await? {
            Some(_) => self.grants.account(subject).await,
            None => Ok(None),
        }
    }

    async fn balance(&self, subject: &str) -> Result<Balance> {
        Ok(self.verdict(self.ledger.balance(subject).await?))
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        match self.ledger.balance(subject).await? {
            Some(_) => self.grants.raise_epoch(subject).await,
            None => Ok(false),
        }
    }
}

impl LoadsAccounts for Backend {}
