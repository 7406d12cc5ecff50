//! The token endpoint's limits as a pure step: so many hits in any 60 seconds, exactly (RFC 6585 §4; OAuth 2.1 §2.4.1).
//!
//! [`Hits`] is the state of one key and could live in any store; [`Limiter`] keeps a bounded number of them in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::moment::Timestamp;
use crate::value::credential::GrantId;

/// The length of the sliding window.
const WINDOW: Duration = Duration::from_secs(60);

/// The hits of one key within the last minute, counted by the second: at most 60 entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Hits(Vec<(Timestamp, u32)>);

impl Hits {
    /// Whole seconds until another hit is admissible, 1 to 60; nothing if it is now.
    pub(crate) fn wait(&self, limit: u32, now: Timestamp) -> Option<u32> {
        let now = self.not_before_last(now);
        let recent = || self.0.iter().filter(|(at, _)| now < at.after(WINDOW));
        let mut kept = recent().fold(0, |kept: u32, (_, count)| kept.saturating_add(*count));
        for (at, count) in recent() {
            if kept < limit {
                break;
            }
            kept = kept.saturating_sub(*count);
            if kept < limit {
                return u32::try_from(at.after(WINDOW).seconds_from(now)).ok();
            }
        }
        None
    }

    /// Counts a hit.
    pub(crate) fn add(&mut self, now: Timestamp) {
        let now = self.not_before_last(now);
        self.0.retain(|(at, _)| now < at.after(WINDOW));
        match self.0.last_mut() {
            Some((at, count)) if *at == now => *count = count.saturating_add(1),
            _ => self.0.push((now, 1)),
        }
    }

    /// A clock that steps back stands still here, so that no wait exceeds the window.
    fn not_before_last(&self, now: Timestamp) -> Timestamp {
        self.0.last().map_or(now, |(at, _)| now.max(*at))
    }
}

/// Hits by key, for a bounded number of keys. Under a flood of made-up keys the longest silent are forgotten: nobody is refused
/// for what others did, and whoever floods only forgets themselves.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: u32,
    keys: Mutex<Keys>,
}

/// Two generations: a key that is used moves to the young one, and when that is full the old one is forgotten.
#[derive(Debug, Default)]
struct Keys {
    young: BTreeMap<Box<str>, Hits>,
    old: BTreeMap<Box<str>, Hits>,
}

/// How many keys a generation has: a few megabytes at worst.
const GENERATION: usize = 4_096;

impl Keys {
    fn get(&self, key: &str) -> Option<&Hits> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Acts on the hits of a key; one that is there already costs no allocation.
    fn with<T>(&mut self, key: &str, act: impl FnOnce(&mut Hits) -> T) -> T {
        if let Some(hits) = self.young.get_mut(key) {
            return act(hits);
        }
        let earlier = self.old.remove(key).unwrap_or_default();
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        act(self.young.entry(key.into()).or_insert(earlier))
    }
}

/// So much of a stranger's text is kept as a key: 128 bytes. What is longer is known by its digest.
fn cut(key: &str) -> Cow<'_, str> {
    if key.len() <= 128 { Cow::Borrowed(key) } else { Cow::Owned(GrantId::of(key.as_bytes()).to_string()) }
}

impl Limiter {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, keys: Mutex::default() }
    }

    /// Counts a hit if it is admissible, else says how long to wait; a refused hit is not counted.
    pub(crate) fn admit(&self, key: &str, now: Timestamp) -> Result<(), u32> {
        self.keys().with(&cut(key), |hits| {
            let wait = hits.wait(self.limit, now);
            if wait.is_none() {
                hits.add(now);
            }
            wait.map_or(Ok(()), Err)
        })
    }

    /// Says how long to wait, without counting.
    pub(crate) fn wait(&self, key: &str, now: Timestamp) -> Option<u32> {
        self.keys().get(&cut(key)).and_then(|hits| hits.wait(self.limit, now))
    }

    /// Counts a hit.
    pub(crate) fn count(&self, key: &str, now: Timestamp) {
        self.keys().with(&cut(key), |hits| hits.add(now));
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Limiter;
    use crate::moment::Timestamp;

    /// Clients known by long URLs of one host share no bucket, and a stranger's text takes no more room than a short one.
    #[test]
    fn long_keys_are_kept_apart_and_short() {
        let (limiter, now) = (Limiter::new(1), Timestamp::from_unix_seconds(1));
        let url = |end: &str| format!("https://client.example/{}/{end}", "x".repeat(2000));
        assert_eq!((limiter.admit(&url("a"), now), limiter.admit(&url("b"), now)), (Ok(()), Ok(())));
        assert_eq!((limiter.admit(&url("a"), now), limiter.wait(&url("b"), now)), (Err(60), Some(60)));
        assert!(limiter.keys().young.keys().all(|key| key.len() <= 128));
    }
}
