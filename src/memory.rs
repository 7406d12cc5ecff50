//! The reference store: clients, grants and accounts in memory. They are gone when the process
//! ends.

mod due;
mod grants;
#[cfg(all(test, grantcore_schedules))]
mod schedules;
mod shard;
mod shards;

use std::convert::Infallible;
use std::ops::Bound;

use self::shards::Shards;
use crate::account::{Account, Accounts, Balance};
use crate::blocking;
use crate::client::Client;
use crate::decision::{Loaded, Records};
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::record::{Commit, Stored, Write};
use crate::seen::Seen;
use crate::store::{Counts, LoadsAccounts, Store, StoreAdministration};
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;
use crate::value::text::Subject;

/// Clients, grants and accounts in memory, for tests, demonstrations and a first try.
///
/// It implements both [`Store`] and [`blocking::Store`]. Accounts that were never set are active
/// and can pay.
///
/// ```
/// use grantcore::account::Balance;
/// use grantcore::value::Subject;
/// use grantcore::{Client, MemoryStore};
///
/// let store = MemoryStore::new();
/// store.put_client(Client::public("notes-app").redirect_uri("https://app.example/cb").build()?);
/// store.set_suspended("mallory", true);
/// store.put_balance(Subject::new("alice"), Balance::Low { left: 3 });
/// assert_eq!(store.counts().clients, 1);
/// # Ok::<(), grantcore::client::ClientError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore(Shards);

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a client unless a client of its id exists, and returns whether it was added: see
    /// [`StoreAdministration::add_client`].
    pub fn add_client(&self, client: Client) -> bool {
        self.0.commit(&Write::client(None, client)) == Commit::Done
    }

    /// Adds a client, or replaces the client of the same id, also a deactivated one: see
    /// [`StoreAdministration::put_client`].
    pub fn put_client(&self, client: Client) {
        self.0.put_client(client);
    }

    /// Sets an account.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "how many copies are kept is not the caller's"
    )]
    pub fn put_account(&self, subject: Subject, account: Account) {
        for shard in &mut self.0.all() {
            shard.accounts.insert(subject.clone(), account);
        }
    }

    /// Suspends an account, or lifts its suspension.
    pub fn set_suspended(&self, subject: &str, suspended: bool) {
        for shard in &mut self.0.all() {
            shard.account(subject).suspended = suspended;
        }
    }

    /// Sets whether an account can pay.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "how many copies are kept is not the caller's"
    )]
    pub fn put_balance(&self, subject: Subject, balance: Balance) {
        for shard in &mut self.0.all() {
            shard.balances.insert(subject.clone(), balance);
        }
    }

    /// Drops up to `limit` grants, clients and marks whose `drop_after` has passed, and returns how
    /// many were dropped. Its cost is proportional to the records that it drops. It also examines
    /// each other record about once in each of the record's lifetimes.
    pub fn sweep(&self, now: Timestamp, limit: usize) -> usize {
        self.0.sweep(now, limit)
    }

    /// Returns how many clients, grants and marks are kept.
    pub fn counts(&self) -> Counts {
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        let clients = self.0.of_name("").clients.len();
        let (mut grants, mut marks) = (0, 0);
        for shard in self.0.in_order(None) {
            grants += shard.grants.len();
            marks += shard.seen.len();
        }
        Counts::new(count(clients), count(grants)).with_marks(count(marks))
    }

    /// Lists up to `limit` clients, ascending by their ids, after `after`.
    pub fn clients(&self, after: Option<&str>, limit: usize) -> Vec<Stored<Client>> {
        let later = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.0
            .of_name("")
            .clients
            .range::<str, _>(later)
            .take(limit)
            .map(|(_, stored)| stored.clone())
            .collect()
    }

    /// Lists up to `limit` grants, ascending by their ids, after `after`.
    pub fn grants(&self, mut after: Option<GrantId>, limit: usize) -> Vec<Stored<Grant>> {
        let first = after.map(|id| *id.as_bytes());
        let mut found = Vec::new();
        for shard in self.0.in_order(first.as_ref().and_then(|id| id.first())) {
            // Every grant of the later shards comes after it.
            found.extend(shard.grants.after(after.take(), limit - found.len()));
        }
        found
    }

    /// Lists up to `limit` marks, ascending by their keys, after `after`.
    pub fn marks(&self, after: Option<SeenKey>, limit: usize) -> Vec<Seen> {
        let later = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let first = after.as_ref().and_then(|key| key.as_bytes().first());
        let mut found = Vec::new();
        for shard in self.0.in_order(first) {
            let seen = shard.seen.range(later).map(|(_, seen)| seen.clone());
            found.extend(seen.take(limit - found.len()));
        }
        found
    }
}

impl blocking::Store for MemoryStore {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Ok(self.0.of_name(id).clients.get(id).cloned())
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Ok(self.0.of_grant(id).grants.get(id).cloned())
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Ok(self.0.commit(write))
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Infallible> {
        Ok(self.0.of_mark(key).seen.get(key).cloned())
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        let first = after.as_ref().and_then(|id| id.as_bytes().first());
        let mut found = Vec::new();
        for shard in self.0.in_order(first) {
            found.extend(shard.grants.of_user(subject, after, limit - found.len()));
        }
        Ok(found)
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Infallible> {
        Ok(self.0.of_keys(keys).load(keys))
    }

    fn inspect(
        &self,
        keys: &Keys<'_>,
        visit: &mut (dyn FnMut(Records<'_>) + Send),
    ) -> Result<(), Infallible> {
        visit(self.0.of_keys(keys).records(keys));
        Ok(())
    }

    fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, Infallible> {
        let load = |id: &GrantId| self.0.of_grant(*id).load(&Keys::of_grant(*id));
        Ok(ids.iter().map(load).collect())
    }
}

impl blocking::Accounts for MemoryStore {
    type Error = Infallible;

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        Ok(Some(self.0.of_name(subject).account_of(subject)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        for shard in &mut self.0.all() {
            let account = shard.account(subject);
            account.epoch = account.epoch.wrapping_add(1);
        }
        Ok(true)
    }

    fn balance(&self, subject: &str) -> Result<Balance, Infallible> {
        Ok(self.0.of_name(subject).balance_of(subject))
    }
}

impl blocking::LoadsAccounts for MemoryStore {}

impl blocking::StoreAdministration for MemoryStore {
    fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>, Infallible> {
        Ok(Self::clients(self, after, limit))
    }

    fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<Stored<Grant>>, Infallible> {
        Ok(Self::grants(self, after, limit))
    }

    fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>, Infallible> {
        Ok(Self::marks(self, after, limit))
    }

    fn counts(&self) -> Result<Counts, Infallible> {
        Ok(Self::counts(self))
    }

    fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, Infallible> {
        Ok(Self::sweep(self, now, limit))
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        blocking::Store::client(self, id)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        blocking::Store::grant(self, id)
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        blocking::Store::commit(self, write)
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Infallible> {
        blocking::Store::seen(self, key)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        blocking::Store::grants_of(self, subject, after, limit)
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Infallible> {
        blocking::Store::load(self, keys)
    }

    async fn inspect(
        &self,
        keys: &Keys<'_>,
        visit: &mut (dyn FnMut(Records<'_>) + Send),
    ) -> Result<(), Infallible> {
        blocking::Store::inspect(self, keys, visit)
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, Infallible> {
        blocking::Store::load_grants(self, ids)
    }
}

impl Accounts for MemoryStore {
    type Error = Infallible;

    async fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        blocking::Accounts::account(self, subject)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        blocking::Accounts::raise_epoch(self, subject)
    }

    async fn balance(&self, subject: &str) -> Result<Balance, Infallible> {
        blocking::Accounts::balance(self, subject)
    }
}

impl LoadsAccounts for MemoryStore {}

impl StoreAdministration for MemoryStore {
    async fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>, Infallible> {
        Ok(Self::clients(self, after, limit))
    }

    async fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<Stored<Grant>>, Infallible> {
        Ok(Self::grants(self, after, limit))
    }

    async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>, Infallible> {
        Ok(Self::marks(self, after, limit))
    }

    async fn counts(&self) -> Result<Counts, Infallible> {
        Ok(Self::counts(self))
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, Infallible> {
        Ok(Self::sweep(self, now, limit))
    }
}
