//! The grants and clients of a [`grantcore`] server in one SQLite file: the embedded default.
//!
//! ```
//! use grantcore::{Client, Policy, Server, Store, Write};
//! use grantcore_sqlite::SqliteStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("grants.sqlite");
//! let store = SqliteStore::open(path)?;
//! let client = Client::public("notes-app").redirect_uri("https://app.example/cb").build()?;
//! let _already_there = store.commit(&Write::client(None, client))?;
//!
//! let policy = Policy::builder("https://auth.example").scope("notes", "Read notes").resource("https://mcp.example/mcp", "notes");
//! let server = Server::new(policy.build()?, store);
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! WAL with `synchronous=FULL`: what was acknowledged is there after a crash of the program, of the
//! system, and after a power loss, as far as the disk keeps its word. Each change is one statement
//! and so one transaction. Several processes may open one file.
//!
//! Three tables, each with the prefix `grantcore_`, so that they may lie in a file of your own
//! beside others: see `migrations/`. [`SqliteStore::open`] brings them to the version it knows.
//! Call [`sweep`](SqliteStore::sweep) now and then: SQLite drops nothing by itself.
//!
//! With the feature `tokio` it is an [`AsyncStore`](grantcore::AsyncStore) as well, each call on a
//! thread that may wait for the disk.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "tokio")]
mod waiting;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grantcore::{
    Account, Change, Client, Commit, Grant, GrantId, Store, Stored, Subject, Timestamp, Version,
    Write,
};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Params, Row, TransactionBehavior, params,
};
use serde_json::from_str;

/// Clients, grants and how accounts stand, in one SQLite file. A clone is another handle of the
/// same.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Connections>);

/// Writes have a connection of their own: one that waits for the file holds up no read.
#[derive(Debug)]
struct Connections {
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

/// The database failed, or holds a record it cannot read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// SQLite's own error.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// A record that does not decode: written by a newer version, or damaged.
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] serde_json::Error),
    /// The tables were made by a newer version of this crate.
    #[error("the tables are of version {0}, which this program does not know")]
    Newer(i64),
    /// SQLite cannot keep this file in WAL mode, on which its promises rest: it is in memory, or on
    /// a file system without shared memory.
    #[error("the file cannot be kept in WAL mode, but in {0}")]
    Journal(String),
    /// The thread that waited for the disk ended before it answered: the runtime is stopping.
    #[cfg(feature = "tokio")]
    #[error("the thread that waited for the disk ended before it answered")]
    Stopped(#[from] tokio::task::JoinError),
}

type Result<T> = std::result::Result<T, SqliteError>;

/// Each brings the tables from the version that is its place in the list to the next.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_init.sql")];

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(5);
const TURN: Duration = Duration::from_millis(10);

impl SqliteStore {
    /// Opens the file, makes it if need be, and brings its tables to this version.
    ///
    /// # Errors
    /// If it is not an SQLite file, or its tables are of a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let open = || -> Result<_> {
            let mut connection = Connection::open(path.as_ref())?;
            connection.busy_timeout(BUSY)?;
            log_ahead(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            migrate(&mut connection)?;
            Ok(Mutex::new(connection))
        };
        Ok(Self(Arc::new(Connections { reader: open()?, writer: open()? })))
    }

    /// Drops at most `most` grants and clients that may be dropped, and says how many it did: fewer
    /// than `most`, and there are no more.
    ///
    /// # Errors
    /// If the database fails. What was dropped until then stays so.
    pub fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let connection = self.writer();
        let delete = |sql, limit| {
            connection.prepare_cached(sql)?.execute(params![seconds(now), count(limit)])
        };
        let grants = delete(
            "DELETE FROM grantcore_grants WHERE id IN (SELECT id FROM grantcore_grants WHERE drop_after <= ? LIMIT ?)",
            limit,
        )?;
        let clients = delete(
            "DELETE FROM grantcore_clients WHERE id IN (SELECT id FROM grantcore_clients WHERE drop_after <= ? LIMIT ?)",
            limit - grants,
        )?;
        Ok(grants + clients)
    }

    /// Suspends an account, or lifts its suspension. Accounts that were never mentioned stand well.
    ///
    /// # Errors
    /// If the database fails.
    pub fn set_suspended(&self, subject: &str, suspended: bool) -> Result<()> {
        let sql = "INSERT INTO grantcore_accounts VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET suspended = excluded.suspended";
        self.writer().prepare_cached(sql)?.execute(params![subject, suspended])?;
        Ok(())
    }

    /// The clients in the order of their ids: at most so many of those after this one.
    ///
    /// # Errors
    /// If the database fails, or one of them cannot be decoded.
    pub fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        let connection = self.reader();
        // No `client_id` is empty.
        let mut query = connection.prepare_cached(
            "SELECT version, body FROM grantcore_clients WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let rows = query.query_map(params![after.unwrap_or_default(), count(limit)], versioned)?;
        rows.map(|row| stored(row?)).collect()
    }

    /// The grants in the order of their ids, likewise: to move them to another store.
    ///
    /// # Errors
    /// If the database fails, or one of them cannot be decoded.
    pub fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        let connection = self.reader();
        let mut query = connection.prepare_cached(
            "SELECT version, body FROM grantcore_grants WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let rows = query.query_map(params![id_bytes(after.as_ref()), count(limit)], versioned)?;
        rows.map(|row| stored(row?)).collect()
    }

    /// The accounts that were ever suspended or raised to a new epoch, in the order of their names,
    /// likewise.
    ///
    /// # Errors
    /// If the database fails.
    pub fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Subject, Account)>> {
        let connection = self.reader();
        let sql = "SELECT suspended, epoch, subject FROM grantcore_accounts WHERE subject > ?1 OR ?1 IS NULL ORDER BY subject LIMIT ?2";
        let mut query = connection.prepare_cached(sql)?;
        let rows = query.query_map(params![after, count(limit)], |row| {
            Ok((Subject::from(row.get::<_, String>(2)?), standing(row)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Says how an account stands, whatever it said before: to move it here from another store.
    ///
    /// # Errors
    /// If the database fails.
    pub fn put_account(&self, subject: &str, account: Account) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO grantcore_accounts VALUES (?, ?, ?)";
        self.writer().prepare_cached(sql)?.execute(params![
            subject,
            account.suspended,
            account.epoch.cast_signed()
        ])?;
        Ok(())
    }

    fn read<R: serde::de::DeserializeOwned>(
        &self,
        sql: &str,
        key: impl Params,
    ) -> Result<Option<Stored<R>>> {
        let connection = self.reader();
        let row = connection.prepare_cached(sql)?.query_row(key, versioned).optional()?;
        row.map(stored).transpose()
    }

    /// One row changed, or somebody else was faster.
    fn write(&self, sql: &str, values: impl Params) -> Result<Commit> {
        let changed = self.writer().prepare_cached(sql)?.execute(values)?;
        Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
    }

    fn commit_grant(&self, change: &Change<Grant>) -> Result<Commit> {
        let (id, version, body) =
            (change.id(), number(change.version()), serde_json::to_string(change.record())?);
        let (subject, drop_after) =
            (change.record().subject().as_str(), seconds(change.drop_after()));
        match change.seen() {
            None => self.write(
                "INSERT INTO grantcore_grants VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                params![id.as_bytes(), version, subject, drop_after, body],
            ),
            Some(seen) => self.write(
                "UPDATE grantcore_grants SET version = ?, drop_after = ?, body = ? WHERE id = ? AND version = ?",
                params![version, drop_after, body, id.as_bytes(), number(seen)],
            ),
        }
    }

    fn commit_client(&self, change: &Change<Client>) -> Result<Commit> {
        let (id, version, body) = (
            change.id().as_str(),
            number(change.version()),
            serde_json::to_string(change.record())?,
        );
        let drop_after = seconds(change.drop_after());
        match change.seen() {
            None => self.write(
                "INSERT INTO grantcore_clients VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                params![id, version, drop_after, body],
            ),
            Some(seen) => self.write(
                "UPDATE grantcore_clients SET version = ?, drop_after = ?, body = ? WHERE id = ? AND version = ?",
                params![version, drop_after, body, id, number(seen)],
            ),
        }
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        lock(&self.0.reader)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        lock(&self.0.writer)
    }
}

impl Store for SqliteStore {
    type Error = SqliteError;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.read("SELECT version, body FROM grantcore_clients WHERE id = ?", [id])
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.read("SELECT version, body FROM grantcore_grants WHERE id = ?", [id.as_bytes()])
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        match write {
            Write::Grant(change) => self.commit_grant(change),
            Write::Client(change) => self.commit_client(change),
        }
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let connection = self.reader();
        let mut query = connection.prepare_cached(
            "SELECT id FROM grantcore_grants WHERE subject = ? AND id > ? ORDER BY id LIMIT ?",
        )?;
        let values = params![subject, id_bytes(after.as_ref()), count(limit)];
        let ids = query.query_map(values, |row| Ok(GrantId::from_bytes(row.get(0)?)))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    fn account(&self, subject: &str) -> Result<Option<Account>> {
        let connection = self.reader();
        let mut query = connection
            .prepare_cached("SELECT suspended, epoch FROM grantcore_accounts WHERE subject = ?")?;
        Ok(Some(query.query_row([subject], standing).optional()?.unwrap_or(Account::ACTIVE)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let sql = "INSERT INTO grantcore_accounts VALUES (?, 0, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1";
        self.writer().prepare_cached(sql)?.execute([subject])?;
        Ok(true)
    }
}

/// WAL, for good. While another process does the same to a new file SQLite says that it is busy,
/// and does not wait by itself.
fn log_ahead(connection: &Connection) -> Result<()> {
    let set = || {
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
    };
    for _ in 0..BUSY.as_millis() / TURN.as_millis() {
        match set() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::sleep(TURN);
            }
            Ok(mode) if mode != "wal" => return Err(SqliteError::Journal(mode)),
            set => return Ok(set.map(drop)?),
        }
    }
    Ok(set().map(drop)?)
}

/// Brings the tables to this crate's version, once, whoever else is opening the file.
fn migrate(connection: &mut Connection) -> Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch(
        "CREATE TABLE IF NOT EXISTS grantcore_migrations (version INTEGER PRIMARY KEY) STRICT",
    )?;
    let version =
        change.query_row("SELECT count(*) FROM grantcore_migrations", [], |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.get(done..).ok_or(SqliteError::Newer(version))? {
        change.execute_batch(migration)?;
        change.execute("INSERT INTO grantcore_migrations DEFAULT VALUES", [])?;
    }
    Ok(change.commit()?)
}

fn versioned(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn stored<R: serde::de::DeserializeOwned>((version, body): (i64, String)) -> Result<Stored<R>> {
    Ok(Stored { record: Arc::new(from_str(&body)?), version: Version(version.cast_unsigned()) })
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account { suspended: row.get(0)?, epoch: row.get::<_, i64>(1)?.cast_unsigned() })
}

/// No bytes at all where there is none: every id is greater.
fn id_bytes(id: Option<&GrantId>) -> &[u8] {
    id.map_or(&[], |id| id.as_bytes())
}

/// A connection is as good as before, whatever became of the thread that used it.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds as SQLite counts them, to 2^63.
fn seconds(time: Timestamp) -> i64 {
    i64::try_from(time.unix_seconds()).unwrap_or(i64::MAX)
}

/// As many rows as SQLite counts, to 2^63.
fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn number(version: Version) -> i64 {
    version.0.cast_signed()
}
