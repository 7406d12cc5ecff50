//! What an operator calls: adding clients, suspending accounts, listing and counting.
//!
//! There is no list of all grants: it would be one key that every new grant writes, on one node of
//! a cluster. To list or count grants, the names of all keys are read.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use grantcore::grant::Grant;
use grantcore::store::{Counts, Seen, SeenKey, StoreAdministration, Stored};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Client, Store as _, Timestamp};
use redis::cmd;

use super::store::AT_ONCE;
use super::{RedisStore, RedisStoreError, Result, key};

/// How many keys Redis looks at in one step of a scan.
const STEP: usize = 1_000;

impl StoreAdministration for RedisStore {
    /// Reads the list of clients, and removes those that are gone from it.
    async fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        self.listed_clients(after, limit).await
    }

    /// Scans the names of all keys on all nodes for each page, and keeps `limit` of them in memory:
    /// a large `limit` takes fewer scans. A grant is listed if it exists during the whole scan and
    /// its slot does not move to another node.
    async fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        let mut found = Vec::new();
        let mut after = after;
        while found.len() < limit {
            let wanted = limit - found.len();
            let ids = self.scanned(key::GRANTS, key::grant_of, after, wanted).await?;
            let is_last = ids.len() < wanted;
            after = ids.last().copied();
            let records = ids.into_iter().map(|id| self.grant(id));
            let records: Vec<_> = stream::iter(records).buffered(AT_ONCE).try_collect().await?;
            // A record may have expired since its key was scanned.
            found.extend(records.into_iter().flatten());
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Scans the names of all keys on all nodes for each page, as
    /// [`grants`](StoreAdministration::grants) does.
    async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>> {
        let mut found = Vec::new();
        let mut after = after;
        while found.len() < limit {
            let wanted = limit - found.len();
            let keys = self.scanned(key::MARKS, key::mark_of, after, wanted).await?;
            let is_last = keys.len() < wanted;
            after = keys.last().copied();
            let marks = keys.into_iter().map(|key| async move { self.seen(&key).await });
            let marks: Vec<_> = stream::iter(marks).buffered(AT_ONCE).try_collect().await?;
            // A mark may have expired since its key was scanned.
            found.extend(marks.into_iter().flatten());
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Counts the entries in the list of clients, expired ones included until
    /// [`clients`](StoreAdministration::clients) meets them; and scans the names of all keys on all
    /// nodes to count the grants and the marks.
    async fn counts(&self) -> Result<Counts> {
        let clients = self.connection.read::<u64>(cmd("ZCARD").arg(key::CLIENTS)).await?;
        let mut grants = 0;
        let count = |name: &[u8]| key::grant_of(name).map(|_| grants += 1);
        self.scan(key::GRANTS, count).await?;
        let mut marks = 0;
        self.scan(key::MARKS, |name| key::mark_of(name).map(|_| marks += 1)).await?;
        Ok(Counts::new(clients, grants).with_marks(marks))
    }

    /// Returns 0: Redis drops records by itself.
    async fn sweep(&self, _: Timestamp, _: usize) -> Result<usize> {
        Ok(0)
    }
}

impl RedisStore {
    /// Suspends an account, or lifts its suspension.
    ///
    /// # Errors
    /// [`RedisStoreError`] if it is not known whether the account was written.
    pub async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<()> {
        let set = cmd("HSET").arg(key::account(subject)).arg("s").arg(u8::from(suspended)).take();
        Ok(self.connection.ask::<u64>(&set).await.map(drop)?)
    }

    /// Writes an account, and overwrites the stored one, to move it here from another store.
    ///
    /// # Errors
    /// [`RedisStoreError`] if it is not known whether the account was written.
    pub async fn put_account(&self, subject: &str, account: Account) -> Result<()> {
        let set = cmd("HSET")
            .arg(key::account(subject))
            .arg("s")
            .arg(u8::from(account.suspended))
            .arg("e")
            .arg(account.epoch)
            .take();
        Ok(self.connection.ask::<u64>(&set).await.map(drop)?)
    }

    /// Lists up to `limit` accounts that were ever suspended or whose epoch was ever raised,
    /// ascending by the bytes of their subjects, after `after`. It scans the names of all keys on
    /// all nodes, as [`grants`](StoreAdministration::grants) does.
    ///
    /// # Errors
    /// [`RedisStoreError`] if Redis fails, or an account cannot be read.
    pub async fn accounts(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Subject, Account)>> {
        let is_later = |subject: &String| after.is_none_or(|after| subject.as_str() > after);
        let mut subjects = Smallest::new(limit);
        self.scan(key::ACCOUNTS, |name| {
            let subject = key::account_of(name)?;
            if is_later(&subject) {
                subjects.insert(subject);
            }
            Some(())
        })
        .await?;
        let read = |subject: String| async move {
            let account = self.account_at(key::account(&subject)).await?;
            Ok((Subject::from(subject), account))
        };
        let accounts = subjects.items.into_iter().map(read);
        stream::iter(accounts).buffered(AT_ONCE).try_collect().await
    }

    /// Returns the first `limit` ids after `after`, ascending: of the keys of this pattern.
    async fn scanned<T: Ord + Copy + Send + Sync>(
        &self,
        pattern: &str,
        id_of: fn(&[u8]) -> Option<T>,
        after: Option<T>,
        limit: usize,
    ) -> Result<BTreeSet<T>> {
        let mut ids = Smallest::new(limit);
        self.scan(pattern, |name| {
            let id = id_of(name)?;
            if after.is_none_or(|after| id > after) {
                ids.insert(id);
            }
            Some(())
        })
        .await?;
        Ok(ids.items)
    }

    /// Calls `found` with each key of this pattern, in no order. A key may come twice. A key for
    /// which `found` returns `None` is an error.
    async fn scan(
        &self,
        pattern: &str,
        mut found: impl FnMut(&[u8]) -> Option<()> + Send,
    ) -> Result<()> {
        for node in self.connection.nodes().await? {
            let mut cursor: u64 = 0;
            loop {
                let mut scan = cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
                let (next, keys): (u64, Vec<Vec<u8>>) =
                    self.connection.read_from(&node, &scan).await?;
                for key in keys {
                    found(&key).ok_or_else(|| {
                        RedisStoreError::Foreign(String::from_utf8_lossy(&key).into_owned())
                    })?;
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The smallest `limit` items of those that were inserted.
struct Smallest<T> {
    items: BTreeSet<T>,
    limit: usize,
}

impl<T: Ord> Smallest<T> {
    fn new(limit: usize) -> Self {
        Self { items: BTreeSet::new(), limit }
    }

    fn insert(&mut self, item: T) {
        self.items.insert(item);
        if self.items.len() > self.limit {
            self.items.pop_last();
        }
    }
}
