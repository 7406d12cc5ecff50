//! How often somebody can make this server fetch, by the minute: a user, or somebody who is not
//! signed in, by the network address.
//!
//! What lives here: counting. A stranger who has used it up is no worse off than by signing in
//! first, so that limit can be strict.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::slots::Asker;

/// Many users may share an address, and few of them meet an application that nobody has met before.
const MOST_FOR_STRANGERS: u32 = 20;
/// Above what anybody does by hand.
const MOST_FOR_USERS: u32 = 60;
/// More addresses than this within a minute are one crowd, and sign in first.
const MOST_ASKERS: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// What each asker has had fetched within this minute.
pub(super) struct Allowance {
    users: PerMinute,
    strangers: PerMinute,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            users: PerMinute::new(MOST_FOR_USERS),
            strangers: PerMinute::new(MOST_FOR_STRANGERS),
        }
    }
}

impl Allowance {
    /// Returns whether something may be fetched for this asker, which counts. Users and strangers
    /// are counted apart, so that no crowd of strangers leaves users without.
    pub(super) fn admit(&self, asker: Asker<'_>, now: SystemTime) -> bool {
        match asker {
            Asker::User(name) => self.users.admit(name, now),
            Asker::Stranger(source) => self.strangers.admit(source, now),
        }
    }
}

/// A limit by the minute, for each name.
struct PerMinute {
    limit: u32,
    minute: Mutex<Minute>,
}

#[derive(Default)]
struct Minute {
    since: Option<SystemTime>,
    asked: HashMap<String, u32>,
}

impl PerMinute {
    fn new(limit: u32) -> Self {
        Self { limit, minute: Mutex::default() }
    }

    fn admit(&self, source: &str, now: SystemTime) -> bool {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let age = minute.since.and_then(|since| now.duration_since(since).ok());
        if age.is_none_or(|age| age >= MINUTE) {
            *minute = Minute { since: Some(now), asked: HashMap::new() };
        }
        let room = minute.asked.len() < MOST_ASKERS || minute.asked.contains_key(source);
        if !room {
            return false;
        }
        let asked = minute.asked.entry(source.to_owned()).or_default();
        *asked += 1;
        *asked <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn so_much_a_minute_by_address() {
        let strangers = PerMinute::new(MOST_FOR_STRANGERS);
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
    fn a_crowd_takes_no_more_room() {
        let strangers = PerMinute::new(MOST_FOR_STRANGERS);
        let admitted = (0..20_000).filter(|n| strangers.admit(&n.to_string(), at(0))).count();
        assert_eq!(admitted, MOST_ASKERS);
        assert!(strangers.admit("1", at(0)), "whoever was there before");
    }

    #[test]
    fn users_and_strangers_are_counted_apart() {
        let allowance = Allowance::default();
        let admitted = |asker| (0..100).filter(|_| allowance.admit(asker, at(0))).count();
        assert_eq!(admitted(Asker::Stranger("a")), 20);
        assert_eq!((admitted(Asker::User("a")), admitted(Asker::User("b"))), (60, 60));
    }
}
