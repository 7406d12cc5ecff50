//! The record's format version, written into every record and checked before anything else is believed.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The format this crate writes and reads.
const CURRENT: u16 = 1;

/// Stands for the one version that is read: a record of another does not decode, which the store reports as its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Schema;

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(CURRENT)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            CURRENT => Ok(Self),
            other => Err(de::Error::custom(format_args!("a record of schema {other}, this version reads {CURRENT}"))),
        }
    }
}
