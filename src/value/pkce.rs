//! PKCE (RFC 7636) with S256: the code challenge of the authorization request and the code verifier
//! of the token request.

#![expect(clippy::needless_bitwise_bool, reason = "without a branch: see `is_made_of`")]

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::base64url;
use super::secret::{Digest, is_equal};

/// An S256 code challenge: 43 characters of base64url (RFC 7636 §4.2). There is no other method,
/// and every code has a challenge.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CodeChallenge([u8; 43]);

impl CodeChallenge {
    /// Returns `None` if the text is not 43 characters of `A-Z a-z 0-9 - _`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 43] = text.as_bytes().try_into().ok()?;
        is_base64url(text).then_some(Self(bytes))
    }

    /// Returns a sentence that says what is wrong with a text that is no challenge: its length, its
    /// alphabet or both.
    pub(crate) fn fault(text: &str) -> String {
        let length = text.chars().count();
        match (length == 43, is_base64url(text)) {
            (true, _) => "The one received has a character outside base64url.".to_owned(),
            (false, true) => format!("The one received has {length} characters."),
            (false, false) => format!(
                "The one received has {length} characters, and one of them is outside base64url."
            ),
        }
    }

    /// Returns whether `BASE64URL(SHA-256(verifier))` is this challenge, in constant time (RFC 7636
    /// §4.6).
    pub(crate) fn verify(&self, verifier: &CodeVerifier<'_>) -> bool {
        let computed = base64url::Text::of(Digest::of(verifier.0.as_bytes()).bytes());
        computed.as_bytes().first_chunk().is_some_and(|computed| is_equal(&self.0, computed))
    }

    /// Returns whether the text is the challenge itself. Clients that send it in place of the
    /// verifier get a refusal of their own, because this is their most common mistake.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }

    #[expect(clippy::expect_used, reason = "`parse` accepts ASCII only")]
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a challenge is ASCII")
    }
}

/// Returns whether every character is in the alphabet of base64url (RFC 4648 §5).
fn is_base64url(text: &str) -> bool {
    is_made_of(text, |b| is_alphanumeric(b) | (b == b'-') | (b == b'_'))
}

/// Returns whether each byte of the text is of an alphabet.
///
/// Without a branch, so that the compiler takes 16 bytes at once: a challenge takes 220
/// instructions instead of 650.
fn is_made_of(text: &str, is_own: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, b| all & is_own(b))
}

fn is_alphanumeric(b: u8) -> bool {
    ((b | 0x20).wrapping_sub(b'a') < 26) | (b.wrapping_sub(b'0') < 10)
}

impl Serialize for CodeChallenge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CodeChallenge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an S256 code challenge"))
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeChallenge({})", self.as_str())
    }
}

/// A code verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
pub(crate) struct CodeVerifier<'a>(&'a str);

impl<'a> CodeVerifier<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        ((43..=128).contains(&text.len()) && is_unreserved(text)).then_some(Self(text))
    }
}

/// Returns whether every character is unreserved (RFC 3986 §2.3).
fn is_unreserved(text: &str) -> bool {
    let is_mark = |b| (b == b'-') | (b == b'.') | (b == b'_') | (b == b'~');
    is_made_of(text, |b| is_alphanumeric(b) | is_mark(b))
}
