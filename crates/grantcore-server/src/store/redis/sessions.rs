//! Sessions in Redis: a key for each session, and for each account a list of the digests of its
//! sessions, the latest first. Both expire by themselves.
//!
//! A session and its list may be on different nodes of a cluster, so no command touches both. A
//! session is stored before it is listed, so that a later sign-in that displaces it finds it. It
//! leaves the list after it was deleted. If something fails in between, a session may stay that is
//! not listed. Its sign-in failed, so no browser has its token, and it expires.
//!
//! A sign-out is as durable as Redis is: a failover that loses it brings the session back.

use grantcore_redis::redis::cmd;

use super::{RedisLedger, Result};
use crate::store::SessionRow;

/// Lists a session, and returns the digests of those that it displaces.
const ENTER: &str = "
    redis.call('LPUSH', KEYS[1], ARGV[1])
    redis.call('EXPIREAT', KEYS[1], ARGV[2])
    return redis.call('LRANGE', KEYS[1], ARGV[3], -1)";

impl RedisLedger {
    pub(super) async fn add_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()> {
        if let Some(previous) = previous {
            self.end_session(previous).await?;
        }
        let value = serde_json::to_string(row)?;
        let set = cmd("SET").arg(key(digest)).arg(value).arg("EXAT").arg(row.expires).take();
        self.store.ask::<()>(&set).await?;
        let arguments = [digest.to_owned(), row.expires.to_string(), limit.to_string()];
        let displaced: Vec<String> = self.run(ENTER, &list(&row.subject), &arguments).await?;
        for oldest in displaced {
            self.remove(&oldest, &row.subject).await?;
        }
        Ok(())
    }

    pub(super) async fn find_session(&self, digest: &str) -> Result<Option<SessionRow>> {
        let value: Option<String> = self.store.ask(cmd("GET").arg(key(digest))).await?;
        Ok(value.map(|value| serde_json::from_str(&value)).transpose()?)
    }

    pub(super) async fn end_session(&self, digest: &str) -> Result<()> {
        match self.find_session(digest).await? {
            Some(row) => self.remove(digest, &row.subject).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, digest: &str, subject: &str) -> Result<()> {
        self.store.ask::<u64>(cmd("DEL").arg(key(digest))).await?;
        let unlist = cmd("LREM").arg(list(subject)).arg(0).arg(digest).take();
        Ok(self.store.ask::<u64>(&unlist).await.map(drop)?)
    }
}

fn key(digest: &str) -> String {
    format!("grantcore-server:session:{digest}")
}

fn list(subject: &str) -> String {
    format!("grantcore-server:sessions:{subject}")
}
