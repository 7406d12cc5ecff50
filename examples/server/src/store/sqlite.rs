//! The store on SQLite: one table of clients, one of grants, and a conditional `UPDATE`. There is no protocol in it. WAL with
//! `synchronous=FULL` keeps every acknowledged commit over a power loss; each statement is a transaction of its own.

mod accounts;
mod trail;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grantcore::{Account, Balance, Change, Client, Commit, Grant, GrantId, Store, Stored, Timestamp, Version, Write};
use rusqlite::{Connection, OptionalExtension, Params, TransactionBehavior, params};
use serde::de::DeserializeOwned;

/// Clients, grants, accounts and the trail in one SQLite file. Writes have a connection of their own: one that waits for the file holds
/// up no read. So have searches of the trail, which may be long.
pub struct SqliteStore {
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
    searcher: Mutex<Connection>,
    /// Below how much a balance is low.
    low_balance: u64,
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
    /// The file was made by a newer version of this program.
    #[error("the database is of version {0}, which this program does not know")]
    Newer(u32),
}

type Result<T> = std::result::Result<T, SqliteError>;

/// Each brings the file from the version that is its place in the list to the next.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../migrations/0001_init.sql"),
    include_str!("../../migrations/0002_clients.sql"),
    include_str!("../../migrations/0003_accounts_and_trail.sql"),
];

impl SqliteStore {
    /// Opens the file, and makes it if need be. Balances below `low_balance` are low.
    ///
    /// # Errors
    /// If it is not such a database, or one of a newer version.
    pub fn open(path: &Path, low_balance: u64) -> Result<Self> {
        let open = || -> Result<_> {
            let mut connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            migrate(&mut connection)?;
            Ok(Mutex::new(connection))
        };
        Ok(Self { reader: open()?, writer: open()?, searcher: open()?, low_balance })
    }

    /// Drops at most `most` grants and as many clients whose time is over, and says how many of both.
    ///
    /// # Errors
    /// If the database fails.
    pub fn sweep(&self, now: Timestamp, most: u32) -> Result<usize> {
        let connection = lock(&self.writer);
        let delete = |sql| -> rusqlite::Result<usize> { connection.prepare_cached(sql)?.execute(params![end(now), most]) };
        let grants = delete("DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE drop_after <= ? LIMIT ?)")?;
        let clients = delete("DELETE FROM clients WHERE id IN (SELECT id FROM clients WHERE drop_after <= ? LIMIT ?)")?;
        Ok(grants + clients)
    }

    fn read<R: DeserializeOwned>(&self, sql: &str, key: impl Params) -> Result<Option<Stored<R>>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached(sql)?;
        let row: Option<(i64, String)> = query.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((version, body)) = row else { return Ok(None) };
        Ok(Some(Stored { record: Arc::new(serde_json::from_str(&body)?), version: Version(version.cast_unsigned()) }))
    }

    /// One row changed, or somebody else was faster.
    fn write(&self, sql: &str, values: impl Params) -> Result<Commit> {
        let changed = lock(&self.writer).prepare_cached(sql)?.execute(values)?;
        Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
    }

    fn commit_grant(&self, change: &Change<Grant>) -> Result<Commit> {
        let (id, version, body) = (change.id(), number(change.version()), serde_json::to_string(change.record())?);
        let (subject, drop_after) = (change.record().subject().as_str(), end(change.drop_after()));
        match change.seen() {
            None => self.write(
                "INSERT INTO grants VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                params![id.as_bytes(), version, subject, drop_after, body],
            ),
            Some(seen) => self.write(
                "UPDATE grants SET version = ?, drop_after = ?, body = ? WHERE id = ? AND version = ?",
                params![version, drop_after, body, id.as_bytes(), number(seen)],
            ),
        }
    }

    fn commit_client(&self, change: &Change<Client>) -> Result<Commit> {
        let (id, version, body) = (change.id().as_str(), number(change.version()), serde_json::to_string(change.record())?);
        let drop_after = end(change.drop_after());
        match change.seen() {
            None => {
                self.write("INSERT INTO clients VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", params![id, version, drop_after, body])
            }
            Some(seen) => self.write(
                "UPDATE clients SET version = ?, drop_after = ?, body = ? WHERE id = ? AND version = ?",
                params![version, drop_after, body, id, number(seen)],
            ),
        }
    }
}

/// Brings the file to this program's version, once, whoever else is opening it.
fn migrate(connection: &mut Connection) -> Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.get(done..).ok_or(SqliteError::Newer(version))? {
        change.execute_batch(migration)?;
    }
    change.pragma_update(None, "user_version", u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX))?;
    Ok(change.commit()?)
}

/// A connection is as good as before, whatever became of the thread that used it.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds as SQLite counts them, to 2^63.
fn end(time: Timestamp) -> i64 {
    i64::try_from(time.unix_seconds()).unwrap_or(i64::MAX)
}

/// As many rows as SQLite counts, to 2^63.
fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn number(version: Version) -> i64 {
    version.0.cast_signed()
}

impl Store for SqliteStore {
    type Error = SqliteError;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.read("SELECT version, body FROM clients WHERE id = ?", [id])
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.read("SELECT version, body FROM grants WHERE id = ?", [id.as_bytes()])
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        match write {
            Write::Grant(change) => self.commit_grant(change),
            Write::Client(change) => self.commit_client(change),
        }
    }

    fn grants_of(&self, subject: &str, after: Option<GrantId>, most: usize) -> Result<Vec<GrantId>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached("SELECT id FROM grants WHERE subject = ? AND id > ? ORDER BY id LIMIT ?")?;
        // Every id is greater than no bytes at all.
        let after = after.map(|id| *id.as_bytes());
        let after = after.as_ref().map_or(&[][..], |id| id);
        let ids = query.query_map(params![subject, after, count(most)], |row| Ok(GrantId::from_bytes(row.get(0)?)))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    fn account(&self, subject: &str) -> Result<Option<Account>> {
        Ok(self.account_row(subject)?.map(|row| row.account()))
    }

    fn balance(&self, subject: &str) -> Result<Balance> {
        let row = self.account_row(subject)?;
        Ok(row.map_or(Balance::Insufficient, |row| row.balance(self.low_balance)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool> {
        self.raise(subject)
    }
}
