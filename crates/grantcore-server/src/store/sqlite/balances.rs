//! Balances in SQLite. Which accounts are suspended is not here.

use rusqlite::{Connection, OptionalExtension, Params, Result, Row, params};

use super::number;

pub(super) fn add(connection: &Connection, subject: &str, balance: u64) -> Result<()> {
    let sql = "INSERT INTO balances (subject, balance) VALUES (?, ?) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![subject, number(balance)])?;
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<Vec<(String, u64)>> {
    let mut query =
        connection.prepare_cached("SELECT balance, subject FROM balances ORDER BY subject")?;
    query.query_map([], |row| Ok((row.get(1)?, units(row)?)))?.collect()
}

pub(super) fn name(connection: &Connection, subject: &str, name: &str) -> Result<()> {
    let sql = "UPDATE balances SET name = ?1 WHERE subject = ?2 AND name IS NOT ?1";
    connection.prepare_cached(sql)?.execute([name, subject]).map(drop)
}

pub(super) fn name_once(connection: &Connection, subject: &str, name: &str) -> Result<()> {
    let sql = "UPDATE balances SET name = ?1 WHERE subject = ?2 AND name IS NULL";
    connection.prepare_cached(sql)?.execute([name, subject]).map(drop)
}

pub(super) fn names(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT subject, name FROM balances WHERE name IS NOT NULL ORDER BY subject";
    let mut query = connection.prepare_cached(sql)?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

pub(super) fn find(connection: &Connection, subject: &str) -> Result<Option<u64>> {
    let mut query = connection.prepare_cached("SELECT balance FROM balances WHERE subject = ?")?;
    query.query_row([subject], units).optional()
}

pub(super) fn top_up(connection: &Connection, subject: &str, by: u64) -> Result<Option<u64>> {
    let by = number(by);
    let sql =
        "UPDATE balances SET balance = min(balance, ?) + ? WHERE subject = ? RETURNING balance";
    change(connection, sql, params![i64::MAX - by, by, subject])
}

pub(super) fn spend(connection: &Connection, subject: &str) -> Result<Option<u64>> {
    let sql = "UPDATE balances SET balance = balance - 1 WHERE subject = ? AND balance > 0 RETURNING balance";
    change(connection, sql, [subject])
}

/// Changes a balance. `query_one` runs the statement to its end, where it is committed; `query_row`
/// would miss a commit that failed.
fn change(connection: &Connection, sql: &str, values: impl Params) -> Result<Option<u64>> {
    connection.prepare_cached(sql)?.query_one(values, units).optional()
}

fn units(row: &Row<'_>) -> Result<u64> {
    row.get(0).map(i64::cast_unsigned)
}
