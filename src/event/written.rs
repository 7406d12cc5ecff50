//! What a step wrote: the record, its version, and whether the write is durable.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::Event;
use super::kind::Durability;
use crate::record::{Version, Write};

/// A write of a step: the record, its version, and whether the write is known to be durable.
///
/// A reader resolves an [unknown](Durability::Unknown) durability by the stored record:
///
/// - Its version is below that of the write: the write was not made, or not yet.
/// - It is equal: this request or a concurrent one made the write. If it was the concurrent
///   request, its event has the same version.
/// - It is above: other events of the flow describe how the record got there.
///
/// It serializes to an object of `record` (`grant`, `client` or `account`), `version` and
/// `durability`. An account has no version. The version is a JSON string, because many JSON parsers
/// lose precision in 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Written {
    /// The record.
    pub record: WrittenRecord,
    /// The durability of the write.
    pub durability: Durability,
}

/// The record that a step wrote. Its text is the kind of the record and its version: `grant 3`,
/// `client 2`, `account`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WrittenRecord {
    /// The grant of the event's flow, in this version.
    Grant(Version),
    /// The event's client, in this version.
    Client(Version),
    /// The epoch of the event's subject, which the host keeps.
    Account,
}

impl Written {
    /// Returns the write of a grant or a client, of unknown durability. An event has the mark of an
    /// assertion in a field of its own.
    pub(crate) fn of(write: &Write) -> Option<Self> {
        let record = match write {
            Write::Grant(change) => WrittenRecord::Grant(change.version()),
            Write::Client(change) => WrittenRecord::Client(change.version()),
            Write::Seen(_) => return None,
        };
        Some(Self { record, durability: Durability::Unknown })
    }

    /// Sets the durability to durable.
    pub(crate) fn durable(self) -> Self {
        Self { durability: Durability::Durable, ..self }
    }
}

impl Event {
    /// Records the write of the step, of unknown durability.
    pub(crate) fn note_write(&mut self, write: &Write) {
        // The flow of a request that creates its record begins here. That of any other request is
        // known from what was loaded.
        self.written = Written::of(write);
        match write {
            Write::Grant(change) => {
                self.flow.get_or_insert(change.id());
                if self.subject.is_none() {
                    self.subject = change.record().subject().cloned();
                }
                self.attributed = true;
            }
            Write::Client(change) => {
                self.client.get_or_insert_with(|| change.id().clone());
            }
            Write::Seen(_) => self.marked = Some(Durability::Unknown),
        }
    }
}

impl WrittenRecord {
    /// Returns the kind of the record: `grant`, `client` or `account`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::Client(_) => "client",
            Self::Account => "account",
        }
    }

    /// Returns the version of the record. An account has none.
    pub fn version(self) -> Option<Version> {
        match self {
            Self::Grant(version) | Self::Client(version) => Some(version),
            Self::Account => None,
        }
    }
}

impl fmt::Display for WrittenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.version() {
            Some(version) => write!(f, " {}", version.0),
            None => Ok(()),
        }
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let version = self.record.version();
        let length = if version.is_some() { 3 } else { 2 };
        let mut fields = serializer.serialize_struct("Written", length)?;
        fields.serialize_field("record", self.record.name())?;
        match version {
            Some(version) => fields.serialize_field("version", &version.0.to_string())?,
            None => fields.skip_field("version")?,
        }
        fields.serialize_field("durability", &self.durability)?;
        fields.end()
    }
}
