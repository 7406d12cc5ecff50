//! The key of a single-use mark.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::secret::{Digest, serde_bytes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The use of an assertion. It keeps the marks of the two uses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssertionUse {
    /// It authenticates a client (RFC 7523 §2.2). Its party is the client.
    Client,
    /// It is an authorization grant (RFC 7523 §2.1). Its party is the issuer.
    Grant,
}

/// The key of a single-use [mark](crate::store::Seen): 32 bytes, a digest of what identifies the
/// assertion. It is no secret.
///
/// Its text is 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenKey([u8; 32]);

serde_bytes!(SeenKey);

impl SeenKey {
    /// Returns the key of an assertion: the digest of a label, the server's issuer, the use, the
    /// party and the `jti`, each with its length before it. Collision (SEEN-03): without the
    /// lengths, a client could choose its id and a `jti` so that its mark is that of another
    /// client.
    pub(crate) fn of(issuer: &str, used_for: AssertionUse, party: &str, jti: &str) -> Self {
        let used_for = match used_for {
            AssertionUse::Client => "client",
            AssertionUse::Grant => "grant",
        };
        Self(*Digest::of_parts(&["grantcore seen", issuer, used_for, party, jti]).bytes())
    }

    /// Makes the key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A text that is not a [`SeenKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of a mark is 43 characters of base64url")]
#[non_exhaustive]
pub struct SeenKeyError;

/// Reads what `Display` writes, and nothing else.
impl FromStr for SeenKey {
    type Err = SeenKeyError;

    fn from_str(text: &str) -> Result<Self, SeenKeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SeenKeyError)?;
        bytes.try_into().map(Self).map_err(|_| SeenKeyError)
    }
}

impl fmt::Display for SeenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SeenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeenKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{AssertionUse, SeenKey};

    const ISSUER: &str = "https://auth.example";

    fn key(party: &str, jti: &str) -> SeenKey {
        SeenKey::of(ISSUER, AssertionUse::Client, party, jti)
    }

    /// The vector is `SHA-256` of the five texts, each after its length in eight bytes.
    #[test]
    fn seen_02_the_key_of_a_mark_is_fixed() {
        assert_eq!(key("app", "one").to_string(), "4jSiRT_qgvshnM0mX_r-38jzvs9iSbC-Ve4xh5q5HKc");
    }

    #[test]
    fn seen_02_each_part_of_a_key_has_its_length() {
        assert_ne!(key("a", "bc"), key("ab", "c"));
        assert_ne!(key("", "abc"), key("abc", ""));
        assert_ne!(key("a", ""), key("a", "\0"));
    }

    #[test]
    fn seen_03_marks_of_parties_uses_and_issuers_differ() {
        let own = key("app", "one");
        assert_ne!(own, key("other", "one"));
        assert_ne!(own, key("app", "two"));
        assert_ne!(own, SeenKey::of(ISSUER, AssertionUse::Grant, "app", "one"));
        let elsewhere = "https://auth.example/t";
        assert_ne!(own, SeenKey::of(elsewhere, AssertionUse::Client, "app", "one"));
        assert_eq!(own, key("app", "one"));
    }
}
