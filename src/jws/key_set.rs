//! Key sets (RFC 7517 §5): the one that a client registers inline, and the one that is fetched.
//!
//! They differ in what happens to a malformed key. Inline it refuses the set, so that the author of
//! the client learns of it. In a fetched set it is skipped, so that one bad key of an identity
//! provider does not lock out everybody.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::algorithm::{Algorithm, Algorithms};
use super::compact::Header;
use super::fault::Fault;
use super::json::{Object, read_object};
use super::jwk::{Jwk, Read, is_private};
use super::key::PublicKey;

/// The most keys of an inline set (KEYS-20).
const MAX_INLINE: usize = 16;

/// The keys of a client or issuer: 1 to 16, with distinct names.
///
/// ```
/// use grantcore::jws::{Algorithms, KeySet};
///
/// let json = br#"{"keys": [{
///     "kty": "OKP", "crv": "Ed25519", "kid": "1",
///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
/// }]}"#;
/// let keys = KeySet::parse(json, Algorithms::ALL, None)?;
/// assert_eq!(keys.iter().next().and_then(|key| key.kid()), Some("1"));
/// # Ok::<(), grantcore::jws::KeySetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<PublicKey>", into = "Vec<PublicKey>")]
pub struct KeySet(Box<[PublicKey]>);

/// The reason why a key set is refused. It contains no part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The text is not a JSON object with an array `keys` of objects, or a member is repeated.
    #[error("a key set is one JSON object with an array `keys` of objects, and no member twice")]
    NotAKeySet,
    /// The text is longer than 64 KiB.
    #[error("a key set has at most {} bytes", FetchedKeys::MAX_BYTES)]
    TooLong,
    /// The set has too many keys.
    #[error("a key set has at most {limit} keys")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The set contains a private or symmetric key. Everybody who can read it can sign with it.
    #[error("a key set has public keys only: it shows a private or symmetric key")]
    Private,
    /// A key is malformed.
    #[error("the key at index {index} of the key set: {what}")]
    Key {
        /// The position of the key in `keys`.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Two keys have the same name.
    #[error("two keys of the key set have the same kid")]
    RepeatedKid,
    /// No key is left that this server can use.
    #[error("no key of the key set verifies signatures of an algorithm of this server")]
    NoUsableKey,
}

impl KeySet {
    /// Reads the `jwks` of a client: JSON text, of which keys for another purpose and keys of other
    /// algorithms are left out (KEYS-20 to KEYS-25). An RSA key without `alg` has the `preferred`
    /// algorithm, or else RS256.
    ///
    /// # Errors
    /// [`KeySetError`] if a key is malformed or private, if names are repeated, or if no usable key
    /// is left.
    pub fn parse(
        json: &[u8],
        allowed: Algorithms,
        preferred: Option<Algorithm>,
    ) -> Result<Self, KeySetError> {
        let entries = read_entries(json)?;
        if entries.iter().any(is_private) {
            return Err(KeySetError::Private);
        }
        let mut keys = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match Jwk::read(entry) {
                Read::Usable(key) if allowed.contains(key.algorithm(preferred)) => {
                    keys.push(key.key(preferred));
                }
                Read::Usable(_) | Read::Skipped => {}
                Read::Malformed(what) => return Err(KeySetError::Key { index, what }),
            }
        }
        keys.try_into()
    }

    /// Lists the keys.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter()
    }

    /// Returns the one key that this header selects (KEYS-26): the key of its `kid`, or without one
    /// the only key of its algorithm.
    ///
    /// # Errors
    /// [`Fault::Algorithm`] if the algorithm is not allowed or is not that of the key, and
    /// [`Fault::Key`] if there is no such key or more than one.
    pub fn select(&self, header: &Header, allowed: Algorithms) -> Result<&PublicKey, Fault> {
        let algorithm = header.algorithm(allowed)?;
        select(&self.0, header.kid(), algorithm, PublicKey::kid, PublicKey::algorithm)
    }
}

impl TryFrom<Vec<PublicKey>> for KeySet {
    type Error = KeySetError;

    fn try_from(keys: Vec<PublicKey>) -> Result<Self, KeySetError> {
        if keys.len() > MAX_INLINE {
            return Err(KeySetError::TooMany { limit: MAX_INLINE });
        }
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        let mut kids = BTreeSet::new();
        if !keys.iter().filter_map(PublicKey::kid).all(|kid| kids.insert(kid)) {
            return Err(KeySetError::RepeatedKid);
        }
        Ok(Self(keys.into()))
    }
}

impl From<KeySet> for Vec<PublicKey> {
    fn from(keys: KeySet) -> Self {
        keys.0.into()
    }
}

/// The keys of a set that was fetched. It may have none.
#[derive(Debug, PartialEq, Eq)]
pub struct FetchedKeys {
    keys: Box<[Jwk]>,
    is_private: bool,
}

impl FetchedKeys {
    /// The longest set that is read, in bytes (KEYS-20).
    pub const MAX_BYTES: usize = 64 * 1024;
    /// The most entries of a fetched set (KEYS-20).
    const MAX_KEYS: usize = 32;

    /// Reads the body of a response. Keys that are malformed or not understood are skipped. If one
    /// of them is private or symmetric, the set has no key: its owner has lost control of it
    /// (KEYS-21).
    ///
    /// # Errors
    /// [`KeySetError`] if the body is no key set, too long, or has more than 32 entries.
    pub fn parse(body: &[u8]) -> Result<Self, KeySetError> {
        let entries = read_entries(body)?;
        if entries.len() > Self::MAX_KEYS {
            return Err(KeySetError::TooMany { limit: Self::MAX_KEYS });
        }
        if entries.iter().any(is_private) {
            return Ok(Self { keys: Box::default(), is_private: true });
        }
        let usable = entries.iter().filter_map(|entry| match Jwk::read(entry) {
            Read::Usable(key) => Some(key),
            Read::Skipped | Read::Malformed(_) => None,
        });
        Ok(Self { keys: usable.collect(), is_private: false })
    }

    /// Returns the number of usable keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns whether the set has no key because it contained a private or symmetric one.
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// Returns the one key that this header selects: see [`KeySet::select`]. An RSA key without
    /// `alg` has the `preferred` algorithm of its owner, or else RS256.
    ///
    /// # Errors
    /// As [`KeySet::select`]. After [`Fault::Key`], a newer set may have the key.
    pub fn select(
        &self,
        header: &Header,
        allowed: Algorithms,
        preferred: Option<Algorithm>,
    ) -> Result<PublicKey, Fault> {
        let algorithm = header.algorithm(allowed)?;
        let algorithm_of = |key: &Jwk| key.algorithm(preferred);
        select(&self.keys, header.kid(), algorithm, Jwk::kid, algorithm_of)
            .map(|key| key.key(preferred))
    }
}

/// Finds one key. Keys are never tried one after another (KEYS-27). A name that two keys share
/// selects neither of them: otherwise their order in the set would decide.
fn select<'k, K>(
    keys: &'k [K],
    kid: Option<&str>,
    algorithm: Algorithm,
    name_of: impl Fn(&'k K) -> Option<&'k str>,
    algorithm_of: impl Fn(&K) -> Algorithm,
) -> Result<&'k K, Fault> {
    let mut named = keys.iter().filter(|key| match kid {
        Some(kid) => name_of(key) == Some(kid),
        None => algorithm_of(key) == algorithm,
    });
    match (named.next(), named.next()) {
        (Some(key), None) if algorithm_of(key) == algorithm => Ok(key),
        (Some(_), None) => Err(Fault::Algorithm),
        (None, None) if kid.is_none() && !keys.is_empty() => Err(Fault::Algorithm),
        _ => Err(Fault::Key),
    }
}

/// Reads the objects of `keys`.
fn read_entries(json: &[u8]) -> Result<Vec<Object>, KeySetError> {
    if json.len() > FetchedKeys::MAX_BYTES {
        return Err(KeySetError::TooLong);
    }
    let keys = read_object(json).and_then(|mut set| set.remove("keys"));
    let Some(Value::Array(entries)) = keys else { return Err(KeySetError::NotAKeySet) };
    let objects: Option<Vec<Object>> = entries
        .into_iter()
        .map(|entry| match entry {
            Value::Object(members) => Some(members),
            _ => None,
        })
        .collect();
    objects.ok_or(KeySetError::NotAKeySet)
}
