//! The reference store: everything in memory, sharded by grant id. The shortest honest one; gone when the process is.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};

use crate::account::{Account, Balance};
use crate::client::Client;
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::record::{Change, Commit, Stored, Version, Write};
use crate::store::{AsyncStore, Store};
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject};

/// Ordered rather than hashed: an id may come from what a client chose, and nobody can make a tree slow.
type Shard = RwLock<BTreeMap<GrantId, Stored<Grant>>>;

/// The clients, and those that may be dropped one day in the order of that day.
#[derive(Debug, Default)]
struct Clients {
    rows: BTreeMap<ClientId, Stored<Client>>,
    by_end: BTreeSet<(Timestamp, ClientId)>,
}

/// Clients, grants and accounts in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    clients: RwLock<Clients>,
    accounts: RwLock<BTreeMap<Subject, Account>>,
    balances: RwLock<BTreeMap<Subject, Balance>>,
    shards: [Shard; 32],
    by_subject: Mutex<BTreeSet<(Subject, GrantId)>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a client, or replaces the one of its id whatever has become of it.
    pub fn put_client(&self, client: Client) {
        let mut clients = self.clients();
        let version = clients.rows.get(client.id()).map_or(Version::FIRST, |stored| stored.version.next());
        clients.put(Stored { record: Arc::new(client), version });
    }

    /// Says how an account stands. One that was never mentioned stands well.
    pub fn put_account(&self, subject: Subject, account: Account) {
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).insert(subject, account);
    }

    /// Says whether an account can pay. One that was never mentioned can.
    pub fn put_balance(&self, subject: Subject, balance: Balance) {
        self.balances.write().unwrap_or_else(PoisonError::into_inner).insert(subject, balance);
    }

    /// Drops at most `most` grants and clients that may be dropped, and says how many it did.
    pub fn sweep(&self, now: Timestamp, most: usize) -> usize {
        let grants = self.sweep_grants(now, most);
        grants + self.clients().sweep(now, most - grants)
    }

    fn sweep_grants(&self, now: Timestamp, most: usize) -> usize {
        let mut dropped = Vec::new();
        for shard in &self.shards {
            let mut grants = shard.write().unwrap_or_else(PoisonError::into_inner);
            grants.retain(|_, stored| {
                let keep = dropped.len() >= most || now < stored.record.drop_after();
                if !keep {
                    dropped.push(Arc::clone(&stored.record));
                }
                keep
            });
        }
        let mut by_subject = self.by_subject.lock().unwrap_or_else(PoisonError::into_inner);
        for grant in &dropped {
            by_subject.remove(&(grant.subject().clone(), grant.id()));
        }
        dropped.len()
    }

    /// The number of grants kept.
    pub fn grants(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// The number of clients kept.
    pub fn client_count(&self) -> usize {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).rows.len()
    }

    fn clients(&self) -> RwLockWriteGuard<'_, Clients> {
        self.clients.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_grant(&self, change: &Change<Grant>) -> Commit {
        let mut grants = self.shard(change.id()).write().unwrap_or_else(PoisonError::into_inner);
        if grants.get(&change.id()).map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        grants.insert(change.id(), change.stored());
        drop(grants);
        if change.seen().is_none() {
            let entry = (change.record().subject().clone(), change.id());
            self.by_subject.lock().unwrap_or_else(PoisonError::into_inner).insert(entry);
        }
        Commit::Done
    }

    fn commit_client(&self, change: &Change<Client>) -> Commit {
        let mut clients = self.clients();
        if clients.rows.get(change.id()).map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        clients.put(change.stored());
        Commit::Done
    }

    fn shard(&self, id: GrantId) -> &Shard {
        let [byte, ..] = id.as_bytes();
        self.shards.get(usize::from(*byte) % self.shards.len()).unwrap_or(&self.shards[0])
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

    fn sweep(&mut self, now: Timestamp, most: usize) -> usize {
        let mut dropped = 0;
        while dropped < most && self.by_end.first().is_some_and(|(end, _)| now >= *end) {
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
        Ok(self.clients.read().unwrap_or_else(PoisonError::into_inner).rows.get(id).cloned())
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Ok(self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned())
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Ok(match write {
            Write::Grant(change) => self.commit_grant(change),
            Write::Client(change) => self.commit_client(change),
        })
    }

    fn grants_of(&self, subject: &str, after: Option<GrantId>, most: usize) -> Result<Vec<GrantId>, Infallible> {
        let first = (Subject::new(subject), after.unwrap_or(GrantId::from_bytes([0; 16])));
        let by_subject = self.by_subject.lock().unwrap_or_else(PoisonError::into_inner);
        let own = by_subject.range(first..).take_while(|(own, _)| own.as_str() == subject).map(|(_, id)| *id);
        Ok(own.filter(|id| Some(*id) != after).take(most).collect())
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(Subject::new(subject)).or_insert(Account::ACTIVE);
        account.epoch = account.epoch.wrapping_add(1);
        Ok(true)
    }

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(accounts.get(subject).copied().unwrap_or(Account::ACTIVE)))
    }

    fn balance(&self, subject: &str) -> Result<Balance, Infallible> {
        let balances = self.balances.read().unwrap_or_else(PoisonError::into_inner);
        Ok(balances.get(subject).copied().unwrap_or(Balance::Sufficient))
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

    async fn grants_of(&self, subject: &str, after: Option<GrantId>, most: usize) -> Result<Vec<GrantId>, Infallible> {
        Store::grants_of(self, subject, after, most)
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
