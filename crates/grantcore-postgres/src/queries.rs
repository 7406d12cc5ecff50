//! The statements, one per call, and how their rows are read.
//!
//! Every write returns whether its commit is durable: one that is acknowledged before it is on disk
//! is no write at all.

use std::error::Error;
use std::sync::Arc;

use grantcore::{Account, GrantId, Loaded, Stored, Timestamp, Version};
use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type, accepts};

use crate::Result;

/// What a write returns.
macro_rules! durable {
    () => {
        " RETURNING current_setting('synchronous_commit') <> 'off'"
    };
}

/// A grant, its client, how its user stands and how the client's owner does: two columns each, and
/// whether there are such accounts. `asked` names the grant, a user that goes before the grant's, and
/// the client: the one that it names, or the grant's only if it says that none was named.
macro_rules! columns {
    () => {
        "SELECT g.version, g.body, c.version, c.body, coalesce(asked.subject, g.subject) IS NOT NULL, a.suspended, a.epoch, \
         c.owner IS NOT NULL, o.suspended, o.epoch"
    };
}

macro_rules! joins {
    () => {
        " LEFT JOIN grantcore_grants g ON g.id = asked.id \
         LEFT JOIN grantcore_clients c ON c.id = CASE WHEN asked.unnamed THEN g.client ELSE asked.client END \
         LEFT JOIN grantcore_accounts a ON a.subject = coalesce(asked.subject, g.subject) \
         LEFT JOIN grantcore_accounts o ON o.subject = c.owner"
    };
}

pub(crate) const LOAD: &str = concat!(
    columns!(),
    ", k.version, k.body FROM (SELECT $1::bytea AS id, $2::boolean AS unnamed, $3::text AS client, \
     $4::text AS subject, $5::text AS caller) asked",
    joins!(),
    " LEFT JOIN grantcore_clients k ON k.id = asked.caller"
);

pub(crate) const LOAD_GRANTS: &str = concat!(
    columns!(),
    " FROM (SELECT id, place, true AS unnamed, NULL::text AS client, NULL::text AS subject FROM unnest($1::bytea[]) WITH ORDINALITY ids (id, place)) asked",
    joins!(),
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

/// A record that is being renewed is locked, and passed over; one that was renewed before it was
/// locked is looked at again, and stays. `MATERIALIZED`, because a subquery that is run twice would
/// drop twice as many.
pub(crate) const SWEEP_GRANTS: &str = "WITH over AS MATERIALIZED (\
     SELECT id FROM grantcore_grants WHERE drop_day <= $1::bigint / 86400 AND drop_after <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) \
     DELETE FROM grantcore_grants g USING over WHERE g.id = over.id AND g.drop_after <= $1 RETURNING 1";
pub(crate) const SWEEP_CLIENTS: &str = "WITH over AS MATERIALIZED (\
     SELECT id FROM grantcore_clients WHERE drop_after <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) \
     DELETE FROM grantcore_clients c USING over WHERE c.id = over.id AND c.drop_after <= $1 RETURNING 1";

/// All that [`LOAD`] or [`LOAD_GRANTS`] found, but for a caller and a balance.
pub(crate) fn loaded(row: &Row) -> Result<Loaded> {
    Ok(Loaded {
        grant: versioned(row, 0)?,
        client: versioned(row, 2)?,
        account: known_account(row, 4)?,
        owner: known_account(row, 7)?,
        ..Loaded::default()
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

/// The record of a row that is nothing else.
pub(crate) fn stored<R: DeserializeOwned>(row: &Row) -> Result<Stored<R>> {
    decode(row.try_get(0)?, row.try_get(1)?)
}

/// The record whose version and body are in this column and the next, if the outer join found one.
pub(crate) fn versioned<R: DeserializeOwned>(
    row: &Row,
    column: usize,
) -> Result<Option<Stored<R>>> {
    let Some(version) = row.try_get(column)? else { return Ok(None) };
    decode(version, row.try_get(column + 1)?).map(Some)
}

/// How an account stands; well, where it has no row.
pub(crate) fn account(row: Option<&Row>, column: usize) -> Result<Account> {
    let Some(row) = row else { return Ok(Account::ACTIVE) };
    let (suspended, epoch): (Option<bool>, Option<i64>) =
        (row.try_get(column)?, row.try_get(column + 1)?);
    let found = suspended
        .zip(epoch)
        .map(|(suspended, epoch)| Account { suspended, epoch: unsigned(epoch) });
    Ok(found.unwrap_or(Account::ACTIVE))
}

/// The same, if this column says that there is such an account.
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

/// Seconds as PostgreSQL counts them; nothing for what is beyond, which is never.
pub(crate) fn seconds(time: Timestamp) -> Option<i64> {
    i64::try_from(time.unix_seconds()).ok()
}

/// No bytes at all where there is none: every id is greater.
pub(crate) fn id_bytes(id: Option<&GrantId>) -> &[u8] {
    id.map_or(&[], |id| id.as_bytes())
}

/// As many rows as PostgreSQL counts, to 2^63.
pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(crate) fn number(version: Version) -> i64 {
    signed(version.0)
}

/// PostgreSQL has no unsigned numbers: the same 64 bits.
pub(crate) fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}
