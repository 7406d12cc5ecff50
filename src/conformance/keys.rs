//! One record of either table, so that each check is written once and made for both.

use std::fmt;

use super::law::works;
use super::records::{self, Draft};
use super::{Law, Violation};
use crate::client::Client;
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::record::{Commit, Stored, Version, Write};
use crate::store::Store;

/// The key of a record, with all that its content needs.
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
    /// Returns new keys: of a consent page, of a grant in use, and of the client of both.
    pub(super) fn all() -> Result<[Self; 3], Violation> {
        let client = records::new_client(records::now().after(records::DAY))?;
        let draft = |in_use| {
            Ok(Self::Grant(Draft { in_use, client: client.id().clone(), ..Draft::new()? }))
        };
        Ok([draft(false)?, draft(true)?, Self::Client(Box::new(client))])
    }

    /// Returns the commit of a record with this mark over this version.
    pub(super) fn write(
        &self,
        seen: Option<Version>,
        mark: impl Into<String>,
    ) -> Result<Write, Violation> {
        match self {
            Self::Grant(draft) => draft.marked(mark).over(seen),
            Self::Client(client) => {
                let marked = (**client).clone().edit().name(mark).build();
                Ok(records::over(seen, works("building a client", marked)?))
            }
        }
    }

    /// Returns the same key, whose records may be dropped at this time.
    pub(super) fn until(&self, end: Timestamp) -> Self {
        match self {
            Self::Grant(draft) => Self::Grant(draft.until(end)),
            Self::Client(client) => Self::Client(Box::new(client.known_until(end))),
        }
    }

    /// Returns the same key for another record, as after the first one was dropped.
    pub(super) fn recreated(&self) -> Result<Self, Violation> {
        Ok(match self {
            Self::Grant(draft) => Self::Grant(draft.clone()),
            Self::Client(client) => {
                let end = records::now().after(records::DAY);
                Self::Client(Box::new(records::client_again(client.id().as_str(), end)?))
            }
        })
    }

    /// Returns a new key of the same kind.
    pub(super) fn another(&self) -> Result<Self, Violation> {
        Ok(match self {
            Self::Grant(draft) => Self::Grant(Draft { in_use: draft.in_use, ..Draft::new()? }),
            Self::Client(_) => {
                Self::Client(Box::new(records::new_client(records::now().after(records::DAY))?))
            }
        })
    }

    /// Reads the record.
    pub(super) async fn find<S: Store>(&self, store: &S) -> Result<Option<Record>, S::Error> {
        Ok(match self {
            Self::Grant(draft) => store.grant(draft.id).await?.map(Record::Grant),
            Self::Client(client) => store.client(client.id().as_str()).await?.map(Record::Client),
        })
    }

    /// Reads the record where a read has no reason to fail.
    pub(super) async fn read<S: Store>(&self, store: &S) -> Result<Option<Record>, Violation> {
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

/// Commits where a commit has no reason to fail.
pub(super) async fn commit<S: Store>(store: &S, write: &Write) -> Result<Commit, Violation> {
    works("a commit", store.commit(write).await)
}

impl Record {
    /// Returns the record that is stored after this write.
    pub(super) fn of(write: &Write) -> Self {
        match write {
            Write::Grant(change) => Self::Grant(change.stored()),
            Write::Client(change) => Self::Client(change.stored()),
            Write::Seen(_) => unreachable!("the checks of versions write no marks"),
        }
    }

    pub(super) fn version(&self) -> Version {
        match self {
            Self::Grant(stored) => stored.version,
            Self::Client(stored) => stored.version,
        }
    }

    /// Returns the mark, which names the write.
    pub(super) fn mark(&self) -> &str {
        match self {
            Self::Grant(stored) => stored.record.resources().nth(1).unwrap_or_default(),
            Self::Client(stored) => stored.record.description().name.as_deref().unwrap_or_default(),
        }
    }

    /// Returns whether the records are the same, whatever their versions are.
    fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Grant(one), Self::Grant(other)) => one.record == other.record,
            (Self::Client(one), Self::Client(other)) => one.record == other.record,
            _ => false,
        }
    }
}

/// Shows the table, the version and the mark.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = if matches!(self, Self::Grant(_)) { "grant" } else { "client" };
        let mark: String = self.mark().chars().take(40).collect();
        write!(f, "a {table} of version {} marked {mark:?}", self.version().0)
    }
}

/// Returns the stored record in words.
pub(super) fn shown(record: Option<&Record>) -> String {
    record.map_or_else(|| "nothing".to_owned(), |record| format!("{record:?}"))
}

/// Checks that a read after an acknowledged write returned it. If not, the law that is broken
/// depends on what a new handle reads (`anew`).
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
    Err(law.broken(format_args!("after Done of {written:?}, a read returned {}", shown(read))))
}
