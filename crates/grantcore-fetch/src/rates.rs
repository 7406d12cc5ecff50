//! How many fetches an asker may cause per minute.
//!
//! A stranger who has reached the limit can sign in, so that limit can be strict.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::Asker;

/// The most askers that are counted in one minute. Those beyond it are refused until the next.
const MAX_ASKERS: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// The fetches of each asker in this minute. Users and strangers are counted separately, so that a
/// crowd of strangers cannot use up what users have.
pub(crate) struct Rates {
    users: PerMinute,
    strangers: PerMinute,
}

impl Rates {
    pub(crate) fn new(for_users: u32, for_strangers: u32) -> Self {
        Self { users: PerMinute::new(for_users), strangers: PerMinute::new(for_strangers) }
    }

    /// Counts a fetch of this asker, and returns whether it is within the limit.
    pub(crate) fn admit(&self, asker: Asker<'_>, now: SystemTime) -> bool {
        match asker {
            Asker::User(name) => self.users.admit(name, now),
            Asker::Stranger(address) => self.strangers.admit(address, now),
        }
    }
}

/// A limit per minute, for each name.
struct PerMinute {
    limit: u32,
    minute: Mutex<Minute>,
}

#[derive(Default)]
struct Minute {
    since: Option<SystemTime>,
    counts: HashMap<String, u32>,
}

impl PerMinute {
    fn new(limit: u32) -> Self {
        Self { limit, minute: Mutex::default() }
    }

    fn admit(&self, name: &str, now: SystemTime) -> bool {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        // After a clock step back, a new minute begins.
        let age = minute.since.and_then(|since| now.duration_since(since).ok());
        if age.is_none_or(|age| age >= MINUTE) {
            *minute = Minute { since: Some(now), counts: HashMap::new() };
        }
        let has_room = minute.counts.len() < MAX_ASKERS || minute.counts.contains_key(name);
        if !has_room {
            return false;
        }
        let count = minute.counts.entry(name.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_address_has_its_fetches_per_minute() {
        let strangers = PerMinute::new(20);
        let admitted =
            |source, seconds| (0..100).filter(|_| strangers.admit(source, at(seconds))).count();
        assert_eq!((admitted("a", 0), admitted("b", 1), admitted("a", 59)), (20, 20, 0));
        assert_eq!(
            (admitted("a", 60), admitted("a", 0)),
            (20, 20),
            "the next minute, and a clock set back"
        );
    }

    #[test]
    fn askers_beyond_the_most_are_refused() {
        let strangers = PerMinute::new(20);
        let admitted = (0..20_000).filter(|n| strangers.admit(&n.to_string(), at(0))).count();
        assert_eq!(admitted, MAX_ASKERS);
        assert!(strangers.admit("1", at(0)), "an asker that is counted already");
    }

    #[test]
    fn users_and_strangers_are_counted_separately() {
        let rates = Rates::new(60, 20);
        let admitted = |asker| (0..100).filter(|_| rates.admit(asker, at(0))).count();
        assert_eq!(admitted(Asker::Stranger("a")), 20);
        assert_eq!((admitted(Asker::User("a")), admitted(Asker::User("b"))), (60, 60));
    }
}
