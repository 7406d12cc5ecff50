//! The properties that a host binds to a grant: one JSON object, kept byte for byte.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest size that any properties can be given.
const MAX_BYTES: usize = 64 * 1024;
/// The most objects and arrays inside each other, the outer object counted.
const MAX_DEPTH: usize = 16;

/// The properties that a host binds to a grant: the tenant that a user chose, a plan, a role. One
/// JSON object, which the host writes at the consent and reads at each check. This crate never
/// looks into it.
///
/// The text is kept byte for byte. It is checked once, when it is made: one object of at most
/// [`DEFAULT_BYTES`](Self::DEFAULT_BYTES), at most 16 levels deep, and no member twice in one
/// object. Members are the same if they are equal after the escapes are resolved.
///
/// Properties belong to one grant. The text is in the grant's record, and nowhere in an event, an
/// error or a `Debug` text. It is no place for a secret: everyone who can read the database can
/// read it.
///
/// ```
/// use grantcore::value::Properties;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Membership {
///     org: String,
///     seats: u32,
/// }
///
/// let acme = Membership { org: "acme".to_owned(), seats: 4 };
/// let properties = Properties::of(&acme)?;
/// assert_eq!(properties.as_str(), r#"{"org":"acme","seats":4}"#);
/// assert_eq!(properties.read::<Membership>()?, acme);
/// assert_eq!(format!("{properties:?}"), "Properties(24 bytes)");
/// # Ok::<(), grantcore::value::PropertiesError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Properties(Box<str>);

/// The reason why a text is not the properties of a grant, or not those of the type that it was
/// read as. It has no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertiesError {
    /// The text is too long.
    #[error("the properties have {bytes} bytes, and at most {limit} are allowed")]
    TooLong {
        /// The length of the text.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The text is not one JSON object.
    #[error("the properties are not one JSON object")]
    NotAnObject,
    /// Objects and arrays are more than 16 levels deep.
    #[error("the properties are more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// An object has a member twice, so that readers could disagree on its value.
    #[error("an object of the properties has a member twice")]
    RepeatedMember,
    /// The value cannot be written as JSON.
    #[error("the value cannot be written as JSON")]
    Unwritable,
    /// The properties are not those of the type that they were read as.
    #[error("the properties are not those of the requested type, at column {column}")]
    Mismatch {
        /// The column at which the text differs, in bytes.
        column: usize,
    },
}

impl Properties {
    /// The size that [`parse`](Self::parse) and [`of`](Self::of) allow.
    pub const DEFAULT_BYTES: usize = 4096;

    /// Reads the text of one JSON object of at most [`DEFAULT_BYTES`](Self::DEFAULT_BYTES).
    ///
    /// # Errors
    /// Returns [`PropertiesError`] for any other text.
    pub fn parse(text: impl Into<Box<str>>) -> Result<Self, PropertiesError> {
        Self::parse_within(text, Self::DEFAULT_BYTES)
    }

    /// Reads the text of one JSON object of at most this many bytes, and never of more than 64 KiB.
    ///
    /// Each load of the grant reads them, and each refresh writes them: properties of 64 KiB make a
    /// check of the token read 64 times what a usual record has.
    ///
    /// # Errors
    /// Returns [`PropertiesError`] for any other text.
    pub fn parse_within(text: impl Into<Box<str>>, limit: usize) -> Result<Self, PropertiesError> {
        let text = text.into();
        let limit = limit.min(MAX_BYTES);
        if text.len() > limit {
            return Err(PropertiesError::TooLong { bytes: text.len(), limit });
        }
        let mut found = None;
        let mut reader = serde_json::Deserializer::from_str(&text);
        let object = Level { depth: 1, is_outer: true, found: &mut found };
        match object.deserialize(&mut reader).and_then(|()| reader.end()) {
            Ok(()) => Ok(Self(text)),
            Err(_) => Err(found.unwrap_or(PropertiesError::NotAnObject)),
        }
    }

    /// Writes a value as properties of at most [`DEFAULT_BYTES`](Self::DEFAULT_BYTES). It must
    /// serialize to an object.
    ///
    /// # Errors
    /// Returns [`PropertiesError`] if it does not, or if the text is too long or too deep.
    pub fn of(value: &impl Serialize) -> Result<Self, PropertiesError> {
        Self::parse(serde_json::to_string(value).map_err(|_| PropertiesError::Unwritable)?)
    }

    /// Reads the properties as a type of the host's.
    ///
    /// # Errors
    /// Returns [`PropertiesError::Mismatch`] if they are not those of the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PropertiesError> {
        serde_json::from_str(&self.0)
            .map_err(|error| PropertiesError::Mismatch { column: error.column() })
    }

    /// Returns the text, byte for byte as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Properties {
    type Err = PropertiesError;

    fn from_str(text: &str) -> Result<Self, PropertiesError> {
        Self::parse(text)
    }
}

/// Shows the length. The text may name customers and people.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Properties({} bytes)", self.0.len())
    }
}

/// Serializes the text as a string. A nested object would lose its bytes in formats that write it
/// anew.
impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse_within(String::deserialize(deserializer)?, MAX_BYTES).map_err(de::Error::custom)
    }
}

/// A value inside the properties. Reading it checks its depth and its members, and keeps nothing.
struct Level<'f> {
    /// The depth of an object or array that begins here.
    depth: usize,
    /// Whether this is the outer value, which must be an object.
    is_outer: bool,
    /// The rule that is broken, if it is not one of JSON.
    found: &'f mut Option<PropertiesError>,
}

impl Level<'_> {
    fn inner(&mut self) -> Level<'_> {
        Level { depth: self.depth + 1, is_outer: false, found: self.found }
    }

    fn refuse<E: de::Error>(&mut self, error: PropertiesError) -> E {
        *self.found = Some(error);
        E::custom(error)
    }

    fn enter<E: de::Error>(&mut self) -> Result<(), E> {
        if self.depth > MAX_DEPTH { Err(self.refuse(PropertiesError::TooDeep)) } else { Ok(()) }
    }

    /// Checks a value that is no object.
    fn other<E: de::Error>(mut self) -> Result<(), E> {
        if self.is_outer { Err(self.refuse(PropertiesError::NotAnObject)) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.enter()?;
        let mut members = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !members.insert(name) {
                return Err(self.refuse(PropertiesError::RepeatedMember));
            }
            map.next_value_seed(self.inner())?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if self.is_outer {
            return self.other();
        }
        self.enter()?;
        while list.next_element_seed(self.inner())?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.other()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.other()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.other()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.other()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.other()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.other()
    }
}
