//! Stores the grants and clients of a [`grantcore`] server in PostgreSQL, for servers of several
//! processes.
//!
//! ```no_run
//! use grantcore::store::StoreAdministration;
//! use grantcore::{Client, FromStore, Policy, Server};
//! use grantcore_postgres::PostgresStore;
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let store = PostgresStore::connect("postgres://auth@db.internal/auth").await?;
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
//! # Accounts
//!
//! The store has a table of accounts of its own: [`set_suspended`](PostgresStore::set_suspended)
//! suspends one, and [`raise_epoch`](grantcore::Accounts::raise_epoch) ends its grants. An account
//! that has no row is active. A server that is given [`FromStore`](grantcore::FromStore) loads them
//! in the same round trip as the records. Give it [`Accounts`](grantcore::Accounts) on your own
//! users table instead, and the table is not read.
//!
//! # Guarantees
//!
//! - Each change is one statement, and so one transaction: `INSERT … ON CONFLICT DO NOTHING`, or an
//!   `UPDATE` of the version that was seen. One changed row is
//!   [`Done`](grantcore::store::Commit::Done), none is
//!   [`Conflict`](grantcore::store::Commit::Conflict). A time-out or a lost connection is an error.
//!   The default isolation level `READ COMMITTED` is enough. Under a stricter one, a lost race can
//!   be an error as well.
//! - A request loads all of its records in one round trip, and writes in a second one. A page of
//!   connected apps is loaded in one round trip. Statements are prepared once for each connection.
//! - An acknowledged write survives a crash. `synchronous_commit = off` would break that:
//!   [`connect`](PostgresStore::connect) refuses it, and each write checks it again and is an error
//!   under it. `ALTER ROLE … SET synchronous_commit = on` sets it for this store alone. `fsync =
//!   off` loses writes at a power loss; the store does not check it.
//! - A future that is dropped leaves the pool sound. There is no transaction to inherit, and the
//!   next user of the connection waits for the statement that still runs. A connection that has not
//!   answered [in time](PostgresStore::with_statement_timeout) is closed.
//!
//! # Requirements
//!
//! - **The primary**, for reads too. [`connect`](PostgresStore::connect) asks each connection
//!   whether it may write, so that a URL can name several hosts. A pool of your own should do the
//!   same (`target_session_attrs=read-write`).
//! - **Failover without loss.** A replica that follows asynchronously lacks the last commits when
//!   it is promoted. Codes and tokens that were used in that time can be used again, and grants
//!   that were revoked work again. With `synchronous_standby_names` set, a commit waits for a
//!   replica. Promote only such a replica.
//! - **TLS to another machine**: [`connect_with_tls`](PostgresStore::connect_with_tls). Anybody
//!   who can read or change the connection can take over every grant.
//! - **As many connections as statements run at once.** Each call holds one connection for one
//!   round trip. [`connect`](PostgresStore::connect) opens at most 16. All processes together must
//!   stay below `max_connections`. A call that gets no connection within five seconds is an error.
//! - **UTF-8**, because a `state` has any characters. A subject has no U+0000 and at most about
//!   2,000 bytes, the limit of an index. Any other subject is an error.
//! - **Prepared statements** through a pooler (`pgbouncer`: from 1.21 on, with
//!   `max_prepared_statements`). In a pool that is shared, no transaction may be left open.
//!
//! The tables have the prefix `grantcore_` and are in the first schema of the `search_path`: see
//! `migrations/`. [`PostgresStore::connect`] creates them and brings them up to date. If they are
//! up to date it needs no right to change them. Call
//! [`sweep`](grantcore::store::StoreAdministration::sweep) every few minutes: PostgreSQL drops no
//! record by itself.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod administration;
mod queries;
mod store;
mod tables;

use std::time::Duration;

use deadpool_postgres::{
    BuildError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row, Socket};

/// Clients, grants and accounts in PostgreSQL. A clone is another handle of the same pool.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: Pool,
    statement_timeout: Duration,
}

/// A failure of the database, or a record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// PostgreSQL or the connection to it reported an error.
    #[error("PostgreSQL failed: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// The pool has no connection.
    #[error("no connection: {0}")]
    Pool(#[from] PoolError),
    /// The database did not answer in time. A write may have been done, or be done later.
    #[error("the database did not answer in time")]
    TimedOut,
    /// A record cannot be decoded: it is damaged, or a newer version of the library wrote it.
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] serde_json::Error),
    /// The tables were created by a newer version of this crate.
    #[error("the tables have version {0}, which this version of grantcore-postgres does not know")]
    Newer(i32),
    /// `synchronous_commit` is off: a crash of the database loses acknowledged writes.
    #[error("synchronous_commit is off; set it to on, at least for this role")]
    NotDurable,
}

type Result<T> = std::result::Result<T, PostgresError>;
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The connections of the pool that [`PostgresStore::connect`] creates.
const POOL_SIZE: usize = 16;

/// How long a call waits for a connection, and for a connection to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a statement may take by default.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

impl PostgresStore {
    /// Connects to the database of this URL (or of `key=value` words), without TLS, and brings its
    /// tables up to date. For TLS, use [`connect_with_tls`](Self::connect_with_tls).
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`PostgresError::Database`] if the URL cannot be parsed, or
    /// requires TLS (`sslmode=require`).
    pub async fn connect(url: &str) -> Result<Self> {
        Self::open(url.parse()?, NoTls).await
    }

    /// Connects like [`connect`](Self::connect), with TLS.
    ///
    /// `tls` is the connector of a crate such as `tokio-postgres-rustls`. It decides which
    /// certificates are trusted, and should verify the name of the server: `sslmode` does not, in
    /// this client. A server without TLS is an error, unless the URL has `sslmode=disable`. The
    /// mode `prefer`, which is the default of a URL, counts as `require`, because it would let
    /// anybody between this process and the server turn TLS off.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), and [`PostgresError::Pool`] if there is no connection
    /// with TLS.
    pub async fn connect_with_tls<T>(url: &str, tls: T) -> Result<Self>
    where
        T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
        T::Stream: Sync + Send,
        T::TlsConnect: Sync + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let mut config: Config = url.parse()?;
        if config.get_ssl_mode() != SslMode::Disable {
            config.ssl_mode(SslMode::Require);
        }
        Self::open(config, tls).await
    }

    /// Makes the pool of these settings, and its store.
    async fn open<T>(mut config: Config, tls: T) -> Result<Self>
    where
        T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
        T::Stream: Sync + Send,
        T::TlsConnect: Sync + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let plain = Config::new();
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // A connection whose host is gone is noticed while it is idle, unless the URL has settings
        // of its own.
        if config.get_keepalives_idle() == plain.get_keepalives_idle()
            && config.get_tcp_user_timeout().is_none()
        {
            config
                .keepalives_idle(STATEMENT_TIMEOUT)
                .keepalives_interval(STATEMENT_TIMEOUT / 4)
                .keepalives_retries(3)
                .tcp_user_timeout(STATEMENT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("grantcore");
        }
        let manager = Manager::from_config(
            config,
            tls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager).max_size(POOL_SIZE).runtime(Runtime::Tokio1);
        let pool = pool
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT));
        Self::new(
            pool.build().map_err(|BuildError::NoRuntimeSpecified| PoolError::NoRuntimeSpecified)?,
        )
        .await
    }

    /// Returns a store on the host's own pool, with its TLS, its size and its time-outs, and brings
    /// the tables up to date. The pool should have time-outs. [`RecyclingMethod::Fast`] is enough;
    /// any other takes a round trip for each call.
    ///
    /// # Errors
    /// [`PostgresError`] if there is no connection, the tables were created by a newer version, or
    /// `synchronous_commit` is off.
    pub async fn new(pool: Pool) -> Result<Self> {
        let mut connection = pool.get().await?;
        if !tables::is_durable(&connection).await? {
            return Err(PostgresError::NotDurable);
        }
        tables::migrate(&mut connection).await?;
        drop(connection);
        Ok(Self { pool, statement_timeout: STATEMENT_TIMEOUT })
    }

    /// Sets how long a statement may take, its preparation included. By default ten seconds.
    #[must_use = "the store with this time-out is the one returned"]
    pub fn with_statement_timeout(self, timeout: Duration) -> Self {
        Self { statement_timeout: timeout, ..self }
    }

    /// Returns the pool, for the host's own queries and for its status.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs one statement, also one of the host's own, and returns its rows. It takes one round
    /// trip once its connection has prepared it, and has the time-out of all statements. It runs
    /// without a transaction around it, so that nothing is left open if this future is dropped.
    ///
    /// # Errors
    /// [`PostgresError`] if the database fails or does not answer in time. A write may then have
    /// been done.
    pub async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let connection = self.pool.get().await?;
        let answer = timeout(self.statement_timeout, async {
            let statement = connection.prepare_cached(sql).await?;
            connection.query(&statement, values).await
        });
        let Ok(rows) = answer.await else {
            // The next user of the connection need not wait for this statement.
            drop(Object::take(connection));
            return Err(PostgresError::TimedOut);
        };
        Ok(rows?)
    }

    /// Runs a statement that writes at most one row, and returns whether it did.
    async fn write(&self, sql: &str, values: Values<'_>) -> Result<bool> {
        let rows = self.rows(sql, values).await?;
        match rows.first().map(|row| row.try_get(0)).transpose()? {
            Some(false) => Err(PostgresError::NotDurable),
            written => Ok(written.is_some()),
        }
    }
}
