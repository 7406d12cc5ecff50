//! Secrets, the digests that records keep of them, and the derivation of a successor (RFC 6819
//! §5.1.4.1.3).
//!
//! A [`Secret`] has no `Clone`, no `Display` and a redacted `Debug`: it is drawn, hashed, written
//! into one response, and gone. Every hash in this crate is taken here, over at most 55 bytes where
//! the input is ours: one block of SHA-256.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// 256 random bits that only their holder knows.
pub(crate) struct Secret([u8; 32]);

/// What a successor is derived for. The labels keep the two derivations of one rotation apart.
#[derive(Clone, Copy)]
pub(crate) enum Successor {
    Refresh,
    Access,
}

impl Secret {
    /// A secret of these bytes, drawn or presented.
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// `SHA-256(secret)`: all that a record keeps.
    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }

    /// `SHA-256(label ‖ secret ‖ salt)`: 55 bytes. Whoever holds the rotated secret can be given
    /// its successor again; the record alone, which has salt and digests, yields nothing.
    pub(crate) fn successor(&self, which: Successor, salt: &Salt) -> Self {
        let label: &[u8; 7] = match which {
            Successor::Refresh => b"refresh",
            Successor::Access => b"access.",
        };
        let hash = Sha256::new().chain_update(label).chain_update(self.0).chain_update(salt.0);
        Self(hash.finalize().into())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// A SHA-256 digest, as records keep it; base64url in text formats.
///
/// `==` is for records and maps. Whatever was presented by a client is compared with
/// [`matches`](Self::matches).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a text of any length: a client secret, a browser session's key, a code
    /// verifier.
    pub fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Returns a digest that begins with these bytes, for records of the conformance kit.
    #[cfg(feature = "conformance")]
    pub(crate) fn beginning_with(head: u64) -> Self {
        let mut bytes = [0; 32];
        bytes.split_at_mut(8).0.copy_from_slice(&head.to_le_bytes());
        Self(bytes)
    }

    /// Whether the two are equal, in a time that does not depend on where they differ. Compared as
    /// four words.
    pub fn matches(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Constant-time equality of fixed bytes, eight at a time.
pub(crate) fn same<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let (a_words, b_words) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail = a_words.remainder().ct_eq(b_words.remainder());
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    a_words.zip(b_words).fold(tail, |same, (a, b)| same & word(a).ct_eq(&word(b))).into()
}

/// The salt of one rotation. Not a secret by itself: it says nothing without the secret it was used
/// with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Salt(pub(crate) [u8; 16]);

/// A record's fixed bytes travel as base64url text where the format is for people, as bytes
/// elsewhere.
pub(crate) fn serialize_bytes<S: Serializer>(
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

pub(crate) fn deserialize_bytes<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    struct Bytes<const N: usize>;

    impl<const N: usize> de::Visitor<'_> for Bytes<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes, or their base64url")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<[u8; N], E> {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(E::custom)?;
            self.visit_bytes(&bytes)
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
        }
    }

    if deserializer.is_human_readable() {
        deserializer.deserialize_str(Bytes)
    } else {
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Serde for a newtype over fixed bytes, through the two functions above.
macro_rules! serde_bytes {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::value::secret::serialize_bytes(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::value::secret::deserialize_bytes(deserializer).map(Self)
            }
        }
    };
}
pub(crate) use serde_bytes;

serde_bytes!(Digest);
serde_bytes!(Salt);

/// A digest says nothing that is secret, but prints short: the first four bytes name it well enough
/// for a person.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: [u8; 4] = self.0.first_chunk().copied().unwrap_or_default();
        write!(f, "Digest({:08x}…)", u32::from_be_bytes(head))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}
