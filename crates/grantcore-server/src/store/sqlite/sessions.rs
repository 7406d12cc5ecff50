//! Sessions in SQLite.

use grantcore::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, TransactionBehavior, params};

use super::number;
use crate::store::SessionRow;

/// Adds a session. What it takes the place of goes in the same transaction.
pub(super) fn open(
    connection: &mut Connection,
    digest: &str,
    row: &SessionRow,
    previous: Option<&str>,
    limit: usize,
) -> Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(previous) = previous {
        close(&change, previous)?;
    }
    let insert = "INSERT INTO sessions (digest, subject, password, expires) VALUES (?, ?, ?, ?)";
    let SessionRow { subject, password, expires } = row;
    change.prepare_cached(insert)?.execute(params![digest, subject, password, number(*expires)])?;
    let oldest = "DELETE FROM sessions WHERE id IN \
        (SELECT id FROM sessions WHERE subject = ? ORDER BY id DESC LIMIT -1 OFFSET ?)";
    change.prepare_cached(oldest)?.execute(params![subject, number(limit)])?;
    change.commit()
}

pub(super) fn find(connection: &Connection, digest: &str) -> Result<Option<SessionRow>> {
    let sql = "SELECT subject, password, expires FROM sessions WHERE digest = ?";
    let row = |row: &rusqlite::Row<'_>| {
        let expires = row.get::<_, i64>(2)?.cast_unsigned();
        Ok(SessionRow { subject: row.get(0)?, password: row.get(1)?, expires })
    };
    connection.prepare_cached(sql)?.query_row([digest], row).optional()
}

pub(super) fn close(connection: &Connection, digest: &str) -> Result<()> {
    let sql = "DELETE FROM sessions WHERE digest = ?";
    connection.prepare_cached(sql)?.execute([digest]).map(drop)
}

pub(super) fn drop_expired(connection: &Connection, now: Timestamp, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM sessions WHERE id IN \
        (SELECT id FROM sessions WHERE expires <= ? ORDER BY expires LIMIT ?)";
    connection.prepare_cached(sql)?.execute(params![number(now.unix_seconds()), number(limit)])
}
