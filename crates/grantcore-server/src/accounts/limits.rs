//! Limits of failed sign-ins. Guessing is slow, and nobody is locked out for long.
//!
//! Here: counters of failures. Never here: passwords and accounts. Names without an account are
//! counted in the same way, so that a limit does not show which names exist.
//!
//! - One source may fail five times a minute at one account, and thirty times at all accounts.
//! - After twenty failures at one account within 15 minutes, from all sources together, a source
//!   that failed at this account waits after its own last failure. It waits one second, doubled for
//!   every ten further failures, and at most a minute.
//!
//! A source that has not failed is always admitted, so a flood of guesses from elsewhere locks
//! nobody out. An attempt counts as a failure from its beginning until it succeeds, so that
//! parallel attempts cannot exceed the limit.
//!
//! Counters are kept for the names and sources that failed last. A flood can evict the oldest
//! counters, but it needs as many fresh sources as would let it guess directly.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use sha2::{Digest as _, Sha256};

const MINUTE: Duration = Duration::from_secs(60);
/// How long failures at an account are remembered.
const QUARTER: Duration = Duration::from_secs(15 * 60);
const PAIR_LIMIT: usize = 5;
const SOURCE_LIMIT: usize = 30;
/// Failures at one account before the sources that fail there wait.
const MANY_AT_ONE_ACCOUNT: usize = 20;
/// The number of further failures that doubles the wait.
const STEP: usize = 10;
/// The number of steps after which the wait is a minute.
const MAX_STEPS: usize = 6;
/// How many counters are kept of each kind.
const KEPT: usize = 20_000;

/// The time until the next attempt is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(Duration);

impl Wait {
    /// Returns the wait in whole seconds, rounded up.
    pub(crate) fn seconds(self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0)
    }
}

/// The recent failed attempts.
pub(crate) struct Attempts(Mutex<Failures>);

/// An attempt under way. It counts as a failure unless [`Attempt::succeeded`] is called.
#[must_use = "an attempt counts as a failure until it succeeds"]
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    name: Name,
    source: String,
    begun: Instant,
}

/// The digest of a name, which bounds the size of a counter.
type Name = [u8; 16];

struct Failures {
    at_account_by_source: LruCache<(Name, String), VecDeque<Instant>>,
    at_account: LruCache<Name, VecDeque<Instant>>,
    by_source: LruCache<String, VecDeque<Instant>>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self(Mutex::new(Failures {
            at_account_by_source: LruCache::new(KEPT),
            at_account: LruCache::new(KEPT),
            by_source: LruCache::new(KEPT),
        }))
    }
}

impl Attempts {
    /// Begins an attempt of this source at the account of this name. Refuses it if the source has
    /// failed too often.
    pub(crate) fn begin(
        &self,
        name: &str,
        source: &str,
        now: Instant,
    ) -> Result<Attempt<'_>, Wait> {
        let name = digest(name);
        let source = source.to_owned();
        let mut failures = self.lock();
        if let Some(wait) = failures.wait(name, &source, now) {
            return Err(wait);
        }
        failures.add(name, &source, now);
        Ok(Attempt { attempts: self, name, source, begun: now })
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Withdraws the attempt, because the password was not checked. It does not count as a failure.
    pub(crate) fn withdrawn(self) {
        let Self { attempts, name, source, begun } = self;
        let mut failures = attempts.lock();
        let key = (name, source);
        take_back(failures.at_account_by_source.peek_mut(&key), begun);
        take_back(failures.at_account.peek_mut(&key.0), begun);
        take_back(failures.by_source.peek_mut(&key.1), begun);
    }

    /// Ends the attempt with the right password. It does not count as a failure, and the failures
    /// of this source at this account are forgotten. Its failures at other accounts are kept:
    /// otherwise the owner of one account could guess at others without limit.
    pub(crate) fn succeeded(self) {
        let Self { attempts, name, source, begun } = self;
        let mut failures = attempts.lock();
        failures.at_account_by_source.remove(&(name, source.clone()));
        take_back(failures.at_account.peek_mut(&name), begun);
        take_back(failures.by_source.peek_mut(&source), begun);
    }
}

impl Failures {
    /// Returns how long this source must wait for this name, if it must.
    fn wait(&mut self, name: Name, source: &str, now: Instant) -> Option<Wait> {
        let until =
            |end: Instant| Some(end.saturating_duration_since(now)).filter(|w| !w.is_zero());
        let pair = recent(self.at_account_by_source.peek(&(name, source.to_owned())), QUARTER, now);
        let own = recent(self.by_source.peek(source), MINUTE, now);
        let all = recent(self.at_account.peek(&name), QUARTER, now);
        let of_pair = full(&pair, PAIR_LIMIT).and_then(|at| until(at + MINUTE));
        let of_source = full(&own, SOURCE_LIMIT).and_then(|at| until(at + MINUTE));
        let of_account = pair.last().and_then(|last| until(*last + delay(all.len())));
        of_pair.max(of_source).max(of_account).map(Wait)
    }

    fn add(&mut self, name: Name, source: &str, now: Instant) {
        push(&mut self.at_account_by_source, (name, source.to_owned()), now, STEP);
        push(&mut self.at_account, name, now, MANY_AT_ONE_ACCOUNT + STEP * (MAX_STEPS + 1));
        push(&mut self.by_source, source.to_owned(), now, SOURCE_LIMIT);
    }
}

/// Returns how long a failing source waits after this number of failures at the account.
fn delay(failures: usize) -> Duration {
    match failures.checked_sub(MANY_AT_ONE_ACCOUNT) {
        None | Some(0) => Duration::ZERO,
        Some(over) => {
            let doubled = u32::try_from(over / STEP).unwrap_or(u32::MAX).min(31);
            Duration::from_secs(1 << doubled).min(MINUTE)
        }
    }
}

/// Returns the failures within this time, oldest first.
fn recent(kept: Option<&VecDeque<Instant>>, within: Duration, now: Instant) -> Vec<Instant> {
    let kept = kept.into_iter().flatten().copied();
    kept.filter(|at| now.saturating_duration_since(*at) < within).collect()
}

/// Returns the failure that must expire before another fits into `limit`.
fn full(failures: &[Instant], limit: usize) -> Option<Instant> {
    failures.len().checked_sub(limit).and_then(|over| failures.get(over).copied())
}

/// Adds a failure, and keeps the latest `limit` failures.
fn push<K: Hash + Eq>(
    counters: &mut LruCache<K, VecDeque<Instant>>,
    key: K,
    now: Instant,
    limit: usize,
) {
    let Some(failures) = counters.get_mut(&key) else {
        counters.insert(key, VecDeque::from([now]));
        return;
    };
    if failures.len() >= limit {
        failures.pop_front();
    }
    failures.push_back(now);
}

fn take_back(failures: Option<&mut VecDeque<Instant>>, begun: Instant) {
    let Some(failures) = failures else { return };
    if let Some(place) = failures.iter().position(|at| *at == begun) {
        failures.remove(place);
    }
}

fn digest(name: &str) -> Name {
    let mut digest = Name::default();
    digest.iter_mut().zip(Sha256::digest(name)).for_each(|(own, byte)| *own = byte);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at an account as often as is admitted at once, and returns how often.
    fn fail(attempts: &Attempts, name: &str, source: &str, now: Instant) -> usize {
        (0..1000).take_while(|_| attempts.begin(name, source, now).is_ok()).count()
    }

    #[test]
    fn one_source_fails_five_times_a_minute_at_an_account_and_thirty_times_in_all() {
        let attempts = Attempts::default();
        let start = Instant::now();
        assert_eq!(fail(&attempts, "alice", "a", start), 5);
        let wait = attempts.begin("alice", "a", start + MINUTE / 2).err();
        assert_eq!(wait, Some(Wait(MINUTE / 2)));
        assert_eq!(fail(&attempts, "alice", "b", start), 5, "another source");
        let others: usize = (0..100).map(|n| fail(&attempts, &n.to_string(), "a", start)).sum();
        assert_eq!(others, 25, "five were spent before");
        assert_eq!(fail(&attempts, "alice", "a", start + MINUTE), 5, "the next minute");
    }

    #[test]
    fn nobody_waits_longer_than_a_minute_and_others_do_not_wait_at_all() {
        let attempts = Attempts::default();
        let start = Instant::now();
        let mistyped = attempts.begin("alice", "home", start);
        assert!(mistyped.is_ok());
        for minute in 0..30 {
            let now = start + MINUTE * minute;
            for source in 0..100 {
                let _ = fail(&attempts, "alice", &source.to_string(), now);
            }
            let flooded = attempts.begin("alice", "0", now).err().unwrap();
            assert!(flooded.seconds() <= 60, "{flooded:?}");
            let elsewhere = attempts.begin("alice", &format!("fresh {minute}"), now).unwrap();
            elsewhere.succeeded();
        }
        let now = start + MINUTE * 14;
        assert!(attempts.begin("alice", "home", now).is_ok(), "a minute after its own failure");
    }

    #[test]
    fn the_wait_grows_with_the_failures_at_the_account() {
        let waits: Vec<u64> =
            [0, 20, 21, 29, 30, 40, 50, 60, 70, 80, 90, 10_000].map(|n| delay(n).as_secs()).into();
        assert_eq!(waits, [0, 0, 1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let attempts = Attempts::default();
        let start = Instant::now();
        for source in 0..6 {
            assert_eq!(
                fail(&attempts, "alice", &source.to_string(), start),
                if source < 4 { 5 } else { 1 }
            );
        }
        let later = start + Duration::from_millis(500);
        let wait = attempts.begin("alice", "5", later).err().unwrap();
        assert_eq!(wait.seconds(), 1);
        assert!(attempts.begin("alice", "5", start + Duration::from_secs(1)).is_ok());
    }

    /// Attempts whose password is still being checked count, so parallel attempts cannot exceed the
    /// limit.
    #[test]
    fn a_right_password_does_not_count_as_a_failure() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let open: Vec<_> = (0..5).map(|_| attempts.begin("alice", "a", now).unwrap()).collect();
        assert!(attempts.begin("alice", "a", now).is_err());
        open.into_iter().for_each(Attempt::succeeded);
        for _ in 0..200 {
            attempts.begin("alice", "a", now).unwrap().succeeded();
        }
        assert_eq!(fail(&attempts, "alice", "a", now), 5);
    }

    #[test]
    fn the_owner_of_one_account_cannot_guess_at_others_without_limit() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let mut guesses = 0;
        for n in 0..100 {
            guesses += usize::from(attempts.begin(&n.to_string(), "a", now).is_ok());
            if let Ok(own) = attempts.begin("eve", "a", now) {
                own.succeeded();
            }
        }
        assert_eq!(guesses, 30);
    }

    #[test]
    fn a_flood_of_names_and_sources_needs_bounded_memory() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for n in 0..2 * KEPT {
            let name = n.to_string();
            let _ = attempts.begin(&name, &name, now);
        }
        let failures = attempts.lock();
        let kept = [
            failures.at_account_by_source.len(),
            failures.at_account.len(),
            failures.by_source.len(),
        ];
        assert_eq!(kept, [KEPT; 3]);
    }
}
