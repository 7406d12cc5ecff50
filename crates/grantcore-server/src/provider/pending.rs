//! The sign-ins that are under way at the provider.
//!
//! Each belongs to the browser that began it, by the digest of its cookie, and is taken once. The
//! PKCE verifier and the nonce are not kept: they are derived from the browser's cookie and the
//! `state`, which the database has the digests of.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::sessions::Token;
use crate::store::BackendError;
use crate::waiting::{Kind, Waiting, digest};

/// How long a user may take at the provider.
pub(crate) const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// A sign-in that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) secrets: Secrets,
    pub(crate) begun: Begun,
}

/// What an ID token and a code are compared with. No other browser can know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secrets {
    pub(crate) nonce: String,
    /// The PKCE verifier.
    pub(crate) verifier: String,
}

impl Secrets {
    pub(super) fn of(state: &str, browser: &Token) -> Self {
        let derive = |name| digest(&[name, &browser.reveal(), state]);
        Self { nonce: derive("nonce"), verifier: derive("verifier") }
    }
}

/// What is kept of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) target: Target,
    /// Whether the provider was asked for a new sign-in.
    pub(crate) is_fresh: bool,
    pub(crate) at: SystemTime,
}

/// Where a sign-in leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    /// An authorization request, by its key.
    Request(String),
    /// A page of this server.
    Page(String),
}

/// Keeps a sign-in of this browser.
pub(super) async fn add(
    waiting: &Waiting,
    state: &str,
    browser: &Token,
    source: &str,
    begun: &Begun,
) -> Result<(), BackendError> {
    let key = (Kind::SignIn, state);
    waiting.add(key, begun, Some(&browser.reveal()), source, begun.at).await
}

/// Takes the sign-in of this state out, if it is of this browser. Another browser leaves it.
pub(super) async fn take(
    waiting: &Waiting,
    state: &str,
    browser: &Token,
    now: SystemTime,
) -> Result<Option<Attempt>, BackendError> {
    let begun = waiting.take((Kind::SignIn, state), &browser.reveal(), now).await?;
    Ok(begun.map(|begun| Attempt { secrets: Secrets::of(state, browser), begun }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AnyLedger;

    #[tokio::test]
    async fn a_sign_in_is_taken_once_by_its_browser_and_in_time() {
        let waiting = Waiting::new(AnyLedger::memory());
        let (own, other) = (Token::draw().unwrap(), Token::draw().unwrap());
        let now = SystemTime::now();
        let target = Target::Page("/".to_owned());
        let begun = Begun { target, is_fresh: false, at: now };
        for state in ["one", "two"] {
            add(&waiting, state, &own, "a", &begun).await.unwrap();
        }
        let take = async |state, browser, now| take(&waiting, state, browser, now).await.unwrap();
        assert_eq!(take("one", &other, now).await, None);
        assert_eq!(take("three", &own, now).await, None);
        let attempt = Attempt { secrets: Secrets::of("one", &own), begun };
        assert_eq!(take("one", &own, now).await, Some(attempt));
        assert_eq!(take("one", &own, now).await, None);
        assert_eq!(take("two", &own, now + LIFETIME).await, None);
    }

    #[test]
    fn secrets_differ_by_browser_state_and_use() {
        let (own, other) = (Token::draw().unwrap(), Token::draw().unwrap());
        let secrets = Secrets::of("one", &own);
        assert_eq!(secrets, Secrets::of("one", &own));
        assert_eq!(secrets.verifier.len(), 43, "RFC 7636, section 4.1: 43 to 128 characters");
        assert_ne!(secrets.nonce, secrets.verifier);
        for different in [Secrets::of("two", &own), Secrets::of("one", &other)] {
            assert_ne!(secrets.nonce, different.nonce);
            assert_ne!(secrets.verifier, different.verifier);
        }
    }
}
