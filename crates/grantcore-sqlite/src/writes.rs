//! The writes of a request, on one connection: each one conditional statement.

use grantcore::grant::Grant;
use grantcore::store::{Change, Commit, Seen, Version, Write};
use grantcore::value::Subject;
use grantcore::{Client, Timestamp};
use rusqlite::{Connection, Params, params};

use super::{Result, body};

const SECONDS_OF_A_DAY: i64 = 86_400;

/// A write whose record is encoded: it borrows nothing, and can wait for its transaction.
pub(crate) struct Encoded {
    write: Write,
    body: Vec<u8>,
}

impl Encoded {
    pub(crate) fn new(write: &Write) -> Result<Self> {
        let body = match write {
            Write::Grant(change) => body::encode(change.record())?,
            Write::Client(change) => body::encode(change.record())?,
            // It is small, and all its bytes are random.
            Write::Seen(seen) => serde_json::to_vec(seen)?,
        };
        Ok(Self { write: write.clone(), body })
    }

    pub(crate) fn run(&self, connection: &Connection) -> Result<Commit> {
        match &self.write {
            Write::Grant(change) => commit_grant(connection, change, &self.body),
            Write::Client(change) => commit_client(connection, change, &self.body),
            Write::Seen(seen) => create_mark(connection, seen, &self.body),
        }
    }
}

/// Runs a conditional write: one row was changed, or it conflicted.
fn write(connection: &Connection, sql: &str, values: impl Params) -> Result<Commit> {
    let changed = connection.prepare_cached(sql)?.execute(values)?;
    Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
}

fn commit_grant(connection: &Connection, change: &Change<Grant>, body: &[u8]) -> Result<Commit> {
    let id = change.id();
    let version = number(change.version());
    let drop_after = seconds(change.drop_after());
    let day = drop_after / SECONDS_OF_A_DAY;
    let Some(seen) = change.seen() else {
        let subject = change.subject().map(Subject::as_str);
        return write(
            connection,
            "INSERT INTO grantcore_grants VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            params![id.as_bytes(), version, subject, drop_after, day, body],
        );
    };
    // A statement that sets the day writes the index of the day, also if the day stays the same.
    let same_day = write(
        connection,
        "UPDATE grantcore_grants SET version = ?, drop_after = ?, body = ? \
         WHERE id = ? AND version = ? AND drop_day = ?",
        params![version, drop_after, body, id.as_bytes(), number(seen), day],
    )?;
    if same_day == Commit::Done {
        return Ok(same_day);
    }
    write(
        connection,
        "UPDATE grantcore_grants SET version = ?, drop_after = ?, drop_day = ?, body = ? \
         WHERE id = ? AND version = ?",
        params![version, drop_after, day, body, id.as_bytes(), number(seen)],
    )
}

fn commit_client(connection: &Connection, change: &Change<Client>, body: &[u8]) -> Result<Commit> {
    let id = change.id().as_str();
    let version = number(change.version());
    let drop_after = seconds(change.drop_after());
    match change.seen() {
        None => write(
            connection,
            "INSERT INTO grantcore_clients VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            params![id, version, drop_after, body],
        ),
        Some(seen) => write(
            connection,
            "UPDATE grantcore_clients SET version = ?, drop_after = ?, body = ? \
             WHERE id = ? AND version = ?",
            params![version, drop_after, body, id, number(seen)],
        ),
    }
}

fn create_mark(connection: &Connection, seen: &Seen, body: &[u8]) -> Result<Commit> {
    let key = seen.key().as_bytes();
    write(
        connection,
        "INSERT INTO grantcore_seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        params![key, seconds(seen.drop_after()), str::from_utf8(body).unwrap_or_default()],
    )
}

pub(crate) fn raise_epoch(connection: &Connection, subject: &str) -> Result<()> {
    let sql = "INSERT INTO grantcore_accounts VALUES (?, 0, 1) \
               ON CONFLICT DO UPDATE SET epoch = epoch + 1";
    connection.prepare_cached(sql)?.execute([subject])?;
    Ok(())
}

/// Returns the seconds since 1970, at most 2^63 - 1.
pub(crate) fn seconds(time: Timestamp) -> i64 {
    i64::try_from(time.unix_seconds()).unwrap_or(i64::MAX)
}

fn number(version: Version) -> i64 {
    version.0.cast_signed()
}
