//! A public key with its one algorithm, and its form in records.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::algorithm::Algorithm;
use super::base64url::decode;
use super::fault::Shown;
use crate::value::secret::{serde_bytes, serialize_bytes};

/// The longest name of a key, in bytes (KEYS-25).
const MAX_KID: usize = 512;

/// The lengths of an RSA modulus in bits, and the greatest exponent (KEYS-24). A greater modulus
/// would let a stranger cause expensive verifications.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// The name of a key: 1 to 512 bytes of any text. It is compared and never used as a path, a query
/// or a line of a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Kid(Box<str>);

impl Kid {
    pub(super) fn new(text: &str) -> Option<Self> {
        (1..=MAX_KID).contains(&text.len()).then(|| Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Kid {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::new(&text).ok_or("a kid has 1 to 512 bytes")
    }
}

impl From<Kid> for String {
    fn from(kid: Kid) -> Self {
        kid.0.into()
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

/// A public key that verifies signatures of one algorithm.
///
/// A [`KeySet`](super::KeySet) is made of such keys. Algorithm and key are one value, so that no
/// header can have a key used with another algorithm (algorithm confusion, RFC 8725 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    kid: Option<Kid>,
    material: Material,
}

impl PublicKey {
    pub(super) fn new(kid: Option<Kid>, material: Material) -> Self {
        Self { kid, material }
    }

    /// Returns the name of the key, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_ref().map(Kid::as_str)
    }

    /// Returns the one algorithm of the key.
    pub const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rs256(_) => Algorithm::Rs256,
            Material::Ps256(_) => Algorithm::Ps256,
            Material::Es256(_) => Algorithm::Es256,
            Material::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    /// Returns the numbers of the key, for an implementation of [`Verify`](super::Verify).
    pub const fn material(&self) -> &Material {
        &self.material
    }
}

/// The numbers of a public key, under its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Material {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256(Rsa),
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    Ps256(Rsa),
    /// ECDSA on P-256 with SHA-256. The signature has 64 bytes.
    Es256(P256),
    /// Ed25519.
    EdDsa(Ed25519),
}

/// An RSA key: an odd modulus of 2,048 to 8,192 bits, and an odd exponent from 3 to 33 bits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Numbers", into = "Numbers")]
pub struct Rsa {
    modulus: Box<[u8]>,
    exponent: u64,
}

impl Rsa {
    /// Returns `None` for a modulus or an exponent that is out of bounds. A modulus with a zero
    /// byte at its beginning is refused: it would be a second spelling, and could pass for a longer
    /// one.
    pub(super) fn new(modulus: impl Into<Box<[u8]>>, exponent: u64) -> Option<Self> {
        let modulus = modulus.into();
        let first = modulus.first()?;
        let bits = (modulus.len() * 8).checked_sub(first.leading_zeros() as usize)?;
        let is_odd = |byte: u8| byte & 1 == 1;
        let is_valid = *first != 0
            && MODULUS_BITS.contains(&bits)
            && modulus.last().copied().is_some_and(is_odd)
            && (3..=MAX_EXPONENT).contains(&exponent)
            && exponent % 2 == 1;
        is_valid.then_some(Self { modulus, exponent })
    }

    /// Reads an exponent: big-endian bytes without a zero at the beginning.
    pub(super) fn read_exponent(bytes: &[u8]) -> Option<u64> {
        let is_short = bytes.len() <= 8 && bytes.first() != Some(&0);
        is_short.then(|| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// Returns the modulus, big-endian, without zero bytes at its beginning.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Returns the exponent.
    pub const fn exponent(&self) -> u64 {
        self.exponent
    }
}

/// An RSA key as records have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    modulus: Bytes,
    exponent: u64,
}

impl TryFrom<Numbers> for Rsa {
    type Error = &'static str;

    fn try_from(numbers: Numbers) -> Result<Self, &'static str> {
        Self::new(numbers.modulus.0, numbers.exponent).ok_or("an RSA key is out of bounds")
    }
}

impl From<Rsa> for Numbers {
    fn from(key: Rsa) -> Self {
        Self { modulus: Bytes(key.modulus.into()), exponent: key.exponent }
    }
}

/// Bytes of any length: base64url in formats for people, bytes in others.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes, or their base64url")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                decode(text).map(Bytes).ok_or_else(|| E::custom("not base64url"))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            deserializer.deserialize_bytes(Visitor)
        }
    }
}

/// A key on the curve P-256: both coordinates, 32 bytes each. The point is checked when a signature
/// is verified: a point off the curve verifies nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct P256([u8; 64]);

impl P256 {
    pub(super) fn new(x: [u8; 32], y: [u8; 32]) -> Self {
        let mut point = [0; 64];
        let (head, tail) = point.split_at_mut(32);
        head.copy_from_slice(&x);
        tail.copy_from_slice(&y);
        Self(point)
    }

    /// Returns x and then y, big-endian.
    pub const fn coordinates(&self) -> &[u8; 64] {
        &self.0
    }
}

/// A key of Ed25519, 32 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ed25519([u8; 32]);

impl Ed25519 {
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Returns the encoded point.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

serde_bytes!(P256);
serde_bytes!(Ed25519);

/// Shows the length only. The numbers are public, but long.
impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsa({} bytes)", self.modulus.len())
    }
}

impl fmt::Debug for P256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256(…)")
    }
}

impl fmt::Debug for Ed25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519(…)")
    }
}
