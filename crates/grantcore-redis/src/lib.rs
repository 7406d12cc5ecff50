//! The grants and clients of a [`grantcore`] server in Redis or Valkey: one server, or a cluster of
//! any shape.
//!
//! ```no_run
//! use grantcore::{AsyncServer, AsyncStore, Client, Policy, Write};
//! use grantcore_redis::RedisStore;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1/").await?;
//! for risk in store.risks().await? {
//!     eprintln!("{risk}");
//! }
//! let client = Client::public("notes-app").redirect_uri("https://app.example/cb").build()?;
//! let _already_there = store.commit(&Write::client(None, client)).await?;
//!
//! let policy = Policy::builder("https://auth.example").scope("notes", "Read notes").resource("https://mcp.example/mcp", "notes");
//! let server = AsyncServer::new(policy.build()?, store);
//! # Ok(())
//! # }
//! ```
//!
//! It takes Redis from 6.2 on, or Valkey. TLS (`rediss://`) comes with the feature `rustls`, or
//! with redis' own features.
//!
//! # What it promises
//!
//! Each record is one key, and each change of it one script that touches that key alone: a
//! compare-and-set on whichever node has it. What is acknowledged is as durable as the server makes
//! it, and Redis is not durable by itself:
//!
//! | setting | what a crash costs |
//! |---|---|
//! | `appendonly yes`, `appendfsync always` | nothing that was acknowledged, as far as the disk keeps its word |
//! | `appendonly yes`, `appendfsync everysec` | nothing if only the process dies; about the last second at a power loss |
//! | snapshots (RDB) alone, or nothing | all since the last snapshot |
//!
//! What is lost so is not only lost: it comes back as it was. **A code that was redeemed can be
//! redeemed again, a refresh token that was used is good again, a grant that was revoked is
//! alive.** Hosts for whom that is too much run with `appendfsync always`.
//!
//! Replication is asynchronous. **A failover to a replica can lose acknowledged writes, with the
//! same result.** `WAIT` and `min-replicas-to-write` make that rarer and do not end it; a database
//! with synchronous replication does.
//!
//! `maxmemory-policy` must be `noeviction`. Any other drops records before their time: a dropped
//! grant logs its user out, a dropped client is unknown, and a dropped account is no longer
//! suspended and brings ended grants back. [`RedisStore::risks`] tells of what it finds of all
//! this.
//!
//! Records go by Redis' own expiry, at their `drop_after` or some seconds later and never before
//! it; there is nothing to sweep. The clocks of the hosts and of Redis must agree within minutes.
//!
//! An answer not had in time is an error, and its caller does not know what became of the call.
//!
//! # The keys
//!
//! | key | what it is |
//! |---|---|
//! | `grantcore:g:`id | a grant: a hash of its version (`v`), its body as JSON (`b`) and the calls that last wrote it (`n`) |
//! | `grantcore:c:`id | a client, likewise |
//! | `grantcore:a:`subject | an account that was ever suspended (`s`) or raised to a new epoch (`e`): a hash without expiry |
//! | `grantcore:s:`subject | the ids of a user's grants: a sorted set, by when each is over |
//! | `grantcore:clients` | the ids of clients, for [`RedisStore::clients`]: a sorted set, all of one score |
//!
//! A page of a user's grants reads all that the user began within the last absolute lifetime, the
//! ended ones included; without an absolute lifetime, all there ever were.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod calls;
mod clients;
mod connection;
mod key;
mod record;
mod risk;
mod store;

use std::sync::Arc;

use grantcore::{Account, GrantId};
pub use redis;
use redis::aio::ConnectionManager;
use redis::cluster_async::ClusterConnection;
use redis::cmd;

use self::calls::Calls;
use self::connection::Connection;
pub use self::risk::Risk;

/// Clients, grants and how accounts stand, in Redis. A clone is another handle of the same.
#[derive(Clone, Debug)]
pub struct RedisStore {
    connection: Connection,
    calls: Arc<Calls>,
}

/// Redis failed, or holds what cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisStoreError {
    /// Redis refused, could not be reached, or did not answer in time.
    #[error(transparent)]
    Redis(#[from] redis::RedisError),
    /// A record that does not decode: written by a newer version, or damaged.
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] serde_json::Error),
    /// What is under a key is not what this crate keeps there.
    #[error("under {0} is something else than this program keeps there")]
    Foreign(String),
    /// There were no random bytes to tell this handle's calls by.
    #[error("no random bytes: {0}")]
    Randomness(#[from] getrandom::Error),
}

type Result<T> = std::result::Result<T, RedisStoreError>;

impl RedisStore {
    /// Connects to one server (`redis://`, or `rediss://` for TLS) or to a cluster by some of its
    /// nodes (`redis-cluster://host:port,host:port`, or `rediss-cluster://`). Name and password
    /// may stand before the first host.
    ///
    /// # Errors
    /// If the URL is none of these, or nothing answers there.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::over(Connection::open(url).await?)
    }

    /// Over a connection of the host's own, with its time-outs. It must be to the primary.
    ///
    /// # Errors
    /// If there are no random bytes.
    pub fn single(connection: ConnectionManager) -> Result<Self> {
        Self::over(Connection::Single(connection))
    }

    /// Over a cluster connection of the host's own, with its time-outs. It must not read from
    /// replicas, which can lag.
    ///
    /// # Errors
    /// If there are no random bytes.
    pub fn cluster(connection: ClusterConnection) -> Result<Self> {
        Self::over(Connection::Cluster(connection))
    }

    /// Sends a command of the host's own over this store's connections: for what it keeps in the
    /// same Redis, under keys of its own. It is sent once as far as this crate is concerned; a
    /// cluster's client may send it again by itself.
    ///
    /// # Errors
    /// If Redis fails, or its answer is of another type.
    pub async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        Ok(self.connection.ask(command).await?)
    }

    fn over(connection: Connection) -> Result<Self> {
        Ok(Self { connection, calls: Arc::new(Calls::new()?) })
    }

    /// Suspends an account, or lifts its suspension. Accounts that were never mentioned stand well.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<()> {
        let set = cmd("HSET").arg(key::account(subject)).arg("s").arg(u8::from(suspended)).take();
        Ok(self.connection.ask::<u64>(&set).await.map(drop)?)
    }

    /// Says how an account stands, whatever it said before: to move it here from another store.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn put_account(&self, subject: &str, account: Account) -> Result<()> {
        let set = cmd("HSET")
            .arg(key::account(subject))
            .arg("s")
            .arg(u8::from(account.suspended))
            .arg("e")
            .arg(account.epoch)
            .take();
        Ok(self.connection.ask::<u64>(&set).await.map(drop)?)
    }

    /// All entries of a user's index, in the order of their ids.
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
