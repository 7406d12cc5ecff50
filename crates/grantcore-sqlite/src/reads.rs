//! The reads of a request, on one connection.

use std::sync::Arc;

use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Keys, Seen, SeenKey, Stored, Version};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Client};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::de::DeserializeOwned;

use super::{Result, body};

/// The columns `version` and `body` of a row.
pub(crate) type Versioned = (i64, Vec<u8>);

const CLIENT: &str = "SELECT version, body FROM grantcore_clients WHERE id = ?";
const GRANT: &str = "SELECT version, body FROM grantcore_grants WHERE id = ?";

pub(crate) fn client(connection: &Connection, id: &str) -> Result<Option<Versioned>> {
    one(connection, CLIENT, [id])
}

pub(crate) fn grant(connection: &Connection, id: GrantId) -> Result<Option<Versioned>> {
    one(connection, GRANT, [id.as_bytes()])
}

fn one(connection: &Connection, sql: &str, key: impl Params) -> Result<Option<Versioned>> {
    Ok(connection.prepare_cached(sql)?.query_row(key, versioned).optional()?)
}

pub(crate) fn seen(connection: &Connection, key: &SeenKey) -> Result<Option<Seen>> {
    let sql = "SELECT body FROM grantcore_seen WHERE key = ?";
    let mut query = connection.prepare_cached(sql)?;
    let body = query.query_row([key.as_bytes()], |row| row.get::<_, String>(0)).optional()?;
    body.map(|body| Ok(serde_json::from_str(&body)?)).transpose()
}

pub(crate) fn grants_of(
    connection: &Connection,
    subject: &str,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Vec<GrantId>> {
    let mut query = connection.prepare_cached(
        "SELECT id FROM grantcore_grants WHERE subject = ? AND id > ? ORDER BY id LIMIT ?",
    )?;
    let values = params![subject, id_bytes(after.as_ref()), count(limit)];
    let ids = query.query_map(values, |row| Ok(GrantId::from_bytes(row.get(0)?)))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn account(connection: &Connection, subject: &str) -> Result<Account> {
    let sql = "SELECT suspended, epoch FROM grantcore_accounts WHERE subject = ?";
    let row = connection.prepare_cached(sql)?.query_row([subject], account_of).optional()?;
    Ok(row.unwrap_or(Account::ACTIVE))
}

/// Reads the records of an attempt in one transaction. The balance is not in it.
pub(crate) fn load(connection: &Connection, keys: &Keys<'_>) -> Result<Loaded> {
    in_transaction(connection, || {
        let decoded = |id| stored(client(connection, id)?);
        let grant = match keys.grant {
            Some(id) => stored::<Grant>(grant(connection, id)?)?,
            None => None,
        };
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        let client: Option<Stored<Client>> = keys.client_id(of_grant).map_or(Ok(None), decoded)?;
        let caller = keys.caller_id().map_or(Ok(None), decoded)?;
        if keys.skip_accounts {
            return Ok(Loaded { grant, client, caller, ..Loaded::default() });
        }
        let owner = client.as_ref().and_then(|stored| stored.record.owner());
        let account_of =
            |subject: Option<&str>| subject.map(|subject| account(connection, subject)).transpose();
        let account = account_of(keys.subject_id(of_grant))?;
        let owner = account_of(owner.map(Subject::as_str))?;
        Ok(Loaded { grant, client, account, owner, caller, ..Loaded::default() })
    })
}

/// Runs reads in one transaction, so that SQLite locks the file once for all of them. Reads that
/// are in a transaction already stay in it.
pub(crate) fn in_transaction<R>(
    connection: &Connection,
    reads: impl FnOnce() -> Result<R>,
) -> Result<R> {
    if !connection.is_autocommit() {
        return reads();
    }
    let execute = |sql| connection.prepare_cached(sql)?.execute([]);
    execute("BEGIN")?;
    let result = reads();
    // Nothing was written, so the reads stay valid.
    if execute("COMMIT").is_err() && !connection.is_autocommit() {
        execute("ROLLBACK")?;
    }
    result
}

/// Decodes a record, if there is one.
pub(crate) fn stored<R: DeserializeOwned>(row: Option<Versioned>) -> Result<Option<Stored<R>>> {
    row.map(decoded).transpose()
}

/// Decodes a record.
pub(crate) fn decoded<R: DeserializeOwned>((version, body): Versioned) -> Result<Stored<R>> {
    let record = Arc::new(body::decode(&body)?);
    Ok(Stored { record, version: Version(version.cast_unsigned()) })
}

/// Reads the columns `version` and `body`.
pub(crate) fn versioned(row: &Row<'_>) -> rusqlite::Result<Versioned> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Reads the columns `suspended` and `epoch`.
pub(crate) fn account_of(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account { suspended: row.get(0)?, epoch: row.get::<_, i64>(1)?.cast_unsigned() })
}

/// Returns no bytes for `None`: every id is greater.
pub(crate) fn id_bytes(id: Option<&GrantId>) -> &[u8] {
    id.map_or(&[], |id| id.as_bytes())
}

/// Returns the limit as a number of SQLite, at most 2^63 - 1.
pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
