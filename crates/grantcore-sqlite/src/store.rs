//! What the library calls: [`Store`], [`Accounts`] and [`LoadsAccounts`].

use std::sync::Arc;

use grantcore::blocking::{Accounts, LoadsAccounts, Store};
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Change, Commit, Keys, Seen, SeenKey, Stored, Version, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Client, Timestamp};
use rusqlite::{OptionalExtension, Params, Row, params};
use serde::de::DeserializeOwned;

use super::{Result, SqliteError, SqliteStore};

impl SqliteStore {
    fn read<R: DeserializeOwned>(&self, sql: &str, key: impl Params) -> Result<Option<Stored<R>>> {
        let connection = self.reader();
        let row = connection.prepare_cached(sql)?.query_row(key, versioned).optional()?;
        row.map(stored).transpose()
    }

    /// Runs a conditional write: one row was changed, or it conflicted.
    fn write(&self, sql: &str, values: impl Params) -> Result<Commit> {
        let changed = self.writer().prepare_cached(sql)?.execute(values)?;
        Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
    }

    fn commit_grant(&self, change: &Change<Grant>) -> Result<Commit> {
        let id = change.id();
        let version = number(change.version());
        let subject = change.subject().map(Subject::as_str);
        let drop_after = seconds(change.drop_after());
        let body = serde_json::to_string(change.record())?;
        match change.seen() {
            None => self.write(
                "INSERT INTO grantcore_grants VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                params![id.as_bytes(), version, subject, drop_after, body],
            ),
            Some(seen) => self.write(
                "UPDATE grantcore_grants SET version = ?, drop_after = ?, body = ? \
                 WHERE id = ? AND version = ?",
                params![version, drop_after, body, id.as_bytes(), number(seen)],
            ),
        }
    }

    fn commit_client(&self, change: &Change<Client>) -> Result<Commit> {
        let id = change.id().as_str();
        let version = number(change.version());
        let drop_after = seconds(change.drop_after());
        let body = serde_json::to_string(change.record())?;
        match change.seen() {
            None => self.write(
                "INSERT INTO grantcore_clients VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                params![id, version, drop_after, body],
            ),
            Some(seen) => self.write(
                "UPDATE grantcore_clients SET version = ?, drop_after = ?, body = ? \
                 WHERE id = ? AND version = ?",
                params![version, drop_after, body, id, number(seen)],
            ),
        }
    }

    fn create_mark(&self, seen: &Seen) -> Result<Commit> {
        let key = seen.key().as_bytes();
        let body = serde_json::to_string(seen)?;
        self.write(
            "INSERT INTO grantcore_seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            params![key, seconds(seen.drop_after()), body],
        )
    }

    fn account_if(&self, subject: Option<&str>) -> Result<Option<Account>> {
        subject.map_or(Ok(None), |subject| self.account(subject))
    }
}

impl Store for SqliteStore {
    type Error = SqliteError;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.read("SELECT version, body FROM grantcore_clients WHERE id = ?", [id])
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.read("SELECT version, body FROM grantcore_grants WHERE id = ?", [id.as_bytes()])
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        match write {
            Write::Grant(change) => self.commit_grant(change),
            Write::Client(change) => self.commit_client(change),
            Write::Seen(seen) => self.create_mark(seen),
        }
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        let connection = self.reader();
        let sql = "SELECT body FROM grantcore_seen WHERE key = ?";
        let mut query = connection.prepare_cached(sql)?;
        let body = query.query_row([key.as_bytes()], |row| row.get::<_, String>(0)).optional()?;
        body.map(|body| Ok(serde_json::from_str(&body)?)).transpose()
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let connection = self.reader();
        let mut query = connection.prepare_cached(
            "SELECT id FROM grantcore_grants WHERE subject = ? AND id > ? ORDER BY id LIMIT ?",
        )?;
        let values = params![subject, id_bytes(after.as_ref()), count(limit)];
        let ids = query.query_map(values, |row| Ok(GrantId::from_bytes(row.get(0)?)))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let grant = keys.grant.map_or(Ok(None), |id| self.grant(id))?;
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        let client = keys.client_id(of_grant).map_or(Ok(None), |id| self.client(id))?;
        let caller = keys.caller_id().map_or(Ok(None), |id| self.client(id))?;
        if keys.skip_accounts {
            return Ok(Loaded { grant, client, caller, ..Loaded::default() });
        }
        let account = self.account_if(keys.subject_id(of_grant))?;
        let owner = client.as_ref().and_then(|stored| stored.record.owner());
        let balance =
            keys.payer_id(of_grant, owner).map(|payer| self.balance(payer)).transpose()?;
        let owner = self.account_if(owner.map(Subject::as_str))?;
        Ok(Loaded { grant, client, account, owner, caller, balance, ..Loaded::default() })
    }
}

impl Accounts for SqliteStore {
    type Error = SqliteError;

    fn account(&self, subject: &str) -> Result<Option<Account>> {
        let connection = self.reader();
        let sql = "SELECT suspended, epoch FROM grantcore_accounts WHERE subject = ?";
        let row = connection.prepare_cached(sql)?.query_row([subject], account).optional()?;
        Ok(Some(row.unwrap_or(Account::ACTIVE)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let sql = "INSERT INTO grantcore_accounts VALUES (?, 0, 1) \
                   ON CONFLICT DO UPDATE SET epoch = epoch + 1";
        self.writer().prepare_cached(sql)?.execute([subject])?;
        Ok(true)
    }
}

impl LoadsAccounts for SqliteStore {}

/// Reads the columns `version` and `body`.
pub(crate) fn versioned(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Decodes a record.
pub(crate) fn stored<R: DeserializeOwned>((version, body): (i64, String)) -> Result<Stored<R>> {
    let record = Arc::new(serde_json::from_str(&body)?);
    Ok(Stored { record, version: Version(version.cast_unsigned()) })
}

/// Reads the columns `suspended` and `epoch`.
pub(crate) fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account { suspended: row.get(0)?, epoch: row.get::<_, i64>(1)?.cast_unsigned() })
}

/// Returns no bytes for `None`: every id is greater.
pub(crate) fn id_bytes(id: Option<&GrantId>) -> &[u8] {
    id.map_or(&[], |id| id.as_bytes())
}

/// Seconds since 1970, up to 2^63.
pub(crate) fn seconds(time: Timestamp) -> i64 {
    i64::try_from(time.unix_seconds()).unwrap_or(i64::MAX)
}

/// A limit, up to 2^63.
pub(crate) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn number(version: Version) -> i64 {
    version.0.cast_signed()
}
