//! Authorization requests that wait while their user signs in.
//!
//! A request is kept on the server, so that the redirects to the login page and back are short:
//! reverse proxies refuse a long `Location` (nginx: 4 KiB by default), and clients send states of
//! 4 KiB. Requests are kept in memory, unlike sessions, and are bounded per browser and in all. The
//! forms of the login page and the consent page have the request too, so nothing is lost by a
//! restart, or if another server receives the form.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::sessions::Token;

/// The time that a request is kept.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The most requests of one browser. The oldest is dropped for a further one.
const BROWSER_LIMIT: usize = 16;
/// The most bytes of all requests, with [`OVERHEAD`]. The oldest requests are dropped for further
/// ones. A flood must send as much between two steps of a user to drop the user's request; the user
/// then starts again from the application.
const BYTE_LIMIT: usize = 64 * 1024 * 1024;
/// The most bytes that an entry takes beside its request.
const OVERHEAD: usize = 512;
/// The longest request that is kept, in bytes. The library refuses requests of this length.
const LONGEST: usize = 64 * 1024;

/// The path of the authorization endpoint, with the mark before its query.
const ENDPOINT: &str = "/oauth/authorize?";

/// A request that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The query as it was received, or the body of a form.
    pub(crate) query: String,
    pub(crate) wanted: Wanted,
    /// The sign-in that was made for it.
    pub(crate) answered: Option<SignIn>,
}

/// The demands of a request on the login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Requires a new sign-in, even if a user is signed in.
    pub(crate) fresh: bool,
    /// Requires a choice of account, even if a user is signed in.
    pub(crate) choice: bool,
}

/// A sign-in that was made for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignIn {
    /// The binding of the session that it opened or chose.
    pub(crate) session: String,
    /// Whether it was by password. Otherwise the user was signed in and chose to continue.
    pub(crate) is_fresh: bool,
}

impl Request {
    /// Returns the request with this query, for a user who has yet to sign in.
    pub(crate) fn new(query: impl Into<String>, wanted: Wanted) -> Self {
        Self { query: query.into(), wanted, answered: None }
    }

    /// Returns the request that a form field of a page of this server has: the path of the
    /// authorization endpoint with its query. The field is only read, and never redirected to.
    pub(crate) fn of_field(field: &str) -> Option<Self> {
        let query = field.strip_prefix(ENDPOINT)?;
        Some(Self::new(query, Wanted::default()))
    }

    /// Returns the path of the authorization endpoint with this query, for a form field or a link.
    pub(crate) fn address(query: &str) -> String {
        format!("{ENDPOINT}{query}")
    }
}

/// The requests that are kept, in memory, by the digests of their keys.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Live>);

#[derive(Default)]
struct Live {
    /// The entries by their numbers, oldest first.
    entries: BTreeMap<u64, Entry>,
    by_key: HashMap<[u8; 32], u64>,
    /// The numbers of each browser's entries, in the order in which it opened them.
    of_browser: HashMap<[u8; 32], Vec<u64>>,
    next: u64,
    bytes: usize,
}

struct Entry {
    key: [u8; 32],
    /// `None` until a browser opens it: a form that another site posts has no cookies.
    browser: Option<[u8; 32]>,
    request: Request,
    since: SystemTime,
}

impl Kept {
    /// Keeps a request, and returns its key, 43 characters of base64url. The first browser that
    /// opens the key is the browser of the request.
    pub(crate) fn keep(
        &self,
        request: Request,
        now: SystemTime,
    ) -> Result<String, getrandom::Error> {
        let key = Token::draw()?.reveal();
        let mut live = self.lock();
        live.drop_expired(now);
        if request.query.len() <= LONGEST {
            live.insert(Entry { key: digest(&key), browser: None, request, since: now });
        }
        Ok(key)
    }

    /// Returns the request of this key, if no other browser has opened it. `browser` is the value
    /// of the form cookie.
    pub(crate) fn open(&self, key: &str, browser: &str, now: SystemTime) -> Option<Request> {
        let mut live = self.lock();
        live.drop_expired(now);
        let number = *live.by_key.get(&digest(key))?;
        let browser = digest(browser);
        let entry = live.entries.get_mut(&number)?;
        match entry.browser {
            Some(own) if own != browser => None,
            Some(_) => Some(entry.request.clone()),
            None => {
                entry.browser = Some(browser);
                let request = entry.request.clone();
                live.claim(number, browser);
                Some(request)
            }
        }
    }

    /// Returns how many requests are kept.
    pub(crate) fn count(&self, now: SystemTime) -> usize {
        let mut live = self.lock();
        live.drop_expired(now);
        live.entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn insert(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        let number = self.next;
        self.next += 1;
        self.by_key.insert(entry.key, number);
        self.entries.insert(number, entry);
        while self.bytes > BYTE_LIMIT {
            self.drop_oldest();
        }
    }

    fn claim(&mut self, number: u64, browser: [u8; 32]) {
        let own = self.of_browser.entry(browser).or_default();
        own.push(number);
        let oldest = (own.len() > BROWSER_LIMIT).then(|| own.first().copied()).flatten();
        if let Some(oldest) = oldest {
            self.remove(oldest);
        }
    }

    /// Drops entries that are over. A clock step back lengthens their time by as much.
    fn drop_expired(&mut self, now: SystemTime) {
        let is_over =
            |entry: &Entry| now.duration_since(entry.since).unwrap_or_default() >= LIFETIME;
        while self.entries.first_key_value().is_some_and(|(_, oldest)| is_over(oldest)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(number) = self.entries.keys().next().copied() {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.bytes -= entry.bytes();
        self.by_key.remove(&entry.key);
        let Some(browser) = entry.browser else { return };
        if let Some(own) = self.of_browser.get_mut(&browser) {
            own.retain(|other| *other != number);
            if own.is_empty() {
                self.of_browser.remove(&browser);
            }
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        self.request.query.len() + OVERHEAD
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn request(query: &str) -> Request {
        Request::new(query, Wanted::default())
    }

    #[test]
    fn a_request_belongs_to_the_browser_that_opened_it() {
        let kept = Kept::default();
        let key = kept.keep(request("a=b"), at(0)).unwrap();
        assert_eq!(key.len(), 43);
        assert_eq!(kept.open(&key, "one", at(1)), Some(request("a=b")));
        assert_eq!(kept.open(&key, "one", at(2)), Some(request("a=b")), "a page is reloaded");
        assert_eq!(kept.open(&key, "two", at(2)), None);
        assert_eq!(kept.open("made-up", "one", at(2)), None);
    }

    #[test]
    fn a_request_is_kept_for_a_bounded_time() {
        let kept = Kept::default();
        let key = kept.keep(request("a=b"), at(1000)).unwrap();
        let end = 1000 + LIFETIME.as_secs();
        assert!(kept.open(&key, "one", at(end - 1)).is_some());
        assert!(kept.open(&key, "one", at(0)).is_some(), "a clock set back");
        assert_eq!(kept.open(&key, "one", at(end)), None);
        let live = kept.lock();
        assert!(live.entries.is_empty() && live.by_key.is_empty() && live.of_browser.is_empty());
        assert_eq!(live.bytes, 0);
    }

    #[test]
    fn a_browser_keeps_a_few_requests_and_the_oldest_is_dropped() {
        let kept = Kept::default();
        let elsewhere = kept.keep(request("other"), at(0)).unwrap();
        assert!(kept.open(&elsewhere, "two", at(0)).is_some());
        let keys: Vec<_> = (0..100)
            .map(|number| {
                let key = kept.keep(request(&number.to_string()), at(1)).unwrap();
                assert!(kept.open(&key, "one", at(1)).is_some());
                key
            })
            .collect();
        let alive = keys.iter().filter(|key| kept.open(key, "one", at(2)).is_some()).count();
        assert_eq!(alive, BROWSER_LIMIT);
        assert!(kept.open(&keys[99], "one", at(2)).is_some());
        assert!(
            kept.open(&elsewhere, "two", at(2)).is_some(),
            "the requests of another browser are kept"
        );
    }

    #[test]
    fn a_flood_takes_a_bounded_number_of_bytes() {
        let kept = Kept::default();
        let long = "x".repeat(LONGEST);
        let keys: Vec<_> = (0..1500).map(|_| kept.keep(request(&long), at(0)).unwrap()).collect();
        let live = kept.lock();
        assert!(live.bytes <= BYTE_LIMIT, "{}", live.bytes);
        let room = BYTE_LIMIT / (LONGEST + OVERHEAD);
        assert_eq!((live.entries.len(), live.by_key.len()), (room, room));
        drop(live);
        assert_eq!(kept.open(&keys[0], "one", at(0)), None);
        assert!(kept.open(&keys[1499], "one", at(0)).is_some());
        let longer = kept.keep(request(&format!("{long}x")), at(0)).unwrap();
        assert_eq!(kept.open(&longer, "one", at(0)), None);
    }

    #[test]
    fn a_form_field_has_an_authorization_request_and_nothing_else() {
        let own = Request::of_field("/oauth/authorize?state=a\\b\u{e9}").unwrap();
        assert_eq!(own.query, "state=a\\b\u{e9}");
        assert_eq!(Request::address(&own.query), "/oauth/authorize?state=a\\b\u{e9}");
        for other in ["", "/", "/oauth/authorize", "//evil.example/oauth/authorize?", "/admin"] {
            assert_eq!(Request::of_field(other), None, "{other}");
        }
    }
}
