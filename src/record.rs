//! The records of a store, their versions, and the compare-and-set that changes one record.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::grant::{Grant, Phase};
use crate::moment::Timestamp;
use crate::seen::Seen;
use crate::value::credential::GrantId;
use crate::value::secret::Digest;
use crate::value::text::{ClientId, Subject};

/// A stored record with its version.
#[derive(Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a store builds it from a row")]
pub struct Stored<T> {
    /// The record.
    pub record: Arc<T>,
    /// The version that a replacement compares.
    pub version: Version,
}

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Self { record: Arc::clone(&self.record), version: self.version }
    }
}

/// The version of a record. Every write changes it, so that equal versions mean an unchanged
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "stores keep the number")]
pub struct Version(pub u64);

impl Version {
    /// The first version of a client that the operator adds, and of a grant that was moved to this
    /// store in use.
    pub const FIRST: Self = Self(1);

    /// Returns the first version of a record that holds this digest of a fresh secret.
    fn beginning_at(digest: &Digest) -> Self {
        Self(u64::from_le_bytes(digest.head()))
    }

    /// Returns the version after this one.
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A compare-and-set of one record. A mark is compared with its absence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "an outcome may be returned only after its write is durable"]
#[expect(clippy::exhaustive_enums, reason = "a store that skipped a write would lose it")]
pub enum Write {
    /// Creates or replaces a grant.
    Grant(Change<Grant>),
    /// Creates or replaces a client. Registration, its management, client documents, renewals and
    /// changes by the operator make such writes. If the operator registers every client, only the
    /// operator's changes do.
    Client(Change<Client>),
    /// Creates a mark if there is none of its key, and conflicts otherwise. It replaces nothing.
    Seen(Box<Seen>),
}

/// The next state of one record, and the version of the state that it was decided on.
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
    /// Replaces a grant that was read, or creates one if there was none.
    pub(crate) fn grant(seen: Option<&Stored<Grant>>, grant: impl Into<Arc<Grant>>) -> Self {
        let grant = grant.into();
        // A grant whose id is made from its challenge can be dropped and made again. Its versions
        // begin at a random number: a late write that was decided on the dropped record must not
        // fit the new one.
        let first = match grant.phase() {
            Phase::ConsentPending(consent) => Version::beginning_at(&consent.ticket_digest),
            Phase::CodeIssued(_) | Phase::Active(_) | Phase::Revoked(_) => Version::FIRST,
        };
        Self::Grant(Change::over(seen, first, grant))
    }

    /// Creates a grant that was read from another store, for a host that moves from one store to
    /// another. The other store must not be written any more.
    pub fn moved(grant: impl Into<Arc<Grant>>) -> Self {
        Self::grant(None, grant)
    }

    /// Creates a mark that was read from another store, as [`moved`](Self::moved) does with a
    /// grant.
    pub fn moved_seen(seen: Seen) -> Self {
        Self::Seen(Box::new(seen))
    }

    /// Replaces a client that the host has read, or creates one if there was none. The host passes
    /// the write to its store.
    pub fn client(seen: Option<&Stored<Client>>, client: impl Into<Arc<Client>>) -> Self {
        let client = client.into();
        // A client with a metadata document can be dropped and made again. Its epoch is random, and
        // its versions begin there: a late write that was decided on the dropped record must not
        // fit the new one.
        let first = Version(client.epoch()).next();
        Self::Client(Change::over(seen, first, client))
    }

    /// Overwrites a client by one that may have been built anew, as the
    /// [`put_client`](crate::store::StoreAdministration::put_client) of every store does. A client
    /// that is built anew begins in epoch 0. If the stored epoch is higher, it stays, because the
    /// lower one would bring ended grants back to life.
    pub fn put_client(seen: Option<&Stored<Client>>, client: impl Into<Arc<Client>>) -> Self {
        let client = client.into();
        let stored = seen.map_or(0, |stored| stored.record.epoch());
        if stored <= client.epoch() {
            return Self::client(seen, client);
        }
        Self::client(seen, Client::clone(&client).in_epoch(stored))
    }

    /// Returns the change if it is one of a grant.
    pub fn as_grant(&self) -> Option<&Change<Grant>> {
        match self {
            Self::Grant(change) => Some(change),
            Self::Client(_) | Self::Seen(_) => None,
        }
    }

    /// Returns the change if it is one of a client.
    pub fn as_client(&self) -> Option<&Change<Client>> {
        match self {
            Self::Client(change) => Some(change),
            Self::Grant(_) | Self::Seen(_) => None,
        }
    }

    /// Returns the mark if it is the creation of one.
    pub fn as_seen(&self) -> Option<&Seen> {
        match self {
            Self::Seen(seen) => Some(seen),
            Self::Grant(_) | Self::Client(_) => None,
        }
    }
}

impl<T> Change<T> {
    fn over(seen: Option<&Stored<T>>, first: Version, record: Arc<T>) -> Self {
        let seen = seen.map(|stored| stored.version);
        Self { seen, version: seen.map_or(first, Version::next), record }
    }

    /// Returns the version that the stored record must have, or `None` if there must be no record.
    pub fn seen(&self) -> Option<Version> {
        self.seen
    }

    /// Returns the version to store with the new record.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the new record.
    pub fn record(&self) -> &Arc<T> {
        &self.record
    }

    /// Returns the new record with its version, as a later load returns it.
    pub fn stored(&self) -> Stored<T> {
        Stored { record: Arc::clone(&self.record), version: self.version() }
    }
}

impl Change<Grant> {
    /// Returns the id of the grant.
    pub fn id(&self) -> GrantId {
        self.record.id()
    }
}

impl Change<Client> {
    /// Returns the id of the client.
    pub fn id(&self) -> &ClientId {
        self.record.id()
    }
}

impl<R: Record> Change<R> {
    /// Returns the key of the record: see [`Record::key`].
    pub fn key(&self) -> &[u8] {
        self.record.key()
    }

    /// Returns the user of a grant: see [`Record::subject`].
    pub fn subject(&self) -> Option<&Subject> {
        self.record.subject()
    }

    /// Returns the time after which the record may be dropped. Nothing depends on the drop.
    pub fn drop_after(&self) -> Timestamp {
        self.record.drop_after()
    }
}

/// A record of a store: a [`Grant`], a [`Client`] or a [`Seen`]. A host cannot implement it.
///
/// It has what a store writes beside the serialized record, so that one function can write both:
///
/// ```
/// use grantcore::store::{Change, Record};
///
/// /// A row of either table.
/// struct Row {
///     key: Vec<u8>,
///     version: u64,
///     /// For the sweep.
///     drop_after: u64,
///     /// For the list of a user's grants.
///     subject: Option<String>,
///     body: String,
/// }
///
/// fn row<R: Record>(change: &Change<R>) -> serde_json::Result<Row> {
///     Ok(Row {
///         key: change.key().to_owned(),
///         version: change.version().0,
///         drop_after: change.drop_after().unix_seconds(),
///         subject: change.subject().map(ToString::to_string),
///         body: serde_json::to_string(change.record())?,
///     })
/// }
/// ```
pub trait Record:
    Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static + Sealed
{
    /// Returns the key of the record within its table: the 16 bytes of a grant's id, the text of a
    /// `client_id`, or the 32 bytes of a mark's key. The order of the bytes is the order of the
    /// ids.
    fn key(&self) -> &[u8];

    /// Returns the user of a grant, by whom [`grants_of`](crate::Store::grants_of) lists it.
    /// Returns `None` for a grant without a user, which no list has, for a client and for a mark.
    fn subject(&self) -> Option<&Subject>;

    /// Returns the time after which the record may be dropped. Nothing depends on the drop. Before
    /// it, a mark must be kept.
    fn drop_after(&self) -> Timestamp;
}

mod sealed {
    #![expect(unnameable_types, reason = "a trait that cannot be named cannot be implemented")]

    /// Keeps hosts from adding a kind of record.
    pub trait Sealed {}
}

use self::sealed::Sealed;

impl Sealed for Grant {}

impl Record for Grant {
    fn key(&self) -> &[u8] {
        self.key_bytes()
    }

    fn subject(&self) -> Option<&Subject> {
        self.subject()
    }

    fn drop_after(&self) -> Timestamp {
        self.drop_after()
    }
}

impl Sealed for Client {}

impl Record for Client {
    fn key(&self) -> &[u8] {
        self.id().as_str().as_bytes()
    }

    fn subject(&self) -> Option<&Subject> {
        None
    }

    fn drop_after(&self) -> Timestamp {
        self.drop_after()
    }
}

impl Sealed for Seen {}

impl Record for Seen {
    fn key(&self) -> &[u8] {
        self.key().as_bytes()
    }

    fn subject(&self) -> Option<&Subject> {
        None
    }

    fn drop_after(&self) -> Timestamp {
        self.drop_after()
    }
}

/// The result of a write. If the store cannot know the result, as after a time-out, it returns its
/// error instead (LAW 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a compare-and-set has two results")]
pub enum Commit {
    /// The write is durable.
    Done,
    /// The stored record had another version, or there was a mark of the key. Nothing was written.
    Conflict,
}
