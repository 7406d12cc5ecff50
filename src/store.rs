//! What a host implements to keep records: three reads, one conditional write and one listing.
//!
//! There are three tables: grants, clients and marks. A [`Write`] changes one row of one of them.
//! The operator may add clients in any way; clients that register themselves are written by
//! [`commit`](Store::commit).
//!
//! # The laws of a store
//!
//! - [`commit`](Store::commit) is a linearizable compare-and-set of one record, and
//!   [`grant`](Store::grant) reads what the last commit wrote: from the primary, never from a
//!   replica or a cache that can lag. A stale read answers `invalid_grant` to an honest client, and
//!   clients discard their tokens on `invalid_grant`.
//! - [`client`](Store::client) also reads what the last commit of that client wrote. A cache in
//!   front of it must be write-through; otherwise each renewal of a client that many users share
//!   conflicts until the cached client expires.
//! - [`Commit::Done`] means durable: the record is still there after a crash. A store that forgets
//!   acknowledged writes lets a code be redeemed twice.
//! - [`Commit::Conflict`] means that nothing was written. A result that is not known (a time-out, a
//!   lost connection) is an error. The library concludes nothing from an error, and the client is
//!   asked to retry.
//! - A record that cannot be decoded is an error, never absent. Keep records as text or bytes: a
//!   column type that interprets its content, such as PostgreSQL's `jsonb`, refuses characters that
//!   a client may have sent in its `state`.
//! - If the request named a client, [`load`](Store::load) loads that client or none, never the
//!   grant's client in its place. [`Keys::client_id`] returns the client to load.
//! - No transaction, no order and no shared clock is assumed between records.
//! - The epoch of a client never goes back. To change a client, [`edit`](Client::edit) it and write
//!   it over the version that was read ([`Write::client`]): the client may have been deactivated in
//!   the meantime.
//! - A [mark](Seen) is created if there is none of its key, in one step, and is never replaced.
//!   [`seen`](Store::seen) reads it. No read before it, no cache, no replica: of two nodes that got
//!   one assertion, one creates the mark.
//! - A mark that is lost before its `drop_after` makes its assertion usable again. It is the one
//!   record of which that is true: no eviction, no shorter expiry, and durable before
//!   [`Commit::Done`].
//! - A record may be dropped after its `drop_after`, and not before. No rule depends on whether it
//!   was dropped. With a grant, a sweep drops its entry in the index that
//!   [`grants_of`](Store::grants_of) reads: otherwise that index grows for ever.
//! - [`grants_of`](Store::grants_of) compares the whole subject. A listed grant of another user
//!   shows that user's applications to a stranger.

mod accounts;
mod administration;
mod failure;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

pub(crate) use self::accounts::Sealed;
pub use self::accounts::{AccountSource, FromStore, LoadsAccounts};
pub use self::administration::{Counts, StoreAdministration};
pub(crate) use self::administration::{add_client, put_client};
pub use self::failure::{Failure, FailureCause};
use crate::client::Client;
pub use crate::decision::{Loaded, Records};
use crate::grant::Grant;
pub use crate::keys::{ClientKey, GrantList, Keys};
pub use crate::record::{Change, Commit, Record, Stored, Version, Write};
pub use crate::seen::Seen;
use crate::value::credential::GrantId;
pub use crate::value::seen_key::SeenKey;

/// The database of clients and grants. See the [laws](self#the-laws-of-a-store) of a store; the
/// feature `conformance` has them as tests.
///
/// Accounts are not part of a store: see [`Accounts`](crate::Accounts). A store that loads accounts
/// in the same round trip implements [`LoadsAccounts`] as well.
///
/// The result of a future that is dropped before it completes counts as unknown.
///
/// Over a pool of connections, with two tables of `(id, version, body)`:
///
/// ```
/// # #[derive(Debug, thiserror::Error)]
/// # #[error("no connection")]
/// # struct DatabaseError;
/// # impl From<serde_json::Error> for DatabaseError { fn from(_: serde_json::Error) -> Self { Self } }
/// # struct Row { version: u64, body: String }
/// # struct Pool;
/// # impl Pool {
/// #     async fn one(&self, _: &str, _: &str) -> Result<Option<Row>, DatabaseError> { Ok(None) }
/// #     async fn ids(&self, _: &str, _: (&str, Option<String>, usize)) -> Result<Vec<String>, DatabaseError> { Ok(vec![]) }
/// #     async fn run(&self, _: &str, _: (&str, Option<u64>, u64, &str)) -> Result<u64, DatabaseError> { Ok(1) }
/// # }
/// use std::sync::Arc;
///
/// use grantcore::grant::Grant;
/// use grantcore::store::{Commit, Seen, SeenKey, Stored, Version, Write};
/// use grantcore::value::GrantId;
/// use grantcore::{Client, Store};
///
/// struct Database(Pool);
///
/// fn record<R: serde::de::DeserializeOwned>(row: Row) -> Result<Stored<R>, DatabaseError> {
///     Ok(Stored { record: Arc::new(serde_json::from_str(&row.body)?), version: Version(row.version) })
/// }
///
/// impl Store for Database {
///     type Error = DatabaseError;
///
///     async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, DatabaseError> {
///         let row = self.0.one("SELECT version, body FROM clients WHERE id = $1", id).await?;
///         row.map(record).transpose()
///     }
///
///     async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, DatabaseError> {
///         let select = "SELECT version, body FROM grants WHERE id = $1";
///         self.0.one(select, &id.to_string()).await?.map(record).transpose()
///     }
///
///     async fn commit(&self, write: &Write) -> Result<Commit, DatabaseError> {
///         // One statement each: `UPDATE … WHERE id = $1 AND version = $2`, or
///         // `INSERT … ON CONFLICT DO NOTHING` if nothing was seen.
///         let changed = match write {
///             Write::Grant(change) => {
///                 let (id, body) = (change.id().to_string(), serde_json::to_string(change.record())?);
///                 let seen = change.seen().map(|version| version.0);
///                 self.0.run("…", (&id, seen, change.version().0, &body)).await?
///             }
///             Write::Client(change) => {
///                 let body = serde_json::to_string(change.record())?;
///                 let seen = change.seen().map(|version| version.0);
///                 self.0.run("…", (change.id().as_str(), seen, change.version().0, &body)).await?
///             }
///             // `INSERT … ON CONFLICT DO NOTHING`: a mark has no version.
///             Write::Seen(seen) => {
///                 let (key, body) = (seen.key().to_string(), serde_json::to_string(seen)?);
///                 self.0.run("…", (&key, None, 0, &body)).await?
///             }
///         };
///         Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
///     }
///
///     async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, DatabaseError> {
///         let row = self.0.one("SELECT 0, body FROM seen WHERE key = $1", &key.to_string()).await?;
///         Ok(row.map(|row| serde_json::from_str(&row.body)).transpose()?)
///     }
///
///     async fn grants_of(
///         &self,
///         subject: &str,
///         after: Option<GrantId>,
///         limit: usize,
///     ) -> Result<Vec<GrantId>, DatabaseError> {
///         let select = "SELECT id FROM grants WHERE subject = $1 AND id > $2 ORDER BY id LIMIT $3";
///         let ids = self.0.ids(select, (subject, after.map(|id| id.to_string()), limit)).await?;
///         ids.iter().map(|id| id.parse().map_err(|_| DatabaseError)).collect()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async store",
    note = "a blocking store becomes one by `grantcore::blocking::OnThreads`; `SqliteStore` by \
            `on_tokio()`, with the feature `tokio` of grantcore-sqlite"
)]
pub trait Store: Send + Sync {
    /// A failure of the storage. It reaches the host unchanged and is never mixed with a refusal.
    type Error: Error + Send + Sync + 'static;

    /// Returns the client of this `client_id` with its version. The id is 1 to 2,048 printable
    /// ASCII characters that an unauthenticated sender chose. A host whose clients are never
    /// written by this crate may return any constant version.
    ///
    /// An error means that it is not known whether the client exists.
    fn client(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<Stored<Client>>, Self::Error>> + Send;

    /// Returns the grant of this id with its version.
    ///
    /// An error means that it is not known whether the grant exists, or that its record cannot be
    /// decoded.
    fn grant(
        &self,
        id: GrantId,
    ) -> impl Future<Output = Result<Option<Stored<Grant>>, Self::Error>> + Send;

    /// Writes the record, with [`Change::version`](crate::store::Change::version), if the stored
    /// version is [`Change::seen`](crate::store::Change::seen), or if no record exists and `seen`
    /// is `None`. Creates a mark if there is none of its key.
    ///
    /// An error means that it is not known whether the record was written.
    fn commit(&self, write: &Write) -> impl Future<Output = Result<Commit, Self::Error>> + Send;

    /// Returns the mark of this key. It is called only after a commit of such a mark conflicted: a
    /// request that finds its own mark goes on, and any other is refused.
    ///
    /// The default returns `None`. That is safe: the request is refused with 503, and no assertion
    /// is accepted twice.
    ///
    /// An error means that it is not known whether there is such a mark, or that its record cannot
    /// be decoded.
    fn seen(
        &self,
        key: &SeenKey,
    ) -> impl Future<Output = Result<Option<Seen>, Self::Error>> + Send {
        let _ = key;
        async { Ok(None) }
    }

    /// Lists up to `limit` grant ids of the user, ascending, after `after`: for the user's page of
    /// connected apps, and to revoke all grants of a user.
    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<GrantId>, Self::Error>> + Send;

    /// Loads the records that an attempt of a request needs. Override it where one round trip can
    /// load all of them. [`Keys::client_id`] and [`Keys::caller_id`] return the clients to load.
    /// The default calls [`grant`](Self::grant) and [`client`](Self::client), and loads no account.
    ///
    /// An error means that one of the records is not known.
    fn load(&self, keys: &Keys<'_>) -> impl Future<Output = Result<Loaded, Self::Error>> + Send {
        async { load_each(self, keys).await }
    }

    /// Passes the records that a check needs to `visit`, once. Override it in a store that keeps
    /// its records in memory: `visit` borrows them, and [`load`](Self::load) clones what all
    /// requests of a client share. `visit` returns at once, and may be called while a lock for
    /// readers is held. The default loads the records.
    ///
    /// The records are those that [`load`](Self::load) returns for these keys. An error means that
    /// one of them is not known.
    fn inspect(
        &self,
        keys: &Keys<'_>,
        visit: &mut (dyn FnMut(Records<'_>) + Send),
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async move {
            visit(self.load(keys).await?.records());
            Ok(())
        }
    }

    /// Loads these grants in this order, each as [`load`](Self::load) does. Override it where one
    /// round trip can load many.
    ///
    /// An error means that one of the records is not known.
    fn load_grants(
        &self,
        ids: &[GrantId],
    ) -> impl Future<Output = Result<Vec<Loaded>, Self::Error>> + Send {
        async move {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(self.load(&Keys::of_grant(*id)).await?);
            }
            Ok(found)
        }
    }
}

/// Loads the grant, the client and the caller one after the other, and no account.
pub(crate) async fn load_each<S: Store + ?Sized>(
    store: &S,
    keys: &Keys<'_>,
) -> Result<Loaded, S::Error> {
    let grant = match keys.grant {
        Some(id) => store.grant(id).await?,
        None => None,
    };
    let client = match keys.client_id(grant.as_ref().map(|stored| &*stored.record)) {
        Some(id) => store.client(id).await?,
        None => None,
    };
    let caller = match keys.caller_id() {
        Some(id) => store.client(id).await?,
        None => None,
    };
    Ok(Loaded { grant, client, caller, ..Loaded::default() })
}

/// Implements [`Store`] and [`LoadsAccounts`] for a pointer to an implementor.
macro_rules! forward {
    ($pointer:ty) => {
        impl<S: Store> Store for $pointer {
            type Error = S::Error;

            async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, S::Error> {
                (**self).client(id).await
            }

            async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, S::Error> {
                (**self).grant(id).await
            }

            async fn commit(&self, write: &Write) -> Result<Commit, S::Error> {
                (**self).commit(write).await
            }

            async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, S::Error> {
                (**self).seen(key).await
            }

            async fn grants_of(
                &self,
                subject: &str,
                after: Option<GrantId>,
                limit: usize,
            ) -> Result<Vec<GrantId>, S::Error> {
                (**self).grants_of(subject, after, limit).await
            }

            async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, S::Error> {
                (**self).load(keys).await
            }

            async fn inspect(
                &self,
                keys: &Keys<'_>,
                visit: &mut (dyn FnMut(Records<'_>) + Send),
            ) -> Result<(), S::Error> {
                (**self).inspect(keys, visit).await
            }

            async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, S::Error> {
                (**self).load_grants(ids).await
            }
        }

        impl<S: LoadsAccounts> LoadsAccounts for $pointer {}
    };
}

forward!(&S);
forward!(Arc<S>);
