//! Scope: a set of case-sensitive tokens (OAuth 2.1 §1.4.1), sorted, and subsets of a granted scope
//! as bits.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// The most tokens of one scope. A subset of a scope is then one machine word.
pub(crate) const MAX_TOKENS: usize = 64;

/// A set of 1 to 64 scope tokens. Its text has the tokens in ascending order, separated by single
/// spaces.
///
/// ```
/// use grantcore::value::Scope;
///
/// let scope: Scope = " write  read read".parse()?;
/// assert_eq!(scope.to_string(), "read write");
/// # Ok::<(), grantcore::value::ScopeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope(SmolStr);

/// The reason why a text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// The text has no token.
    #[error("a scope names at least one token")]
    Empty,
    /// A token has a character outside `%x21 / %x23-5B / %x5D-7E` (OAuth 2.1 App. A.4).
    #[error("a scope token is made of printable ASCII without quote and backslash")]
    Character,
    /// The text has more than 64 different tokens.
    #[error("a scope has at most 64 tokens")]
    TooMany,
}

impl Scope {
    /// Reads tokens separated by spaces. Order, repetitions and extra spaces do not matter.
    ///
    /// # Errors
    /// [`ScopeError`] if there is no token, a malformed token, or more than 64.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if is_canonical(text) {
            return Ok(Self(text.into()));
        }
        Self::from_tokens(text.split(' '))
    }

    pub(crate) fn from_tokens<'a>(
        tokens: impl Iterator<Item = &'a str>,
    ) -> Result<Self, ScopeError> {
        let mut tokens: Vec<&str> = tokens.filter(|token| !token.is_empty()).collect();
        if !tokens.iter().all(|token| is_token(token)) {
            return Err(ScopeError::Character);
        }
        tokens.sort_unstable();
        tokens.dedup();
        match tokens.len() {
            0 => Err(ScopeError::Empty),
            1..=MAX_TOKENS => Ok(Self(tokens.join(" ").into())),
            _ => Err(ScopeError::TooMany),
        }
    }

    /// Returns the tokens in ascending order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        // There is no other white space in the text. For short tokens this takes half of what
        // `split(' ')` takes.
        self.0.split_ascii_whitespace()
    }

    /// Returns whether the set contains this token. Letter case matters.
    pub fn contains(&self, token: &str) -> bool {
        self.tokens().any(|own| own == token)
    }

    /// Returns whether the set contains every token of `other`.
    pub fn covers(&self, other: &Scope) -> bool {
        // Both are sorted, so one pass over each is enough.
        let mut own = self.tokens();
        other.tokens().all(|token| own.find(|own| *own >= token) == Some(token))
    }

    /// Returns the text of the set, as the parameter `scope` has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.tokens().count()
    }

    /// Returns the subset of the tokens that `other` has as well.
    pub(crate) fn common(&self, other: &Scope) -> Subset {
        let shared = self.tokens().enumerate().filter(|(_, token)| other.contains(token));
        shared.fold(Subset::NONE, |subset, (position, _)| subset.with(position))
    }

    /// Returns the subset of these tokens, or `None` if the set lacks one of them.
    pub(crate) fn subset<'a>(&self, mut tokens: impl Iterator<Item = &'a str>) -> Option<Subset> {
        tokens.try_fold(Subset::NONE, |bits, token| {
            Some(bits.with(self.tokens().position(|own| own == token)?))
        })
    }
}

/// Returns whether this is the text of a scope already: most clients send it so, and collecting,
/// sorting and joining two tokens takes 900 instructions and three allocations.
fn is_canonical(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut last: &[u8] = b"";
    let mut start = 0;
    let mut count = 1;
    // In one pass over the bytes: to split first took twice as much.
    for (place, byte) in bytes.iter().enumerate() {
        if *byte == b' ' {
            let token = bytes.get(start..place).unwrap_or_default();
            if last >= token {
                return false;
            }
            last = token;
            start = place + 1;
            count += 1;
        } else if !is_token_byte(byte) {
            return false;
        }
    }
    count <= MAX_TOKENS && last < bytes.get(start..).unwrap_or_default()
}

/// Returns whether this is one scope token: `1*( %x21 / %x23-5B / %x5D-7E )`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(is_token_byte)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "iterators over bytes pass references")]
fn is_token_byte(b: &u8) -> bool {
    matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A subset of an ordered list of at most 64 members, with one bit for each. An access token keeps
/// its scope and its resources as subsets. In formats for people it is `all`, or the positions of
/// the members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Subset(u64);

impl Subset {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u64::MAX);

    /// Returns the subset with the member at this position. A position above 63 adds no member.
    pub(crate) fn with(self, position: usize) -> Self {
        let shift = u32::try_from(position).ok();
        Self(self.0 | shift.and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0))
    }

    pub(crate) fn has(self, position: usize) -> bool {
        self.0 & Self::NONE.with(position).0 != 0
    }

    /// Returns the members that are in both subsets.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns whether none of the first `length` members is in the subset.
    pub(crate) fn is_empty(self, length: usize) -> bool {
        self.0 & Self::first(length).0 == 0
    }

    /// Returns whether each of the first `length` members that is in `other` is in this subset.
    pub(crate) fn covers(self, other: Self, length: usize) -> bool {
        other.0 & !self.0 & Self::first(length).0 == 0
    }

    /// Returns the subset of the first `length` members.
    fn first(length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        Self(1_u64.checked_shl(length).map_or(u64::MAX, |above| above - 1))
    }

    /// Returns the members of the list that are in the subset.
    pub(crate) fn of<T>(self, list: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        list.enumerate().filter(move |(position, _)| self.has(*position)).map(|(_, member)| member)
    }
}

const ALL: &str = "all";

impl Serialize for Subset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (serializer.is_human_readable(), *self) {
            (true, Self::ALL) => serializer.serialize_str(ALL),
            (true, _) => serializer.collect_seq(self.of(0..MAX_TOKENS)),
            (false, _) => serializer.serialize_u64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Subset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Subset;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{ALL}\", or positions from 0 to {} in their order", MAX_TOKENS - 1)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Subset, E> {
                if text == ALL {
                    Ok(Subset::ALL)
                } else {
                    Err(E::invalid_value(Unexpected::Str(text), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut positions: A) -> Result<Subset, A::Error> {
                let mut subset = Subset::NONE;
                let mut least = 0;
                while let Some(position) = positions.next_element()? {
                    if !(least..MAX_TOKENS).contains(&position) {
                        return Err(de::Error::invalid_value(
                            Unexpected::Unsigned(position as u64),
                            &self,
                        ));
                    }
                    subset = subset.with(position);
                    least = position + 1;
                }
                Ok(subset)
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Text)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}
