//! The secrets of a client: the current one, and one that is being retired after a rotation
//! (KEYS-70 to KEYS-74).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::kind::{Kind, Proof};
use super::{Client, ClientError, Fields};
use crate::moment::Timestamp;
use crate::value::names::named_enum;
use crate::value::overlap::Overlap;
use crate::value::secret::Digest;

/// A client secret as a record has it: hashed. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoredSecret {
    /// SHA-256, for secrets of at least 128 random bits, such as a server generates.
    Digest(Digest),
    /// A slow hash, for secrets that a person chose. It is verified by
    /// [`PolicyBuilder::slow_hash`](crate::policy::PolicyBuilder::slow_hash).
    SlowHash(Arc<str>),
}

/// A slow hash is not shown, because the secret can be guessed with it.
impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::SlowHash(_) => f.write_str("SlowHash(redacted)"),
        }
    }
}

/// The secrets that a client may present. At most one of them has a slow hash, so that a request
/// costs one slow hash, whichever secret it presents.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Secrets {
    current: StoredSecret,
    retiring: Option<Retiring>,
}

/// A secret that was replaced, and is accepted until its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retiring {
    secret: StoredSecret,
    until: Timestamp,
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Secrets", deny_unknown_fields)]
        struct Unchecked {
            current: StoredSecret,
            #[serde(deserialize_with = "Option::deserialize")]
            retiring: Option<Retiring>,
        }
        let Unchecked { current, retiring } = Unchecked::deserialize(deserializer)?;
        let secrets = Self { current, retiring };
        if secrets.slow_hashes().count() > 1 {
            return Err(de::Error::custom("two secrets of one client have a slow hash"));
        }
        Ok(secrets)
    }
}

impl From<StoredSecret> for Secrets {
    /// The only secret of a client.
    fn from(current: StoredSecret) -> Self {
        Self { current, retiring: None }
    }
}

impl Secrets {
    /// Returns the secret that the client should present.
    pub fn current(&self) -> &StoredSecret {
        &self.current
    }

    /// Returns the secret that was replaced last, also after its end.
    pub fn retiring(&self) -> Option<&Retiring> {
        self.retiring.as_ref()
    }

    /// Returns the slow hash, if one of the secrets has one.
    pub(crate) fn slow_hash(&self) -> Option<&str> {
        self.slow_hashes().next()
    }

    fn slow_hashes(&self) -> impl Iterator<Item = &str> {
        let retiring = self.retiring.as_ref().map(|retiring| &retiring.secret);
        [Some(&self.current), retiring].into_iter().flatten().filter_map(|secret| match secret {
            StoredSecret::SlowHash(hash) => Some(&**hash),
            StoredSecret::Digest(_) => None,
        })
    }

    /// Returns these secrets with a new one in the place of the current one, which is accepted for
    /// the overlap. A secret that was retiring before is dropped.
    fn replaced(self, new: StoredSecret, overlap: Overlap, now: Timestamp) -> Self {
        // A secret that ends at once is kept too: the event of its next use names it.
        let until = now.after(overlap.duration());
        Self { current: new, retiring: Some(Retiring { secret: self.current, until }) }
    }
}

impl Retiring {
    /// Returns what is kept of the secret.
    pub fn secret(&self) -> &StoredSecret {
        &self.secret
    }

    /// Returns the time from which the secret is refused.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

named_enum! {
    /// The secret that a client presented.
    pub enum UsedSecret, name, "a secret of a client" {
        /// The current secret.
        Current = "current",
        /// The secret that was replaced last, before its end.
        Retiring = "retiring",
    }
}

impl Client {
    /// Returns the same client with a new secret. The present one is accepted until the overlap is
    /// over, and one that was retiring before ends at once. The grants of the client stay.
    ///
    /// [`Server::rotate_secret`](crate::Server::rotate_secret) draws the secret and writes the
    /// record. This is for a host that does both itself.
    ///
    /// ```
    /// use grantcore::client::StoredSecret;
    /// use grantcore::moment::Timestamp;
    /// use grantcore::value::{Digest, Overlap, SecretMethod};
    /// use grantcore::Client;
    ///
    /// let stored = |text: &[u8]| StoredSecret::Digest(Digest::of(text));
    /// let web = Client::confidential("web", SecretMethod::Basic, stored(b"256 random bits"))
    ///     .redirect_uri("https://web.example/cb")
    ///     .build()?;
    /// let now = Timestamp::from_unix_seconds(1_800_000_000);
    /// let web = web.with_new_secret(stored(b"256 other bits"), Overlap::default(), now)?;
    /// # Ok::<(), grantcore::client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`ClientError`] if the client has no secret, or if both secrets have a slow hash and
    /// the overlap is not [`Overlap::NONE`].
    pub fn with_new_secret(
        self,
        new: StoredSecret,
        overlap: Overlap,
        now: Timestamp,
    ) -> Result<Self, ClientError> {
        let Kind::Proved { by: Proof::Secret { method, secrets }, may } = self.0.kind else {
            return Err(ClientError::SecretMissing);
        };
        let mut secrets = secrets.replaced(new, overlap, now);
        if secrets.slow_hashes().count() > 1 {
            if overlap != Overlap::NONE {
                return Err(ClientError::SlowSecrets);
            }
            secrets.retiring = None;
        }
        let kind = Kind::Proved { by: Proof::Secret { method, secrets }, may };
        Ok(Self(Fields { kind, ..self.0 }))
    }

    /// Returns the secrets of a client that proves itself by one.
    pub fn secrets(&self) -> Option<&Secrets> {
        self.0.kind.secrets()
    }

    /// Returns whether this is the digest of the client's current secret. Returns `false` for a
    /// secret with a slow hash, which no digest is compared with.
    pub(crate) fn has_current_secret(&self, digest: &Digest) -> bool {
        self.secrets().is_some_and(|secrets| secrets.current.is(digest))
    }

    /// Returns whether this is the digest of a secret that the client may present.
    pub(crate) fn has_secret(&self, digest: &Digest, now: Timestamp) -> bool {
        self.secrets().is_some_and(|secrets| {
            let current = secrets.current.is(digest);
            let retiring = secrets.retiring.as_ref();
            current | retiring.is_some_and(|own| own.secret.is(digest) && now < own.until)
        })
    }
}

impl StoredSecret {
    /// Returns whether this is the digest of the secret, in constant time.
    fn is(&self, digest: &Digest) -> bool {
        matches!(self, Self::Digest(own) if own.matches(digest))
    }
}
