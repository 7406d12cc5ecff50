//! What an operator does with a store: add clients, list, count and sweep.

use std::future::Future;
use std::sync::Arc;

use super::Store;
use crate::client::Client;
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::record::{Commit, Stored, Write};
use crate::seen::Seen;
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;

/// How many records a store keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The clients.
    pub clients: u64,
    /// The grants, including those that have ended and were not dropped yet.
    pub grants: u64,
    /// The single-use marks, including those that are due and were not dropped yet.
    pub marks: u64,
}

impl Counts {
    /// Returns the counts of this many clients and grants.
    pub fn new(clients: u64, grants: u64) -> Self {
        Self { clients, grants, marks: 0 }
    }

    /// Returns the counts with this many marks.
    #[must_use = "the counts with the marks are those returned"]
    pub fn with_marks(self, marks: u64) -> Self {
        Self { marks, ..self }
    }
}

/// The administration of a store. All stores of this project implement it; the protocol never calls
/// it. [`blocking::StoreAdministration`](crate::blocking::StoreAdministration) is the same without
/// `async`.
///
/// ```
/// use grantcore::store::StoreAdministration;
/// use grantcore::{Client, MemoryStore, Timestamp};
///
/// async fn daily<S: StoreAdministration>(store: &S, now: Timestamp) -> Result<(), S::Error> {
///     while store.sweep(now, 1_000).await? == 1_000 {}
///     let counts = store.counts().await?;
///     println!("{} clients, {} grants, {} marks", counts.clients, counts.grants, counts.marks);
///     for client in store.clients(None, 100).await? {
///         println!("{} since {:?}", client.record.display_name(), client.record.created());
///     }
///     Ok(())
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let app = Client::public("notes-app").redirect_uri("https://app.example/cb").build()?;
/// let is_new = StoreAdministration::add_client(&store, app).await?;
/// assert!(is_new);
/// daily(&store, Timestamp::from_unix_seconds(1_800_000_000)).await?;
/// # Ok(())
/// # }
/// ```
pub trait StoreAdministration: Store {
    /// Adds a client of the operator unless a client of its id exists, and returns whether it was
    /// added: for the start of a program. A client that exists stays as it is, also if an
    /// administrator has deactivated it.
    ///
    /// An error means that it is not known whether the client was added.
    fn add_client(&self, client: Client) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        add_client(self, client)
    }

    /// Writes a client of the operator, and replaces a client of the same id by
    /// [`Write::put_client`]. Replacing a client undoes what an administrator did to it: a client
    /// that was deactivated is active again, unless `client` is [deactivated](Client::deactivated).
    /// Its epoch is never lowered, so that grants that were ended stay ended.
    ///
    /// [`add_client`](Self::add_client) keeps a client that exists. To change a client, read it,
    /// [edit](Client::edit) it and [commit](Store::commit) it.
    ///
    /// An error means that it is not known whether the client was written.
    fn put_client(&self, client: Client) -> impl Future<Output = Result<(), Self::Error>> + Send {
        put_client(self, client)
    }

    /// Lists up to `limit` clients, ascending by the bytes of their ids, after `after`.
    fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored<Client>>, Self::Error>> + Send;

    /// Lists up to `limit` grants, ascending by their ids, after `after`: to move them to another
    /// store, for example.
    fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Stored<Grant>>, Self::Error>> + Send;

    /// Lists up to `limit` marks, ascending by the bytes of their keys, after `after`: to move them
    /// to another store. Without them, an assertion that was used can be used again there until it
    /// expires.
    fn marks(
        &self,
        after: Option<SeenKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Seen>, Self::Error>> + Send;

    /// Counts the records. The result may be an estimate, and may be out of date when it arrives.
    fn counts(&self) -> impl Future<Output = Result<Counts, Self::Error>> + Send;

    /// Drops up to `limit` records whose `drop_after` has passed, a grant together with its entry
    /// in the index of its user's grants, and returns how many were dropped. A result below `limit`
    /// means that no more are due. Call it every few minutes: only Redis drops records by itself.
    ///
    /// What was dropped before an error stays dropped.
    fn sweep(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send;
}

/// Creates the client, and returns `false` if a client of its id exists.
pub(crate) async fn add_client<S: Store + ?Sized>(
    store: &S,
    client: Client,
) -> Result<bool, S::Error> {
    Ok(store.commit(&Write::client(None, client)).await? == Commit::Done)
}

/// Replaces the client. A conflict means that somebody else has written it: it is read again.
pub(crate) async fn put_client<S: Store + ?Sized>(
    store: &S,
    client: Client,
) -> Result<(), S::Error> {
    let client = Arc::new(client);
    loop {
        let seen = store.client(client.id().as_str()).await?;
        let write = Write::put_client(seen.as_ref(), Arc::clone(&client));
        if store.commit(&write).await? == Commit::Done {
            return Ok(());
        }
    }
}

/// Implements [`StoreAdministration`] for a pointer to an implementor.
macro_rules! forward {
    ($pointer:ty) => {
        impl<S: StoreAdministration> StoreAdministration for $pointer {
            async fn add_client(&self, client: Client) -> Result<bool, S::Error> {
                (**self).add_client(client).await
            }

            async fn put_client(&self, client: Client) -> Result<(), S::Error> {
                (**self).put_client(client).await
            }

            async fn clients(
                &self,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<Stored<Client>>, S::Error> {
                (**self).clients(after, limit).await
            }

            async fn grants(
                &self,
                after: Option<GrantId>,
                limit: usize,
            ) -> Result<Vec<Stored<Grant>>, S::Error> {
                (**self).grants(after, limit).await
            }

            async fn marks(
                &self,
                after: Option<SeenKey>,
                limit: usize,
            ) -> Result<Vec<Seen>, S::Error> {
                (**self).marks(after, limit).await
            }

            async fn counts(&self) -> Result<Counts, S::Error> {
                (**self).counts().await
            }

            async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, S::Error> {
                (**self).sweep(now, limit).await
            }
        }
    };
}

forward!(&S);
forward!(Arc<S>);
