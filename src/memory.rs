//! The reference store: everything in memory, sharded by grant id. The shortest honest one; gone when the process is.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::client::Client;
use crate::moment::Timestamp;
use crate::operation::{Account, Commit, Stored, Write};
use crate::store::{AsyncStore, Store};
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject};

/// Ordered rather than hashed: an id may come from what a client chose, and nobody can make a tree slow.
type Shard = RwLock<BTreeMap<GrantId, Stored>>;

/// Clients, grants and accounts in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    clients: RwLock<BTreeMap<ClientId, Arc<Client>>>,
    accounts: RwLock<BTreeMap<Subject, Account>>,
    shards: [Shard; 32],
    by_subject: Mutex<BTreeSet<(Subject, GrantId)>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a client, or replaces the one of its id.
    pub fn put_client(&self, client: Client) {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        clients.insert(client.id().clone(), Arc::new(client));
    }

    /// Says how an account stands. One that was never mentioned stands well.
    pub fn put_account(&self, subject: Subject, account: Account) {
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).insert(subject, account);
    }

    /// Drops at most `most` grants that may be dropped, and says how many it did.
    pub fn sweep(&self, now: Timestamp, most: usize) -> usize {
        let mut dropped = Vec::new();
        for shard in &self.shards {
            let mut grants = shard.write().unwrap_or_else(PoisonError::into_inner);
            grants.retain(|_, stored| {
                let keep = dropped.len() >= most || now < stored.grant.drop_after();
                if !keep {
                    dropped.push(Arc::clone(&stored.grant));
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

    fn shard(&self, id: GrantId) -> &Shard {
        let [byte, ..] = id.as_bytes();
        self.shards.get(usize::from(*byte) % self.shards.len()).unwrap_or(&self.shards[0])
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Arc<Client>>, Infallible> {
        Ok(self.clients.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned())
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored>, Infallible> {
        Ok(self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned())
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        let mut grants = self.shard(write.id()).write().unwrap_or_else(PoisonError::into_inner);
        if grants.get(&write.id()).map(|stored| stored.version) != write.seen() {
            return Ok(Commit::Conflict);
        }
        grants.insert(write.id(), Stored { grant: Arc::clone(write.grant()), version: write.version() });
        drop(grants);
        if write.seen().is_none() {
            let entry = (write.grant().subject().clone(), write.id());
            self.by_subject.lock().unwrap_or_else(PoisonError::into_inner).insert(entry);
        }
        Ok(Commit::Done)
    }

    fn grants_of(&self, subject: &str) -> Result<Vec<GrantId>, Infallible> {
        let first = (Subject::new(subject), GrantId::from_bytes([0; 16]));
        let by_subject = self.by_subject.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(by_subject.range(first..).take_while(|(own, _)| own.as_str() == subject).map(|(_, id)| *id).collect())
    }

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(accounts.get(subject).copied().unwrap_or(Account::ACTIVE)))
    }
}

/// It never waits, so it serves an [`AsyncServer`](crate::AsyncServer) as well.
impl AsyncStore for MemoryStore {
    type Error = Infallible;

    async fn client(&self, id: &str) -> Result<Option<Arc<Client>>, Infallible> {
        Store::client(self, id)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored>, Infallible> {
        Store::grant(self, id)
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Store::commit(self, write)
    }

    async fn grants_of(&self, subject: &str) -> Result<Vec<GrantId>, Infallible> {
        Store::grants_of(self, subject)
    }

    async fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        Store::account(self, subject)
    }
}
