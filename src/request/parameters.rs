//! Form-encoded parameters (OAuth 2.1 App. B): decoded exactly once, strictly, within the caps,
//! borrowed where nothing is escaped.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::policy::Limits;
use crate::reason::Reason;
use crate::refusal::{Fault, quoted};

/// Why a query or body cannot be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Encoding,
    /// This much of `what` is over the policy's limit.
    TooLarge {
        what: &'static str,
        received: usize,
        limit: usize,
    },
}

impl Malformed {
    /// The fault of a body or query that is longer than the limit.
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

/// A parameter's value, and whether it came more than once. An empty value counts as none (OAuth
/// 2.1 §3.1).
#[derive(Default)]
pub(crate) struct Slot<'a> {
    pub(crate) value: Option<Cow<'a, str>>,
    pub(crate) repeated: bool,
}

impl<'a> Slot<'a> {
    pub(crate) fn put(&mut self, value: Cow<'a, str>) {
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

/// Refuses a request that carries a parameter more than once, and names it (OAuth 2.1 §3.1).
pub(crate) fn refuse_repeated<const N: usize>(slots: [(&str, &Slot<'_>); N]) -> Result<(), Fault> {
    match slots.iter().find(|(_, slot)| slot.repeated) {
        Some((name, _)) => {
            Err(Reason::ParameterRepeated.hint(format!("Repeated: {}.", quoted(name))))
        }
        None => Ok(()),
    }
}

/// Hands every non-empty parameter to `take`, decoded.
pub(crate) fn each<'a>(
    input: &'a [u8],
    limits: &Limits,
    mut take: impl FnMut(&str, Cow<'a, str>),
) -> Result<(), Malformed> {
    if input.len() > limits.request_bytes {
        return Err(Malformed::bytes(input.len(), limits.request_bytes));
    }
    for (position, pair) in input.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).enumerate()
    {
        if position >= limits.parameters {
            let received = input.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).count();
            let limit = limits.parameters;
            return Err(Malformed::TooLarge { what: "parameters", received, limit });
        }
        let (name, value) =
            match pair.iter().position(|b| *b == b'=').and_then(|at| pair.split_at_checked(at)) {
                Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
                None => (pair, [].as_slice()),
            };
        let (name, value) = (decode(name)?, decode(value)?);
        if value.len() > limits.value_bytes {
            let what = "bytes in one parameter";
            let limit = limits.value_bytes;
            return Err(Malformed::TooLarge { what, received: value.len(), limit });
        }
        if !value.is_empty() {
            take(&name, value);
        }
    }
    Ok(())
}

/// One name or value: `+` is a space, `%` needs two hexadecimal digits, the result is UTF-8.
pub(crate) fn decode(raw: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    if !raw.iter().any(|b| matches!(b, b'+' | b'%')) {
        return std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| Malformed::Encoding);
    }
    let mut escapes = raw.split(|b| *b == b'%').skip(1);
    if !escapes
        .all(|after| matches!(after, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
    {
        return Err(Malformed::Encoding);
    }
    let spaced: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let text = percent_decode(&spaced).decode_utf8().map_err(|_| Malformed::Encoding)?;
    Ok(Cow::Owned(text.into_owned()))
}
