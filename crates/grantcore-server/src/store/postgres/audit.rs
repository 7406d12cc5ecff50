//! The audit log in PostgreSQL: appended to many events at a time, searched by what is indexed,
//! dropped from its old end.

use std::borrow::Cow;
use std::time::Duration;

use deadpool_postgres::Object;
use deadpool_postgres::tokio_postgres::{IsolationLevel, Row, types::ToSql};
use grantcore::Timestamp;
use grantcore_postgres::PostgresError;
use tokio::time::timeout;

use super::{PostgresLedger, Result, Values, is_text, number};
use crate::audit::{Entry, Position, Search, Value};

type Sql = Box<dyn ToSql + Send + Sync>;

const INSERT: &str = "INSERT INTO audit_log (at, status, attributed, count, correlation, flow, kind, reason, detail, client, subject, \
    error, description, challenge, note, written, durability) \
    SELECT at, status, attributed, count, correlation, flow, kind, reason, detail, client, subject, error, description, challenge, \
    note, written, durability \
    FROM unnest($1::bigint[], $2::integer[], $3::boolean[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], \
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[]) \
    WITH ORDINALITY AS events (at, status, attributed, count, correlation, flow, kind, reason, detail, client, subject, error, \
    description, challenge, note, written, durability, place) ORDER BY place \
    ON CONFLICT (correlation, kind) DO NOTHING";
const SELECT: &str = "SELECT at, status, correlation, flow, kind, reason, detail, client, subject, error, description, challenge, \
    note, written, durability, attributed, count, id FROM audit_log";

const DROP_BEFORE: &str = "WITH dropped AS (DELETE FROM audit_log WHERE id IN \
    (SELECT id FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2) RETURNING id) SELECT count(*) FROM dropped";
const DROP_SURPLUS: &str = "\
    WITH surplus AS MATERIALIZED (SELECT least(greatest(count(*) - $1, 0), $2) AS rows FROM audit_log), \
    strangers AS (DELETE FROM audit_log WHERE id IN \
    (SELECT id FROM audit_log WHERE NOT attributed ORDER BY at LIMIT (SELECT rows FROM surplus)) RETURNING id), \
    others AS (DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE attributed ORDER BY at \
    LIMIT (SELECT rows FROM surplus) - (SELECT count(*) FROM strangers)) RETURNING id) \
    SELECT (SELECT count(*) FROM strangers) + (SELECT count(*) FROM others)";

/// The advisory lock of a server that drops events: `gcauditd` in ASCII.
const DROP_LOCK: i64 = 0x6763_6175_6469_7464;

/// How long dropping events may take.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// The columns of text, in the order of `INSERT`.
const TEXTS: [fn(&Entry) -> Option<&str>; 13] = [
    |entry| Some(&entry.correlation),
    |entry| entry.flow.as_deref(),
    |entry| Some(&entry.kind),
    |entry| entry.reason.as_deref(),
    |entry| entry.detail.as_deref(),
    |entry| entry.client.as_deref(),
    |entry| entry.subject.as_deref(),
    |entry| entry.error.as_deref(),
    |entry| entry.description.as_deref(),
    |entry| entry.challenge.as_deref(),
    |entry| entry.note.as_deref(),
    |entry| entry.written.as_deref(),
    |entry| entry.durability.as_deref(),
];

impl PostgresLedger {
    /// Appends events by one statement, and so all of them or none.
    pub(super) async fn append_all(&self, entries: &[Cow<'_, Entry>]) -> Result<()> {
        let times: Vec<_> = entries.iter().map(|entry| number(entry.at)).collect();
        let statuses: Vec<_> = entries.iter().map(|entry| entry.status.map(i32::from)).collect();
        let attributed: Vec<_> = entries.iter().map(|entry| entry.attributed).collect();
        let counts: Vec<_> = entries.iter().map(|entry| number(entry.count)).collect();
        let texts = TEXTS.map(|text| entries.iter().map(|entry| text(entry)).collect::<Vec<_>>());
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&times, &statuses, &attributed, &counts];
        values.extend(texts.iter().map(|column| column as &(dyn ToSql + Sync)));
        self.rows(INSERT, &values).await.map(drop)
    }

    pub(super) async fn find_events(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        if !search.texts().all(is_text) {
            return Ok(Vec::new());
        }
        let (conditions, values) = search.sql(before, '$');
        let values = values.into_iter().map(|value| -> Sql {
            match value {
                Value::Text(text) => Box::new(text.to_owned()),
                Value::Number(value) => Box::new(number(value)),
            }
        });
        let values: Vec<_> = values.chain([Box::new(number(limit)) as Sql]).collect();
        let sql = format!("{SELECT}{conditions} ORDER BY at DESC, id DESC LIMIT ${}", values.len());
        let values: Vec<_> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
        let rows = self.rows(&sql, &values).await?;
        let placed = rows.iter().map(|row| {
            let entry = entry(row)?;
            let number = row.try_get::<_, i64>(17)?.cast_unsigned();
            Ok((Position { at: entry.at, number }, entry))
        });
        placed.collect()
    }

    pub(super) async fn flow_events(&self, flow: &str) -> Result<Vec<Entry>> {
        if !is_text(flow) {
            return Ok(Vec::new());
        }
        self.rows(&format!("{SELECT} WHERE flow = $1 ORDER BY id"), &[&flow])
            .await?
            .iter()
            .map(entry)
            .collect()
    }

    /// Drops nothing while another server drops events.
    pub(super) async fn drop_events(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.drop_alone(DROP_BEFORE, &[&number(before.unix_seconds()), &number(limit)]).await
    }

    /// Drops strangers' events first, then the oldest of all. Drops nothing while another server
    /// drops events.
    pub(super) async fn drop_surplus(&self, rows: u64, limit: usize) -> Result<usize> {
        self.drop_alone(DROP_SURPLUS, &[&number(rows), &number(limit)]).await
    }

    /// Runs a statement that drops events and returns their number, unless another server runs one
    /// at this moment: two servers that count the same surplus would both drop it.
    async fn drop_alone(&self, sql: &str, values: Values<'_>) -> Result<usize> {
        let mut connection = self.store.pool().get().await?;
        let answer = timeout(DROP_TIMEOUT, async {
            // The lock is taken by a statement of its own, so that the next one sees what the last
            // holder of the lock has dropped.
            let change = connection
                .build_transaction()
                .isolation_level(IsolationLevel::ReadCommitted)
                .start()
                .await?;
            let lock = "SELECT pg_try_advisory_xact_lock($1)";
            let is_alone: bool = change.query_one(lock, &[&DROP_LOCK]).await?.try_get(0)?;
            if !is_alone {
                return Ok(0);
            }
            let dropped: i64 = change.query_one(sql, values).await?.try_get(0)?;
            change.commit().await?;
            Ok(usize::try_from(dropped).unwrap_or(usize::MAX))
        });
        let Ok(dropped) = answer.await else {
            // The next user of the connection need not wait for this statement.
            drop(Object::take(connection));
            return Err(PostgresError::TimedOut.into());
        };
        dropped
    }
}

fn entry(row: &Row) -> Result<Entry> {
    Ok(Entry {
        at: row.try_get::<_, i64>(0)?.cast_unsigned(),
        status: row.try_get::<_, Option<i32>>(1)?.and_then(|status| status.try_into().ok()),
        correlation: row.try_get(2)?,
        flow: row.try_get(3)?,
        kind: row.try_get::<_, String>(4)?.into(),
        reason: row.try_get::<_, Option<String>>(5)?.map(Into::into),
        detail: row.try_get(6)?,
        client: row.try_get(7)?,
        subject: row.try_get(8)?,
        error: row.try_get::<_, Option<String>>(9)?.map(Into::into),
        description: row.try_get(10)?,
        challenge: row.try_get(11)?,
        note: row.try_get(12)?,
        written: row.try_get(13)?,
        durability: row.try_get::<_, Option<String>>(14)?.map(Into::into),
        attributed: row.try_get(15)?,
        count: row.try_get::<_, i64>(16)?.cast_unsigned(),
    })
}
