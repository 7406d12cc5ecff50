//! Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A signature algorithm that this crate knows.
///
/// There is no value for `none`, for symmetric algorithms (`HS256`), for SHA-1 (`RS1`), for ES256K
/// and for Ed448, so that no policy and no key can name one (KEYS-23).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// ECDSA on P-256 with SHA-256, as 64 bytes.
    Es256,
    /// Ed25519. Its name is `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864).
    EdDsa,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// Returns the names of the algorithm, the one of records first.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Rs256 => &["RS256"],
            Self::Ps256 => &["PS256"],
            Self::Es256 => &["ES256"],
            Self::EdDsa => &["EdDSA", "Ed25519"],
        }
    }

    /// Returns the name of the algorithm.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Rs256 => 1,
            Self::Ps256 => 2,
            Self::Es256 => 4,
            Self::EdDsa => 8,
        }
    }
}

/// A name that is not one of an [`Algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an algorithm is RS256, PS256, ES256, EdDSA or Ed25519")]
#[non_exhaustive]
pub struct AlgorithmError;

impl FromStr for Algorithm {
    type Err = AlgorithmError;

    fn from_str(name: &str) -> Result<Self, AlgorithmError> {
        let named = Self::ALL.into_iter().find(|algorithm| algorithm.names().contains(&name));
        named.ok_or(AlgorithmError)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AsRef<str> for Algorithm {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Serializes the name.
impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A set of algorithms, at least one. Default: all.
///
/// ```
/// use grantcore::jws::{Algorithm, Algorithms};
///
/// let elliptic = Algorithms::of([Algorithm::Es256, Algorithm::EdDsa]).unwrap();
/// assert!(!elliptic.contains(Algorithm::Rs256));
/// assert!(elliptic.names().eq(["ES256", "EdDSA", "Ed25519"]));
/// assert_eq!(Algorithms::of([]), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithms(u8);

impl Algorithms {
    /// All algorithms.
    pub const ALL: Self = Self(1 | 2 | 4 | 8);

    /// Makes a set. Returns `None` if it would be empty: an empty set would accept nothing, and is
    /// a mistake wherever it is written.
    pub fn of(algorithms: impl IntoIterator<Item = Algorithm>) -> Option<Self> {
        let bits = algorithms.into_iter().fold(0, |bits, algorithm| bits | algorithm.bit());
        (bits != 0).then_some(Self(bits))
    }

    /// Returns whether the algorithm is in the set.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// Returns the algorithms that both sets have, or `None` if they have none in common.
    pub const fn common(self, other: Self) -> Option<Self> {
        let bits = self.0 & other.0;
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// Lists the algorithms.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }

    /// Lists the names of the algorithms, for metadata. Ed25519 has two.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().flat_map(|algorithm| algorithm.names().iter().copied())
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Serializes the list of names.
impl Serialize for Algorithms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().collect::<Vec<_>>())
    }
}

impl<'de> Deserialize<'de> for Algorithms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let listed: Vec<Algorithm> = Vec::deserialize(deserializer)?;
        let set = Self::of(listed.iter().copied());
        set.filter(|set| set.iter().eq(listed))
            .ok_or_else(|| de::Error::custom("not a set of algorithms in their order"))
    }
}
