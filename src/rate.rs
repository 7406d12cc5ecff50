//! The token endpoint's limits as a pure step: so many requests in any 60 seconds, exactly (RFC 6585 §4; OAuth 2.1 §2.4.1).
//!
//! [`RateWindow`] is the state of one bucket and can live in any store; `Limiter` keeps a bounded number of them in memory. Which bucket a
//! request falls into is the policy's: [`RateRules`](crate::RateRules).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Timestamp;
use crate::value::credential::GrantId;

/// The length of the sliding window.
const WINDOW: Duration = Duration::from_secs(60);

/// The requests of one bucket within the last minute, counted by the second: at most 60 entries of plain data.
///
/// Servers that share a limit keep it where they share the rest, and change it as they change a grant: by compare-and-set.
///
/// ```
/// # use grantcore::{RateWindow, Timestamp};
/// # let mut stored = serde_json::to_string(&RateWindow::default()).unwrap();
/// # let now = Timestamp::from_unix_seconds(1_800_000_000);
/// let answer = loop {
///     let seen = stored.clone();                                     // read it, by the bucket's key
///     let mut window: RateWindow = serde_json::from_str(&seen).unwrap();
///     let admitted = window.admit(60, now);
///     let next = serde_json::to_string(&window).unwrap();
///     if stored == seen {                                            // write it, if nobody else has
///         stored = next;
///         break admitted;                                            // Err: `Refusal::rate_limited(seconds)`
///     }
/// };
/// assert_eq!(answer, Ok(()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RateWindow(Vec<(Timestamp, u32)>);

impl RateWindow {
    /// Counts a request if it is admissible. A refused one takes no place.
    ///
    /// # Errors
    /// Whole seconds until another is admissible if none comes between, 1 to 60.
    pub fn admit(&mut self, limit: u32, now: Timestamp) -> Result<(), u32> {
        if let Some(seconds) = self.wait(limit, now) {
            return Err(seconds);
        }
        self.count(now);
        Ok(())
    }

    /// Whole seconds until another request is admissible, 1 to 60; nothing if it is now.
    pub fn wait(&self, limit: u32, now: Timestamp) -> Option<u32> {
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

    /// Counts a request, admissible or not.
    pub fn count(&mut self, now: Timestamp) {
        let now = self.not_before_last(now);
        self.0.retain(|(at, _)| now < at.after(WINDOW));
        match self.0.last_mut() {
            Some((at, count)) if *at == now => *count = count.saturating_add(1),
            _ => self.0.push((now, 1)),
        }
    }

    /// Takes the latest request back, as one that does not count after all.
    pub fn give_back(&mut self) {
        if let Some((_, count)) = self.0.last_mut() {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.pop();
            }
        }
    }

    /// A clock that steps back stands still here, so that no wait exceeds the window.
    fn not_before_last(&self, now: Timestamp) -> Timestamp {
        self.0.last().map_or(now, |(at, _)| now.max(*at))
    }
}

/// Windows by key, for a bounded number of keys. Under a flood of made-up keys the longest silent are forgotten: nobody is refused
/// for what others did, and whoever floods only forgets themselves.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    keys: Mutex<Keys>,
}

/// Two generations: a key that is used moves to the young one, and when that is full the old one is forgotten.
#[derive(Debug, Default)]
struct Keys {
    young: BTreeMap<Box<str>, RateWindow>,
    old: BTreeMap<Box<str>, RateWindow>,
}

/// How many keys a generation has: a few megabytes at worst.
const GENERATION: usize = 4_096;

impl Keys {
    fn get(&self, key: &str) -> Option<&RateWindow> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Acts on the hits of a key; one that is there already costs no allocation.
    fn with<T>(&mut self, key: &str, act: impl FnOnce(&mut RateWindow) -> T) -> T {
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
    /// Counts a request if it is admissible, else says how long to wait; a refused one is not counted.
    pub(crate) fn admit(&self, key: &str, limit: u32, now: Timestamp) -> Result<(), u32> {
        self.keys().with(&cut(key), |window| window.admit(limit, now))
    }

    /// Says how long to wait, without counting.
    pub(crate) fn wait(&self, key: &str, limit: u32, now: Timestamp) -> Option<u32> {
        self.keys().get(&cut(key)).and_then(|window| window.wait(limit, now))
    }

    /// Counts a request.
    pub(crate) fn count(&self, key: &str, now: Timestamp) {
        self.keys().with(&cut(key), |window| window.count(now));
    }

    /// Takes the latest request back.
    pub(crate) fn give_back(&self, key: &str) {
        self.keys().with(&cut(key), RateWindow::give_back);
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
        let (limiter, now) = (Limiter::default(), Timestamp::from_unix_seconds(1));
        let url = |end: &str| format!("https://client.example/{}/{end}", "x".repeat(2000));
        assert_eq!((limiter.admit(&url("a"), 1, now), limiter.admit(&url("b"), 1, now)), (Ok(()), Ok(())));
        assert_eq!((limiter.admit(&url("a"), 1, now), limiter.wait(&url("b"), 1, now)), (Err(60), Some(60)));
        assert!(limiter.keys().young.keys().all(|key| key.len() <= 128));
    }

    /// A million made-up names take no more room than two generations of them.
    #[test]
    fn rate_05_memory_is_bounded_under_a_flood_of_names() {
        let (limiter, now) = (Limiter::default(), Timestamp::from_unix_seconds(1));
        for number in 0..1_000_000 {
            assert_eq!(limiter.admit(&number.to_string(), 1, now), Ok(()));
        }
        let keys = limiter.keys();
        assert!(keys.young.len() <= super::GENERATION && keys.old.len() <= super::GENERATION);
    }
}
