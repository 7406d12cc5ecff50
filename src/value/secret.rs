//! Secrets, the digests that records keep of them, and the derivation of a successor (RFC 6819
//! §5.1.4.1.3).
//!
//! A [`Secret`] is drawn, hashed, written into one response and wiped. It has no `Clone`, no
//! `Display` and a redacted `Debug`. Wiping is done on drop by `zeroize`; it does not reach the
//! copies that the compiler makes of a value that is moved.
//!
//! This file takes every hash of the crate. The input is at most 55 bytes where the crate chooses
//! it, which is one block of SHA-256.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

/// Bytes that are wiped when they are dropped.
///
/// They are wiped as a slice, which `zeroize` fills in one go. It writes the bytes of an array one
/// by one: `Zeroizing<[u8; N]>` in place of this took 780 instructions of a redemption and 240 of a
/// check.
pub(crate) struct Wiped<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Wiped<N> {}

/// A secret of 256 random bits.
pub(crate) struct Secret(Wiped<32>);

/// The purpose of a derived secret. Its label keeps the two secrets of one rotation apart.
#[derive(Clone, Copy)]
pub(crate) enum Successor {
    Refresh,
    Access,
}

impl Secret {
    /// Makes a secret of drawn or presented bytes.
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(Wiped(bytes))
    }

    /// Returns `SHA-256(secret)`, which records keep in place of the secret.
    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.bytes()).into())
    }

    /// Returns `SHA-256(label ‖ secret ‖ salt)`, of 55 bytes.
    ///
    /// A client that repeats a rotation with the rotated secret gets the same successor again. A
    /// stolen record has the salt and digests only, from which no secret can be derived.
    pub(crate) fn successor(&self, which: Successor, salt: &Salt) -> Self {
        let label: &[u8; 7] = match which {
            Successor::Refresh => b"refresh",
            Successor::Access => b"access.",
        };
        // One text: `Sha256` takes 60 instructions for each further part.
        let mut text = Wiped([0; 55]);
        let (head, rest) = text.0.split_at_mut(7);
        let (middle, tail) = rest.split_at_mut(32);
        head.copy_from_slice(label);
        middle.copy_from_slice(self.bytes());
        tail.copy_from_slice(&salt.0);
        Self::new(Sha256::digest(text.0.as_slice()).into())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// A SHA-256 digest as records keep it. In formats for people it is base64url.
///
/// `==` is for records and maps. Use [`matches`](Self::matches) to compare with the digest of a
/// value that a client presented.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of a text of any length, such as a client secret or the key of a browser
    /// session.
    pub fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Returns the digest of these texts, each with its length before it, so that no two lists of
    /// texts have one digest.
    pub(crate) fn of_parts(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Returns the digest that has these bytes.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns a digest that begins with these bytes, for records of the conformance suite.
    #[cfg(feature = "conformance")]
    pub(crate) fn beginning_with(head: u64) -> Self {
        let mut bytes = [0; 32];
        bytes.split_at_mut(8).0.copy_from_slice(&head.to_le_bytes());
        Self(bytes)
    }

    /// Returns whether the two digests are equal. The time does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        is_equal(&self.0, &other.0)
    }

    /// Returns the first bytes of the digest.
    #[expect(clippy::expect_used, reason = "N is checked when the crate is compiled")]
    pub(crate) fn head<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= 32) };
        *self.0.first_chunk().expect("a digest has 32 bytes")
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Returns whether both are equal. The time does not depend on where they differ.
///
/// The words are compared as one number, because `subtle` compares a slice byte by byte: that took
/// 170 instructions for a digest.
pub(crate) fn is_equal<const N: usize>(one: &[u8; N], other: &[u8; N]) -> bool {
    let difference = words(one).zip(words(other)).fold(0, |found, (a, b)| found | (a ^ b));
    difference.ct_eq(&0).into()
}

/// Returns the bytes as numbers of eight bytes each, of which the last may have fewer.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        u64::from_ne_bytes(word)
    })
}

/// The salt of one rotation. It discloses nothing without the secret that was rotated.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Salt(pub(crate) [u8; 16]);

/// Serializes the fixed bytes of a record: base64url in formats for people, bytes in others.
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

/// Reads what [`serialize_bytes`] writes.
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

/// Implements serde for a newtype over fixed bytes, by the two functions above.
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

/// Shows the first four bytes, which identify a digest well enough for a person.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:08x}…)", u32::from_be_bytes(self.head()))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}
