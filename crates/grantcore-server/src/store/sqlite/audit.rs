//! The audit log in SQLite: appended to many events at a time, searched by what is indexed, dropped
//! from its old end.

use grantcore::Timestamp;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Result, Row, params, params_from_iter};

use super::number;
use crate::audit::{Entry, Item, Position, Search, Value};

const INSERT: &str = "INSERT INTO audit_log (at, correlation, flow, kind, reason, detail, client, subject, status, error, description, \
    challenge, note, written, durability, attributed, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
    ON CONFLICT (correlation, kind) DO NOTHING";
const SELECT: &str = "SELECT at, correlation, flow, kind, reason, detail, client, subject, status, error, description, challenge, \
    note, written, durability, attributed, count, id FROM audit_log";

/// Appends events.
pub(super) fn append(connection: &Connection, items: &[Item]) -> Result<()> {
    let mut insert = connection.prepare_cached(INSERT)?;
    for entry in items.iter().map(Item::entry) {
        insert.execute(params![
            number(entry.at),
            entry.correlation,
            entry.flow,
            entry.kind,
            entry.reason,
            entry.detail,
            entry.client,
            entry.subject,
            entry.status,
            entry.error,
            entry.description,
            entry.challenge,
            entry.note,
            entry.written,
            entry.durability,
            entry.attributed,
            number(entry.count),
        ])?;
    }
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    search: &Search,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<(Position, Entry)>> {
    let (sql, values) = select(search, before, limit);
    let mut query = connection.prepare_cached(&sql)?;
    query
        .query_map(params_from_iter(values), |row| {
            let entry = entry(row)?;
            let number = row.get::<_, i64>(17)?.cast_unsigned();
            Ok((Position { at: entry.at, number }, entry))
        })?
        .collect()
}

/// Returns a search as SQL and its values.
fn select(search: &Search, before: Option<Position>, limit: usize) -> (String, Vec<Sql>) {
    let (conditions, values) = search.sql(before, '?');
    let values = values.into_iter().map(|value| match value {
        Value::Text(text) => Sql::Text(text.to_owned()),
        Value::Number(value) => number(value).into(),
    });
    let sql = format!("{SELECT}{conditions} ORDER BY at DESC, id DESC LIMIT ?");
    (sql, values.chain([number(limit).into()]).collect())
}

pub(super) fn flow(connection: &Connection, flow: &str) -> Result<Vec<Entry>> {
    let mut query = connection.prepare_cached(&format!("{SELECT} WHERE flow = ? ORDER BY id"))?;
    query.query_map([flow], entry)?.collect()
}

pub(super) fn drop_before(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> Result<usize> {
    let sql = "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at < ? ORDER BY at LIMIT ?)";
    connection.prepare_cached(sql)?.execute(params![number(before.unix_seconds()), number(limit)])
}

/// Counts the events.
pub(super) fn count(connection: &Connection) -> Result<u64> {
    let count = "SELECT count(*) FROM audit_log";
    connection
        .prepare_cached(count)?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

/// Drops this many events: the oldest of strangers, and then the oldest of all.
pub(super) fn drop_oldest(connection: &Connection, limit: usize) -> Result<usize> {
    let strangers = "DELETE FROM audit_log WHERE id IN \
        (SELECT id FROM audit_log WHERE attributed = 0 ORDER BY at LIMIT ?)";
    let all = "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log ORDER BY at LIMIT ?)";
    let dropped = connection.prepare_cached(strangers)?.execute([number(limit)])?;
    Ok(dropped + connection.prepare_cached(all)?.execute([number(limit - dropped)])?)
}

fn entry(row: &Row<'_>) -> Result<Entry> {
    Ok(Entry {
        at: row.get::<_, i64>(0)?.cast_unsigned(),
        correlation: row.get(1)?,
        flow: row.get(2)?,
        kind: row.get::<_, String>(3)?.into(),
        reason: row.get::<_, Option<String>>(4)?.map(Into::into),
        detail: row.get(5)?,
        client: row.get(6)?,
        subject: row.get(7)?,
        status: row.get(8)?,
        error: row.get::<_, Option<String>>(9)?.map(Into::into),
        description: row.get(10)?,
        challenge: row.get(11)?,
        note: row.get(12)?,
        written: row.get(13)?,
        durability: row.get::<_, Option<String>>(14)?.map(Into::into),
        attributed: row.get(15)?,
        count: row.get::<_, i64>(16)?.cast_unsigned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_user_can_quote_is_looked_up_by_an_index_and_nothing_is_sorted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grants.sqlite");
        let _store = grantcore_sqlite::SqliteStore::open(&path).unwrap();
        let connection = crate::store::sqlite::connection(&path).unwrap();
        let text = Some("x".to_owned());
        let base = Search::default();
        let pieces =
            Search { client: text.clone(), error: text.clone(), around: Some(1), ..base.clone() };
        let refused = Search { refusals: true, ..base.clone() };
        for (search, index) in [
            (pieces, "audit_log_by_client"),
            (Search { client: text.clone(), ..base.clone() }, "audit_log_by_client"),
            (Search { subject: text.clone(), ..base.clone() }, "audit_log_by_subject"),
            (Search { reference: text.clone(), ..base.clone() }, "audit_log_by_correlation"),
            (Search { flow: text.clone(), ..base.clone() }, "audit_log_by_flow"),
            (Search { error: text, around: Some(1), ..base.clone() }, "audit_log_by_time"),
            (refused, "audit_log_of_refusals"),
            (base, "audit_log_by_time"),
        ] {
            for before in [None, Some(Position { at: 5, number: 7 })] {
                let (sql, values) = select(&search, before, 9);
                let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                let rows = query
                    .query_map(params_from_iter(values), |row| row.get::<_, String>(3))
                    .unwrap();
                let plan: Vec<_> = rows.map(|row| row.unwrap()).collect();
                assert!(plan.iter().any(|step| step.contains(index)), "{search:?}: {plan:?}");
                let few = search.flow.is_some() || search.reference.is_some();
                assert!(few || plan.len() == 1, "{search:?}: {plan:?}");
                let is_scan = plan[0].starts_with("SCAN") && before.is_some();
                assert!(!is_scan, "an older page is looked up: {search:?}: {plan:?}");
            }
        }
    }
}
