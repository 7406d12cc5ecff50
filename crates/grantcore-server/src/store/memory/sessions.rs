//! Sessions in memory.

use std::collections::{HashMap, VecDeque};

use grantcore::Timestamp;

use crate::store::SessionRow;

#[derive(Default)]
pub(super) struct Sessions {
    rows: HashMap<String, SessionRow>,
    /// The digests of each account's sessions, the oldest first.
    of_account: HashMap<String, VecDeque<String>>,
}

impl Sessions {
    pub(super) fn open(
        &mut self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) {
        if let Some(previous) = previous {
            self.close(previous);
        }
        self.rows.insert(digest.to_owned(), row.clone());
        let own = self.of_account.entry(row.subject.clone()).or_default();
        own.push_back(digest.to_owned());
        let surplus = own.len().saturating_sub(limit);
        for oldest in own.drain(..surplus) {
            self.rows.remove(&oldest);
        }
    }

    pub(super) fn find(&self, digest: &str) -> Option<&SessionRow> {
        self.rows.get(digest)
    }

    pub(super) fn close(&mut self, digest: &str) {
        let Some(row) = self.rows.remove(digest) else { return };
        if let Some(own) = self.of_account.get_mut(&row.subject) {
            own.retain(|other| other != digest);
        }
    }

    pub(super) fn drop_expired(&mut self, now: Timestamp) -> usize {
        let before = self.rows.len();
        self.rows.retain(|_, row| row.expires > now.unix_seconds());
        for own in self.of_account.values_mut() {
            own.retain(|digest| self.rows.contains_key(digest));
        }
        before - self.rows.len()
    }
}
