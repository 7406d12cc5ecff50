//! The store's calls: the values of each statement, and what its rows mean.

use grantcore::{
    Account, AsyncStore, Change, Client, ClientKey, Commit, Grant, GrantId, Keys, Loaded, Stored,
    Subject, Write,
};

use tokio_postgres::types::ToSql;

use crate::queries::{self, number, seconds};
use crate::{PostgresError, PostgresStore, Result};

impl PostgresStore {
    async fn commit_grant(&self, change: &Change<Grant>) -> Result<bool> {
        let (id, version, body) =
            (change.id(), number(change.version()), serde_json::to_string(change.record())?);
        let (id, drop_after) = (id.as_bytes().as_slice(), seconds(change.drop_after()));
        let (subject, client) =
            (change.record().subject().as_str(), change.record().client_id().as_str());
        match change.seen() {
            None => {
                self.write(
                    queries::ADD_GRANT,
                    &[&id, &version, &subject, &client, &drop_after, &body],
                )
                .await
            }
            Some(seen) => {
                self.write(
                    queries::CHANGE_GRANT,
                    &[&id, &number(seen), &version, &drop_after, &body],
                )
                .await
            }
        }
    }

    async fn commit_client(&self, change: &Change<Client>) -> Result<bool> {
        let (id, version, body) = (
            change.id().as_str(),
            number(change.version()),
            serde_json::to_string(change.record())?,
        );
        let (owner, drop_after) =
            (change.record().owner().map(Subject::as_str), seconds(change.drop_after()));
        match change.seen() {
            None => {
                self.write(queries::ADD_CLIENT, &[&id, &version, &owner, &drop_after, &body]).await
            }
            Some(seen) => {
                self.write(
                    queries::CHANGE_CLIENT,
                    &[&id, &number(seen), &version, &owner, &drop_after, &body],
                )
                .await
            }
        }
    }
}

impl AsyncStore for PostgresStore {
    type Error = PostgresError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.rows(queries::CLIENT, &[&id]).await?.first().map(queries::stored).transpose()
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.rows(queries::GRANT, &[&id.as_bytes().as_slice()])
            .await?
            .first()
            .map(queries::stored)
            .transpose()
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        let written = match write {
            Write::Grant(change) => self.commit_grant(change).await?,
            Write::Client(change) => self.commit_client(change).await?,
        };
        Ok(if written { Commit::Done } else { Commit::Conflict })
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let rows = self
            .rows(
                queries::GRANTS_OF,
                &[&subject, &queries::id_bytes(after.as_ref()), &queries::count(limit)],
            )
            .await?;
        rows.iter().map(|row| Ok(row.try_get::<_, queries::Id>(0)?.0)).collect()
    }

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        let rows = self.rows(queries::ACCOUNT, &[&subject]).await?;
        queries::account(rows.first(), 0).map(Some)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        self.write(queries::RAISE_EPOCH, &[&subject]).await
    }

    /// One round trip for all that an attempt needs.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let grant = keys.grant.map(|id| *id.as_bytes());
        let grant = grant.as_ref().map(<[u8; 16]>::as_slice);
        // The grant is not read yet: the statement has its client stand in where none is named.
        let is_unnamed = keys.client == ClientKey::Unnamed;
        let client = keys.client.as_named();
        let caller = keys.caller_id();
        let values: [&(dyn ToSql + Sync); 5] =
            [&grant, &is_unnamed, &client, &keys.subject, &caller];
        let rows = self.rows(queries::LOAD, &values).await?;
        let Some(row) = rows.first() else { return Ok(Loaded::default()) };
        let mut loaded = queries::loaded(row)?;
        loaded.caller = queries::versioned(row, 10)?;
        if let Some(grant) = loaded.grant.as_ref().filter(|_| keys.balance) {
            loaded.balance = Some(self.balance(grant.record.subject().as_str()).await?);
        }
        Ok(loaded)
    }

    /// One round trip for a whole page of connected apps.
    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
        self.rows(queries::LOAD_GRANTS, &[&ids]).await?.iter().map(queries::loaded).collect()
    }
}
