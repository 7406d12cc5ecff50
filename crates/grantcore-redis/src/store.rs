//! The store itself: what the library asks for, in as few round trips as may be.

use std::time::Duration;

use futures_util::future::try_join3;
use futures_util::{StreamExt, TryStreamExt, stream};
use grantcore::{
    Account, AsyncStore, Change, Client, Commit, Grant, GrantId, GrantState, Keys, Loaded, Stored,
    Subject, Timestamp, Write,
};
use redis::cmd;
use serde::Serialize;

use super::connection::{COMMIT, INDEX};
use super::record::end;
use super::{RedisStore, RedisStoreError, Result, key};

/// A grant's record is kept for a day past its end. This much later even a clock that differs sees
/// it gone.
const PAST_END: Duration = Duration::from_secs(25 * 60 * 60);

/// How many records of a page are asked for at once.
pub(crate) const AT_ONCE: usize = 64;

impl RedisStore {
    /// The compare-and-set of one record.
    ///
    /// A cluster's client sends a command again by itself when a connection is lost. The script
    /// knows such a retry by the call's name, which the record keeps for its next writes, so
    /// that Conflict is said only of what was not written. (Should more than seven others write
    /// the record between a call and its retry, it is said of a write that was made. The library
    /// expects that too: it finds its own mark in the record, or the grant further on.)
    async fn write<R: Serialize>(
        &self,
        key: &str,
        change: &Change<R>,
        drop_after: Timestamp,
    ) -> Result<Commit> {
        let seen = change.seen().map(|version| version.0.to_string()).unwrap_or_default();
        let version = change.version().0.to_string();
        let body = serde_json::to_vec(change.record())?;
        let (call, drop_after) = (self.calls.next(), end(drop_after).unwrap_or_default());
        let arguments = [seen.as_bytes(), version.as_bytes(), &body, &call, drop_after.as_bytes()];
        match self.connection.run(&COMMIT, key, &arguments).await? {
            1 => Ok(Commit::Done),
            0 => Ok(Commit::Conflict),
            _ => Err(RedisStoreError::Foreign(key.to_owned())),
        }
    }

    /// The user's index is written first: it names every grant there is, and a crash between the
    /// two leaves a name of none.
    async fn commit_grant(&self, change: &Change<Grant>) -> Result<Commit> {
        let grant = change.record();
        // When the grant is over is set by its first write, which is of any state if it was moved
        // here, and by its approval.
        if change.seen().is_none() || matches!(grant.state(), GrantState::CodeIssued) {
            self.enter(grant).await?;
        }
        self.write(&key::grant(change.id()), change, change.drop_after()).await
    }

    async fn enter(&self, grant: &Grant) -> Result<()> {
        let over = end(grant.expires().after(PAST_END)).unwrap_or_else(|| "+inf".to_owned());
        let id = grant.id();
        let arguments = [&id.as_bytes()[..], over.as_bytes()];
        let key = key::grants_of(grant.subject().as_str());
        Ok(self.connection.run::<u8>(&INDEX, &key, &arguments).await.map(drop)?)
    }

    /// A client is listed before it is there, so that a crash hides none, and once more after: see
    /// [`clients`](Self::clients).
    async fn commit_client(&self, change: &Change<Client>) -> Result<Commit> {
        let (id, created) = (change.id().as_str(), change.seen().is_none());
        if created {
            self.list(id).await?;
        }
        let commit = self.write(&key::client(id), change, change.drop_after()).await?;
        if created {
            self.list(id).await?;
        }
        Ok(commit)
    }

    async fn client_if(&self, id: Option<&str>) -> Result<Option<Stored<Client>>> {
        match id {
            Some(id) => self.client(id).await,
            None => Ok(None),
        }
    }

    async fn account_if(&self, subject: Option<&str>) -> Result<Option<Account>> {
        match subject {
            Some(subject) => self.account(subject).await,
            None => Ok(None),
        }
    }
}

impl AsyncStore for RedisStore {
    type Error = RedisStoreError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.record(key::client(id)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.record(key::grant(id)).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        match write {
            Write::Grant(change) => self.commit_grant(change).await,
            Write::Client(change) => self.commit_client(change).await,
        }
    }

    /// Reads the user's whole index: as many entries as the user began grants within the last
    /// absolute lifetime.
    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let ids = self.entered(subject).await?;
        Ok(ids.into_iter().filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect())
    }

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        self.standing(key::account(subject)).await.map(Some)
    }

    /// Raised twice by a cluster's client that sends it again, it ends the same grants.
    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let raise = cmd("HINCRBY").arg(key::account(subject)).arg("e").arg(1).take();
        self.connection.ask::<u64>(&raise).await?;
        Ok(true)
    }

    /// Two round trips, or one if no grant is named, and one more for a client that has an owner.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let grant = match keys.grant {
            Some(id) => self.grant(id).await?,
            None => None,
        };
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        let (client, account, caller) = try_join3(
            self.client_if(keys.client_id(of_grant)),
            self.account_if(keys.subject_id(of_grant)),
            self.client_if(keys.caller_id()),
        )
        .await?;
        let owner = client.as_ref().and_then(|stored| stored.record.owner()).map(Subject::as_str);
        let owner = self.account_if(owner).await?;
        let balance = match of_grant.filter(|_| keys.balance) {
            Some(grant) => Some(self.balance(grant.subject().as_str()).await?),
            None => None,
        };
        Ok(Loaded { grant, client, account, owner, caller, balance })
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let load =
            |id| async move { self.load(&Keys { grant: Some(id), ..Keys::default() }).await };
        stream::iter(ids.iter().copied()).map(load).buffered(AT_ONCE).try_collect().await
    }
}
