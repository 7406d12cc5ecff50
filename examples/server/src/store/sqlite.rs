//! The store on SQLite: one table of clients, one of grants, and a conditional `UPDATE`. There is no protocol in it. WAL with
//! `synchronous=FULL` keeps every acknowledged commit over a power loss; each statement is a transaction of its own.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grantcore::{Client, Commit, GrantId, Store, Stored, Timestamp, Version, Write};
use rusqlite::{Connection, OptionalExtension, params};

/// Clients and grants in one SQLite file. Writes have a connection of their own: one that waits for the file holds up no read.
pub struct SqliteStore {
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

/// The database failed, or holds a record it cannot read.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// SQLite's own error.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// A record that does not decode: written by a newer version, or damaged.
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] serde_json::Error),
}

type Result<T> = std::result::Result<T, SqliteError>;

impl SqliteStore {
    /// Opens the file, and makes it if need be.
    ///
    /// # Errors
    /// If it is not such a database.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || -> Result<_> {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(include_str!("../../migrations/0001_init.sql"))?;
            Ok(Mutex::new(connection))
        };
        Ok(Self { reader: open()?, writer: open()? })
    }

    /// Adds a client unless there is one of its id.
    ///
    /// # Errors
    /// If it cannot be known whether it was added.
    pub fn add_client(&self, client: &Client) -> Result<()> {
        let body = serde_json::to_string(client)?;
        lock(&self.writer)
            .execute("INSERT INTO clients VALUES (?, ?) ON CONFLICT DO NOTHING", params![client.id().as_str(), body])?;
        Ok(())
    }

    /// Drops at most `most` grants whose time is over, and says how many.
    ///
    /// # Errors
    /// If the database fails.
    pub fn sweep(&self, now: Timestamp, most: u32) -> Result<usize> {
        const SQL: &str = "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE drop_after <= ? LIMIT ?)";
        Ok(lock(&self.writer).execute(SQL, params![end(now), most])?)
    }
}

/// A connection is as good as before, whatever became of the thread that used it.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds as SQLite counts them, to 2^63.
fn end(time: Timestamp) -> i64 {
    i64::try_from(time.unix_seconds()).unwrap_or(i64::MAX)
}

impl Store for SqliteStore {
    type Error = SqliteError;

    fn client(&self, id: &str) -> Result<Option<Arc<Client>>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached("SELECT body FROM clients WHERE id = ?")?;
        let body = query.query_row([id], |row| row.get::<_, String>(0)).optional()?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached("SELECT version, body FROM grants WHERE id = ?")?;
        let row: Option<(i64, String)> = query.query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((version, body)) = row else { return Ok(None) };
        Ok(Some(Stored { grant: serde_json::from_str(&body)?, version: Version(version.cast_unsigned()) }))
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        let body = serde_json::to_string(write.grant())?;
        let (id, version, drop_after) = (write.id(), write.version().0.cast_signed(), end(write.drop_after()));
        let connection = lock(&self.writer);
        let changed = match write.seen() {
            None => connection
                .prepare_cached("INSERT INTO grants VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")?
                .execute(params![id.as_bytes(), version, write.grant().subject().as_str(), drop_after, body])?,
            Some(seen) => connection
                .prepare_cached("UPDATE grants SET version = ?, drop_after = ?, body = ? WHERE id = ? AND version = ?")?
                .execute(params![version, drop_after, body, id.as_bytes(), seen.0.cast_signed()])?,
        };
        Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
    }

    fn grants_of(&self, subject: &str) -> Result<Vec<GrantId>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached("SELECT id FROM grants WHERE subject = ?")?;
        let ids = query.query_map([subject], |row| Ok(GrantId::from_bytes(row.get(0)?)))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }
}
