//! Rate windows by name, in bounded memory (RATE-05, I48).
//!
//! Strangers choose the names, so a flood of invented names must not evict a window that still
//! counts. Names that are known to exist have a table of their own. All other names have a second
//! table; when it is full, further names share windows. A randomly keyed hash chooses the shared
//! window, so that a stranger cannot aim at the window of a certain name.

#[cfg(all(test, grantcore_schedules))]
mod schedules;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::moment::Timestamp;
use crate::rate::RateWindow;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::value::secret::Digest;
use crate::value::text::ClientId;

/// The names of a table, and the number of shared windows. A window takes at most a kilobyte, so
/// that a limiter takes at most twelve megabytes.
const NAMES: usize = 4_096;

/// Windows by name.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    hash: RandomState,
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    /// Names that are known to exist.
    known: Table,
    /// Names that may be invented.
    unknown: Table,
    /// Windows of names that the full table does not hold. Empty until the table is full.
    shared: Vec<RateWindow>,
}

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<Box<str>, RateWindow>,
    /// When the rows that do not count any more were last dropped.
    swept: Option<Timestamp>,
}

impl Table {
    /// Returns whether there is room for one more name. A full table drops the rows that do not
    /// count any more, at most once a second, so that a flood of names does not cost more.
    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.rows.len() >= NAMES && self.swept != Some(now) {
            self.rows.retain(|_, window| !window.is_over(now));
            self.swept = Some(now);
        }
        self.rows.len() < NAMES
    }
}

impl Windows {
    /// Returns the window in which this name is counted now, or `None` if it has none. A name stays
    /// in a shared window as long as that window counts anything, so that the requests of the name
    /// there are not forgotten. `slot` is called only for a name that has no window of its own.
    fn find(
        &mut self,
        name: &str,
        slot: impl FnOnce() -> usize,
        now: Timestamp,
    ) -> Option<&mut RateWindow> {
        let Self { known, unknown, shared } = self;
        if let Some(own) = known.rows.get_mut(name) {
            return Some(own);
        }
        if let Some(own) = unknown.rows.get_mut(name) {
            return Some(own);
        }
        if shared.is_empty() {
            return None;
        }
        shared.get_mut(slot()).filter(|window| !window.is_over(now))
    }

    /// Calls `act` with the window of this name. A window that exists costs no allocation.
    fn with<T>(
        &mut self,
        name: &str,
        slot: impl Fn() -> usize,
        now: Timestamp,
        act: impl FnOnce(&mut RateWindow) -> T,
    ) -> T {
        if let Some(window) = self.find(name, &slot, now) {
            return act(window);
        }
        if self.unknown.has_room(now) {
            return act(self.unknown.rows.entry(name.into()).or_default());
        }
        self.shared.resize_with(NAMES, RateWindow::default);
        // `slot` is below `NAMES`.
        act(self.shared.get_mut(slot()).unwrap_or(&mut RateWindow::default()))
    }

    /// Moves a name to the table of known names. A name with a shared window gets a window of its
    /// own with one request, the one that proved the name; the other requests there stay.
    fn prove(&mut self, name: &str, at: Timestamp) {
        if self.known.rows.contains_key(name) || !self.known.has_room(at) {
            return;
        }
        let own = self.unknown.rows.remove(name).unwrap_or_else(|| {
            let mut window = RateWindow::default();
            window.count(at);
            window
        });
        self.known.rows.insert(name.into(), own);
    }
}

impl Limiter {
    /// Counts a request if the limit allows it. Returns the seconds to wait otherwise. A refused
    /// request is not counted.
    pub(crate) fn admit(&self, name: &str, limit: u32, now: Timestamp) -> Result<(), u32> {
        self.with(name, now, |window| window.admit(limit, now))
    }

    /// Returns the seconds to wait, without counting.
    pub(crate) fn wait(&self, name: &str, limit: u32, now: Timestamp) -> Option<u32> {
        let name = key(Cow::Borrowed(name));
        let mut windows = self.windows();
        let window = windows.find(&name, || self.slot(&name), now)?;
        window.settle(now);
        window.wait(limit, now)
    }

    /// Returns the seconds to wait by the requests of this name alone. Shared windows are left out.
    pub(crate) fn wait_alone(&self, name: &str, limit: u32, now: Timestamp) -> Option<u32> {
        let name = key(Cow::Borrowed(name));
        let mut windows = self.windows();
        let window = windows.find(&name, || usize::MAX, now)?;
        window.settle(now);
        window.wait(limit, now)
    }

    /// Counts a request.
    pub(crate) fn count(&self, name: &str, now: Timestamp) {
        self.with(name, now, |window| window.count(now));
    }

    /// Takes back a request that was counted at this time.
    pub(crate) fn give_back(&self, name: &str, at: Timestamp) {
        let name = key(Cow::Borrowed(name));
        let mut windows = self.windows();
        if let Some(window) = windows.find(&name, || self.slot(&name), at) {
            window.give_back(at);
        }
    }

    /// Records that this name exists. Its request was counted at this time.
    pub(crate) fn prove(&self, name: &str, at: Timestamp) {
        self.windows().prove(&key(Cow::Borrowed(name)), at);
    }

    fn with<T>(&self, name: &str, now: Timestamp, act: impl FnOnce(&mut RateWindow) -> T) -> T {
        let name = key(Cow::Borrowed(name));
        self.windows().with(&name, || self.slot(&name), now, act)
    }

    /// Returns the index of the shared window of a name.
    fn slot(&self, name: &str) -> usize {
        usize::try_from(self.hash.hash_one(name)).unwrap_or(usize::MAX) % NAMES
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the key of a name: the name itself, or its digest if the name is long or not plain. A
/// key has at most 128 bytes of printable ASCII and line breaks, which any database can keep. Only
/// the key of a digest begins with a line break, so that no name is the key of another name.
pub(crate) fn key(name: Cow<'_, str>) -> Cow<'_, str> {
    let is_plain = name.len() <= 128
        && !name.starts_with('\n')
        // Not `all`: without an early end, the loop takes many bytes at once.
        && name.bytes().fold(true, |is_plain, b| is_plain & matches!(b, b'\n' | b' '..=b'~'));
    if is_plain { name } else { Cow::Owned(digest(&name)) }
}

/// Returns the part of a name that stands for a client. A `client_id` that no client can have
/// becomes a digest, so that a line break in it does not end the part.
pub(crate) fn client_part(client_id: &str) -> Cow<'_, str> {
    match ClientId::can_be(client_id) {
        Some(client_id) => Cow::Borrowed(client_id),
        None => Cow::Owned(digest(client_id)),
    }
}

fn digest(text: &str) -> String {
    ["\n", &*URL_SAFE_NO_PAD.encode(Digest::of(text.as_bytes()).bytes())].concat()
}

#[cfg(test)]
mod tests {
    use super::{Limiter, NAMES, key};
    use crate::moment::Timestamp;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_seconds(second)
    }

    /// Clients known by long URLs of one host share no window, and a stranger's text takes no more
    /// room than a short one.
    #[test]
    fn long_names_are_kept_apart_and_short() {
        let limiter = Limiter::default();
        let now = at(1);
        let url = |end: &str| format!("https://client.example/{}/{end}", "x".repeat(2000));
        assert_eq!(limiter.admit(&url("a"), 1, now), Ok(()));
        assert_eq!(limiter.admit(&url("b"), 1, now), Ok(()));
        assert_eq!(limiter.admit(&url("a"), 1, now), Err(60));
        assert_eq!(limiter.wait(&url("b"), 1, now), Some(60));
        assert!(limiter.windows().unknown.rows.keys().all(|key| key.len() <= 128));
    }

    /// A million made-up names take no more room than the two tables and what names share.
    #[test]
    fn rate_05_memory_is_bounded_under_a_flood_of_names() {
        let limiter = Limiter::default();
        for number in 0..1_000_000_u32 {
            let _ = limiter.admit(&number.to_string(), 1, at(1));
        }
        let windows = limiter.windows();
        assert_eq!(windows.unknown.rows.len(), NAMES);
        assert_eq!(windows.shared.len(), NAMES);
        assert_eq!(windows.known.rows.len(), 0);
    }

    /// What was counted before a flood, during it and after it is not forgotten within its minute.
    #[test]
    fn i48_a_flood_of_names_makes_no_window_be_forgotten() {
        let limiter = Limiter::default();
        let flood = |second: u64| {
            for number in 0..20_000_u32 {
                let _ = limiter.admit(&format!("{second} {number}"), 60, at(second));
            }
        };
        for name in ["before", "known"] {
            assert_eq!(limiter.admit(name, 1, at(1)), Ok(()));
        }
        limiter.prove("known", at(1));
        flood(2);
        // It shares a window with some names of the flood, about four in each: fewer than 20.
        for _ in 0..20 {
            assert_eq!(limiter.admit("during", 40, at(3)), Ok(()));
        }
        flood(4);
        for name in ["before", "known"] {
            assert_eq!(limiter.admit(name, 1, at(60)), Err(1), "{name}");
        }
        let admitted = (0..40).filter(|_| limiter.admit("during", 40, at(60)).is_ok()).count();
        assert!(admitted <= 20, "its 20 are forgotten: {admitted}");
        // When the flood is over, names are counted by themselves again.
        assert_eq!(limiter.admit("before", 1, at(61)), Ok(()));
        assert_eq!(limiter.admit("after", 1, at(120)), Ok(()));
        assert!(limiter.windows().unknown.rows.contains_key("after"));
    }

    /// A full table of known names takes no further one. Such a name is counted as before.
    #[test]
    fn rate_05_known_names_are_bounded_too() {
        let limiter = Limiter::default();
        for number in 0..=NAMES {
            let name = number.to_string();
            assert_eq!(limiter.admit(&name, 1, at(1)), Ok(()));
            limiter.prove(&name, at(1));
        }
        assert_eq!(limiter.windows().known.rows.len(), NAMES);
        for name in [0, NAMES] {
            assert_eq!(limiter.admit(&name.to_string(), 1, at(1)), Err(60), "{name}");
        }
        // A minute later none of them counts, and there is room again.
        let last = NAMES.to_string();
        assert_eq!(limiter.admit(&last, 1, at(61)), Ok(()));
        limiter.prove(&last, at(61));
        assert!(limiter.windows().known.rows.contains_key(last.as_str()));
    }

    /// No plain name is the key of another, and the key of a key is no other's either.
    #[test]
    fn i48_the_key_of_a_digest_is_no_name() {
        let long = "x".repeat(129);
        for name in [&*long, "é", "\n", ""] {
            let kept = key(name.into());
            assert!(kept.len() <= 128 && (name.is_empty() || kept != name), "{name:?}");
            assert!(name.is_empty() || key(kept.clone()) != kept, "{name:?}");
        }
    }
}
