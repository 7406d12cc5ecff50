//! What a store keeps: records with a version each, and the one way of changing them, a
//! compare-and-set of one record.

use std::sync::Arc;

use crate::client::Client;
use crate::grant::{Grant, Phase};
use crate::moment::Timestamp;
use crate::value::credential::GrantId;
use crate::value::secret::Digest;
use crate::value::text::ClientId;

/// A record as stored, with the version it was read at.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Stored<T> {
    /// The record.
    pub record: Arc<T>,
    /// The version to compare when it is replaced.
    pub version: Version,
}

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Self { record: Arc::clone(&self.record), version: self.version }
    }
}

/// A record's version: moves at every write, so that equal versions mean an unchanged record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of a client that the operator adds, and of a grant that was moved here in use.
    pub const FIRST: Self = Self(1);

    /// Returns the first version of a record that this digest of a fresh secret stands in.
    fn beginning_at(digest: &Digest) -> Self {
        let head: [u8; 8] = digest.bytes().first_chunk().copied().unwrap_or_default();
        Self(u64::from_le_bytes(head))
    }

    /// The version after this one.
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One compare-and-set of one record, in one of the two tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "an outcome may leave only when its write is durable"]
pub enum Write {
    /// Of a grant.
    Grant(Change<Grant>),
    /// Of a client: made by registration, its management, client documents, renewals of such
    /// clients, and [`Server::set_client_status`](crate::Server::set_client_status). A server whose
    /// operator registers every client has none but the last.
    Client(Change<Client>),
}

/// The next state of one record, and which state of it this was decided on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Change<T> {
    seen: Option<Version>,
    version: Version,
    record: Arc<T>,
}

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        Self { seen: self.seen, version: self.version, record: Arc::clone(&self.record) }
    }
}

impl Write {
    /// The next state of a grant that was read, or a new one where there was none.
    pub(crate) fn grant(seen: Option<&Stored<Grant>>, grant: impl Into<Arc<Grant>>) -> Self {
        let grant = grant.into();
        // A grant whose id is made from its challenge can be dropped and come back. Its versions
        // then begin elsewhere, or a write that was decided on the old record and lands late would
        // fit the new one.
        let first = match grant.phase() {
            Phase::ConsentPending(prompt) => Version::beginning_at(&prompt.ticket),
            Phase::CodeIssued(_) | Phase::Active(_) | Phase::Revoked(_) => Version::FIRST,
        };
        Self::Grant(Change::over(seen, first, grant))
    }

    /// A grant that another store has, to be written where there is none: for a host that moves
    /// from one store to another. The store it is read from must not be written any more.
    pub fn moved(grant: impl Into<Arc<Grant>>) -> Self {
        Self::grant(None, grant)
    }

    /// A change of a client by the host itself, to hand to its store: of the record it has read, or
    /// a new one where there was none.
    pub fn client(seen: Option<&Stored<Client>>, client: impl Into<Arc<Client>>) -> Self {
        let client = client.into();
        // A client known by a URL can be dropped and come back. Its versions then go on from
        // elsewhere, so that no write that was decided on the old record and lands late
        // fits the new one.
        let first = Version(client.epoch()).next();
        Self::Client(Change::over(seen, first, client))
    }

    /// The change, if it is one of a grant.
    pub fn as_grant(&self) -> Option<&Change<Grant>> {
        match self {
            Self::Grant(change) => Some(change),
            Self::Client(_) => None,
        }
    }

    /// The change, if it is one of a client.
    pub fn as_client(&self) -> Option<&Change<Client>> {
        match self {
            Self::Client(change) => Some(change),
            Self::Grant(_) => None,
        }
    }
}

impl<T> Change<T> {
    fn over(seen: Option<&Stored<T>>, first: Version, record: Arc<T>) -> Self {
        let seen = seen.map(|stored| stored.version);
        Self { seen, version: seen.map_or(first, Version::next), record }
    }

    /// The version the stored record must have; nothing if there must be no record.
    pub fn seen(&self) -> Option<Version> {
        self.seen
    }

    /// The version to store with the new record.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The new record.
    pub fn record(&self) -> &Arc<T> {
        &self.record
    }

    /// What a store then has.
    pub fn stored(&self) -> Stored<T> {
        Stored { record: Arc::clone(&self.record), version: self.version() }
    }
}

impl Change<Grant> {
    /// The record's key.
    pub fn id(&self) -> GrantId {
        self.record.id()
    }

    /// From when on the record may be dropped; nothing ever depends on its having been.
    pub fn drop_after(&self) -> Timestamp {
        self.record.drop_after()
    }
}

impl Change<Client> {
    /// The record's key.
    pub fn id(&self) -> &ClientId {
        self.record.id()
    }

    /// From when on the record may be dropped; nothing ever depends on its having been.
    pub fn drop_after(&self) -> Timestamp {
        self.record.drop_after()
    }
}

/// What a store says of a write. A result it cannot know, such as a time-out, is neither: it is the
/// store's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is durable.
    Done,
    /// The record was not as seen; nothing was written.
    Conflict,
}
