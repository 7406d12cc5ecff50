//! What the library calls: the values of each statement, and the meaning of its rows.

use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Change, ClientKey, Commit, Keys, Seen, SeenKey, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts, Client, LoadsAccounts, Store};
use tokio_postgres::types::ToSql;

use crate::queries::{self, number, seconds};
use crate::{PostgresError, PostgresStore, Result};

impl PostgresStore {
    async fn commit_grant(&self, change: &Change<Grant>) -> Result<bool> {
        let id = change.id();
        let id = id.as_bytes().as_slice();
        let version = number(change.version());
        let subject = change.subject().map(Subject::as_str);
        let client = change.record().client_id().as_str();
        let drop_after = seconds(change.drop_after());
        let body = serde_json::to_string(change.record())?;
        match change.seen() {
            None => {
                let values: [&(dyn ToSql + Sync); 6] =
                    [&id, &version, &subject, &client, &drop_after, &body];
                self.write(queries::ADD_GRANT, &values).await
            }
            Some(seen) => {
                let values: [&(dyn ToSql + Sync); 5] =
                    [&id, &number(seen), &version, &drop_after, &body];
                self.write(queries::CHANGE_GRANT, &values).await
            }
        }
    }

    async fn commit_client(&self, change: &Change<Client>) -> Result<bool> {
        let id = change.id().as_str();
        let version = number(change.version());
        let owner = change.record().owner().map(Subject::as_str);
        let drop_after = seconds(change.drop_after());
        let body = serde_json::to_string(change.record())?;
        match change.seen() {
            None => {
                let values: [&(dyn ToSql + Sync); 5] = [&id, &version, &owner, &drop_after, &body];
                self.write(queries::ADD_CLIENT, &values).await
            }
            Some(seen) => {
                let values: [&(dyn ToSql + Sync); 6] =
                    [&id, &number(seen), &version, &owner, &drop_after, &body];
                self.write(queries::CHANGE_CLIENT, &values).await
            }
        }
    }

    async fn create_mark(&self, seen: &Seen) -> Result<bool> {
        let key = seen.key().as_bytes().as_slice();
        // A time that PostgreSQL cannot count is no time of a mark.
        let drop_after = seconds(seen.drop_after()).unwrap_or(i64::MAX);
        let body = serde_json::to_string(seen)?;
        self.write(queries::CREATE_MARK, &[&key, &drop_after, &body]).await
    }
}

impl Store for PostgresStore {
    type Error = PostgresError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.rows(queries::CLIENT, &[&id]).await?.first().map(queries::stored).transpose()
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        let rows = self.rows(queries::GRANT, &[&id.as_bytes().as_slice()]).await?;
        rows.first().map(queries::stored).transpose()
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        let written = match write {
            Write::Grant(change) => self.commit_grant(change).await?,
            Write::Client(change) => self.commit_client(change).await?,
            Write::Seen(seen) => self.create_mark(seen).await?,
        };
        Ok(if written { Commit::Done } else { Commit::Conflict })
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        let rows = self.rows(queries::SEEN, &[&key.as_bytes().as_slice()]).await?;
        rows.first().map(queries::seen).transpose()
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let after = queries::id_bytes(after.as_ref());
        let rows =
            self.rows(queries::GRANTS_OF, &[&subject, &after, &queries::count(limit)]).await?;
        rows.iter().map(|row| Ok(row.try_get::<_, queries::Id>(0)?.0)).collect()
    }

    /// Loads all that an attempt needs in one round trip.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let grant = keys.grant.map(|id| *id.as_bytes());
        let grant = grant.as_ref().map(<[u8; 16]>::as_slice);
        // The grant is not read yet: the statement takes its client if none was named.
        let is_unnamed = keys.client == ClientKey::Unnamed;
        let client = keys.client.as_named();
        let caller = keys.caller_id();
        if keys.skip_accounts {
            let values: [&(dyn ToSql + Sync); 4] = [&grant, &is_unnamed, &client, &caller];
            let rows = self.rows(queries::LOAD_RECORDS, &values).await?;
            return rows.first().map_or_else(|| Ok(Loaded::default()), queries::loaded_records);
        }
        let values: [&(dyn ToSql + Sync); 5] =
            [&grant, &is_unnamed, &client, &caller, &keys.subject];
        let rows = self.rows(queries::LOAD, &values).await?;
        let Some(row) = rows.first() else { return Ok(Loaded::default()) };
        let mut loaded = queries::loaded(row)?;
        let of_grant = loaded.grant.as_ref().map(|stored| &*stored.record);
        let owner = loaded.client.as_ref().and_then(|stored| stored.record.owner());
        if let Some(payer) = keys.payer_id(of_grant, owner) {
            loaded.balance = Some(self.balance(payer).await?);
        }
        Ok(loaded)
    }

    /// Loads all of these grants in one round trip.
    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
        self.rows(queries::LOAD_GRANTS, &[&ids]).await?.iter().map(queries::loaded).collect()
    }
}

impl Accounts for PostgresStore {
    type Error = PostgresError;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        let rows = self.rows(queries::ACCOUNT, &[&subject]).await?;
        queries::account(rows.first(), 0).map(Some)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        self.write(queries::RAISE_EPOCH, &[&subject]).await
    }
}

impl LoadsAccounts for PostgresStore {}
