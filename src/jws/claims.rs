//! The claims of an assertion (RFC 7519 §4). A claim of a wrong JSON type is a fault and never an
//! absence: a `nbf` that is a string must not be skipped.

use std::fmt;
use std::ops::Deref;

use serde_json::Value;

use super::fault::Fault;
use super::json::Object;
use crate::moment::Timestamp;

/// The longest `iss`, `sub` and `aud`, in bytes (KEYS-45).
const MAX_NAME: usize = 2048;
/// The longest `jti`, in bytes (KEYS-45).
const MAX_JTI: usize = 512;

/// The content of an assertion before its signature is verified. Anybody can have written it.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<T>(pub(super) T);

impl<T> Unverified<T> {
    /// Returns the unverified value. Use it to find the party that it names, and for checks that
    /// refuse. Grant nothing because of it.
    pub fn as_claimed(&self) -> &T {
        &self.0
    }
}

/// The content of an assertion whose signature was verified with a key that was chosen for it.
/// Only [`Jws::verify`](super::Jws::verify) returns it.
#[derive(Clone, Copy, Debug)]
pub struct Verified<T>(pub(super) T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The claims of an assertion.
pub struct Claims(Object);

impl Claims {
    /// Takes the members of a payload. Returns `None` if a name in them is too long.
    pub(super) fn read(members: Object) -> Option<Self> {
        let is_short = |value: &Value| value.as_str().is_none_or(|text| text.len() <= MAX_NAME);
        let is_bounded = ["iss", "sub", "aud"].iter().all(|name| match members.get(*name) {
            Some(Value::Array(values)) => values.iter().all(is_short),
            Some(value) => is_short(value),
            None => true,
        });
        is_bounded.then_some(Self(members))
    }

    /// Returns the issuer.
    ///
    /// # Errors
    /// [`Fault::Issuer`] if it is missing, empty or no string.
    pub fn iss(&self) -> Result<&str, Fault> {
        self.filled("iss").ok_or(Fault::Issuer)
    }

    /// Returns the subject.
    ///
    /// # Errors
    /// [`Fault::Subject`] if it is missing, empty or no string.
    pub fn sub(&self) -> Result<&str, Fault> {
        self.filled("sub").ok_or(Fault::Subject)
    }

    /// Returns the identifier of the assertion.
    ///
    /// # Errors
    /// [`Fault::Jti`] if it is missing, empty, longer than 512 bytes or no string (KEYS-53).
    pub fn jti(&self) -> Result<&str, Fault> {
        self.filled("jti").filter(|jti| jti.len() <= MAX_JTI).ok_or(Fault::Jti)
    }

    fn filled(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Returns the audience: a string, or the string of an array of one.
    ///
    /// # Errors
    /// [`Fault::Audience`] for anything else. An assertion for two servers can be replayed by one
    /// of them at the other.
    pub fn sole_audience(&self) -> Result<&str, Fault> {
        let value = match self.0.get("aud") {
            Some(Value::Array(values)) => match values.as_slice() {
                [value] => Some(value),
                _ => None,
            },
            value => value,
        };
        value.and_then(Value::as_str).ok_or(Fault::Audience)
    }

    /// Returns when the assertion expires, or `None` if it does not say it.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if it is no date: see [`nbf`](Self::nbf).
    pub fn exp(&self) -> Result<Option<Timestamp>, Fault> {
        self.date("exp")
    }

    /// Returns when the assertion begins to be valid, or `None` if it does not say it.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if it is no date. A date is a JSON number that is finite and not
    /// negative (KEYS-52). Fractions of a second are dropped, and dates beyond 2^64 seconds are the
    /// greatest.
    pub fn nbf(&self) -> Result<Option<Timestamp>, Fault> {
        self.date("nbf")
    }

    /// Returns when the assertion was made, or `None` if it does not say it.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if it is no date: see [`nbf`](Self::nbf).
    pub fn iat(&self) -> Result<Option<Timestamp>, Fault> {
        self.date("iat")
    }

    fn date(&self, name: &str) -> Result<Option<Timestamp>, Fault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_u64().or_else(|| value.as_f64().and_then(whole_seconds));
        seconds.map(|seconds| Some(Timestamp::from_unix_seconds(seconds))).ok_or(Fault::Malformed)
    }

    /// Returns whether there is a claim of this name, whatever its value. `null` is a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the text of a claim, or `None` if the claim is absent.
    ///
    /// # Errors
    /// [`Fault::Claim`] if it is no string.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        as_text(self.0.get(name))
    }

    /// Returns the text of a member of a claim that is an object, such as `namespace` of
    /// `kubernetes.io`. Returns `None` if the claim or the member is absent.
    ///
    /// # Errors
    /// [`Fault::Claim`] if the claim is no object or the member no string.
    pub fn inner_text(&self, name: &str, member: &str) -> Result<Option<&str>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => as_text(members.get(member)),
            Some(_) => Err(Fault::Claim),
        }
    }

    /// Returns the texts of a claim that is a string or an array of strings, or `None` if the claim
    /// is absent. The array may be empty.
    ///
    /// # Errors
    /// [`Fault::Claim`] if it is of another type.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => {
                let texts: Option<Vec<_>> = values.iter().map(Value::as_str).collect();
                texts.map(Some).ok_or(Fault::Claim)
            }
            Some(value) => value.as_str().map(|text| Some(vec![text])).ok_or(Fault::Claim),
        }
    }
}

fn as_text(value: Option<&Value>) -> Result<Option<&str>, Fault> {
    value.map(|value| value.as_str().ok_or(Fault::Claim)).transpose()
}

/// Cuts the fraction. Returns `None` if the number is negative or not finite.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and negative numbers are refused before it"
)]
fn whole_seconds(seconds: f64) -> Option<u64> {
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds as u64)
}

/// Shows the number of claims. Their values name people.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims({})", self.0.len())
    }
}
