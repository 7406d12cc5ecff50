//! The shards of the reference store, each behind a lock of its own.

use super::due::Due;
use super::shard::{Shard, is_due};
use crate::client::Client;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::record::{Change, Commit, Write};
use crate::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;
use crate::value::text::ClientId;

/// The number of bits of an id that select its shard. The search through all schedules has two
/// shards, because it does not end with more.
pub(super) const SHARD_BITS: u32 = if cfg!(all(test, grantcore_schedules)) { 1 } else { 3 };
const SHARDS: usize = 1 << SHARD_BITS;

/// Grants and marks, distributed by the first bits of their ids. The order of the ids is kept
/// across the shards.
///
/// Each shard has a copy of the clients and the accounts, which requests seldom change. So a check
/// takes one lock, and the checks of one client on several cores touch the same memory only where
/// their grants are in one shard. A write of a client or of an account takes every lock, in order.
#[derive(Debug, Default)]
pub(super) struct Shards {
    shards: [RwLock<Shard>; SHARDS],
    /// Locked after the shards.
    due_clients: Mutex<Due<ClientId>>,
}

/// Returns the index of the shard for keys that begin with this byte.
fn place(first: Option<&u8>) -> usize {
    first.map_or(0, |first| usize::from(*first >> (u8::BITS - SHARD_BITS)))
}

impl Shards {
    #[expect(clippy::expect_used, reason = "the bits number the shards")]
    fn at(&self, place: usize) -> &RwLock<Shard> {
        self.shards.get(place).expect("each number of these bits has a shard")
    }

    /// Returns the shard of this grant.
    pub(super) fn of_grant(&self, id: GrantId) -> RwLockReadGuard<'_, Shard> {
        read(self.at(place(id.as_bytes().first())))
    }

    /// Returns the shard of this mark.
    pub(super) fn of_mark(&self, key: &SeenKey) -> RwLockReadGuard<'_, Shard> {
        read(self.at(place(key.as_bytes().first())))
    }

    /// Returns a shard from which to read a client or an account, which every shard has. Different
    /// names are likely to get different shards.
    pub(super) fn of_name(&self, name: &str) -> RwLockReadGuard<'_, Shard> {
        let sum = name.bytes().fold(0, u8::wrapping_add);
        read(self.at(usize::from(sum) % SHARDS))
    }

    /// Returns the shard that has the records of these keys.
    pub(super) fn of_keys(&self, keys: &Keys<'_>) -> RwLockReadGuard<'_, Shard> {
        match keys.grant {
            Some(id) => self.of_grant(id),
            None => self.of_name(keys.subject.as_deref().or(keys.client.as_named()).unwrap_or("")),
        }
    }

    /// Returns the shards in the order of ids, from that of `after` on.
    pub(super) fn in_order(
        &self,
        after: Option<&u8>,
    ) -> impl Iterator<Item = RwLockReadGuard<'_, Shard>> {
        self.shards.iter().skip(place(after)).map(read)
    }

    /// Locks every shard for a write.
    pub(super) fn all(&self) -> [RwLockWriteGuard<'_, Shard>; SHARDS] {
        self.shards.each_ref().map(write)
    }

    pub(super) fn commit(&self, change: &Write) -> Commit {
        match change {
            Write::Grant(change) => {
                let shard = self.at(place(change.id().as_bytes().first()));
                write(shard).grants.commit(change)
            }
            Write::Seen(seen) => {
                write(self.at(place(seen.key().as_bytes().first()))).create_mark(seen)
            }
            Write::Client(change) => {
                let mut all = self.all();
                self.commit_client(&mut all, change)
            }
        }
    }

    /// Writes a client over the one that is on record.
    pub(super) fn put_client(&self, client: Client) {
        let mut all = self.all();
        let [first, ..] = &all;
        let change = Write::put_client(first.clients.get(client.id()), client);
        if let Write::Client(change) = &change {
            // All locks are held, so that there is no conflict.
            let _done = self.commit_client(&mut all, change);
        }
    }

    fn commit_client(
        &self,
        all: &mut [RwLockWriteGuard<'_, Shard>; SHARDS],
        change: &Change<Client>,
    ) -> Commit {
        let [first, ..] = all;
        let stored = first.clients.get(change.id());
        if stored.map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        let before = stored.map_or(Timestamp::NEVER, |stored| stored.record.drop_after());
        self.due_clients().put_again(before, change.drop_after(), change.id().clone());
        for shard in all {
            shard.clients.insert(change.id().clone(), change.stored());
        }
        Commit::Done
    }

    /// Drops up to `limit` records that are due, and returns how many were dropped.
    pub(super) fn sweep(&self, now: Timestamp, limit: usize) -> usize {
        let mut dropped = 0;
        for shard in &self.shards {
            // Most sweeps find nothing, and take no lock for writing. Between the batches, requests
            // get the lock.
            while dropped < limit && read(shard).is_any_due(now) {
                dropped += write(shard).sweep(now, (limit - dropped).min(1000));
            }
        }
        while dropped < limit && self.due_clients().is_any(now) {
            dropped += usize::from(self.sweep_one_client(now));
        }
        dropped
    }

    /// Examines the next client whose time has come. Returns whether it was dropped.
    fn sweep_one_client(&self, now: Timestamp) -> bool {
        let mut all = self.all();
        let Some(id) = self.due_clients().take(now) else { return false };
        let [first, ..] = &all;
        let Some(stored) = first.clients.get(&id) else { return false };
        let drop_after = stored.record.drop_after();
        if is_due(drop_after, now) {
            for shard in &mut all {
                shard.clients.remove(&id);
            }
            return true;
        }
        self.due_clients().put(drop_after, id);
        false
    }

    fn due_clients(&self) -> MutexGuard<'_, Due<ClientId>> {
        self.due_clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
