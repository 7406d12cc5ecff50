//! Fetched key sets, kept for a time: one cache for a node, in memory and never in a store.
//!
//! The cache fetches nothing and reads no clock. [`KeyCache::look`] returns whether to fetch, and
//! the host passes the outcome to [`KeyCache::put`] or [`KeyCache::failed`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::key_set::{FetchedKeys, KeySetError};
use super::keys_url::KeysUrl;
use crate::moment::Timestamp;

/// The bounds of a set's freshness, and the freshness without a stated one (KEYS-33), in seconds.
const FRESH_AT_LEAST: u64 = 60;
const FRESH_AT_MOST: u64 = 3600;
const FRESH_BY_DEFAULT: u64 = 300;

/// The time after a fetch in which no other fetch of the same URL begins (KEYS-34).
const COOL_DOWN: Duration = Duration::from_secs(60);

/// Requests that run at the same time read the clock and reach the cache in different orders. A
/// reading that is at most this much behind the latest one counts as the latest one. A reading that
/// is further behind comes from a clock that was set back.
const OUT_OF_ORDER: u64 = 5;

/// The key sets of the URLs that clients and issuers name.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::Timestamp;
/// use grantcore::jws::{KeyCache, KeysUrl, Look};
///
/// let mut cache = KeyCache::default();
/// let url = KeysUrl::parse("https://client.example/jwks.json", false)?;
/// let now = Timestamp::from_unix_seconds(1_800_000_000);
/// assert!(matches!(cache.look(&url, None, now), Look::Ask));
///
/// // The host fetches the URL, and reports what it got.
/// cache.put(&url, br#"{"keys": []}"#, None, now)?;
/// assert!(matches!(cache.look(&url, None, now), Look::Have { .. }));
/// assert!(matches!(cache.look(&url, None, now.after(Duration::from_secs(300))), Look::Ask));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KeyCache {
    slots: BTreeMap<KeysUrl, Slot>,
    capacity: usize,
    /// How long a set is used after its freshness while fetches fail, in seconds.
    stale: Duration,
    /// The latest reading of the clock.
    latest: Timestamp,
    /// The number of the last set.
    sets: u64,
    /// The number of the last use.
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    held: Option<Held>,
    /// When the next fetch may begin.
    cool_until: Timestamp,
    /// Whether the last fetch brought no set.
    has_failed: bool,
    /// The number of the last use.
    used: u64,
}

#[derive(Clone, Debug)]
struct Held {
    keys: Arc<FetchedKeys>,
    generation: Generation,
    fresh_until: Timestamp,
    stale_until: Timestamp,
}

/// The number of the fetch that a set of a cache is from. A later set has a greater number,
/// whatever the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

/// The result of looking a URL up in a cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Look {
    /// This set: fresh, or stale while no other can be had.
    #[non_exhaustive]
    Have {
        /// The keys.
        keys: Arc<FetchedKeys>,
        /// The number of the fetch that they are from.
        generation: Generation,
    },
    /// No set. Fetch the URL, and call [`KeyCache::put`] or [`KeyCache::failed`].
    Ask,
    /// No set, and no fetch may begin yet.
    #[non_exhaustive]
    Wait {
        /// The seconds until a fetch may begin, at least one.
        seconds: u64,
        /// Whether the last fetch brought a set, a minute ago or less: there is none that is newer.
        is_current: bool,
    },
}

impl Default for KeyCache {
    /// Makes a cache of 1,024 URLs, which uses a set for an hour after its freshness.
    fn default() -> Self {
        Self::new(1024, Duration::from_secs(3600))
    }
}

impl KeyCache {
    /// Makes a cache of this many URLs, at least one. While fetches fail, a set is used for `stale`
    /// after its freshness, at most an hour (KEYS-36).
    pub fn new(capacity: usize, stale: Duration) -> Self {
        Self {
            slots: BTreeMap::new(),
            capacity: capacity.max(1),
            stale: stale.min(Duration::from_secs(3600)),
            latest: Timestamp::EPOCH,
            sets: 0,
            uses: 0,
        }
    }

    /// Returns the set of this URL, or what to do to get it. If `newer_than` is given, an older set
    /// is no answer: the set of that generation does not have the key that is needed.
    ///
    /// Several requests can get [`Look::Ask`] for one URL. A host should fetch once for all of
    /// them, and look again just before a fetch: an earlier one may have ended since.
    pub fn look(&mut self, url: &KeysUrl, newer_than: Option<Generation>, now: Timestamp) -> Look {
        let now = self.advance(now);
        self.uses += 1;
        let Some(slot) = self.slots.get_mut(url) else { return Look::Ask };
        slot.used = self.uses;
        let held = slot.held.as_ref().filter(|held| newer_than.is_none_or(|g| held.generation > g));
        let have =
            |held: &Held| Look::Have { keys: Arc::clone(&held.keys), generation: held.generation };
        if let Some(held) = held.filter(|held| now < held.fresh_until) {
            return have(held);
        }
        if now >= slot.cool_until {
            return Look::Ask;
        }
        // The last fetch has failed, a minute ago or less.
        match held.filter(|held| now < held.stale_until) {
            Some(held) => have(held),
            None => Look::Wait {
                seconds: slot.cool_until.seconds_from(now),
                is_current: !slot.has_failed,
            },
        }
    }

    /// Keeps the body of a response with the status 200. `fresh_for` is how long the response is
    /// fresh by its HTTP headers (RFC 9111 §4.2), or `None` if they do not say it. It is held
    /// between 60 and 3,600 seconds (KEYS-33).
    ///
    /// # Errors
    /// [`KeySetError`] if the body is no key set. That counts as a failed fetch.
    pub fn put(
        &mut self,
        url: &KeysUrl,
        body: &[u8],
        fresh_for: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), KeySetError> {
        let keys = FetchedKeys::parse(body).inspect_err(|_| self.failed(url, now))?;
        let now = self.advance(now);
        let seconds = fresh_for.map_or(FRESH_BY_DEFAULT, |time| time.as_secs());
        let seconds = seconds.clamp(FRESH_AT_LEAST, FRESH_AT_MOST);
        let fresh_until = now.after(Duration::from_secs(seconds));
        self.sets += 1;
        let held = Held {
            keys: Arc::new(keys),
            generation: Generation(self.sets),
            fresh_until,
            stale_until: fresh_until.after(self.stale),
        };
        self.end_fetch(url, Some(held), now);
        Ok(())
    }

    /// Records that the URL could not be fetched, or that the response was no key set. The set that
    /// is in hand is kept.
    pub fn failed(&mut self, url: &KeysUrl, now: Timestamp) {
        let now = self.advance(now);
        self.end_fetch(url, None, now);
    }

    /// Returns the set of this URL that serves while a fetch cannot begin: a stale one too, within
    /// its time.
    pub(crate) fn look_without_fetch(
        &mut self,
        url: &KeysUrl,
        newer_than: Option<Generation>,
        now: Timestamp,
    ) -> Option<Look> {
        let now = self.advance(now);
        let held = self.slots.get(url)?.held.as_ref()?;
        let serves = now < held.stale_until && newer_than.is_none_or(|g| held.generation > g);
        let keys = Arc::clone(&held.keys);
        serves.then_some(Look::Have { keys, generation: held.generation })
    }

    fn end_fetch(&mut self, url: &KeysUrl, held: Option<Held>, now: Timestamp) {
        self.uses += 1;
        let has_failed = held.is_none();
        let cool_until = now.after(COOL_DOWN);
        if let Some(slot) = self.slots.get_mut(url) {
            slot.held = held.or(slot.held.take());
            slot.cool_until = cool_until;
            slot.has_failed = has_failed;
            slot.used = self.uses;
            return;
        }
        if self.slots.len() >= self.capacity {
            let least = self.slots.iter().min_by_key(|(_, slot)| slot.used);
            if let Some(url) = least.map(|(url, _)| url.clone()) {
                self.slots.remove(&url);
            }
        }
        self.slots.insert(url.clone(), Slot { held, cool_until, has_failed, used: self.uses });
    }

    /// Takes a reading of the clock, and returns the time that it stands for.
    ///
    /// If the clock was set back, the ages of the sets are unknown. Every set is then stale and is
    /// used for at most a minute, and no cool-down lasts longer than before.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        if self.latest.seconds_from(now) <= OUT_OF_ORDER {
            self.latest = self.latest.max(now);
            return self.latest;
        }
        let left = |until: Timestamp, latest| {
            now.after(Duration::from_secs(until.seconds_from(latest)).min(COOL_DOWN))
        };
        for slot in self.slots.values_mut() {
            slot.cool_until = left(slot.cool_until, self.latest);
            if let Some(held) = &mut slot.held {
                held.fresh_until = now;
                held.stale_until = left(held.stale_until, self.latest);
            }
        }
        self.latest = now;
        now
    }
}
