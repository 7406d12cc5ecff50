//! The accounts in SQLite, and the lists for pages: what is only this host's, beside what the library asks of a store.

use std::sync::Arc;

use grantcore::{Client, Stored, Version};
use rusqlite::{OptionalExtension, Params, Row, params};

use super::{Result, SqliteStore, count, lock};
use crate::store::AccountRow;

impl SqliteStore {
    /// Adds an account in good standing, unless it is there already.
    pub(crate) fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        let sql = "INSERT INTO accounts VALUES (?, 0, 0, ?) ON CONFLICT DO NOTHING";
        lock(&self.writer).prepare_cached(sql)?.execute(params![subject, amount(balance)])?;
        Ok(())
    }

    pub(crate) fn account_row(&self, subject: &str) -> Result<Option<AccountRow>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached("SELECT subject, suspended, epoch, balance FROM accounts WHERE subject = ?")?;
        Ok(query.query_row([subject], account).optional()?)
    }

    /// All accounts, by subject: a host of this size has few.
    pub(crate) fn accounts(&self) -> Result<Vec<AccountRow>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached("SELECT subject, suspended, epoch, balance FROM accounts ORDER BY subject")?;
        let rows = query.query_map([], account)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Says no if there is no such account.
    pub(crate) fn set_suspended(&self, subject: &str, suspended: bool) -> Result<bool> {
        let sql = "UPDATE accounts SET suspended = ? WHERE subject = ?";
        Ok(lock(&self.writer).prepare_cached(sql)?.execute(params![suspended, subject])? == 1)
    }

    pub(super) fn raise(&self, subject: &str) -> Result<bool> {
        let sql = "UPDATE accounts SET epoch = epoch + 1 WHERE subject = ?";
        Ok(lock(&self.writer).prepare_cached(sql)?.execute([subject])? == 1)
    }

    /// Adds to what an account has to spend, and says what that is then; nothing if there is no such account.
    pub(crate) fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        let by = amount(by);
        // It ends at the largest number SQLite has, and does not overflow.
        let sql = "UPDATE accounts SET balance = min(balance, ?) + ? WHERE subject = ? RETURNING balance";
        self.change_balance(sql, params![i64::MAX - by, by, subject])
    }

    /// Draws one unit from what an account has, and says what is left; nothing if there was nothing. However many draw at once, each
    /// unit is drawn once.
    pub(crate) fn spend(&self, subject: &str) -> Result<Option<u64>> {
        let sql = "UPDATE accounts SET balance = balance - 1 WHERE subject = ? AND balance > 0 RETURNING balance";
        self.change_balance(sql, [subject])
    }

    fn change_balance(&self, sql: &str, values: impl Params) -> Result<Option<u64>> {
        let connection = lock(&self.writer);
        // `query_one` runs the statement to its end, where it is committed; `query_row` would not hear of a commit that failed.
        let balance = connection.prepare_cached(sql)?.query_one(values, |row| row.get(0)).optional()?;
        Ok(balance.map(i64::cast_unsigned))
    }

    /// Some of the clients, by id: at most so many of those after this one.
    pub(crate) fn clients(&self, after: Option<&str>, most: usize) -> Result<Vec<Stored<Client>>> {
        let connection = lock(&self.reader);
        let mut query = connection.prepare_cached("SELECT version, body FROM clients WHERE id > ? ORDER BY id LIMIT ?")?;
        let rows = query.query_map(params![after.unwrap_or_default(), count(most)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let decoded = rows.map(|row| {
            let (version, body): (i64, String) = row?;
            Ok(Stored { record: Arc::new(serde_json::from_str(&body)?), version: Version(version.cast_unsigned()) })
        });
        decoded.collect()
    }
}

fn account(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    let number = |index| row.get(index).map(i64::cast_unsigned);
    Ok(AccountRow { subject: row.get(0)?, suspended: row.get(1)?, epoch: number(2)?, balance: number(3)? })
}

/// A balance as SQLite counts, to 2^63.
fn amount(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
