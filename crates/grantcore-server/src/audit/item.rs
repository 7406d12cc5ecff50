//! What the queue takes and a ledger appends.
//!
//! An event becomes an entry when it is written, and in memory only when it is searched for. Making
//! the texts of an entry takes 4,000 instructions, which each refresh would wait for.

use std::borrow::Cow;

use grantcore::Event;
use grantcore::event::{EventClass, EventKind};
use grantcore::moment::CorrelationId;

use super::Entry;

/// An item of the audit log. It is on the heap, because it is moved several times.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An event of the library.
    Event(Box<Event>),
    /// An entry that this server makes itself.
    Entry(Box<Entry>),
}

/// The correlation id and the kind of an item. No two items of one source share both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Event(CorrelationId, EventKind),
    Entry(String, Cow<'static, str>),
}

impl From<Event> for Item {
    fn from(event: Event) -> Self {
        Self::Event(Box::new(event))
    }
}

impl From<Entry> for Item {
    fn from(entry: Entry) -> Self {
        Self::Entry(Box::new(entry))
    }
}

impl Item {
    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Event(event) => Name::Event(event.correlation, event.kind),
            Self::Entry(entry) => Name::Entry(entry.correlation.clone(), entry.kind.clone()),
        }
    }

    /// Returns the time of the item in Unix seconds.
    pub(crate) fn at(&self) -> u64 {
        match self {
            Self::Event(event) => event.at.unix_seconds(),
            Self::Entry(entry) => entry.at,
        }
    }

    /// Returns whether the item belongs to a live flow, an authenticated client or the operator.
    pub(crate) fn is_attributed(&self) -> bool {
        match self {
            Self::Event(event) => event.class() == EventClass::Attributed,
            Self::Entry(entry) => entry.attributed,
        }
    }

    /// Returns the entry that is stored and shown.
    pub(crate) fn entry(&self) -> Cow<'_, Entry> {
        match self {
            Self::Event(event) => Cow::Owned(Entry::of(event)),
            Self::Entry(entry) => Cow::Borrowed(entry),
        }
    }

    /// Returns the entries of these items.
    pub(crate) fn entries(items: &[Self]) -> Vec<Cow<'_, Entry>> {
        items.iter().map(Self::entry).collect()
    }
}
