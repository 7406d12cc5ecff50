//! All that the world contributes to a decision: the time and some random bytes, both as plain
//! values.
//!
//! The crate's only ambient reads are at the end of this file, behind the feature `system`.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value::credential::{self, GrantId, Issued, Kind};
use crate::value::secret::{Salt, Secret};
use crate::value::text::ClientId;

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, as the protocol counts (RFC 7519 §2,
/// `NumericDate`).
///
/// Arithmetic saturates: no time and no lifetime wraps or panics. In records it is a number;
/// [`NEVER`](Self::NEVER) is `never` in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// What [`Timestamp::NEVER`] is called in text, where a number that great is not safe.
const NEVER: &str = "never";

impl Timestamp {
    /// Later than everything: the expiry of what never expires.
    pub const NEVER: Self = Self(u64::MAX);
    pub(crate) const EPOCH: Self = Self(0);

    /// The point this many seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }

    /// The point this much later, fractions of a second dropped.
    pub fn after(self, lifetime: Duration) -> Self {
        Self(self.0.saturating_add(lifetime.as_secs()))
    }

    /// Whole seconds from `now` until this point, 0 if it is past.
    pub fn seconds_from(self, now: Self) -> u64 {
        self.0.saturating_sub(now.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() && *self == Self::NEVER {
            serializer.serialize_str(NEVER)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "seconds since 1970, or \"{NEVER}\"")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
                Ok(Timestamp(seconds))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Timestamp, E> {
                let unexpected = |_| E::invalid_value(Unexpected::Signed(seconds), &self);
                seconds.try_into().map(Timestamp).map_err(unexpected)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                if text == NEVER {
                    Ok(Timestamp::NEVER)
                } else {
                    Err(E::invalid_value(Unexpected::Str(text), &self))
                }
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Text)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

/// Fractions are dropped; a time before the epoch is the epoch.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

/// Tells the time. A server needs one that is roughly right; every lifetime is half open: valid
/// while `now < issued + lifetime`.
pub trait Clock {
    /// The time now. Read once per attempt of a request.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Draws randomness, once per request.
///
/// What a bad source costs: every credential of the server can be guessed. There is no fallback,
/// and an error ends the request before anything is written.
pub trait EntropySource {
    /// 128 fresh bytes from a cryptographically secure generator.
    ///
    /// # Errors
    /// [`EntropyError`] if there are none.
    fn draw(&self) -> Result<Entropy, EntropyError>;
}

impl<F: Fn() -> Result<Entropy, EntropyError>> EntropySource for F {
    fn draw(&self) -> Result<Entropy, EntropyError> {
        self()
    }
}

/// The generator gave no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
pub struct EntropyError;

/// The randomness of one request: 128 bytes, cut into all that it may need. Each part is used for
/// one thing only.
pub struct Entropy {
    correlation: [u8; 16],
    id: [u8; 16],
    secrets: [[u8; 32]; 3],
}

impl Entropy {
    /// Takes 128 bytes of a secure generator; in a test or model, any bytes.
    pub fn from_bytes(bytes: [u8; 128]) -> Self {
        let mut entropy = Self { correlation: [0; 16], id: [0; 16], secrets: [[0; 32]; 3] };
        let mut rest = bytes.as_slice();
        let [first, second, third] = &mut entropy.secrets;
        let parts: [&mut [u8]; 5] =
            [&mut entropy.correlation, &mut entropy.id, first, second, third];
        for part in parts {
            let (head, tail) = rest.split_at(part.len());
            part.copy_from_slice(head);
            rest = tail;
        }
        entropy
    }

    pub(crate) fn correlation(&self) -> CorrelationId {
        CorrelationId(self.correlation)
    }

    /// The id of the grant this request creates.
    pub(crate) fn grant_id(&self) -> GrantId {
        GrantId::from_bytes(self.id)
    }

    /// The `client_id` of the client this request registers; such a request creates no grant.
    pub(crate) fn client_id(&self) -> ClientId {
        credential::client_id(&self.id)
    }

    /// The secret of a client that is registered or changed. It is no grant's.
    pub(crate) fn client_secret(&self) -> Issued {
        Issued::plain(Kind::ClientSecret, self.secret())
    }

    /// The token that manages a registration.
    pub(crate) fn management_token(&self) -> Issued {
        Issued::plain(Kind::Management, self.refresh_secret())
    }

    /// The first epoch of a client this request makes known: 53 bits, which every reader of a JSON
    /// number keeps.
    pub(crate) fn epoch(&self) -> u64 {
        self.secrets[2].first_chunk().copied().map_or(0, u64::from_be_bytes) >> 11
    }

    /// The salt of the rotation this request makes; a request that rotates creates no grant.
    pub(crate) fn salt(&self) -> Salt {
        Salt(self.id)
    }

    /// The one secret of a request that mints one: a ticket or a code. Of a redemption, the
    /// family's.
    pub(crate) fn secret(&self) -> Secret {
        Secret::new(self.secrets[0])
    }

    /// The first refresh secret of a family.
    pub(crate) fn refresh_secret(&self) -> Secret {
        Secret::new(self.secrets[1])
    }

    /// The first access secret of a grant.
    pub(crate) fn access_secret(&self) -> Secret {
        Secret::new(self.secrets[2])
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(redacted)")
    }
}

/// Names one request in its response, its page and its event: 128 random bits, shown as 32
/// hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CorrelationId([u8; 16]);

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a decision is made at.
#[derive(Debug)]
pub struct Moment {
    /// The clock's reading, fresh at each attempt.
    pub now: Timestamp,
    /// The same at every attempt of one request. A request that drew anew could not recognize its
    /// own commit come back late.
    pub entropy: Entropy,
    /// Whether this is a second or later attempt.
    pub again: bool,
}

impl Moment {
    /// The moment of a request's first attempt.
    pub fn new(now: Timestamp, entropy: Entropy) -> Self {
        Self { now, entropy, again: false }
    }

    /// The moment of its next attempt: the same entropy, a fresh reading of the clock.
    pub fn again(self, now: Timestamp) -> Self {
        Self { now, again: true, ..self }
    }
}

/// The operating system's clock.
#[cfg(feature = "system")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(feature = "system")]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// The operating system's random number generator.
#[cfg(feature = "system")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

#[cfg(feature = "system")]
impl EntropySource for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws from the system")]
    fn draw(&self) -> Result<Entropy, EntropyError> {
        let mut bytes = [0; 128];
        getrandom::fill(&mut bytes).map_err(|_| EntropyError)?;
        Ok(Entropy::from_bytes(bytes))
    }
}
