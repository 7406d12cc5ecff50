//! What an operator calls: listing, counting and sweeping, and the accounts.

use grantcore::blocking::StoreAdministration;
use grantcore::grant::Grant;
use grantcore::store::{Counts, Seen, SeenKey, Stored};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Client, Timestamp};
use rusqlite::params;

use super::store::{account, count, id_bytes, seconds, stored, versioned};
use super::{Result, SqliteStore};

impl StoreAdministration for SqliteStore {
    fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        let connection = self.reader();
        // No `client_id` is empty.
        let mut query = connection.prepare_cached(
            "SELECT version, body FROM grantcore_clients WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let rows = query.query_map(params![after.unwrap_or_default(), count(limit)], versioned)?;
        rows.map(|row| stored(row?)).collect()
    }

    fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        let connection = self.reader();
        let mut query = connection.prepare_cached(
            "SELECT version, body FROM grantcore_grants WHERE id > ? ORDER BY id LIMIT ?",
        )?;
        let rows = query.query_map(params![id_bytes(after.as_ref()), count(limit)], versioned)?;
        rows.map(|row| stored(row?)).collect()
    }

    fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>> {
        let connection = self.reader();
        let mut query = connection
            .prepare_cached("SELECT body FROM grantcore_seen WHERE key > ? ORDER BY key LIMIT ?")?;
        let after: &[u8] = after.as_ref().map_or(&[], |key| key.as_bytes());
        let rows = query.query_map(params![after, count(limit)], |row| row.get::<_, String>(0))?;
        rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
    }

    /// Counts the records exactly. It reads an index of each table.
    fn counts(&self) -> Result<Counts> {
        let connection = self.reader();
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

    fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let connection = self.writer();
        let delete = |sql, limit| {
            connection.prepare_cached(sql)?.execute(params![seconds(now), count(limit)])
        };
        let grants = delete(
            "DELETE FROM grantcore_grants WHERE id IN \
             (SELECT id FROM grantcore_grants WHERE drop_after <= ? LIMIT ?)",
            limit,
        )?;
        let clients = delete(
            "DELETE FROM grantcore_clients WHERE id IN \
             (SELECT id FROM grantcore_clients WHERE drop_after <= ? LIMIT ?)",
            limit - grants,
        )?;
        let marks = delete(
            "DELETE FROM grantcore_seen WHERE key IN \
             (SELECT key FROM grantcore_seen WHERE drop_after <= ? LIMIT ?)",
            limit - grants - clients,
        )?;
        Ok(grants + clients + marks)
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
        self.writer().prepare_cached(sql)?.execute(params![subject, suspended])?;
        Ok(())
    }

    /// Lists up to `limit` accounts that were ever suspended or whose epoch was ever raised,
    /// ascending by their subjects, after `after`.
    ///
    /// # Errors
    /// [`SqliteError`](crate::SqliteError) if the database fails.
    pub fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Subject, Account)>> {
        let connection = self.reader();
        let sql = "SELECT suspended, epoch, subject FROM grantcore_accounts \
                   WHERE subject > ?1 OR ?1 IS NULL ORDER BY subject LIMIT ?2";
        let mut query = connection.prepare_cached(sql)?;
        let rows = query.query_map(params![after, count(limit)], |row| {
            Ok((Subject::from(row.get::<_, String>(2)?), account(row)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes an account, and overwrites the stored one, to move it here from another store.
    ///
    /// # Errors
    /// [`SqliteError`](crate::SqliteError) if the database fails.
    pub fn put_account(&self, subject: &str, account: Account) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO grantcore_accounts VALUES (?, ?, ?)";
        let values = params![subject, account.suspended, account.epoch.cast_signed()];
        self.writer().prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}
