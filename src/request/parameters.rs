//! Form-encoded parameters (OAuth 2.1 App. B). They are decoded strictly and exactly once, within
//! the policy's limits, and borrowed where nothing is escaped.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr2};

use crate::policy::Limits;
use crate::reason::Reason;
use crate::refusal::{Fault, quoted};

/// The reason why a query or body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Encoding,
    /// This number of `what` is over the policy's limit.
    TooLarge {
        what: &'static str,
        received: usize,
        limit: usize,
    },
}

impl Malformed {
    /// Makes the error of a body or query that is longer than the limit.
    pub(crate) fn bytes(received: usize, limit: usize) -> Self {
        Self::TooLarge { what: "bytes", received, limit }
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Encoding => Reason::RequestUndecodable.into(),
            Malformed::TooLarge { what, received, limit } => Reason::RequestTooLarge
                .hint(format!("Received: {received} {what}. At most {limit} are accepted.")),
        }
    }
}

/// One parameter of a request. An empty value counts as an absent parameter (OAuth 2.1 §3.1).
#[derive(Default)]
pub(crate) struct Parameter<'a> {
    pub(crate) value: Option<Cow<'a, str>>,
    pub(crate) repeated: bool,
}

impl<'a> Parameter<'a> {
    /// Sets the value. A second value marks the parameter as repeated.
    pub(crate) fn set(&mut self, value: Cow<'a, str>) {
        if self.value.is_some() {
            self.repeated = true;
        } else {
            self.value = Some(value);
        }
    }

    pub(crate) fn get(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

/// Redacted: a parameter can be a secret.
impl fmt::Debug for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.value, self.repeated) {
            (None, _) => "absent",
            (Some(_), false) => "present",
            (Some(_), true) => "repeated",
        })
    }
}

/// Refuses a request that has a parameter more than once, and names the parameter (OAuth 2.1 §3.1).
pub(crate) fn refuse_repeated<const N: usize>(
    parameters: [(&str, &Parameter<'_>); N],
) -> Result<(), Fault> {
    match parameters.iter().find(|(_, parameter)| parameter.repeated) {
        Some((name, _)) => {
            Err(Reason::ParameterRepeated.hint(format!("Repeated: {}.", quoted(name))))
        }
        None => Ok(()),
    }
}

/// Decodes a query or form body, and calls `take` for each parameter with a non-empty value.
pub(crate) fn for_each_parameter<'a>(
    input: &'a [u8],
    limits: &Limits,
    mut take: impl FnMut(&str, Cow<'a, str>),
) -> Result<(), Malformed> {
    if input.len() > limits.request_bytes {
        return Err(Malformed::bytes(input.len(), limits.request_bytes));
    }
    let mut rest = std::str::from_utf8(input).map_err(|_| Malformed::Encoding)?;
    let mut plain = plain_length(rest.as_bytes());
    let mut count = 0;
    while !rest.is_empty() {
        let pair;
        (pair, rest) = split_at_byte(rest, b'&');
        // Most parameters need no decoding. To look for escapes in each name and value, and to
        // validate each as UTF-8 again, took 2,500 instructions of an authorization request.
        let is_plain = pair.len() <= plain;
        plain = match plain.checked_sub(pair.len() + 1) {
            Some(left) => left,
            None => plain_length(rest.as_bytes()),
        };
        if pair.is_empty() {
            continue;
        }
        if count >= limits.parameters {
            let pairs = input.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
            let limit = limits.parameters;
            return Err(Malformed::TooLarge { what: "parameters", received: pairs.count(), limit });
        }
        count += 1;
        let (name, value) = split_at_byte(pair, b'=');
        let (name, value) = if is_plain {
            (Cow::Borrowed(name), Cow::Borrowed(value))
        } else {
            (decode(name.as_bytes())?, decode(value.as_bytes())?)
        };
        let limit = value_limit(&name, limits);
        if value.len() > limit {
            let what = "bytes in one parameter";
            return Err(Malformed::TooLarge { what, received: value.len(), limit });
        }
        if !value.is_empty() {
            take(&name, value);
        }
    }
    Ok(())
}

/// Splits at the first of this ASCII character, which is left out.
fn split_at_byte(text: &str, byte: u8) -> (&str, &str) {
    match memchr(byte, text.as_bytes()).and_then(|place| text.split_at_checked(place)) {
        Some((before, after)) => (before, after.get(1..).unwrap_or_default()),
        None => (text, ""),
    }
}

/// Returns the number of bytes before the first that is decoded.
fn plain_length(raw: &[u8]) -> usize {
    memchr2(b'+', b'%', raw).unwrap_or(raw.len())
}

/// Returns the longest value of this parameter.
fn value_limit(name: &str, limits: &Limits) -> usize {
    match name {
        "assertion" | "client_assertion" => limits.assertion_bytes,
        _ => limits.value_bytes,
    }
}

/// Decodes one name or value: `+` is a space, `%` needs two hexadecimal digits, the result is
/// UTF-8.
pub(crate) fn decode(raw: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    if plain_length(raw) == raw.len() {
        return std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| Malformed::Encoding);
    }
    // In one pass and one allocation: a decoder of percent-encoding alone takes a pass more for the
    // spaces, one to find malformed escapes, and a copy of a secret that nobody wipes.
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            other => *other,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Malformed::Encoding)
}

fn hex_digit(byte: Option<&u8>) -> Result<u8, Malformed> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(letter @ (b'A'..=b'F' | b'a'..=b'f')) => Ok((letter | 0x20) - b'a' + 10),
        Some(_) | None => Err(Malformed::Encoding),
    }
}
