//! The reference store: clients, grants and accounts in memory, behind one lock. They are gone when
//! the process ends.

mod due;
mod grants;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::due::Due;
use self::grants::Grants;
use crate::account::{Account, Accounts, Balance};
use crate::blocking;
use crate::client::Client;
use crate::decision::Loaded;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::record::{Change, Commit, Stored, Write};
use crate::store::{Counts, LoadsAccounts, Store, StoreAdministration};
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject};

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
pub struct MemoryStore(RwLock<Tables>);

#[derive(Debug, Default)]
struct Tables {
    clients: BTreeMap<ClientId, Stored<Client>>,
    due_clients: Due<ClientId>,
    grants: Grants,
    accounts: BTreeMap<Subject, Account>,
    balances: BTreeMap<Subject, Balance>,
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a client unless a client of its id exists, and returns whether it was added: see
    /// [`StoreAdministration::add_client`].
    pub fn add_client(&self, client: Client) -> bool {
        self.write().commit(&Write::client(None, client)) == Commit::Done
    }

    /// Adds a client, or replaces the client of the same id, also a deactivated one: see
    /// [`StoreAdministration::put_client`].
    pub fn put_client(&self, client: Client) {
        let mut tables = self.write();
        let write = Write::put_client(tables.clients.get(client.id()), client);
        // The lock is held, so that nobody else can have written.
        let _done = tables.commit(&write);
    }

    /// Sets an account.
    pub fn put_account(&self, subject: Subject, account: Account) {
        self.write().accounts.insert(subject, account);
    }

    /// Suspends an account, or lifts its suspension.
    pub fn set_suspended(&self, subject: &str, suspended: bool) {
        self.write().account(subject).suspended = suspended;
    }

    /// Sets whether an account can pay.
    pub fn put_balance(&self, subject: Subject, balance: Balance) {
        self.write().balances.insert(subject, balance);
    }

    /// Drops up to `limit` grants and clients whose `drop_after` has passed, and returns how many
    /// were dropped. It costs what it drops, and about one look at each other record in each of the
    /// record's lifetimes.
    pub fn sweep(&self, now: Timestamp, limit: usize) -> usize {
        let mut dropped = 0;
        // Most sweeps find nothing, and block nobody. In between others get the lock.
        while dropped < limit && self.read().is_any_due(now) {
            dropped += self.write().sweep(now, (limit - dropped).min(1000));
        }
        dropped
    }

    /// Returns how many clients and grants are kept.
    pub fn counts(&self) -> Counts {
        let tables = self.read();
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        Counts::new(count(tables.clients.len()), count(tables.grants.len()))
    }

    /// Lists up to `limit` clients, ascending by their ids, after `after`.
    pub fn clients(&self, after: Option<&str>, limit: usize) -> Vec<Stored<Client>> {
        let later = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.read()
            .clients
            .range::<str, _>(later)
            .take(limit)
            .map(|(_, stored)| stored.clone())
            .collect()
    }

    /// Lists up to `limit` grants, ascending by their ids, after `after`.
    pub fn grants(&self, after: Option<GrantId>, limit: usize) -> Vec<Stored<Grant>> {
        self.read().grants.after(after, limit)
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn load(&self, keys: &Keys<'_>) -> Loaded {
        let grant = keys.grant.and_then(|id| self.grants.get(id)).cloned();
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        let client = keys.client_id(of_grant).and_then(|id| self.clients.get(id)).cloned();
        let caller = keys.caller_id().and_then(|id| self.clients.get(id)).cloned();
        if keys.skip_accounts {
            return Loaded { grant, client, caller, ..Loaded::default() };
        }
        let account = keys.subject_id(of_grant).map(|subject| self.account_of(subject));
        let owner = client.as_ref().and_then(|stored| stored.record.owner());
        let owner = owner.map(|owner| self.account_of(owner.as_str()));
        let payer = of_grant.filter(|_| keys.balance);
        let balance = payer.map(|grant| self.balance_of(grant.subject().as_str()));
        Loaded { grant, client, account, owner, caller, balance, ..Loaded::default() }
    }

    fn account_of(&self, subject: &str) -> Account {
        self.accounts.get(subject).copied().unwrap_or(Account::ACTIVE)
    }

    fn balance_of(&self, subject: &str) -> Balance {
        self.balances.get(subject).copied().unwrap_or(Balance::Sufficient)
    }

    fn account(&mut self, subject: &str) -> &mut Account {
        self.accounts.entry(Subject::new(subject)).or_insert(Account::ACTIVE)
    }

    fn commit(&mut self, write: &Write) -> Commit {
        match write {
            Write::Grant(change) => self.grants.commit(change),
            Write::Client(change) => self.commit_client(change),
        }
    }

    fn commit_client(&mut self, change: &Change<Client>) -> Commit {
        let stored = self.clients.get(change.id());
        if stored.map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        let before = stored.map_or(Timestamp::NEVER, |stored| stored.record.drop_after());
        self.due_clients.put_again(before, change.drop_after(), change.id().clone());
        self.clients.insert(change.id().clone(), change.stored());
        Commit::Done
    }

    fn is_any_due(&self, now: Timestamp) -> bool {
        self.grants.is_any_due(now) || self.due_clients.is_any(now)
    }

    /// Looks at up to `limit` records, and returns how many of them were dropped.
    fn sweep(&mut self, now: Timestamp, limit: usize) -> usize {
        let looks = std::iter::from_fn(|| {
            self.grants.sweep_one(now).or_else(|| self.sweep_one_client(now))
        });
        looks.take(limit).filter(|was_dropped| *was_dropped).count()
    }

    /// Does for clients what [`Grants::sweep_one`] does for grants.
    fn sweep_one_client(&mut self, now: Timestamp) -> Option<bool> {
        let id = self.due_clients.take(now)?;
        let Some(stored) = self.clients.get(&id) else { return Some(false) };
        let drop_after = stored.record.drop_after();
        if is_due(drop_after, now) {
            self.clients.remove(&id);
            return Some(true);
        }
        self.due_clients.put(drop_after, id);
        Some(false)
    }
}

/// Returns whether a record may be dropped. `Timestamp::NEVER` is never due.
fn is_due(drop_after: Timestamp, now: Timestamp) -> bool {
    drop_after < Timestamp::NEVER && drop_after <= now
}

impl blocking::Store for MemoryStore {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Ok(self.read().clients.get(id).cloned())
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Ok(self.read().grants.get(id).cloned())
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Ok(self.write().commit(write))
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        Ok(self.read().grants.of_user(subject, after, limit))
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Infallible> {
        Ok(self.read().load(keys))
    }

    fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, Infallible> {
        let tables = self.read();
        Ok(ids.iter().map(|id| tables.load(&Keys::of_grant(*id))).collect())
    }
}

impl blocking::Accounts for MemoryStore {
    type Error = Infallible;

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        Ok(Some(self.read().account_of(subject)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        let mut tables = self.write();
        let account = tables.account(subject);
        account.epoch = account.epoch.wrapping_add(1);
        Ok(true)
    }

    fn balance(&self, subject: &str) -> Result<Balance, Infallible> {
        Ok(self.read().balance_of(subject))
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

    async fn counts(&self) -> Result<Counts, Infallible> {
        Ok(Self::counts(self))
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, Infallible> {
        Ok(Self::sweep(self, now, limit))
    }
}
