//! The parameter `prompt` of an authorization request (OpenID Connect Core §3.1.2.1), and the
//! digest that identifies a request while its user signs in.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::secret::Digest;

/// The known words of `prompt`. Unknown words are ignored, because extensions define new ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each word is there or not")]
pub(crate) struct PromptWords {
    /// No page may be shown.
    pub(crate) none: bool,
    /// The user must sign in anew.
    pub(crate) login: bool,
    /// The user must choose an account.
    pub(crate) select_account: bool,
    /// The consent page must be shown, whatever was granted before.
    pub(crate) consent: bool,
}

impl PromptWords {
    /// Reads case-sensitive words separated by spaces. Returns `None` if `none` is combined with
    /// another known word.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let has = |word: &str| text.split(' ').any(|own| own == word);
        let words = Self {
            none: has("none"),
            login: has("login"),
            select_account: has("select_account"),
            consent: has("consent"),
        };
        let is_contradiction = words.none && (words.login || words.select_account || words.consent);
        (!is_contradiction).then_some(words)
    }
}

/// The SHA-256 digest of an authorization request's parameters, which identifies the request. A
/// host keeps it in the browser's session while the user signs in, and passes it back with
/// [`User::signed_in_for`](crate::User::signed_in_for).
///
/// It is no secret. The proof of a sign-in is the host's own session, not the knowledge of the
/// digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(Digest);

impl RequestDigest {
    /// Returns the digest of these bytes. Different requests must have different bytes.
    pub(crate) fn of(parameters: &[u8]) -> Self {
        Self(Digest::of(parameters))
    }

    /// Returns whether the two are of the same request.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.matches(&other.0)
    }
}

/// Writes 43 characters of base64url, as serde does in formats for people.
impl fmt::Display for RequestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.bytes()))
    }
}

/// Reads what `Display` writes, for a host that keeps the digest as text.
impl FromStr for RequestDigest {
    type Err = RequestDigestError;

    fn from_str(text: &str) -> Result<Self, RequestDigestError> {
        let mut bytes = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(32) => Ok(Self(Digest::from_bytes(bytes))),
            Ok(_) | Err(_) => Err(RequestDigestError),
        }
    }
}

/// A text that is not a [`RequestDigest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the digest of a request: 43 characters of base64url")]
#[non_exhaustive]
pub struct RequestDigestError;
