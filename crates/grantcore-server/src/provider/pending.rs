//! The sign-ins that are under way at the provider, in memory.
//!
//! Each belongs to the browser that began it, by the digest of its cookie, and is taken once. A
//! stranger can begin sign-ins, so their number is bounded for each source and in all: the oldest
//! is dropped for a further one, and its user starts again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::sessions::Token;

/// How long a user may take at the provider.
pub(crate) const LIFETIME: Duration = Duration::from_secs(10 * 60);
/// The most sign-ins of one source. Many users may share an address.
const SOURCE_LIMIT: usize = 200;
/// The most sign-ins in all. Each takes less than 3 KiB.
const LIMIT: usize = 10_000;

/// A sign-in that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) nonce: String,
    /// The PKCE verifier.
    pub(crate) verifier: String,
    pub(crate) target: Target,
    /// Whether the provider was asked for a new sign-in.
    pub(crate) is_fresh: bool,
    pub(crate) begun: SystemTime,
}

/// Where a sign-in leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An authorization request, by its key.
    Request(String),
    /// A page of this server.
    Page(String),
}

#[derive(Default)]
pub(super) struct Pending(Mutex<Live>);

#[derive(Default)]
struct Live {
    /// The entries by their numbers, oldest first.
    entries: BTreeMap<u64, Entry>,
    by_state: HashMap<[u8; 32], u64>,
    /// The numbers of each source's entries, oldest first.
    of_source: HashMap<String, VecDeque<u64>>,
    next: u64,
}

struct Entry {
    state: [u8; 32],
    browser: [u8; 32],
    source: String,
    attempt: Attempt,
    since: Instant,
}

impl Pending {
    pub(super) fn add(
        &self,
        state: &str,
        browser: &Token,
        source: &str,
        attempt: Attempt,
        now: Instant,
    ) {
        let entry = Entry {
            state: digest(state),
            browser: digest(&browser.reveal()),
            source: source.to_owned(),
            attempt,
            since: now,
        };
        let mut live = self.lock();
        live.drop_expired(now);
        live.insert(entry);
    }

    /// Takes the sign-in of this state out, if it is of this browser. Another browser leaves it.
    pub(super) fn take(&self, state: &str, browser: &Token, now: Instant) -> Option<Attempt> {
        let mut live = self.lock();
        live.drop_expired(now);
        let number = *live.by_state.get(&digest(state))?;
        let is_own = live.entries.get(&number)?.browser == digest(&browser.reveal());
        if is_own { live.remove(number).map(|entry| entry.attempt) } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn insert(&mut self, entry: Entry) {
        let number = self.next;
        self.next += 1;
        self.by_state.insert(entry.state, number);
        let own = self.of_source.entry(entry.source.clone()).or_default();
        own.push_back(number);
        let surplus = (own.len() > SOURCE_LIMIT).then(|| own.front().copied()).flatten();
        self.entries.insert(number, entry);
        if let Some(oldest) = surplus {
            self.remove(oldest);
        }
        if self.entries.len() > LIMIT {
            self.drop_oldest();
        }
    }

    fn drop_expired(&mut self, now: Instant) {
        let is_over = |entry: &Entry| now.saturating_duration_since(entry.since) >= LIFETIME;
        while self.entries.first_key_value().is_some_and(|(_, oldest)| is_over(oldest)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(number) = self.entries.keys().next().copied() {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.by_state.remove(&entry.state);
        if let Some(own) = self.of_source.get_mut(&entry.source) {
            own.retain(|other| *other != number);
            if own.is_empty() {
                self.of_source.remove(&entry.source);
            }
        }
        Some(entry)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            nonce: "n".to_owned(),
            verifier: "v".to_owned(),
            target: Target::Page("/".to_owned()),
            is_fresh: false,
            begun: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_sign_in_is_taken_once_by_its_browser_and_in_time() {
        let pending = Pending::default();
        let (own, other) = (Token::draw().unwrap(), Token::draw().unwrap());
        let start = Instant::now();
        pending.add("one", &own, "a", attempt(), start);
        pending.add("two", &own, "a", attempt(), start);
        assert_eq!(pending.take("one", &other, start), None);
        assert_eq!(pending.take("three", &own, start), None);
        assert_eq!(pending.take("one", &own, start), Some(attempt()));
        assert_eq!(pending.take("one", &own, start), None);
        let end = start + LIFETIME;
        assert_eq!(pending.take("two", &own, end), None);
        let live = pending.lock();
        assert!(live.entries.is_empty() && live.by_state.is_empty() && live.of_source.is_empty());
    }

    #[test]
    fn a_flood_drops_the_oldest_of_its_own_source_first() {
        let pending = Pending::default();
        let browser = Token::draw().unwrap();
        let now = Instant::now();
        pending.add("mine", &browser, "home", attempt(), now);
        for number in 0..SOURCE_LIMIT * 2 {
            pending.add(&number.to_string(), &browser, "flood", attempt(), now);
        }
        assert_eq!(pending.lock().entries.len(), SOURCE_LIMIT + 1);
        for number in 0..LIMIT {
            pending.add(&format!("f{number}"), &browser, &number.to_string(), attempt(), now);
        }
        let live = pending.lock();
        assert_eq!((live.entries.len(), live.by_state.len()), (LIMIT, LIMIT));
        drop(live);
        assert_eq!(pending.take("mine", &browser, now), None);
        assert!(pending.take(&format!("f{}", LIMIT - 1), &browser, now).is_some());
    }
}
