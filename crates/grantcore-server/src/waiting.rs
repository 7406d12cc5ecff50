//! What waits in the database for a browser to come back: authorization requests while their users
//! sign in, and sign-ins at the identity provider.
//!
//! Any process finds it there. Its key is known to the browser alone, and the database has the
//! key's digest. Strangers can make rows, so their bytes are bounded for each source and in all:
//! the oldest make room for further ones, and their users start again from the application.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use grantcore::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::store::{AnyLedger, BackendError, Ledger as _, Room, WaitingRow};

/// How many bytes wait at most. Many users may share a source: its room is enough for thousands of
/// usual requests.
const ROOM: Room = Room { of_source: 4 * 1024 * 1024, in_all: 64 * 1024 * 1024 };

/// The time for which a new secret waits for its page, to which the form redirects.
const SECRET_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A kind of what waits. Keys of one kind are of no use for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    SignIn,
    /// A new secret of a client, which is shown once.
    Secret,
}

impl Kind {
    fn lifetime(self) -> Duration {
        match self {
            Self::Request => crate::kept::LIFETIME,
            Self::SignIn => crate::provider::ATTEMPT_LIFETIME,
            Self::Secret => SECRET_LIFETIME,
        }
    }

    fn digest(self, key: &str) -> String {
        let name = match self {
            Self::Request => "request",
            Self::SignIn => "sign-in",
            Self::Secret => "secret",
        };
        digest(&[name, key])
    }
}

/// What waits in a database. A clone is another handle of the same.
#[derive(Clone)]
pub(crate) struct Waiting {
    ledger: AnyLedger,
    room: Room,
}

impl Waiting {
    pub(crate) fn new(ledger: AnyLedger) -> Self {
        Self { ledger, room: ROOM }
    }

    /// Adds a value. Without a `browser`, the first browser that claims the value becomes its
    /// browser: a form that another site posts has no cookies.
    pub(crate) async fn add(
        &self,
        (kind, key): (Kind, &str),
        value: &(impl Serialize + Sync),
        browser: Option<&str>,
        source: &str,
        now: SystemTime,
    ) -> Result<(), BackendError> {
        let row = WaitingRow {
            browser: browser.map(|browser| digest(&[browser])),
            source: source.to_owned(),
            value: serde_json::to_string(value)?,
            expires: Timestamp::from(now + kind.lifetime()).unix_seconds(),
        };
        self.ledger.add_waiting(&kind.digest(key), &row, self.room).await
    }

    /// Returns the value of a key, if no other browser has claimed it. `browser` is the value of
    /// its cookie.
    pub(crate) async fn claim<T: DeserializeOwned>(
        &self,
        (kind, key): (Kind, &str),
        browser: &str,
        now: SystemTime,
    ) -> Result<Option<T>, BackendError> {
        read(self.ledger.claim_waiting(&kind.digest(key), &digest(&[browser])).await?, now)
    }

    /// Removes the value of a key and returns it, if it is of this browser. Another browser leaves
    /// it.
    pub(crate) async fn take<T: DeserializeOwned>(
        &self,
        (kind, key): (Kind, &str),
        browser: &str,
        now: SystemTime,
    ) -> Result<Option<T>, BackendError> {
        read(self.ledger.take_waiting(&kind.digest(key), &digest(&[browser])).await?, now)
    }
}

/// Returns the value of a row that is not over.
fn read<T: DeserializeOwned>(
    row: Option<WaitingRow>,
    now: SystemTime,
) -> Result<Option<T>, BackendError> {
    let now = Timestamp::from(now).unix_seconds();
    let Some(row) = row.filter(|row| row.expires > now) else { return Ok(None) };
    Ok(Some(serde_json::from_str(&row.value)?))
}

/// Returns the SHA-256 digest of texts in base64url. Each text is preceded by its length.
pub(crate) fn digest(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (Kind, &str) = (Kind::Request, "key");

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    async fn waiting() -> Waiting {
        let waiting = Waiting::new(AnyLedger::memory());
        waiting.add(KEY, &"value", None, "a", at(1000)).await.unwrap();
        waiting
    }

    #[tokio::test]
    async fn a_value_belongs_to_the_browser_that_claimed_it() {
        let waiting = waiting().await;
        let claim = async |key, browser| {
            waiting.claim::<String>(key, browser, at(1000)).await.unwrap().is_some()
        };
        assert!(!claim((Kind::SignIn, "key"), "one").await, "a key of another kind");
        assert!(!claim((Kind::Request, "made-up"), "one").await);
        assert!(claim(KEY, "one").await);
        assert!(claim(KEY, "one").await, "a page is reloaded");
        assert!(!claim(KEY, "two").await);
        assert_eq!(waiting.take::<String>(KEY, "two", at(1000)).await.unwrap(), None);
        let taken = waiting.take::<String>(KEY, "one", at(1000)).await.unwrap();
        assert_eq!(taken.as_deref(), Some("value"));
        assert!(!claim(KEY, "one").await, "it is taken once");
    }

    #[tokio::test]
    async fn a_value_waits_for_a_bounded_time() {
        let waiting = waiting().await;
        let end = 1000 + Kind::Request.lifetime().as_secs();
        for (seconds, is_there) in [(end - 1, true), (0, true), (end, false)] {
            let found = waiting.claim::<String>(KEY, "one", at(seconds)).await.unwrap();
            assert_eq!(found.is_some(), is_there, "{seconds}");
        }
    }

    #[tokio::test]
    async fn a_flood_takes_the_room_of_its_own_source() {
        let waiting = waiting().await;
        let long = "x".repeat(64 * 1024);
        let fits = usize::try_from(ROOM.of_source).unwrap() / long.len();
        for number in 0..fits * 2 {
            let key = number.to_string();
            waiting.add((Kind::Request, &key), &long, None, "b", at(1000)).await.unwrap();
        }
        let mut alive = 0;
        for number in 0..fits * 2 {
            let key = number.to_string();
            let found = waiting.claim::<String>((Kind::Request, &key), "one", at(1000)).await;
            alive += usize::from(found.unwrap().is_some());
        }
        assert_eq!(alive, fits - 1, "each takes a little more than its length");
        assert!(waiting.claim::<String>(KEY, "one", at(1000)).await.unwrap().is_some());
    }
}
