//! The ledger in memory, gone at exit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grantcore::Timestamp;

use super::ledger::latest;
use super::{Ledger, Result};
use crate::trail::{Entry, Search};

/// How many events are kept where they are gone at exit anyway.
const MOST_EVENTS: usize = 10_000;

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
        Ok(lock(&self.balances)
            .iter()
            .map(|(subject, balance)| (subject.clone(), *balance))
            .collect())
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
