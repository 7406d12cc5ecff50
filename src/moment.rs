//! The time and the randomness of a decision, both as plain values, and the sources of them.
//!
//! The crate's only reads of the system's clock and random number generator are in `moment/system`,
//! behind the feature `system`.

#[cfg(feature = "time")]
mod calendar;
mod marks;
#[cfg(feature = "system")]
mod system;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "time")]
pub use self::calendar::TimestampError;
pub(crate) use self::marks::Mark;
use self::marks::Marks;
#[cfg(feature = "system")]
pub use self::system::{SystemClock, SystemEntropy};
use crate::value::credential::{self, GrantId, Issued, Kind};
use crate::value::secret::{Salt, Secret, Wiped};
use crate::value::text::{ClientId, Subject};

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, the `NumericDate` of the protocol
/// (RFC 7519 §2).
///
/// Arithmetic saturates; it never wraps and never panics. In records a time is a number. In formats
/// for people, [`NEVER`](Self::NEVER) is the text `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The text of [`Timestamp::NEVER`]. Not every reader of JSON keeps a number of this size.
const NEVER: &str = "never";

impl Timestamp {
    /// The latest time: the expiry of a record that never expires.
    pub const NEVER: Self = Self(u64::MAX);
    pub(crate) const EPOCH: Self = Self(0);

    /// Makes the time that is this many seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the seconds since the Unix epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }

    /// Returns the time this much later. Fractions of a second are dropped.
    pub fn after(self, lifetime: Duration) -> Self {
        Self(self.0.saturating_add(lifetime.as_secs()))
    }

    /// Returns the whole seconds from `now` until this time, 0 if it is past.
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

/// Fractions of a second are dropped. A time before the Unix epoch becomes the epoch.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

/// The clock of a server.
///
/// It should be right to a few seconds. Every lifetime is half open: a credential is valid while
/// `now < issued + lifetime`. Closures that return a [`Timestamp`] are clocks.
pub trait Clock {
    /// Returns the current time. A server reads it at least once for each attempt of a request.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// The source of randomness of a server.
///
/// It must be cryptographically secure. If its output can be predicted, every credential of the
/// server can be guessed. There is no fallback. If the source fails, the request is refused with
/// [`Reason::EntropyUnavailable`](crate::Reason::EntropyUnavailable) before anything is written.
/// Closures that return a `Result<Entropy, EntropyError>` are sources.
pub trait EntropySource {
    /// Draws 128 fresh bytes. A server draws once for each request, except for requests that need
    /// only an [id](Self::draw_id).
    ///
    /// # Errors
    /// [`EntropyError`] if the generator returned none.
    fn draw(&self) -> Result<Entropy, EntropyError>;

    /// Draws the id of a request that needs no other randomness, such as the check of a call. The
    /// default takes the id of a whole [draw](Self::draw).
    ///
    /// # Errors
    /// [`EntropyError`] if the generator returned none.
    fn draw_id(&self) -> Result<CorrelationId, EntropyError> {
        self.draw().map(|entropy| entropy.correlation())
    }
}

impl<F: Fn() -> Result<Entropy, EntropyError>> EntropySource for F {
    fn draw(&self) -> Result<Entropy, EntropyError> {
        self()
    }
}

/// The source of randomness failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
#[expect(clippy::exhaustive_structs, reason = "hosts return it from their own source")]
pub struct EntropyError;

/// The randomness of one request: 128 bytes, divided into the parts that a request can need. No
/// request uses a part for two purposes. It is wiped when it is dropped.
pub struct Entropy(Wiped<128>);

impl Entropy {
    /// Takes 128 bytes of a cryptographically secure generator. A test or a model may use any
    /// bytes.
    pub fn from_bytes(bytes: [u8; 128]) -> Self {
        Self(Wiped(bytes))
    }

    /// Returns the part of `N` bytes that begins here.
    #[expect(clippy::expect_used, reason = "START and N are checked when the crate is compiled")]
    fn part<const START: usize, const N: usize>(&self) -> [u8; N] {
        const { assert!(START + N <= 128) };
        let part = self.0.0.get(START..).and_then(<[u8]>::first_chunk);
        *part.expect("a part lies within the 128 bytes")
    }

    /// Returns the id of the request.
    pub(crate) fn correlation(&self) -> CorrelationId {
        CorrelationId(self.part::<0, 16>())
    }

    /// Returns the id of the grant that the request creates.
    pub(crate) fn grant_id(&self) -> GrantId {
        GrantId::from_bytes(self.part::<16, 16>())
    }

    /// Returns the `client_id` of the client that the request registers. It shares its bytes with
    /// [`grant_id`](Self::grant_id), because such a request creates no grant.
    pub(crate) fn client_id(&self) -> ClientId {
        credential::client_id(&self.part::<16, 16>())
    }

    /// Returns the secret of a client that the request registers or updates.
    pub(crate) fn client_secret(&self) -> Issued {
        Issued::plain(Kind::ClientSecret, self.secret())
    }

    /// Returns the token that manages the registration.
    pub(crate) fn management_token(&self) -> Issued {
        Issued::plain(Kind::Management, self.refresh_secret())
    }

    /// Returns the first epoch of a client that the request creates: 53 bits, which every reader of
    /// a JSON number keeps.
    pub(crate) fn epoch(&self) -> u64 {
        u64::from_be_bytes(self.part::<96, 8>()) >> 11
    }

    /// Returns the salt of the rotation that the request makes. It shares its bytes with
    /// [`grant_id`](Self::grant_id), because a rotation creates no grant.
    pub(crate) fn salt(&self) -> Salt {
        Salt(self.part::<16, 16>())
    }

    /// Returns the secret of a ticket or a code. In a redemption, returns the secret of the family.
    pub(crate) fn secret(&self) -> Secret {
        Secret::new(self.part::<32, 32>())
    }

    /// Returns the first refresh secret of a family.
    pub(crate) fn refresh_secret(&self) -> Secret {
        Secret::new(self.part::<64, 32>())
    }

    /// Returns the first access secret of a grant.
    pub(crate) fn access_secret(&self) -> Secret {
        Secret::new(self.part::<96, 32>())
    }
}

/// Redacted: the bytes are secrets.
impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(redacted)")
    }
}

/// The id of one request, in its response, its page and its event: 128 random bits.
///
/// Its text is 32 lowercase hexadecimal digits. It is no secret.
///
/// ```
/// use grantcore::moment::CorrelationId;
///
/// let text = "0e29a7d4c0a64b1d8b3f8f0f5c3a9e11";
/// let id: CorrelationId = text.parse()?;
/// assert_eq!(id.to_string(), text);
/// # Ok::<(), grantcore::moment::CorrelationIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId([u8; 16]);

impl CorrelationId {
    /// Makes the id of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A text that is not a [`CorrelationId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id is 32 lowercase hexadecimal digits")]
#[non_exhaustive]
pub struct CorrelationIdError;

/// Reads what `Display` writes, and nothing else.
impl FromStr for CorrelationId {
    type Err = CorrelationIdError;

    fn from_str(text: &str) -> Result<Self, CorrelationIdError> {
        let is_canonical =
            text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = is_canonical.then(|| u128::from_str_radix(text, 16));
        match number {
            Some(Ok(number)) => Ok(Self(number.to_be_bytes())),
            Some(Err(_)) | None => Err(CorrelationIdError),
        }
    }
}

/// Serializes the text.
impl Serialize for CorrelationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: each request writes it into its log, where `{:032x}` would take most of the time.
        let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
        let mut text = [0; 32];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
            digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CorrelationId({self})")
    }
}

/// The time of a step and the id of its request, which its event and its response have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) at: Timestamp,
    pub(crate) correlation: CorrelationId,
}

/// The time and the randomness of one attempt of a request, and what the request has done so far.
#[derive(Debug)]
#[non_exhaustive]
pub struct Moment {
    /// The time, read anew for each load.
    pub now: Timestamp,
    /// The randomness, the same at every attempt. A request that drew anew could not recognize its
    /// own commit when an earlier attempt turns out to have been written.
    pub entropy: Entropy,
    /// Whether the request has tried its main write before.
    pub is_retry: bool,
    /// Whether the request has tried a preliminary write before, such as the record of a client.
    pub has_prepared: bool,
    marks: Option<Box<Marks>>,
    linked: Option<Subject>,
}

impl Moment {
    /// Makes the moment of a request's first attempt.
    pub fn new(now: Timestamp, entropy: Entropy) -> Self {
        Self { now, entropy, is_retry: false, has_prepared: false, marks: None, linked: None }
    }

    /// Returns the time with the id of the request.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { at: self.now, correlation: self.entropy.correlation() }
    }

    /// Makes the moment of the request's next attempt, after its main write conflicted: the same
    /// entropy, a new reading of the clock. [`after`](Self::after) does so for each way in which a
    /// decision can end.
    pub fn retry(self, now: Timestamp) -> Self {
        Self { now, is_retry: true, ..self }
    }

    /// Notes the account that the host has found for the user of an assertion.
    pub(crate) fn link(&mut self, account: Option<Subject>) {
        self.linked = account;
    }

    /// Returns the account that the host has found for the user of an assertion.
    pub(crate) fn linked(&self) -> Option<&Subject> {
        self.linked.as_ref()
    }
}
