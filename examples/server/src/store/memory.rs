//! The store in memory: the library's, with accounts beside it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use grantcore::{Account, Balance, Client, Commit, Grant, GrantId, MemoryStore, Store, Stored, Timestamp, Write};

use super::AccountRow;

type Result<T> = std::result::Result<T, Infallible>;

/// Everything, gone at exit.
#[derive(Default)]
pub(crate) struct Memory {
    store: MemoryStore,
    accounts: Mutex<BTreeMap<String, AccountRow>>,
    /// Below how much a balance is low.
    low_balance: u64,
}

impl Memory {
    pub(crate) fn new(low_balance: u64) -> Self {
        Self { low_balance, ..Self::default() }
    }

    /// Adds an account, unless it is there already.
    pub(crate) fn put_account(&self, account: AccountRow) {
        self.lock().entry(account.subject.clone()).or_insert(account);
    }

    pub(crate) fn account_row(&self, subject: &str) -> Option<AccountRow> {
        self.lock().get(subject).cloned()
    }

    pub(crate) fn accounts(&self) -> Vec<AccountRow> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn set_suspended(&self, subject: &str, suspended: bool) -> bool {
        self.change(subject, |account| account.suspended = suspended).is_some()
    }

    pub(crate) fn top_up(&self, subject: &str, by: u64) -> Option<u64> {
        self.change(subject, |account| {
            account.balance = account.balance.saturating_add(by);
            account.balance
        })
    }

    pub(crate) fn spend(&self, subject: &str) -> Option<u64> {
        let draw = |account: &mut AccountRow| {
            account.balance = account.balance.checked_sub(1)?;
            Some(account.balance)
        };
        self.change(subject, draw).flatten()
    }

    pub(crate) fn clients(&self, after: Option<&str>, most: usize) -> Vec<Stored<Client>> {
        self.store.clients(after, most)
    }

    pub(crate) fn sweep(&self, now: Timestamp, most: usize) -> usize {
        self.store.sweep(now, most)
    }

    fn change<T>(&self, subject: &str, change: impl FnOnce(&mut AccountRow) -> T) -> Option<T> {
        self.lock().get_mut(subject).map(change)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, AccountRow>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        Store::client(&self.store, id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        Store::grant(&self.store, id)
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        Store::commit(&self.store, write)
    }

    fn grants_of(&self, subject: &str, after: Option<GrantId>, most: usize) -> Result<Vec<GrantId>> {
        Store::grants_of(&self.store, subject, after, most)
    }

    fn account(&self, subject: &str) -> Result<Option<Account>> {
        Ok(self.account_row(subject).map(|row| row.account()))
    }

    fn balance(&self, subject: &str) -> Result<Balance> {
        Ok(self.account_row(subject).map_or(Balance::Insufficient, |row| row.balance(self.low_balance)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool> {
        Ok(self.change(subject, |account| account.epoch = account.epoch.wrapping_add(1)).is_some())
    }
}
