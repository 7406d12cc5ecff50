//! The statements, one for each call, and how their rows are read.
//!
//! Each write returns whether its commit is durable. A write that is acknowledged before it is on
//! disk is an error.

use std::error::Error;
use std::sync::Arc;

use grantcore::operation::Loaded;
use grantcore::store::{Seen, Stored, Version};
use grantcore::value::GrantId;
use grantcore::{Account, Timestamp};
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type, accepts};

use crate::Result;

/// The result of a write: whether its commit is durable.
macro_rules! durable {
    () => {
        " RETURNING current_setting('synchronous_commit') <> 'off'"
    };
}

/// The columns of a grant, its client and the caller.
macro_rules! records {
    () => {
        "SELECT g.version, g.body, c.version, c.body, k.version, k.body"
    };
}

/// The joins of these records. `asked` names the grant, the caller, and the client: the named one,
/// or the grant's if `unnamed` is true.
macro_rules! join_records {
    () => {
        " LEFT JOIN grantcore_grants g ON g.id = asked.id \
         LEFT JOIN grantcore_clients c \
         ON c.id = CASE WHEN asked.unnamed THEN g.client ELSE asked.client END \
         LEFT JOIN grantcore_clients k ON k.id = asked.caller"
    };
}

/// The columns of the user's account and the client owner's account, each after whether there is
/// such an account. `asked.subject` is the authenticated user, who precedes the grant's.
macro_rules! accounts {
    () => {
        ", coalesce(asked.subject, g.subject) IS NOT NULL, a.suspended, a.epoch, \
         c.owner IS NOT NULL, o.suspended, o.epoch"
    };
}

macro_rules! join_accounts {
    () => {
        " LEFT JOIN grantcore_accounts a ON a.subject = coalesce(asked.subject, g.subject) \
         LEFT JOIN grantcore_accounts o ON o.subject = c.owner"
    };
}

pub(crate) const LOAD: &str = concat!(
    records!(),
    accounts!(),
    " FROM (SELECT $1::bytea AS id, $2::boolean AS unnamed, $3::text AS client, \
     $4::text AS caller, $5::text AS subject) asked",
    join_records!(),
    join_accounts!()
);

/// The same without accounts.
pub(crate) const LOAD_RECORDS: &str = concat!(
    records!(),
    " FROM (SELECT $1::bytea AS id, $2::boolean AS unnamed, $3::text AS client, \
     $4::text AS caller) asked",
    join_records!()
);

pub(crate) const LOAD_GRANTS: &str = concat!(
    records!(),
    accounts!(),
    " FROM (SELECT id, place, true AS unnamed, NULL::text AS client, NULL::text AS caller, \
     NULL::text AS subject FROM unnest($1::bytea[]) WITH ORDINALITY ids (id, place)) asked",
    join_records!(),
    join_accounts!(),
    " ORDER BY asked.place"
);

pub(crate) const CLIENT: &str = "SELECT version, body FROM grantcore_clients WHERE id = $1";
pub(crate) const GRANT: &str = "SELECT version, body FROM grantcore_grants WHERE id = $1";
pub(crate) const ACCOUNT: &str =
    "SELECT suspended, epoch FROM grantcore_accounts WHERE subject = $1";
pub(crate) const CLIENTS: &str =
    "SELECT version, body FROM grantcore_clients WHERE id > $1 ORDER BY id LIMIT $2";
pub(crate) const GRANTS: &str =
    "SELECT version, body FROM grantcore_grants WHERE id > $1 ORDER BY id LIMIT $2";
pub(crate) const SEEN: &str = "SELECT body FROM grantcore_seen WHERE key = $1";
pub(crate) const MARKS: &str =
    "SELECT body FROM grantcore_seen WHERE key > $1 ORDER BY key LIMIT $2";
pub(crate) const COUNTS: &str = "SELECT (SELECT count(*) FROM grantcore_clients), \
     (SELECT count(*) FROM grantcore_grants), (SELECT count(*) FROM grantcore_seen)";
pub(crate) const ACCOUNTS: &str = "SELECT suspended, epoch, subject FROM grantcore_accounts WHERE subject > $1 OR $1 IS NULL \
     ORDER BY subject LIMIT $2";
pub(crate) const GRANTS_OF: &str =
    "SELECT id FROM grantcore_grants WHERE subject = $1 AND id > $2 ORDER BY id LIMIT $3";

pub(crate) const ADD_GRANT: &str = concat!(
    "INSERT INTO grantcore_grants (id, version, subject, client, drop_after, body) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT DO NOTHING",
    durable!()
);
pub(crate) const CHANGE_GRANT: &str = concat!(
    "UPDATE grantcore_grants SET version = $3, drop_after = $4, body = $5 WHERE id = $1 AND version = $2",
    durable!()
);
pub(crate) const ADD_CLIENT: &str = concat!(
    "INSERT INTO grantcore_clients (id, version, owner, drop_after, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    durable!()
);
pub(crate) const CHANGE_CLIENT: &str = concat!(
    "UPDATE grantcore_clients SET version = $3, owner = $4, drop_after = $5, body = $6 WHERE id = $1 AND version = $2",
    durable!()
);
pub(crate) const CREATE_MARK: &str = concat!(
    "INSERT INTO grantcore_seen (key, drop_after, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    durable!()
);
pub(crate) const SUSPEND: &str = concat!(
    "INSERT INTO grantcore_accounts (subject, suspended, epoch) VALUES ($1, $2, 0) \
     ON CONFLICT (subject) DO UPDATE SET suspended = excluded.suspended",
    durable!()
);
pub(crate) const PUT_ACCOUNT: &str = concat!(
    "INSERT INTO grantcore_accounts (subject, suspended, epoch) VALUES ($1, $2, $3) \
     ON CONFLICT (subject) DO UPDATE SET suspended = excluded.suspended, epoch = excluded.epoch",
    durable!()
);
pub(crate) const RAISE_EPOCH: &str = concat!(
    "INSERT INTO grantcore_accounts AS a (subject, suspended, epoch) VALUES ($1, false, 1) \
     ON CONFLICT (subject) DO UPDATE SET epoch = a.epoch + 1",
    durable!()
);

/// A record that is being renewed is locked, and skipped. One that was renewed before it was locked
/// is compared again, and stays. `MATERIALIZED`, because a subquery that runs twice would drop
/// twice as many.
pub(crate) const SWEEP_GRANTS: &str = "WITH over AS MATERIALIZED (\
     SELECT id FROM grantcore_grants WHERE drop_day <= $1::bigint / 86400 AND drop_after <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) \
     DELETE FROM grantcore_grants g USING over WHERE g.id = over.id AND g.drop_after <= $1 RETURNING 1";
pub(crate) const SWEEP_CLIENTS: &str = "WITH over AS MATERIALIZED (\
     SELECT id FROM grantcore_clients WHERE drop_after <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) \
     DELETE FROM grantcore_clients c USING over WHERE c.id = over.id AND c.drop_after <= $1 RETURNING 1";

pub(crate) const SWEEP_MARKS: &str = "WITH over AS MATERIALIZED (\
     SELECT key FROM grantcore_seen WHERE drop_after <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) \
     DELETE FROM grantcore_seen s USING over WHERE s.key = over.key RETURNING 1";

/// Reads a row of [`SEEN`] or [`MARKS`].
pub(crate) fn seen(row: &Row) -> Result<Seen> {
    Ok(serde_json::from_str(row.try_get(0)?)?)
}

/// Reads a row of [`LOAD_RECORDS`].
pub(crate) fn loaded_records(row: &Row) -> Result<Loaded> {
    Ok(Loaded {
        grant: versioned(row, 0)?,
        client: versioned(row, 2)?,
        caller: versioned(row, 4)?,
        ..Loaded::default()
    })
}

/// Reads a row of [`LOAD`] or [`LOAD_GRANTS`]. The balance is not in it.
pub(crate) fn loaded(row: &Row) -> Result<Loaded> {
    Ok(Loaded {
        account: known_account(row, 6)?,
        owner: known_account(row, 9)?,
        ..loaded_records(row)?
    })
}

/// The id of a grant, in 16 bytes.
pub(crate) struct Id(pub(crate) GrantId);

impl FromSql<'_> for Id {
    fn from_sql(_: &Type, bytes: &[u8]) -> std::result::Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(GrantId::from_bytes(bytes.try_into()?)))
    }

    accepts!(BYTEA);
}

/// Reads a row of a version and a body.
pub(crate) fn stored<R: DeserializeOwned>(row: &Row) -> Result<Stored<R>> {
    decode(row.try_get(0)?, row.try_get(1)?)
}

/// Reads a version and a body from this column on, if the outer join found them.
fn versioned<R: DeserializeOwned>(row: &Row, column: usize) -> Result<Option<Stored<R>>> {
    let Some(version) = row.try_get(column)? else { return Ok(None) };
    decode(version, row.try_get(column + 1)?).map(Some)
}

/// Reads an account from this column on. An account that has no row is active.
pub(crate) fn account(row: Option<&Row>, column: usize) -> Result<Account> {
    let Some(row) = row else { return Ok(Account::ACTIVE) };
    let (suspended, epoch): (Option<bool>, Option<i64>) =
        (row.try_get(column)?, row.try_get(column + 1)?);
    let found = suspended
        .zip(epoch)
        .map(|(suspended, epoch)| Account { suspended, epoch: unsigned(epoch) });
    Ok(found.unwrap_or(Account::ACTIVE))
}

/// Reads an account after the column that is true if there is such an account.
fn known_account(row: &Row, column: usize) -> Result<Option<Account>> {
    let known: bool = row.try_get(column)?;
    known.then(|| account(Some(row), column + 1)).transpose()
}

fn decode<R: DeserializeOwned>(version: i64, body: &str) -> Result<Stored<R>> {
    Ok(Stored {
        record: Arc::new(serde_json::from_str(body)?),
        version: Version(unsigned(version)),
    })
}

/// Returns the seconds since 1970, or `None` for a time that PostgreSQL cannot count, which never
/// comes.
pub(crate) fn seconds(time: Timestamp) -> Option<i64> {
    i64::try_from(time.unix_seconds()).ok()
}

/// Returns no bytes for `None`: every id is greater.
pub(crate) fn id_bytes(id: Option<&GrantId>) -> &[u8] {
    id.map_or(&[], |id| id.as_bytes())
}

/// Returns the limit as a number of PostgreSQL, at most 2^63 - 1.
pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(crate) fn number(version: Version) -> i64 {
    signed(version.0)
}

/// Returns the same 64 bits. PostgreSQL has no unsigned numbers.
pub(crate) fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}
