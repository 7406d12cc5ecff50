//! Everything in memory, gone at exit: the library's own store, and the ledger.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use grantcore::{Account, AsyncStore, Client, Commit, Grant, GrantId, MemoryStore, Store, Stored, Subject, Timestamp, Write};

use super::ledger::latest;
use super::{Ledger, Result};
use crate::trail::{Entry, Search};

/// How many events are kept where they are gone at exit anyway.
const MOST_EVENTS: usize = 10_000;

/// Grants, clients and how accounts stand.
#[derive(Default)]
pub(super) struct MemoryGrants {
    store: MemoryStore,
    /// Held where an account is changed: the library's store is told how it stands as a whole.
    standing: Mutex<()>,
}

impl MemoryGrants {
    pub(super) fn set_suspended(&self, subject: &str, suspended: bool) {
        let _standing = lock(&self.standing);
        let account = known(Store::account(&self.store, subject)).unwrap_or(Account::ACTIVE);
        self.store.put_account(Subject::new(subject), Account { suspended, ..account });
    }

    pub(super) fn clients(&self, after: Option<&str>, most: usize) -> Vec<Stored<Client>> {
        self.store.clients(after, most)
    }

    pub(super) fn sweep(&self, now: Timestamp, most: usize) -> usize {
        self.store.sweep(now, most)
    }
}

impl AsyncStore for MemoryGrants {
    type Error = Infallible;

    async fn client(&self, id: &str) -> std::result::Result<Option<Stored<Client>>, Infallible> {
        Store::client(&self.store, id)
    }

    async fn grant(&self, id: GrantId) -> std::result::Result<Option<Stored<Grant>>, Infallible> {
        Store::grant(&self.store, id)
    }

    async fn commit(&self, write: &Write) -> std::result::Result<Commit, Infallible> {
        Store::commit(&self.store, write)
    }

    async fn grants_of(&self, subject: &str, after: Option<GrantId>, most: usize) -> std::result::Result<Vec<GrantId>, Infallible> {
        Store::grants_of(&self.store, subject, after, most)
    }

    async fn account(&self, subject: &str) -> std::result::Result<Option<Account>, Infallible> {
        Store::account(&self.store, subject)
    }

    async fn raise_epoch(&self, subject: &str) -> std::result::Result<bool, Infallible> {
        let _standing = lock(&self.standing);
        Store::raise_epoch(&self.store, subject)
    }
}

/// Balances, and the latest events.
#[derive(Default)]
pub(crate) struct MemoryLedger {
    balances: Mutex<BTreeMap<String, u64>>,
    trail: Mutex<VecDeque<Entry>>,
}

impl MemoryLedger {
    fn events(&self, search: &Search) -> Vec<Entry> {
        lock(&self.trail).iter().filter(|entry| search.fits(entry)).cloned().collect()
    }
}

impl Ledger for MemoryLedger {
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        lock(&self.balances).entry(subject.to_owned()).or_insert(balance);
        Ok(())
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        Ok(lock(&self.balances).iter().map(|(subject, balance)| (subject.clone(), *balance)).collect())
    }

    async fn balance(&self, subject: &str) -> Result<Option<u64>> {
        Ok(lock(&self.balances).get(subject).copied())
    }

    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        Ok(lock(&self.balances).get_mut(subject).map(|balance| {
            *balance = balance.saturating_add(by);
            *balance
        }))
    }

    async fn spend(&self, subject: &str) -> Result<Option<u64>> {
        Ok(lock(&self.balances).get_mut(subject).and_then(|balance| {
            *balance = balance.checked_sub(1)?;
            Some(*balance)
        }))
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<()> {
        let mut trail = lock(&self.trail);
        trail.extend(entries);
        let over = trail.len().saturating_sub(MOST_EVENTS);
        trail.drain(..over);
        Ok(())
    }

    async fn find(&self, search: &Search, most: usize) -> Result<Vec<Entry>> {
        Ok(latest(self.events(search), most))
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        Ok(self.events(&Search { flow: Some(flow.to_owned()), ..Search::default() }))
    }

    async fn drop_before(&self, before: Timestamp, most: usize) -> Result<usize> {
        let mut trail = lock(&self.trail);
        let kept = trail.len();
        let mut left = most;
        trail.retain(|entry| {
            let goes = left > 0 && entry.at < before.unix_seconds();
            left -= usize::from(goes);
            !goes
        });
        Ok(kept - trail.len())
    }
}

fn known<T>(result: std::result::Result<T, Infallible>) -> T {
    result.unwrap_or_else(|never| match never {})
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
