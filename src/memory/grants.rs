//! The table of grants: by their ids, by their users, and by when they may be dropped.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::mem;

use super::due::Due;
use super::shard::is_due;
use super::shards::SHARD_BITS;
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::record::{Change, Commit, Stored};
use crate::value::credential::GrantId;

#[derive(Debug, Default)]
pub(super) struct Grants {
    by_id: ById,
    /// Keyed by the hash of the user and the first half of the id. A hash is compared faster than a
    /// name. Two users with one hash are distinguished by their records, and so are two ids with
    /// one first half.
    by_user: BTreeSet<(u64, u64)>,
    hash: RandomState,
    due: Due<GrantId>,
}

impl Grants {
    pub(super) fn get(&self, id: GrantId) -> Option<&Stored<Grant>> {
        self.by_id.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.length
    }

    pub(super) fn commit(&mut self, change: &Change<Grant>) -> Commit {
        let id = change.id();
        let drop_after = change.drop_after();
        let Some(stored) = self.by_id.get_mut(id) else {
            if change.seen().is_some() {
                return Commit::Conflict;
            }
            self.by_user.extend(self.hash_of(change.record()).map(|user| (user, key(id).0)));
            self.due.put(drop_after, id);
            self.by_id.insert(id, change.stored());
            return Commit::Done;
        };
        if change.seen() != Some(stored.version) {
            return Commit::Conflict;
        }
        self.due.put_again(stored.record.drop_after(), drop_after, id);
        *stored = change.stored();
        Commit::Done
    }

    /// Returns up to `limit` grants, ascending by their ids, after `after`.
    pub(super) fn after(&self, after: Option<GrantId>, limit: usize) -> Vec<Stored<Grant>> {
        self.by_id.after(after).take(limit).cloned().collect()
    }

    /// Returns up to `limit` ids of this user's grants, ascending, after `after`.
    pub(super) fn of_user(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Vec<GrantId> {
        let hash = self.hash.hash_one(subject);
        let first = after.map_or(0, |after| key(after).0);
        let is_of_user = |grant: &&Stored<Grant>| {
            let own = grant.record.subject();
            own.is_some_and(|own| own.as_str() == subject)
        };
        self.by_user
            .range((hash, first)..=(hash, u64::MAX))
            .flat_map(|(_, head)| self.by_id.beginning_with(*head))
            .filter(|grant| after.is_none_or(|after| key(grant.record.id()) > key(after)))
            .filter(is_of_user)
            .map(|grant| grant.record.id())
            .take(limit)
            .collect()
    }

    /// Returns whether a sweep has a grant to examine.
    pub(super) fn is_any_due(&self, now: Timestamp) -> bool {
        self.due.is_any(now)
    }

    /// Examines the next grant whose time has come. Returns whether it was dropped, or `None` if
    /// there is none.
    pub(super) fn sweep_one(&mut self, now: Timestamp) -> Option<bool> {
        let id = self.due.take(now)?;
        let Some(stored) = self.by_id.get(id) else { return Some(false) };
        let drop_after = stored.record.drop_after();
        if is_due(drop_after, now) {
            let user = self.hash_of(&stored.record);
            self.by_id.remove(id);
            let head = key(id).0;
            let is_users = |other: &Stored<Grant>| self.hash_of(&other.record) == user;
            if let Some(user) = user.filter(|_| !self.by_id.beginning_with(head).any(is_users)) {
                self.by_user.remove(&(user, head));
            }
            return Some(true);
        }
        self.due.put(drop_after, id);
        Some(false)
    }

    /// Returns the hash of the grant's user, if it has one.
    fn hash_of(&self, grant: &Grant) -> Option<u64> {
        grant.subject().map(|user| self.hash.hash_one(user.as_str()))
    }
}

/// The grants in buckets by the first bits of their ids.
///
/// Ids are random, so that these bits are a hash and keep the order too. A hash map would need a
/// second index for the order, and an ordered map takes 350 instructions more to find a grant among
/// a thousand, and two to three cache misses more among a million.
#[derive(Debug, Default)]
struct ById {
    /// As many as numbers of `bits` bits, each in the order of the ids.
    buckets: Vec<Vec<Row>>,
    bits: u32,
    length: usize,
}

/// A grant with the first half of its id. The other half is in the record, and is read only where
/// the first half is equal, which is almost always the record that is looked for.
#[derive(Debug)]
struct Row {
    head: u64,
    stored: Stored<Grant>,
}

impl Row {
    fn key(&self) -> Key {
        key(self.stored.record.id())
    }

    /// Compares the id of the row with this one.
    fn compare(&self, other: Key) -> Ordering {
        self.head.cmp(&other.0).then_with(|| self.key().1.cmp(&other.1))
    }
}

/// The bytes of an id as two numbers, which are compared faster and in the same order.
type Key = (u64, u64);

/// The average number of grants of a bucket from which on the number of buckets is doubled. With
/// half as many, a grant takes 25 bytes more.
const FULL: usize = 12;

/// The number of rows by which a full bucket grows. If it doubled, it would be half empty. With
/// half as many, a new grant takes 150 instructions more, and 40 bytes less among twelve grants.
const GROWTH: usize = 6;

fn key(id: GrantId) -> Key {
    let half = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes));
    (half(id.as_bytes().first_chunk()), half(id.as_bytes().last_chunk()))
}

impl ById {
    fn index(&self, (head, _): Key) -> usize {
        // The first bits have chosen the shard.
        let rest = head << SHARD_BITS;
        let index = rest.checked_shr(u64::BITS - self.bits).unwrap_or(0);
        usize::try_from(index).unwrap_or(usize::MAX)
    }

    /// Returns the bucket of the key, and the place of its row there, or where it would be.
    fn find(&self, key: Key) -> (usize, Result<usize, usize>) {
        let index = self.index(key);
        let bucket = self.buckets.get(index).map_or(&[][..], Vec::as_slice);
        (index, bucket.binary_search_by(|row| row.compare(key)))
    }

    fn get(&self, id: GrantId) -> Option<&Stored<Grant>> {
        let (index, Ok(place)) = self.find(key(id)) else { return None };
        Some(&self.buckets.get(index)?.get(place)?.stored)
    }

    fn get_mut(&mut self, id: GrantId) -> Option<&mut Stored<Grant>> {
        let (index, Ok(place)) = self.find(key(id)) else { return None };
        Some(&mut self.buckets.get_mut(index)?.get_mut(place)?.stored)
    }

    /// Adds a grant of an id that is not there.
    fn insert(&mut self, id: GrantId, stored: Stored<Grant>) {
        if self.length >= self.buckets.len() * FULL {
            self.grow();
        }
        let key = key(id);
        let (index, place) = self.find(key);
        if let (Some(bucket), Err(place)) = (self.buckets.get_mut(index), place) {
            if bucket.len() == bucket.capacity() {
                bucket.reserve_exact(GROWTH);
            }
            bucket.insert(place, Row { head: key.0, stored });
            self.length += 1;
        }
    }

    fn remove(&mut self, id: GrantId) {
        let (index, place) = self.find(key(id));
        if let (Some(bucket), Ok(place)) = (self.buckets.get_mut(index), place) {
            bucket.remove(place);
            self.length -= 1;
        }
    }

    /// Returns the grants in the order of their ids, after `after`.
    fn after(&self, after: Option<GrantId>) -> impl Iterator<Item = &Stored<Grant>> {
        let after = after.map(key);
        let first = after.map_or(0, |after| self.index(after));
        self.buckets
            .iter()
            .skip(first)
            .flatten()
            .filter(move |row| after.is_none_or(|after| row.compare(after).is_gt()))
            .map(|row| &row.stored)
    }

    /// Returns the grants whose ids have this first half, in the order of their ids.
    fn beginning_with(&self, head: u64) -> impl Iterator<Item = &Stored<Grant>> {
        let bucket = self.buckets.get(self.index((head, 0))).map_or(&[][..], Vec::as_slice);
        let first = bucket.partition_point(|row| row.head < head);
        let rest = bucket.get(first..).unwrap_or_default();
        rest.iter().take_while(move |row| row.head == head).map(|row| &row.stored)
    }

    /// Makes twice as many buckets, of which each has half of one before.
    fn grow(&mut self) {
        let buckets = mem::take(&mut self.buckets);
        if buckets.is_empty() {
            self.buckets.push(Vec::new());
            return;
        }
        self.bits += 1;
        let half = u64::BITS - SHARD_BITS - self.bits;
        for mut lower in buckets {
            let place = lower.partition_point(|row| row.head >> half & 1 == 0);
            let upper = lower.split_off(place);
            lower.shrink_to(lower.len() + GROWTH);
            self.buckets.extend([lower, upper]);
        }
    }
}
