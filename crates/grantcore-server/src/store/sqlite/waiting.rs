//! What waits for a browser, in SQLite. A row has the bytes that were ever added up to it. So the
//! surplus of a new row is found by an index, and nothing is summed up.

use grantcore::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::number;
use crate::store::{Room, WaitingRow};

/// Adds a row. The rows that make room for it go with it.
pub(super) fn add(
    connection: &Connection,
    digest: &str,
    row: &WaitingRow,
    room: Room,
) -> Result<()> {
    let insert = "INSERT INTO waiting \
        (digest, browser, source, value, expires, total, total_of_source) \
        SELECT ?1, ?2, ?3, ?4, ?5, \
        ?6 + coalesce((SELECT max(total) FROM waiting), 0), \
        ?6 + coalesce((SELECT max(total_of_source) FROM waiting WHERE source = ?3), 0) \
        RETURNING total, total_of_source";
    let WaitingRow { browser, source, value, expires } = row;
    let values = params![digest, browser, source, value, number(*expires), number(row.bytes())];
    let totals = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (total, of_source) = connection.prepare_cached(insert)?.query_row(values, totals)?;
    connection
        .prepare_cached("DELETE FROM waiting WHERE total <= ?")?
        .execute([total - number(room.in_all)])?;
    connection
        .prepare_cached("DELETE FROM waiting WHERE source = ? AND total_of_source <= ?")?
        .execute(params![source, of_source - number(room.of_source)])?;
    Ok(())
}

pub(super) fn claim(
    connection: &Connection,
    digest: &str,
    browser: &str,
) -> Result<Option<WaitingRow>> {
    let sql = "UPDATE waiting SET browser = ?2 \
        WHERE digest = ?1 AND (browser IS NULL OR browser = ?2) \
        RETURNING browser, source, value, expires";
    connection.prepare_cached(sql)?.query_row([digest, browser], read).optional()
}

pub(super) fn take(
    connection: &Connection,
    digest: &str,
    browser: &str,
) -> Result<Option<WaitingRow>> {
    let sql = "DELETE FROM waiting WHERE digest = ? AND browser = ? \
        RETURNING browser, source, value, expires";
    connection.prepare_cached(sql)?.query_row([digest, browser], read).optional()
}

pub(super) fn drop_expired(connection: &Connection, now: Timestamp, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM waiting WHERE id IN \
        (SELECT id FROM waiting WHERE expires <= ? ORDER BY expires LIMIT ?)";
    connection.prepare_cached(sql)?.execute(params![number(now.unix_seconds()), number(limit)])
}

fn read(row: &Row<'_>) -> Result<WaitingRow> {
    Ok(WaitingRow {
        browser: row.get(0)?,
        source: row.get(1)?,
        value: row.get(2)?,
        expires: row.get::<_, i64>(3)?.cast_unsigned(),
    })
}
