//! The list of clients, for operators. The protocol never asks for it.
//!
//! A client's record and its entry in the list are two keys, and the record goes by Redis' own
//! expiry, without the entry. So whoever reads the list removes the entries of records that are
//! gone. That could meet a client just being created: its entry is there, its record is not yet.
//! Hence both sides look twice: the creator lists the client before and after it writes the record,
//! and the reader, when it has removed an entry, looks for the record once more and puts the entry
//! back if it has come. Whichever was last sees the other.

use futures_util::{StreamExt, TryStreamExt, stream};
use grantcore::{AsyncStore, Client, Stored};
use redis::cmd;

use super::store::AT_ONCE;
use super::{RedisStore, Result, key};

impl RedisStore {
    /// The clients in the order of their ids: at most so many of those after this one.
    ///
    /// # Errors
    /// If Redis fails, or one of them cannot be decoded.
    pub async fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        let mut found = Vec::new();
        let mut after = after.map(str::to_owned);
        while found.len() < limit {
            let ids = self.listed(after.as_deref(), AT_ONCE.min(limit - found.len())).await?;
            let Some(last) = ids.last() else { break };
            after = Some(last.clone());
            // Each has its id: the compiler does not see that a future is `Send` which borrows it
            // from the list.
            let records = ids.into_iter().map(|id| async move {
                match self.client(&id).await? {
                    None => self.unlist(&id).await,
                    there => Ok(there),
                }
            });
            let records: Vec<_> = stream::iter(records).buffered(AT_ONCE).try_collect().await?;
            found.extend(records.into_iter().flatten());
        }
        Ok(found)
    }

    pub(crate) async fn list(&self, id: &str) -> Result<()> {
        let list = cmd("ZADD").arg(key::CLIENTS).arg(0).arg(id).take();
        Ok(self.connection.ask::<u64>(&list).await.map(drop)?)
    }

    /// Removes the entry of a client whose record is gone, unless that has come back meanwhile.
    async fn unlist(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.connection.ask::<u64>(cmd("ZREM").arg(key::CLIENTS).arg(id)).await?;
        let there = self.client(id).await?;
        if there.is_some() {
            self.list(id).await?;
        }
        Ok(there)
    }

    /// Entries of one score are in the order of their bytes.
    async fn listed(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let first = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let mut page = cmd("ZRANGE");
        page.arg(key::CLIENTS).arg(first).arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(limit);
        Ok(self.connection.read(&page).await?)
    }
}
