//! Stores the grants and clients of a [`grantcore`] server in Redis or Valkey: one server, or a
//! cluster.
//!
//! ```no_run
//! use grantcore::store::StoreAdministration;
//! use grantcore::{Client, FromStore, Policy, Server};
//! use grantcore_redis::RedisStore;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1/").await?;
//! for risk in store.risks().await? {
//!     eprintln!("{risk}");
//! }
//! let client = Client::public("notes-app").redirect_uri("https://app.example/cb").build()?;
//! // A client that exists stays as an administrator left it.
//! store.add_client(client).await?;
//!
//! let policy = Policy::builder("https://auth.example")
//!     .scope("notes", "Read notes")
//!     .resource("https://mcp.example/mcp", "notes");
//! let server = Server::new(policy.build()?, store, FromStore);
//! # Ok(())
//! # }
//! ```
//!
//! Redis 6.2 or later, or Valkey. For TLS (`rediss://`), enable the feature `rustls` or one of
//! redis' own features. `RedisStore::connect_with_tls`, of the feature `rustls`, takes an authority
//! of your own.
//!
//! # Accounts
//!
//! The store keeps accounts of its own: [`set_suspended`](RedisStore::set_suspended) suspends one,
//! and [`raise_epoch`](grantcore::Accounts::raise_epoch) ends its grants. An account that has no
//! key is active. A server that is given [`FromStore`](grantcore::FromStore) loads them with its
//! records. Give it [`Accounts`](grantcore::Accounts) on your own users table instead, and these
//! keys are not read.
//!
//! # Guarantees
//!
//! Each record is one key, and each change of it is one script that touches this key alone: a
//! compare-and-set on whichever node has it. An acknowledged write is as durable as the server
//! makes it, and Redis is not durable by default:
//!
//! | setting | what a crash loses |
//! |---|---|
//! | `appendonly yes`, `appendfsync always` | nothing that was acknowledged, as far as the disk keeps its guarantees |
//! | `appendonly yes`, `appendfsync everysec` | nothing if only the process dies; about the last second at a power loss |
//! | snapshots (RDB) alone, or nothing | everything since the last snapshot |
//!
//! A lost write restores the earlier state. **A redeemed code can be redeemed again, a used refresh
//! token works again, a revoked grant is alive.** A host that cannot accept this sets
//! `appendfsync always`.
//!
//! Replication is asynchronous. **A failover to a replica can lose acknowledged writes, with the
//! same result.** `WAIT` and `min-replicas-to-write` make that rarer and do not prevent it. A
//! database with synchronous replication does.
//!
//! A lost [mark](grantcore::store::Seen) makes its assertion usable again, until the assertion
//! expires.
//!
//! `maxmemory-policy` must be `noeviction`. Any other policy drops records early: a dropped grant
//! logs its user out, a dropped client is unknown, and a dropped account is no longer suspended and
//! has its ended grants back. [`RedisStore::risks`] reports such settings.
//!
//! Redis drops each record by itself, at its `drop_after` or some seconds later, and never before.
//! [`sweep`](grantcore::store::StoreAdministration::sweep) does nothing. The clocks of the hosts
//! and of Redis must agree within minutes.
//!
//! A call that is not answered in time is an error, and its result is not known.
//!
//! # The keys
//!
//! | key | content |
//! |---|---|
//! | `grantcore:g:`id | a grant: a hash of its version (`v`), its body as JSON (`b`) and the names of the calls that last wrote it (`n`) |
//! | `grantcore:c:`id | a client, likewise |
//! | `grantcore:m:`key | the mark of an assertion: its body as JSON, with its expiry |
//! | `grantcore:a:`subject | an account that was ever suspended (`s`) or whose epoch was ever raised (`e`): a hash without expiry |
//! | `grantcore:s:`subject | the ids of a user's grants: a sorted set, scored by the end of each grant |
//! | `grantcore:clients` | the ids of the clients: a sorted set with equal scores |
//!
//! # Costs
//!
//! - A page of a user's grants reads all that the user began within the last absolute lifetime, the
//!   ended ones included; without an absolute lifetime, all there ever were.
//! - [`grants`](grantcore::store::StoreAdministration::grants),
//!   [`counts`](grantcore::store::StoreAdministration::counts) and
//!   [`accounts`](RedisStore::accounts) scan the names of all keys on all nodes, at each call.
//!   Redis serves other requests between the steps of a scan.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod administration;
mod calls;
mod clients;
mod connection;
mod hints;
mod key;
mod record;
mod risk;
mod store;

use std::sync::Arc;

use grantcore::value::GrantId;
pub use redis;
#[cfg(feature = "rustls")]
use redis::TlsCertificates;
use redis::aio::ConnectionManager;
use redis::cluster_async::ClusterConnection;
use redis::cmd;

use self::calls::Calls;
use self::connection::Connection;
use self::hints::SharedHints;
pub use self::risk::Risk;

/// Clients, grants and accounts in Redis. A clone is another handle of the same connection.
#[derive(Clone, Debug)]
pub struct RedisStore {
    connection: Connection,
    calls: Arc<Calls>,
    hints: SharedHints,
}

/// A failure of Redis, or a record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisStoreError {
    /// Redis reported an error, could not be reached, or did not answer in time.
    #[error("Redis failed: {0}")]
    Redis(#[from] redis::RedisError),
    /// A record cannot be decoded: it is damaged, or a newer version of the library wrote it.
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] serde_json::Error),
    /// The value of this key was not written by this crate.
    #[error("the value of the key {0} was not written by grantcore-redis")]
    Foreign(String),
    /// The system has no random bytes to name this handle's calls.
    #[error("no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
}

type Result<T> = std::result::Result<T, RedisStoreError>;

impl RedisStore {
    /// Connects to one server (`redis://`, or `rediss://` for TLS) or to a cluster by some of its
    /// nodes (`redis-cluster://host:port,host:port`, or `rediss-cluster://`). Name and password
    /// stand before the first host.
    ///
    /// # Errors
    /// [`RedisStoreError`] if the URL cannot be parsed, or nothing answers there.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::over(Connection::open(url).await?)
    }

    /// Connects like [`connect`](Self::connect), to a server or cluster with TLS whose certificate
    /// the system does not trust: by an authority of your own, or with a certificate for this
    /// client. If `certificates` has an authority, no other is trusted.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect). A certificate that cannot be read, or a URL without TLS
    /// (`redis://`), is [`RedisStoreError::Redis`].
    #[cfg(feature = "rustls")]
    pub async fn connect_with_tls(url: &str, certificates: TlsCertificates) -> Result<Self> {
        Self::over(Connection::open_with_tls(url, certificates).await?)
    }

    /// Returns a store on a connection of the host's own, with its time-outs. It must be a
    /// connection to the primary.
    ///
    /// # Errors
    /// [`RedisStoreError::Randomness`].
    pub fn single(connection: ConnectionManager) -> Result<Self> {
        Self::over(Connection::Single(connection))
    }

    /// Returns a store on a cluster connection of the host's own, with its time-outs. It must not
    /// read from replicas, which can lag.
    ///
    /// # Errors
    /// [`RedisStoreError::Randomness`].
    pub fn cluster(connection: ClusterConnection) -> Result<Self> {
        Self::over(Connection::Cluster(connection))
    }

    /// Sends a command of the host's own over this store's connection, for data that it keeps in
    /// the same Redis under keys of its own. This crate sends it once. A cluster's client may send
    /// it again.
    ///
    /// # Errors
    /// [`RedisStoreError::Redis`] if Redis fails, or the answer has another type.
    pub async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        Ok(self.connection.ask(command).await?)
    }

    fn over(connection: Connection) -> Result<Self> {
        Ok(Self { connection, calls: Arc::new(Calls::new()?), hints: SharedHints::default() })
    }

    /// Returns all entries of a user's index, ascending by their ids.
    async fn entered(&self, subject: &str) -> Result<Vec<GrantId>> {
        let key = key::grants_of(subject);
        let entries: Vec<Vec<u8>> =
            self.connection.read(cmd("ZRANGE").arg(&key).arg(0).arg(-1)).await?;
        let ids: Option<Vec<_>> = entries
            .into_iter()
            .map(|entry| entry.try_into().ok().map(GrantId::from_bytes))
            .collect();
        let mut ids = ids.ok_or(RedisStoreError::Foreign(key))?;
        ids.sort_unstable();
        Ok(ids)
    }
}
