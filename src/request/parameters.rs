//! Form-encoded parameters (OAuth 2.1 App. B). They are decoded strictly and exactly once, within
//! the policy's limits, and borrowed where nothing is escaped.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode;

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
    let pairs = || input.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    for (position, pair) in pairs().enumerate() {
        if position >= limits.parameters {
            let limit = limits.parameters;
            return Err(Malformed::TooLarge {
                what: "parameters",
                received: pairs().count(),
                limit,
            });
        }
        let equals = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(equals);
        let name = decode(name)?;
        let value = decode(value.strip_prefix(b"=").unwrap_or_default())?;
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
