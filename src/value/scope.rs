//! Scope: a set of case-sensitive tokens (OAuth 2.1 §1.4.1), kept sorted, and subsets of a granted
//! one as bits.

use std::fmt;

use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many tokens one scope may have: a subset of it is one machine word.
pub(crate) const MOST_TOKENS: usize = 64;

/// A non-empty set of scope tokens, written in order with single spaces.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope(Box<str>);

/// Why a text is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// No token in it.
    #[error("a scope names at least one token")]
    Empty,
    /// A character outside `%x21 / %x23-5B / %x5D-7E` (OAuth 2.1 App. A.4).
    #[error("a scope token is made of printable ASCII without quote and backslash")]
    Character,
    /// More than 64 different tokens.
    #[error("a scope has at most 64 tokens")]
    TooMany,
}

impl Scope {
    /// Reads tokens separated by spaces. Order, repetition and extra spaces mean nothing.
    ///
    /// ```
    /// # use grantcore::Scope;
    /// assert_eq!(Scope::parse(" write  read read")?, Scope::parse("read write")?);
    /// # Ok::<(), grantcore::ScopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScopeError`] when there is no token, a malformed one, or more than 64.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
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
            1..=MOST_TOKENS => Ok(Self(tokens.join(" ").into())),
            _ => Err(ScopeError::TooMany),
        }
    }

    /// The tokens in order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }

    /// Whether this token, letter case included, is in the set.
    pub fn contains(&self, token: &str) -> bool {
        self.tokens().any(|own| own == token)
    }

    /// Whether every token of `other` is in this set.
    pub fn covers(&self, other: &Scope) -> bool {
        other.tokens().all(|token| self.contains(token))
    }

    /// The set as the protocol writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bits of these tokens, or nothing if one of them is not in the set.
    pub(crate) fn subset<'a>(&self, mut tokens: impl Iterator<Item = &'a str>) -> Option<Subset> {
        tokens.try_fold(Subset::NONE, |bits, token| {
            Some(bits.with(self.tokens().position(|own| own == token)?))
        })
    }
}

/// Whether this is one scope token: `1*( %x21 / %x23-5B / %x5D-7E )`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
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

/// Some members of an ordered list of at most 64: one bit each. An access token keeps its scope and
/// resources this way. In text it is `all`, or the positions of the members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Subset(u64);

impl Subset {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u64::MAX);

    pub(crate) fn with(self, position: usize) -> Self {
        Self(
            self.0
                | u32::try_from(position)
                    .ok()
                    .and_then(|shift| 1_u64.checked_shl(shift))
                    .unwrap_or(0),
        )
    }

    pub(crate) fn has(self, position: usize) -> bool {
        self.0 & Self::NONE.with(position).0 != 0
    }

    /// The members of the list that are in this subset.
    pub(crate) fn of<T>(self, list: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        list.enumerate().filter(move |(position, _)| self.has(*position)).map(|(_, member)| member)
    }
}

const ALL: &str = "all";

impl Serialize for Subset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (serializer.is_human_readable(), *self) {
            (true, Self::ALL) => serializer.serialize_str(ALL),
            (true, _) => serializer.collect_seq(self.of(0..MOST_TOKENS)),
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
                write!(f, "\"{ALL}\", or positions from 0 to {} in their order", MOST_TOKENS - 1)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Subset, E> {
                if text == ALL {
                    Ok(Subset::ALL)
                } else {
                    Err(E::invalid_value(Unexpected::Str(text), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut positions: A) -> Result<Subset, A::Error> {
                let (mut subset, mut least) = (Subset::NONE, 0);
                while let Some(position) = positions.next_element()? {
                    if !(least..MOST_TOKENS).contains(&position) {
                        return Err(de::Error::invalid_value(
                            Unexpected::Unsigned(position as u64),
                            &self,
                        ));
                    }
                    (subset, least) = (subset.with(position), position + 1);
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
