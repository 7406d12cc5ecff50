//! What an operator calls: listing, counting and sweeping, and the accounts.

use grantcore::blocking::StoreAdministration;
use grantcore::grant::Grant;
use grantcore::store::{Counts, Seen, SeenKey, Stored};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Client, Timestamp};
use rusqlite::params;
use rusqlite::types::Value;

use super::reads::{account_of, count, decoded, id_bytes, versioned};
use super::writes::seconds;
use super::{Result, SqliteStore};

/// The number of records that a sweep drops in one transaction, for which other writes wait.
const SWEEP_BATCH: usize = 64;

impl StoreAdministration for SqliteStore {
    fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        let connection = self.operator();
        // No `client_id` is empty.
        let mut query = connection.prepare_cached(
            "SELECT version, body FROM grantcore_clients WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let rows = query.query_map(params![after.unwrap_or_default(), count(limit)], versioned)?;
        rows.map(|row| decoded(row?)).collect()
    }

    fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        let connection = self.operator();
        let mut query = connection.prepare_cached(
            "SELECT version, body FROM grantcore_grants WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let rows = query.query_map(params![id_bytes(after.as_ref()), count(limit)], versioned)?;
        rows.map(|row| decoded(row?)).collect()
    }

    fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>> {
        let connection = self.operator();
        let mut query = connection
            .prepare_cached("SELECT body FROM grantcore_seen WHERE key > ? ORDER BY key LIMIT ?")?;
        let after: &[u8] = after.as_ref().map_or(&[], |key| key.as_bytes());
        let rows = query.query_map(params![after, count(limit)], |row| row.get::<_, String>(0))?;
        rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
    }

    /// Counts the records exactly. It reads an index of each table.
    fn counts(&self) -> Result<Counts> {
        let connection = self.operator();
        let mut query = connection.prepare_cached(
            "SELECT (SELECT count(*) FROM grantcore_clients), \
             (SELECT count(*) FROM grantcore_grants), \
             (SELECT count(*) FROM grantcore_seen)",
        )?;
        Ok(query.query_row([], |row| {
            let column = |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.unsigned_abs());
            Ok(Counts::new(column(0)?, column(1)?).with_marks(column(2)?))
        })?)
    }

    /// Searches on a connection of its own, and drops what it found in small transactions.
    fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let now = seconds(now);
        let mut dropped = 0;
        for [search, drop] in SWEEPS {
            let due = self.due(search, now, limit - dropped)?;
            for batch in due.chunks(SWEEP_BATCH) {
                dropped += self.drop_due(drop, now, batch.to_vec())?;
            }
        }
        Ok(dropped)
    }
}

/// For each table, the search for due records, and the deletion of a record that is still due.
const SWEEPS: [[&str; 2]; 3] = [
    [
        "SELECT id FROM grantcore_grants WHERE drop_day <= ?1 / 86400 AND drop_after <= ?1 LIMIT ?2",
        "DELETE FROM grantcore_grants WHERE id = ? AND drop_after <= ?",
    ],
    [
        "SELECT id FROM grantcore_clients WHERE drop_after <= ? LIMIT ?",
        "DELETE FROM grantcore_clients WHERE id = ? AND drop_after <= ?",
    ],
    [
        "SELECT key FROM grantcore_seen WHERE drop_after <= ? LIMIT ?",
        "DELETE FROM grantcore_seen WHERE key = ? AND drop_after <= ?",
    ],
];

impl SqliteStore {
    fn due(&self, search: &str, now: i64, limit: usize) -> Result<Vec<Value>> {
        let connection = self.operator();
        let mut query = connection.prepare_cached(search)?;
        let keys = query.query_map(params![now, count(limit)], |row| row.get(0))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }

    fn drop_due(&self, delete: &'static str, now: i64, keys: Vec<Value>) -> Result<usize> {
        self.transact(move |connection| {
            let mut delete = connection.prepare_cached(delete)?;
            let mut dropped = 0;
            for key in keys {
                dropped += delete.execute(params![key, now])?;
            }
            Ok(dropped)
        })
    }
}

impl SqliteStore {
    /// Suspends an account, or lifts its suspension.
    ///
    /// # Errors
    /// [`SqliteError`](crate::SqliteError) if the database fails.
    pub fn set_suspended(&self, subject: &str, suspended: bool) -> Result<()> {
        let sql = "INSERT INTO grantcore_accounts VALUES (?, ?, 0) \
                   ON CONFLICT DO UPDATE SET suspended = excluded.suspended";
        let subject = subject.to_owned();
        self.write(true, move |connection| {
            connection.prepare_cached(sql)?.execute(params![subject, suspended])?;
            Ok(())
        })
    }

    /// Lists up to `limit` accounts that were ever suspended or whose epoch was ever raised,
    /// ascending by their subjects, after `after`.
    ///
    /// # Errors
    /// [`SqliteError`](crate::SqliteError) if the database fails.
    pub fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Subject, Account)>> {
        let connection = self.operator();
        let sql = "SELECT suspended, epoch, subject FROM grantcore_accounts \
                   WHERE subject > ?1 OR ?1 IS NULL ORDER BY subject LIMIT ?2";
        let mut query = connection.prepare_cached(sql)?;
        let rows = query.query_map(params![after, count(limit)], |row| {
            Ok((Subject::from(row.get::<_, String>(2)?), account_of(row)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes an account, and overwrites the stored one, to move it here from another store.
    ///
    /// # Errors
    /// [`SqliteError`](crate::SqliteError) if the database fails.
    pub fn put_account(&self, subject: &str, account: Account) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO grantcore_accounts VALUES (?, ?, ?)";
        let subject = subject.to_owned();
        self.write(true, move |connection| {
            let values = params![subject, account.suspended, account.epoch.cast_signed()];
            connection.prepare_cached(sql)?.execute(values)?;
            Ok(())
        })
    }
}
