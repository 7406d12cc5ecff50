//! What the library calls, in as few round trips as possible.

use std::time::Duration;

use futures_util::future::{try_join, try_join4};
use futures_util::{StreamExt, TryStreamExt, stream};
use grantcore::grant::{Grant, GrantState};
use grantcore::operation::Loaded;
use grantcore::store::{Change, ClientKey, Commit, Keys, Seen, SeenKey, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts, Client, LoadsAccounts, Store, Timestamp};
use redis::cmd;
use serde::Serialize;

use super::connection::{COMMIT, INDEX};
use super::record::end;
use super::{RedisStore, RedisStoreError, Result, key};

/// How long an entry of the index is kept after the end of its grant. The record is kept for a day;
/// the hour more covers clocks that differ.
const INDEX_RETENTION: Duration = Duration::from_secs(25 * 60 * 60);

/// How many records of a page are read at the same time.
pub(crate) const AT_ONCE: usize = 64;

impl RedisStore {
    /// Compares and sets one record.
    ///
    /// A cluster's client sends a command again if it loses a connection. The script recognizes
    /// such a retry by the call's name, which the record keeps for its next writes, so that
    /// `Conflict` is returned only if nothing was written. (If more than fifteen others write the
    /// record between a call and its retry, `Conflict` is returned although the write was made. The
    /// library handles that too: it finds its own mark in the record, or a later state of the
    /// grant.)
    async fn write<R: Serialize>(
        &self,
        key: &str,
        change: &Change<R>,
        drop_after: Timestamp,
    ) -> Result<Commit> {
        let seen = change.seen().map(|version| version.0.to_string()).unwrap_or_default();
        let version = change.version().0.to_string();
        let body = serde_json::to_vec(change.record())?;
        let call = self.calls.next();
        let drop_after = end(drop_after).unwrap_or_default();
        let arguments = [seen.as_bytes(), version.as_bytes(), &body, &call, drop_after.as_bytes()];
        match self.connection.run(&COMMIT, key, &arguments).await? {
            1 => Ok(Commit::Done),
            0 => Ok(Commit::Conflict),
            _ => Err(RedisStoreError::Foreign(key.to_owned())),
        }
    }

    /// Writes the user's index first, so that it names every grant. A crash between the two writes
    /// leaves an entry without a grant. A grant without a user is in no index.
    async fn commit_grant(&self, change: &Change<Grant>) -> Result<Commit> {
        let grant = change.record();
        // The first write of a grant sets its end, whatever its state is if it was moved here. So
        // does its approval.
        let sets_end = change.seen().is_none() || matches!(grant.state(), GrantState::CodeIssued);
        if let Some(subject) = grant.subject().filter(|_| sets_end) {
            self.enter(grant, subject).await?;
        }
        self.write(&key::grant(change.id()), change, change.drop_after()).await
    }

    async fn enter(&self, grant: &Grant, subject: &Subject) -> Result<()> {
        let over = end(grant.expires().after(INDEX_RETENTION)).unwrap_or_else(|| "+inf".to_owned());
        let id = grant.id();
        let arguments = [&id.as_bytes()[..], over.as_bytes()];
        let key = key::grants_of(subject.as_str());
        Ok(self.connection.run::<u8>(&INDEX, &key, &arguments).await.map(drop)?)
    }

    /// Enters a new client in the list before its record is written, so that a crash hides none,
    /// and once more afterwards: see `clients.rs`.
    async fn commit_client(&self, change: &Change<Client>) -> Result<Commit> {
        let id = change.id().as_str();
        let is_new = change.seen().is_none();
        if is_new {
            self.list(id).await?;
        }
        let commit = self.write(&key::client(id), change, change.drop_after()).await?;
        if is_new {
            self.list(id).await?;
        }
        Ok(commit)
    }

    /// Creates a mark and its expiry in one command. A cluster's client that sends it again meets
    /// its own mark: that is a conflict, after which the library reads the mark and goes on.
    async fn create_mark(&self, seen: &Seen) -> Result<Commit> {
        let body = serde_json::to_vec(seen)?;
        let end = seen.drop_after().unix_seconds().saturating_mul(1000);
        let mut set = cmd("SET");
        set.arg(key::mark(seen.key())).arg(body).arg("NX").arg("PXAT").arg(end);
        let set: Option<()> = self.connection.ask(&set).await?;
        Ok(set.map_or(Commit::Conflict, |()| Commit::Done))
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

impl Store for RedisStore {
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
            Write::Seen(seen) => self.create_mark(seen).await,
        }
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        let get = cmd("GET").arg(key::mark(key)).take();
        let body: Option<Vec<u8>> = self.connection.read(&get).await?;
        body.map(|body| Ok(serde_json::from_slice(&body)?)).transpose()
    }

    /// Reads the user's whole index, which has all grants that the user began within the last
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

    /// Loads in one round trip if the request names no grant, or one that this handle has loaded
    /// lately; otherwise in two. A client that has an owner takes one more, unless accounts are
    /// skipped.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let hint = keys.grant.and_then(|id| self.hints.of(id));
        let hint = hint.as_ref();
        let hinted_client = || hint.map(|hint| hint.client.as_str());
        let hinted_subject = || hint?.subject.as_ref().map(Subject::as_str);
        let is_unnamed = keys.client == ClientKey::Unnamed;
        let likely_client =
            keys.client.as_named().or_else(|| hinted_client().filter(|_| is_unnamed));
        let likely_subject = keys.subject.as_deref().or_else(hinted_subject);
        let likely_subject = likely_subject.filter(|_| !keys.skip_accounts);
        let (grant, mut client, mut account, caller) = try_join4(
            async {
                match keys.grant {
                    Some(id) => self.grant(id).await,
                    None => Ok(None),
                }
            },
            self.client_if(likely_client),
            self.account_if(likely_subject),
            self.client_if(keys.caller_id()),
        )
        .await?;
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        if let Some(grant) = of_grant.filter(|_| hint.is_none()) {
            self.hints.remember(grant);
        }
        let client_id = keys.client_id(of_grant);
        let subject = keys.subject_id(of_grant).filter(|_| !keys.skip_accounts);
        if client_id != likely_client || subject != likely_subject {
            (client, account) =
                try_join(self.client_if(client_id), self.account_if(subject)).await?;
        }
        if keys.skip_accounts {
            return Ok(Loaded { grant, client, caller, ..Loaded::default() });
        }
        let owner = client.as_ref().and_then(|stored| stored.record.owner());
        let balance = match keys.payer_id(of_grant, owner) {
            Some(payer) => Some(self.balance(payer).await?),
            None => None,
        };
        let owner = self.account_if(owner.map(Subject::as_str)).await?;
        Ok(Loaded { grant, client, account, owner, caller, balance, ..Loaded::default() })
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let load = |id| async move { self.load(&Keys::of_grant(id)).await };
        stream::iter(ids.iter().copied()).map(load).buffered(AT_ONCE).try_collect().await
    }
}

impl Accounts for RedisStore {
    type Error = RedisStoreError;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        self.account_at(key::account(subject)).await.map(Some)
    }

    /// A cluster's client that sends the command again raises the epoch twice, which ends the same
    /// grants.
    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let raise = cmd("HINCRBY").arg(key::account(subject)).arg("e").arg(1).take();
        self.connection.ask::<u64>(&raise).await?;
        Ok(true)
    }
}

impl LoadsAccounts for RedisStore {}
