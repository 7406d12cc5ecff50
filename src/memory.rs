//! The reference store: everything in memory, in parts that lock by themselves. The shortest honest
//! one; gone when the process is.
//!
//! Never here: a lock that all requests meet at. A change of a grant holds the lock of the grant's
//! part and, within it, that of its user's part, so that the two agree whenever either can be read.
//! That is the one order in which two locks are ever held.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::account::{Account, Balance};
use crate::client::Client;
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::record::{Change, Commit, Stored, Version, Write};
use crate::store::{AsyncStore, Store};
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject};

/// Clients, grants and accounts in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    clients: Parts<Clients>,
    grants: Parts<BTreeMap<GrantId, Stored<Grant>>>,
    users: Parts<Users>,
}

/// The clients, and those that may be dropped one day in the order of that day.
#[derive(Debug, Default)]
struct Clients {
    rows: BTreeMap<ClientId, Stored<Client>>,
    by_end: BTreeSet<(Timestamp, ClientId)>,
}

/// What is known of users, and which grants are theirs.
#[derive(Debug, Default)]
struct Users {
    accounts: BTreeMap<Subject, Account>,
    balances: BTreeMap<Subject, Balance>,
    grants: BTreeSet<(Subject, GrantId)>,
}

/// A table cut into parts by a hash that nobody outside can aim at: strangers choose ids. Grants
/// need none, for this server draws theirs, and whoever makes one up finds nothing and writes
/// nothing. Within a part things lie in their order, for nobody can make a tree slow.
#[derive(Debug, Default)]
struct Parts<T> {
    hash: RandomState,
    parts: [RwLock<T>; 32],
}

impl<T> Parts<T> {
    fn of(&self, key: impl Hash) -> &RwLock<T> {
        let [byte, ..] = self.hash.hash_one(key).to_le_bytes();
        self.part(byte)
    }

    fn part(&self, byte: u8) -> &RwLock<T> {
        self.parts.get(usize::from(byte) % self.parts.len()).unwrap_or(&self.parts[0])
    }

    fn read(&self, key: impl Hash) -> RwLockReadGuard<'_, T> {
        read(self.of(key))
    }

    fn write(&self, key: impl Hash) -> RwLockWriteGuard<'_, T> {
        write(self.of(key))
    }
}

fn read<T>(part: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    part.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(part: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    part.write().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a client, or replaces the one of its id whatever has become of it.
    pub fn put_client(&self, client: Client) {
        let mut clients = self.clients.write(client.id().as_str());
        let version =
            clients.rows.get(client.id()).map_or(Version::FIRST, |stored| stored.version.next());
        clients.put(Stored { record: Arc::new(client), version });
    }

    /// Says how an account stands. One that was never mentioned stands well.
    pub fn put_account(&self, subject: Subject, account: Account) {
        self.users.write(subject.as_str()).accounts.insert(subject, account);
    }

    /// Suspends an account, or lifts its suspension. One that was never mentioned stands well.
    pub fn set_suspended(&self, subject: &str, suspended: bool) {
        let mut users = self.users.write(subject);
        users.accounts.entry(Subject::new(subject)).or_insert(Account::ACTIVE).suspended =
            suspended;
    }

    /// Says whether an account can pay. One that was never mentioned can.
    pub fn put_balance(&self, subject: Subject, balance: Balance) {
        self.users.write(subject.as_str()).balances.insert(subject, balance);
    }

    /// Drops at most `most` grants and clients that may be dropped, and says how many it did. It
    /// looks at every grant to find them.
    pub fn sweep(&self, now: Timestamp, limit: usize) -> usize {
        let grants = self
            .grants
            .parts
            .iter()
            .fold(0, |dropped, part| dropped + self.sweep_grants(part, now, limit - dropped));
        self.clients
            .parts
            .iter()
            .fold(grants, |dropped, part| dropped + write(part).sweep(now, limit - dropped))
    }

    /// The number of grants kept.
    pub fn grants(&self) -> usize {
        self.grants.parts.iter().map(|part| read(part).len()).sum()
    }

    /// The number of clients kept.
    pub fn client_count(&self) -> usize {
        self.clients.parts.iter().map(|part| read(part).rows.len()).sum()
    }

    /// The clients in the order of their ids: at most so many of those after this one.
    pub fn clients(&self, after: Option<&str>, limit: usize) -> Vec<Stored<Client>> {
        let later = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut found = Vec::new();
        for part in &self.clients.parts {
            found.extend(
                read(part)
                    .rows
                    .range::<str, _>(later)
                    .take(limit)
                    .map(|(_, stored)| stored.clone()),
            );
        }
        found.sort_unstable_by(|one, other| one.record.id().cmp(other.record.id()));
        found.truncate(limit);
        found
    }

    fn part_of(&self, id: GrantId) -> &RwLock<BTreeMap<GrantId, Stored<Grant>>> {
        let [byte, ..] = id.as_bytes();
        self.grants.part(*byte)
    }

    fn sweep_grants(
        &self,
        part: &RwLock<BTreeMap<GrantId, Stored<Grant>>>,
        now: Timestamp,
        limit: usize,
    ) -> usize {
        let is_over = |stored: &Stored<Grant>| now >= stored.record.drop_after();
        // Looked for beside the readers, and looked at again when nobody else is there: it may have
        // been prolonged, or be another.
        let over: Vec<_> = read(part)
            .iter()
            .filter(|(_, stored)| is_over(stored))
            .take(limit)
            .map(|(id, _)| *id)
            .collect();
        if over.is_empty() {
            return 0;
        }
        let mut grants = write(part);
        let drop_one = |id: &GrantId| {
            grants.get(id).filter(|stored| is_over(stored))?;
            let subject = grants.remove(id)?.record.subject().clone();
            Some(self.users.write(subject.as_str()).grants.remove(&(subject, *id)))
        };
        over.iter().filter_map(drop_one).count()
    }

    fn commit_grant(&self, change: &Change<Grant>) -> Commit {
        let mut grants = write(self.part_of(change.id()));
        if grants.get(&change.id()).map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        grants.insert(change.id(), change.stored());
        if change.seen().is_none() {
            let subject = change.record().subject();
            self.users.write(subject.as_str()).grants.insert((subject.clone(), change.id()));
        }
        Commit::Done
    }

    fn commit_client(&self, change: &Change<Client>) -> Commit {
        let mut clients = self.clients.write(change.id().as_str());
        if clients.rows.get(change.id()).map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        clients.put(change.stored());
        Commit::Done
    }
}

impl Clients {
    fn put(&mut self, stored: Stored<Client>) {
        let (id, end) = (stored.record.id().clone(), stored.record.drop_after());
        if let Some(before) = self.rows.insert(id.clone(), stored) {
            self.by_end.remove(&(before.record.drop_after(), id.clone()));
        }
        if end < Timestamp::NEVER {
            self.by_end.insert((end, id));
        }
    }

    fn sweep(&mut self, now: Timestamp, limit: usize) -> usize {
        let mut dropped = 0;
        while dropped < limit && self.by_end.first().is_some_and(|(end, _)| now >= *end) {
            if let Some((_, id)) = self.by_end.pop_first() {
                self.rows.remove(&id);
                dropped += 1;
            }
        }
        dropped
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Ok(self.clients.read(id).rows.get(id).cloned())
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Ok(read(self.part_of(id)).get(&id).cloned())
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Ok(match write {
            Write::Grant(change) => self.commit_grant(change),
            Write::Client(change) => self.commit_client(change),
        })
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        let first = (Subject::new(subject), after.unwrap_or(GrantId::from_bytes([0; 16])));
        let users = self.users.read(subject);
        let own = users
            .grants
            .range(first..)
            .take_while(|(own, _)| own.as_str() == subject)
            .map(|(_, id)| *id);
        Ok(own.filter(|id| Some(*id) != after).take(limit).collect())
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        let mut users = self.users.write(subject);
        let account = users.accounts.entry(Subject::new(subject)).or_insert(Account::ACTIVE);
        account.epoch = account.epoch.wrapping_add(1);
        Ok(true)
    }

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        Ok(Some(self.users.read(subject).accounts.get(subject).copied().unwrap_or(Account::ACTIVE)))
    }

    fn balance(&self, subject: &str) -> Result<Balance, Infallible> {
        Ok(self.users.read(subject).balances.get(subject).copied().unwrap_or(Balance::Sufficient))
    }
}

/// It never waits, so it serves an [`AsyncServer`](crate::AsyncServer) as well.
impl AsyncStore for MemoryStore {
    type Error = Infallible;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Store::client(self, id)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Store::grant(self, id)
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Store::commit(self, write)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        Store::grants_of(self, subject, after, limit)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        Store::raise_epoch(self, subject)
    }

    async fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        Store::account(self, subject)
    }

    async fn balance(&self, subject: &str) -> Result<Balance, Infallible> {
        Store::balance(self, subject)
    }
}
