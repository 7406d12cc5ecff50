//! The ledger in memory, gone at exit.

mod sessions;
mod waiting;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grantcore::Timestamp;

use self::sessions::Sessions;
use self::waiting::Waiting;
use super::{Ledger, Result, Room, SessionRow, WaitingRow};
use crate::audit::{Entry, Item, Name, Position, Search};

/// How many events are kept. They are gone at exit anyway.
const EVENT_LIMIT: usize = 10_000;

/// The latest events, and the names of all of them.
#[derive(Default)]
struct Kept {
    /// Attributed and other items, with their numbers, each in the order of their arrival. They
    /// are apart, so that making room does not look for the others.
    attributed: VecDeque<(u64, Item)>,
    unattributed: VecDeque<(u64, Item)>,
    next: u64,
    names: HashSet<Name>,
}

/// Balances, sessions, what waits for browsers, and the latest events.
#[derive(Default)]
pub(crate) struct MemoryLedger {
    balances: Mutex<BTreeMap<String, u64>>,
    names: Mutex<BTreeMap<String, String>>,
    sessions: Mutex<Sessions>,
    waiting: Mutex<Waiting>,
    events: Mutex<Kept>,
}

impl MemoryLedger {
    /// Returns the balance of an account, or `None` if there is no such account.
    pub(super) fn balance_now(&self, subject: &str) -> Option<u64> {
        lock(&self.balances).get(subject).copied()
    }

    fn events(&self, search: &Search) -> Vec<(Position, Entry)> {
        let events = lock(&self.events);
        let all = events.attributed.iter().chain(&events.unattributed);
        let matching = all.filter_map(|(number, item)| {
            let entry = item.entry();
            let position = Position { at: entry.at, number: *number };
            search.matches(&entry).then(|| (position, entry.into_owned()))
        });
        let mut found: Vec<_> = matching.collect();
        found.sort_by_key(|(position, _)| position.number);
        found
    }
}

impl Ledger for MemoryLedger {
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        lock(&self.balances).entry(subject.to_owned()).or_insert(balance);
        Ok(())
    }

    async fn name_account(&self, subject: &str, name: &str) -> Result<()> {
        lock(&self.names).insert(subject.to_owned(), name.to_owned());
        Ok(())
    }

    async fn name_account_once(&self, subject: &str, name: &str) -> Result<()> {
        lock(&self.names).entry(subject.to_owned()).or_insert_with(|| name.to_owned());
        Ok(())
    }

    async fn account_names(&self) -> Result<Vec<(String, String)>> {
        Ok(lock(&self.names).clone().into_iter().collect())
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        Ok(lock(&self.balances)
            .iter()
            .map(|(subject, balance)| (subject.clone(), *balance))
            .collect())
    }

    async fn balance(&self, subject: &str) -> Result<Option<u64>> {
        Ok(self.balance_now(subject))
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

    async fn open_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()> {
        lock(&self.sessions).open(digest, row, previous, limit);
        Ok(())
    }

    async fn session(&self, digest: &str) -> Result<Option<SessionRow>> {
        Ok(lock(&self.sessions).find(digest).cloned())
    }

    async fn close_session(&self, digest: &str) -> Result<()> {
        lock(&self.sessions).close(digest);
        Ok(())
    }

    async fn drop_sessions(&self, now: Timestamp, _: usize) -> Result<usize> {
        Ok(lock(&self.sessions).drop_expired(now))
    }

    async fn add_waiting(&self, digest: &str, row: &WaitingRow, room: Room) -> Result<()> {
        lock(&self.waiting).add(digest, row, room);
        Ok(())
    }

    async fn claim_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        Ok(lock(&self.waiting).claim(digest, browser))
    }

    async fn take_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        Ok(lock(&self.waiting).take(digest, browser))
    }

    async fn drop_waiting(&self, now: Timestamp, _: usize) -> Result<usize> {
        Ok(lock(&self.waiting).drop_expired(now))
    }

    async fn append(&self, items: Vec<Item>, _: bool) -> Result<()> {
        let mut events = lock(&self.events);
        for item in items {
            if events.names.insert(item.name()) {
                let number = events.next;
                events.next += 1;
                events.items(item.is_attributed()).push_back((number, item));
            }
        }
        events.drop_over(EVENT_LIMIT, usize::MAX);
        Ok(())
    }

    async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        let mut found = self.events(search);
        found.retain(|(position, _)| before.is_none_or(|before| *position < before));
        found.sort_by_key(|(position, _)| Reverse(*position));
        found.truncate(limit);
        Ok(found)
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        let found = self.events(&Search { flow: Some(flow.to_owned()), ..Search::default() });
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize> {
        Ok(lock(&self.events).drop_before(before.unix_seconds(), limit))
    }

    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        Ok(lock(&self.events).drop_over(rows, limit))
    }
}

impl Kept {
    fn items(&mut self, attributed: bool) -> &mut VecDeque<(u64, Item)> {
        if attributed { &mut self.attributed } else { &mut self.unattributed }
    }

    /// Drops up to `limit` of the events in excess of `rows`, the oldest first, and unattributed
    /// ones before attributed ones.
    fn drop_over(&mut self, rows: usize, limit: usize) -> usize {
        let all = self.attributed.len() + self.unattributed.len();
        let over = all.saturating_sub(rows).min(limit);
        for _ in 0..over {
            let oldest = self.unattributed.pop_front();
            if let Some((_, item)) = oldest.or_else(|| self.attributed.pop_front()) {
                self.names.remove(&item.name());
            }
        }
        over
    }

    /// Drops up to `limit` of the events before this time, the oldest first.
    fn drop_before(&mut self, time: u64, limit: usize) -> usize {
        let Self { attributed, unattributed, names, .. } = self;
        let all = attributed.iter().chain(&*unattributed);
        let mut due: Vec<_> =
            all.filter(|(_, item)| item.at() < time).map(|(number, _)| *number).collect();
        due.sort_unstable();
        due.truncate(limit);
        for items in [attributed, unattributed] {
            items.retain(|(number, item)| {
                let goes = due.binary_search(number).is_ok();
                if goes {
                    names.remove(&item.name());
                }
                !goes
            });
        }
        due.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
