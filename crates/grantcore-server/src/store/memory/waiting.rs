//! What waits for a browser, in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use grantcore::Timestamp;

use crate::store::{Room, WaitingRow};

#[derive(Default)]
pub(super) struct Waiting {
    /// The rows with their digests, by their numbers: the oldest first.
    rows: BTreeMap<u64, (String, WaitingRow)>,
    by_digest: HashMap<String, u64>,
    of_source: HashMap<String, OfSource>,
    next: u64,
    bytes: u64,
}

/// The numbers of one source's rows, the oldest first, and their bytes.
#[derive(Default)]
struct OfSource {
    numbers: VecDeque<u64>,
    bytes: u64,
}

impl Waiting {
    pub(super) fn add(&mut self, digest: &str, row: &WaitingRow, room: Room) {
        let number = self.next;
        self.next += 1;
        self.bytes += row.bytes();
        let own = self.of_source.entry(row.source.clone()).or_default();
        own.numbers.push_back(number);
        own.bytes += row.bytes();
        self.by_digest.insert(digest.to_owned(), number);
        self.rows.insert(number, (digest.to_owned(), row.clone()));
        while let Some(oldest) = self.surplus(&row.source, room) {
            self.remove(oldest);
        }
    }

    /// Returns the oldest row of this source, or of all, if there is no room for it.
    fn surplus(&self, source: &str, room: Room) -> Option<u64> {
        let own = self.of_source.get(source).filter(|own| own.bytes > room.of_source);
        let of_source = own.and_then(|own| own.numbers.front().copied());
        let oldest = || self.rows.keys().next().copied().filter(|_| self.bytes > room.in_all);
        of_source.or_else(oldest)
    }

    pub(super) fn claim(&mut self, digest: &str, browser: &str) -> Option<WaitingRow> {
        let number = self.by_digest.get(digest)?;
        let (_, row) = self.rows.get_mut(number)?;
        let owner = row.browser.get_or_insert_with(|| browser.to_owned());
        (owner == browser).then(|| row.clone())
    }

    pub(super) fn take(&mut self, digest: &str, browser: &str) -> Option<WaitingRow> {
        let number = *self.by_digest.get(digest)?;
        let is_own = self.rows.get(&number)?.1.browser.as_deref() == Some(browser);
        if is_own { self.remove(number) } else { None }
    }

    pub(super) fn drop_expired(&mut self, now: Timestamp) -> usize {
        let is_over = |row: &WaitingRow| row.expires <= now.unix_seconds();
        let over = self.rows.iter().filter(|(_, (_, row))| is_over(row));
        let over: Vec<u64> = over.map(|(number, _)| *number).collect();
        over.into_iter().filter_map(|number| self.remove(number)).count()
    }

    fn remove(&mut self, number: u64) -> Option<WaitingRow> {
        let (digest, row) = self.rows.remove(&number)?;
        self.by_digest.remove(&digest);
        self.bytes -= row.bytes();
        if let Some(own) = self.of_source.get_mut(&row.source) {
            own.bytes -= row.bytes();
            own.numbers.retain(|other| *other != number);
            if own.numbers.is_empty() {
                self.of_source.remove(&row.source);
            }
        }
        Some(row)
    }
}
