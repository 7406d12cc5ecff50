//! Authorization requests that wait while their user signs in.
//!
//! A request is kept on the server, so that the redirects to the login page and back are short:
//! reverse proxies refuse a long `Location` (nginx: 4 KiB by default), and clients send states of
//! 4 KiB. The forms of the login page and the consent page have the request too, so nothing is lost
//! if it no longer waits when a form is received.

use std::time::{Duration, SystemTime};

use grantcore::Reason;
use serde::{Deserialize, Serialize};

use crate::sessions::Token;
use crate::store::BackendError;
use crate::waiting::{Kind, Waiting};

/// The time that a request is kept.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The longest request that is kept, in bytes. The library refuses requests of this length.
const LONGEST: usize = 64 * 1024;

/// The path of the authorization endpoint, with the mark before its query.
const ENDPOINT: &str = "/oauth/authorize?";

/// A request that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The query as it was received, or the body of a form.
    pub(crate) query: String,
    pub(crate) wanted: Wanted,
    /// The sign-in that was made for it.
    pub(crate) answered: Option<SignIn>,
}

/// The demands of a request on the login, and the cause that the login page shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// Requires a new sign-in, even if a user is signed in.
    pub(crate) fresh: bool,
    /// Requires a choice of account, even if a user is signed in.
    pub(crate) choice: bool,
    /// The user answered the consent page after the session had ended.
    #[serde(default)]
    pub(crate) signed_out: bool,
}

/// A sign-in that was made for one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The requests that are kept, by the digests of their keys.
pub(crate) struct Kept(Waiting);

/// Why a request is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("the source of randomness failed: {0}")]
    Randomness(#[from] getrandom::Error),
    #[error("the database failed: {0}")]
    Database(#[from] BackendError),
}

impl KeepError {
    /// Returns the reason of the refusal of a request that is not kept.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Randomness(_) => Reason::EntropyUnavailable,
            Self::Database(_) => Reason::StorageUnavailable,
        }
    }
}

impl Kept {
    pub(crate) fn new(waiting: Waiting) -> Self {
        Self(waiting)
    }

    /// Keeps a request, and returns its key, 43 characters of base64url. The first browser that
    /// opens the key is the browser of the request. `source` is where the request came from, as far
    /// as a limit goes by it.
    pub(crate) async fn keep(
        &self,
        request: &Request,
        source: &str,
        now: SystemTime,
    ) -> Result<String, KeepError> {
        let key = Token::draw()?.reveal();
        if request.query.len() <= LONGEST {
            self.0.add((Kind::Request, &key), request, None, source, now).await?;
        }
        Ok(key)
    }

    /// Returns the request of this key, if no other browser has opened it. `browser` is the value
    /// of the form cookie.
    pub(crate) async fn open(
        &self,
        key: &str,
        browser: &str,
        now: SystemTime,
    ) -> Result<Option<Request>, BackendError> {
        self.0.claim((Kind::Request, key), browser, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AnyLedger;

    #[tokio::test]
    async fn a_request_is_found_by_its_key() {
        let kept = Kept::new(Waiting::new(AnyLedger::memory()));
        let now = SystemTime::now();
        let wanted = Wanted { fresh: true, signed_out: true, ..Wanted::default() };
        let answered = Some(SignIn { session: "s".to_owned(), is_fresh: true });
        let request = Request { answered, ..Request::new("a=b", wanted) };
        let key = kept.keep(&request, "home", now).await.unwrap();
        assert_eq!(key.len(), 43);
        assert_eq!(kept.open(&key, "one", now).await.unwrap(), Some(request));
        assert_eq!(kept.open(&key, "two", now).await.unwrap(), None);
        let long = Request::new("x".repeat(LONGEST + 1), wanted);
        let key = kept.keep(&long, "home", now).await.unwrap();
        assert_eq!(kept.open(&key, "one", now).await.unwrap(), None);
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
