//! The URL of a key set (`jwks_uri`).

use serde::{Deserialize, Serialize};

use crate::value::uri::{BrowserUrl, MAX_BYTES, Uri};

/// The URL of a key set: `https`, at most 2,048 bytes, without fragment and user information, and
/// with a host that is neither an address nor `localhost` (KEYS-31). The host fetches it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeysUrl(Box<str>);

/// A text that is not the URL of a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of a key set is https, at most 2,048 bytes, without fragment and user information, \
     and its host is a name other than localhost"
)]
#[non_exhaustive]
pub struct KeysUrlError;

impl KeysUrl {
    /// Reads a URL. Loopback hosts are accepted if `allow_loopback` is set, over `http` too. That
    /// is for development only: anybody who registers such a URL makes the server call services on
    /// its own machine.
    ///
    /// # Errors
    /// [`KeysUrlError`] for any other text.
    pub fn parse(text: &str, allow_loopback: bool) -> Result<Self, KeysUrlError> {
        Self::read(text, allow_loopback).ok_or(KeysUrlError)
    }

    fn read(text: &str, allow_loopback: bool) -> Option<Self> {
        let is_plain = text.len() <= MAX_BYTES
            && text
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
        // The parser of browsers accepts `https:/host` and `https:host`, and other parsers read
        // them otherwise.
        let uri = Uri::split(text).filter(|uri| is_plain && !uri.host().is_empty())?;
        let url = BrowserUrl::parse(text).ok()?;
        let is_loopback = allow_loopback && url.is_loopback();
        let has_scheme = uri.scheme() == "https" || uri.scheme() == "http" && is_loopback;
        // A request to an address or to this machine reaches what no stranger should reach
        // (server-side request forgery). Names are checked when they are resolved, by the host.
        let has_host = is_loopback || !url.is_loopback() && !url.has_address();
        let is_valid = has_scheme && has_host && !uri.has_userinfo() && !url.has_fragment();
        is_valid.then(|| Self(text.into()))
    }

    /// Returns the URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the URL leads to this machine.
    pub fn is_loopback(&self) -> bool {
        BrowserUrl::parse(&self.0).is_ok_and(|url| url.is_loopback())
    }
}

/// A record may have been written while loopback hosts were allowed.
impl TryFrom<String> for KeysUrl {
    type Error = KeysUrlError;

    fn try_from(text: String) -> Result<Self, KeysUrlError> {
        Self::parse(&text, true)
    }
}

impl From<KeysUrl> for String {
    fn from(url: KeysUrl) -> Self {
        url.0.into()
    }
}

impl AsRef<str> for KeysUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
