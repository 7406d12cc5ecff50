//! The list of clients, for
//! [`StoreAdministration::clients`](grantcore::store::StoreAdministration::clients). The protocol
//! never reads it.
//!
//! A client's record and its entry in the list are two keys, and the record expires without its
//! entry. So a reader removes the entries whose records are gone. It could meet a client that is
//! being created: the entry exists, and the record does not yet. Hence both sides act twice. The
//! creator enters the client before and after it writes the record. The reader looks for the record
//! again after it has removed an entry, and enters the client again if the record has come. The
//! later of the two sees the other.

use futures_util::{StreamExt, TryStreamExt, stream};
use grantcore::store::Stored;
use grantcore::{Client, Store as _};
use redis::cmd;

use super::store::AT_ONCE;
use super::{RedisStore, Result, key};

impl RedisStore {
    /// Lists clients, and removes the entries of those that are gone.
    pub(crate) async fn listed_clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>> {
        let mut found = Vec::new();
        let mut after = after.map(str::to_owned);
        while found.len() < limit {
            let ids = self.listed(after.as_deref(), AT_ONCE.min(limit - found.len())).await?;
            let Some(last) = ids.last() else { break };
            after = Some(last.clone());
            // Each future owns its id. The compiler does not see that a future that borrows it from
            // the list is `Send`.
            let records = ids.into_iter().map(|id| async move {
                match self.client(&id).await? {
                    None => self.unlist(&id).await,
                    stored => Ok(stored),
                }
            });
            let records: Vec<_> = stream::iter(records).buffered(AT_ONCE).try_collect().await?;
            found.extend(records.into_iter().flatten());
        }
        Ok(found)
    }

    /// Enters a client in the list.
    pub(crate) async fn list(&self, id: &str) -> Result<()> {
        let list = cmd("ZADD").arg(key::CLIENTS).arg(0).arg(id).take();
        Ok(self.connection.ask::<u64>(&list).await.map(drop)?)
    }

    /// Removes the entry of a client whose record is gone, unless the record has come back.
    async fn unlist(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.connection.ask::<u64>(cmd("ZREM").arg(key::CLIENTS).arg(id)).await?;
        let stored = self.client(id).await?;
        if stored.is_some() {
            self.list(id).await?;
        }
        Ok(stored)
    }

    /// Reads a part of the list. Entries of one score are in the order of their bytes.
    async fn listed(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let first = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut page = cmd("ZRANGE");
        page.arg(key::CLIENTS).arg(first).arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(limit);
        Ok(self.connection.read(&page).await?)
    }
}
