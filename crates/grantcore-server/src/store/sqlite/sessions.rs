//! Sessions in SQLite.

use grantcore::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::number;
use crate::store::SessionRow;

/// Adds a session. What it takes the place of goes in the same transaction.
pub(super) fn open(
    connection: &Connection,
    digest: &str,
    row: &SessionRow,
    previous: Option<&str>,
    limit: usize,
) -> Result<()> {
    if let Some(previous) = previous {
        close(connection, previous)?;
    }
    let insert = "INSERT INTO sessions \
        (digest, subject, credential, name, is_admin, expires, signed_in) \
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let SessionRow { subject, credential, name, is_admin, signed_in, expires } = row;
    let signed_in = signed_in.map(number);
    let values = params![digest, subject, credential, name, is_admin, number(*expires), signed_in];
    connection.prepare_cached(insert)?.execute(values)?;
    let oldest = "DELETE FROM sessions WHERE id IN \
        (SELECT id FROM sessions WHERE subject = ? ORDER BY id DESC LIMIT -1 OFFSET ?)";
    connection.prepare_cached(oldest)?.execute(params![subject, number(limit)])?;
    Ok(())
}

pub(super) fn find(connection: &Connection, digest: &str) -> Result<Option<SessionRow>> {
    let sql = "SELECT subject, credential, name, is_admin, expires, signed_in FROM sessions \
        WHERE digest = ?";
    let row = |row: &rusqlite::Row<'_>| {
        Ok(SessionRow {
            subject: row.get(0)?,
            credential: row.get(1)?,
            name: row.get(2)?,
            is_admin: row.get(3)?,
            expires: row.get::<_, i64>(4)?.cast_unsigned(),
            signed_in: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        })
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
