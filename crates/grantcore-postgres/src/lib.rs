//! The grants and clients of a [`grantcore`] server in PostgreSQL, for servers of more than one
//! process.
//!
//! ```no_run
//! use grantcore::{AsyncServer, AsyncStore, Client, Policy, Write};
//! use grantcore_postgres::PostgresStore;
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let store = PostgresStore::connect("postgres://auth@db.internal/auth").await?;
//! let client = Client::public("notes-app").redirect_uri("https://app.example/cb").build()?;
//! let _already_there = store.commit(&Write::client(None, client)).await?;
//!
//! let policy = Policy::builder("https://auth.example").scope("notes", "Read notes").resource("https://mcp.example/mcp", "notes");
//! let server = AsyncServer::new(policy.build()?, store);
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - Each change is one statement, and so one transaction: `INSERT … ON CONFLICT DO NOTHING`, or an
//!   `UPDATE` of the version that was seen. One row is [`Done`](grantcore::Commit::Done), none is
//!   [`Conflict`](grantcore::Commit::Conflict), and whatever else happens is an error: a time-out,
//!   a lost connection. `READ COMMITTED`, the default, is enough; under a stricter level, races
//!   that were lost can be errors as well.
//! - All that a request needs comes in one round trip, its write in a second one; so does a page of
//!   connected apps. Statements are prepared once per connection.
//! - What was acknowledged is there after a crash. `synchronous_commit = off` would break that: it
//!   is refused by [`connect`](PostgresStore::connect), and each write asks again and is an error
//!   under it. `ALTER ROLE … SET synchronous_commit = on` keeps it on for this store alone. `fsync
//!   = off`, which is for the tests of a program, forgets at a power loss, and is not looked for.
//! - Dropping a future half way leaves the pool sound: there is no transaction to inherit, and the
//!   next user of the connection waits for the statement that still runs. A connection that has not
//!   [answered in time](PostgresStore::answered_within) is closed.
//!
//! # What it needs
//!
//! - **The primary**, for reads too. [`connect`](PostgresStore::connect) asks each connection
//!   whether it may write, so that a URL may name several hosts. A pool of your own should do the
//!   same (`target_session_attrs=read-write`).
//! - **Failover without loss.** A replica that follows asynchronously lacks the last commits when
//!   it is promoted: codes redeemed and tokens rotated in that time can be used again, and grants
//!   revoked in it are alive again. With `synchronous_standby_names` set, a commit waits for a
//!   replica; promote only such a one.
//! - **As many connections as statements run at once.** Each call holds one for one round trip.
//!   [`connect`](PostgresStore::connect) opens at most 16, seldom more than a database of eight
//!   cores can use; all processes together must stay below its `max_connections`. Who cannot get
//!   one within five seconds gets an error.
//! - **UTF-8**, for a client chooses what a `state` contains. A subject has no character U+0000 and
//!   at most about 2,000 bytes, which is what an index of PostgreSQL takes; any other is an error.
//! - **Prepared statements**, where a pooler stands between (`pgbouncer`: from 1.21 on, with
//!   `max_prepared_statements`), and nobody who leaves a transaction open in a pool that is shared.
//!
//! Four tables, each with the prefix `grantcore_`, in the first schema of the `search_path`: see
//! `migrations/`. [`PostgresStore::connect`] brings them to the version it knows, or finds them so
//! and then needs no right to change them. Call [`sweep`](PostgresStore::sweep) now and then:
//! PostgreSQL drops nothing by itself.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod host;
mod queries;
mod store;
mod tables;

use std::time::Duration;

use deadpool_postgres::{
    BuildError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::time::timeout;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

/// Clients, grants and how accounts stand, in PostgreSQL. A clone is another handle of the same.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: Pool,
    longest: Duration,
}

/// The database failed, did not answer, or holds a record it cannot read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// PostgreSQL's own error, or one of the connection to it.
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    /// No connection could be had.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// It did not answer in time. What was to be written may be written, now or later.
    #[error("the database did not answer in time")]
    TimedOut,
    /// A record that does not decode: written by a newer version, or damaged.
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] serde_json::Error),
    /// The tables were made by a newer version of this crate.
    #[error("the tables are of version {0}, which this program does not know")]
    Newer(i32),
    /// A crash of the database would forget what it acknowledges.
    #[error("synchronous_commit is off: set it to on, for this role at least")]
    NotDurable,
}

type Result<T> = std::result::Result<T, PostgresError>;
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The most connections of the pool that [`PostgresStore::connect`] makes.
const CONNECTIONS: usize = 16;

/// How long one may wait for a connection, and for one to be made.
const CONNECTED: Duration = Duration::from_secs(5);

/// How long a statement may take, if nothing else is said.
const ANSWERED: Duration = Duration::from_secs(10);

impl PostgresStore {
    /// Connects to the database of this URL (or `key=value` words), without TLS, and brings its
    /// tables to this version. For TLS make a pool and use [`new`](Self::new).
    ///
    /// # Errors
    /// As [`new`](Self::new), and if it is no such URL.
    pub async fn connect(url: &str) -> Result<Self> {
        let (mut config, plain): (Config, _) = (url.parse()?, Config::new());
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        // An idle connection to a host that is gone without a word is found out before somebody
        // waits for it, unless the URL knows better.
        if config.get_keepalives_idle() == plain.get_keepalives_idle()
            && config.get_tcp_user_timeout().is_none()
        {
            config
                .keepalives_idle(ANSWERED)
                .keepalives_interval(ANSWERED / 4)
                .keepalives_retries(3)
                .tcp_user_timeout(ANSWERED);
        }
        if config.get_application_name().is_none() {
            config.application_name("grantcore");
        }
        let manager = Manager::from_config(
            config,
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager).max_size(CONNECTIONS).runtime(Runtime::Tokio1);
        let pool = pool
            .wait_timeout(Some(CONNECTED))
            .create_timeout(Some(CONNECTED))
            .recycle_timeout(Some(CONNECTED));
        Self::new(
            pool.build().map_err(|BuildError::NoRuntimeSpecified| PoolError::NoRuntimeSpecified)?,
        )
        .await
    }

    /// A store on the host's own pool, with its TLS, its size and its time-outs: it should have
    /// some. Brings the tables to this version. [`RecyclingMethod::Fast`] is enough, and any
    /// other takes a round trip for each call.
    ///
    /// # Errors
    /// If there is no connection, the tables are of a newer version, or `synchronous_commit` is
    /// off.
    pub async fn new(pool: Pool) -> Result<Self> {
        let mut connection = pool.get().await?;
        if !tables::is_durable(&connection).await? {
            return Err(PostgresError::NotDurable);
        }
        tables::migrate(&mut connection).await?;
        drop(connection);
        Ok(Self { pool, longest: ANSWERED })
    }

    /// The same store, whose statements may take so long, with what it takes to prepare them: ten
    /// seconds, unless this says otherwise.
    #[must_use = "the store that waits so long is the one returned"]
    pub fn answered_within(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// The pool, for the host's own queries and for what it says of its state.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What one statement brings, of the host's own as well: in one round trip once its connection
    /// has prepared it, and within the time that all of them have. Without a transaction around
    /// it nothing is left open when this future is dropped.
    ///
    /// # Errors
    /// If the database fails or does not answer in time. What the statement was to write may then
    /// be written.
    pub async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let connection = self.pool.get().await?;
        let answer = timeout(self.longest, async {
            let statement = connection.prepare_cached(sql).await?;
            connection.query(&statement, values).await
        });
        let Ok(rows) = answer.await else {
            // Whoever comes next need not wait for what this one waited for.
            drop(Object::take(connection));
            return Err(PostgresError::TimedOut);
        };
        Ok(rows?)
    }

    /// A statement that writes at most one row, and says with it whether that is durable.
    async fn write(&self, sql: &str, values: Values<'_>) -> Result<bool> {
        let rows = self.rows(sql, values).await?;
        match rows.first().map(|row| row.try_get(0)).transpose()? {
            Some(false) => Err(PostgresError::NotDurable),
            written => Ok(written.is_some()),
        }
    }
}
