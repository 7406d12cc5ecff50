//! One record of either table, so that each check is written once and made of both.

use std::fmt;

use super::law::works;
use super::records::{self, Draft};
use super::{Law, Violation};
use crate::client::Client;
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::record::{Commit, Stored, Version, Write};
use crate::store::AsyncStore;
use crate::value::text::Subject;

/// Where a record is.
#[derive(Clone)]
pub(super) enum Key {
    Grant(Draft),
    Client(Box<Client>),
}

/// A record as stored, of either table.
#[derive(Clone, PartialEq)]
pub(super) enum Record {
    Grant(Stored<Grant>),
    Client(Stored<Client>),
}

impl Key {
    /// A consent page, a grant in use, and the client of both, that nobody has.
    pub(super) fn all() -> Result<[Self; 3], Violation> {
        let client = records::new_client(records::now().after(records::DAY))?;
        let draft = |in_use| {
            Ok(Self::Grant(Draft { in_use, client: client.id().clone(), ..Draft::new()? }))
        };
        Ok([draft(false)?, draft(true)?, Self::Client(Box::new(client))])
    }

    /// A commit over this version of a record that has this mark.
    pub(super) fn write(
        &self,
        seen: Option<Version>,
        mark: impl Into<String>,
    ) -> Result<Write, Violation> {
        match self {
            Self::Grant(draft) => draft.marked(mark).over(seen),
            Self::Client(client) => {
                let marked = (**client).clone().edit().name(mark).build();
                Ok(records::over(seen, works("the kit's own client", marked)?))
            }
        }
    }

    /// The same key, whose records may be dropped then.
    pub(super) fn until(&self, end: Timestamp) -> Self {
        match self {
            Self::Grant(draft) => Self::Grant(draft.until(end)),
            Self::Client(client) => Self::Client(Box::new(client.known_until(end))),
        }
    }

    /// The same key for another record, as when one is dropped and comes back.
    pub(super) fn again(&self) -> Result<Self, Violation> {
        Ok(match self {
            Self::Grant(draft) => Self::Grant(draft.clone()),
            Self::Client(client) => {
                let end = records::now().after(records::DAY);
                Self::Client(Box::new(records::client_again(client.id().as_str(), end)?))
            }
        })
    }

    /// A key that nobody has, of the same kind.
    pub(super) fn another(&self) -> Result<Self, Violation> {
        Ok(match self {
            Self::Grant(draft) => Self::Grant(Draft { in_use: draft.in_use, ..Draft::new()? }),
            Self::Client(_) => {
                Self::Client(Box::new(records::new_client(records::now().after(records::DAY))?))
            }
        })
    }

    /// The accounts behind it: a grant's user, a client's owner.
    pub(super) fn account(&self) -> Option<Subject> {
        match self {
            Self::Grant(draft) => Some(draft.subject.clone()),
            Self::Client(client) => client.owner().cloned(),
        }
    }

    /// What a store says is there.
    pub(super) async fn find<S: AsyncStore>(&self, store: &S) -> Result<Option<Record>, S::Error> {
        Ok(match self {
            Self::Grant(draft) => store.grant(draft.id).await?.map(Record::Grant),
            Self::Client(client) => store.client(client.id().as_str()).await?.map(Record::Client),
        })
    }

    /// The same, where nothing is in its way.
    pub(super) async fn read<S: AsyncStore<Error: fmt::Debug>>(
        &self,
        store: &S,
    ) -> Result<Option<Record>, Violation> {
        works("a read", self.find(store).await)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(draft) => write!(f, "the grant {}", draft.id),
            Self::Client(client) => write!(f, "the client {}", client.id()),
        }
    }
}

/// A commit that nothing is in the way of.
pub(super) async fn commit<S: AsyncStore<Error: fmt::Debug>>(
    store: &S,
    write: &Write,
) -> Result<Commit, Violation> {
    works("a commit", store.commit(write).await)
}

impl Record {
    /// What is stored when this is done.
    pub(super) fn of(write: &Write) -> Self {
        match write {
            Write::Grant(change) => Self::Grant(change.stored()),
            Write::Client(change) => Self::Client(change.stored()),
        }
    }

    pub(super) fn version(&self) -> Version {
        match self {
            Self::Grant(stored) => stored.version,
            Self::Client(stored) => stored.version,
        }
    }

    /// Which write it is of.
    pub(super) fn mark(&self) -> &str {
        match self {
            Self::Grant(stored) => stored.record.resources().nth(1).unwrap_or_default(),
            Self::Client(stored) => stored.record.description().name.as_deref().unwrap_or_default(),
        }
    }

    /// Whether the records are the same, whatever their versions.
    fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Grant(one), Self::Grant(other)) => one.record == other.record,
            (Self::Client(one), Self::Client(other)) => one.record == other.record,
            _ => false,
        }
    }
}

/// The table, the version and the mark tell all that matters.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = if matches!(self, Self::Grant(_)) { "grant" } else { "client" };
        let mark: String = self.mark().chars().take(40).collect();
        write!(f, "a {table} of version {} marked {mark:?}", self.version().0)
    }
}

/// What is there, in words.
pub(super) fn shown(record: Option<&Record>) -> String {
    record.map_or_else(|| "nothing".to_owned(), |record| format!("{record:?}"))
}

/// That a read after a write that was done brings it: if not, which law that breaks, by what a
/// handle sees that was opened just now.
pub(super) fn came_back(
    written: &Record,
    read: Option<&Record>,
    anew: Option<&Record>,
) -> Result<(), Violation> {
    if read == Some(written) {
        return Ok(());
    }
    let law = match read {
        _ if anew == Some(written) => Law::Fresh,
        Some(read) if read.is_as(written) => Law::Versions,
        Some(read) if read.version() == written.version() => Law::Faithful,
        _ => Law::Done,
    };
    Err(law.broken(format_args!(
        "after Done, {written:?} should be there, but a read brought {}",
        shown(read)
    )))
}
