//! What waits for a browser, in Redis: a key for each row, and for the rows of each source, and of
//! all, a sorted set of their digests. The score of a digest is the bytes that were ever added up
//! to it. So the surplus of a new row is found without a sum. All of them expire by themselves.
//!
//! A row and the sets may be on different nodes of a cluster, so no command touches two of them. A
//! row is stored before it is entered, so that a later row that displaces it finds it.

use grantcore_redis::redis::cmd;

use super::{RedisLedger, Result};
use crate::store::{Room, WaitingRow};

const ADD: &str = "
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('EXPIREAT', KEYS[1], ARGV[2])";

/// Enters a digest, and returns those that it displaces.
const ENTER: &str = "
    local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
    local total = (last[2] and tonumber(last[2]) or 0) + tonumber(ARGV[2])
    redis.call('ZADD', KEYS[1], total, ARGV[1])
    redis.call('EXPIREAT', KEYS[1], ARGV[4])
    local surplus = total - tonumber(ARGV[3])
    local displaced = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', surplus)
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', surplus)
    return displaced";

/// The row is JSON. `ARGV[2]` is the row with the browser, made by the caller from what it read.
const CLAIM: &str = "
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
    return 1";

const TAKE: &str = "
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    return redis.call('DEL', KEYS[1])";

/// The set of all rows.
const ALL: &str = "grantcore-server:waiting-rows";

/// How long a set outlives its last row, in seconds: longer than any row.
const SET_LIFETIME: u64 = 3600;

impl RedisLedger {
    pub(super) async fn add_waiting(
        &self,
        digest: &str,
        row: &WaitingRow,
        room: Room,
    ) -> Result<()> {
        let arguments = [serde_json::to_string(row)?, row.expires.to_string()];
        self.run::<()>(ADD, &key(digest), &arguments).await?;
        let sets = [(set(&row.source), room.of_source), (ALL.to_owned(), room.in_all)];
        for (set, room) in sets {
            let arguments = [
                digest.to_owned(),
                row.bytes().to_string(),
                room.to_string(),
                row.expires.saturating_add(SET_LIFETIME).to_string(),
            ];
            let displaced: Vec<String> = self.run(ENTER, &set, &arguments).await?;
            for oldest in displaced {
                self.store.ask::<u64>(cmd("DEL").arg(key(&oldest))).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn claim_waiting(
        &self,
        digest: &str,
        browser: &str,
    ) -> Result<Option<WaitingRow>> {
        loop {
            let Some((text, row)) = self.find_row(digest).await? else { return Ok(None) };
            if row.browser.is_some() {
                return Ok(Some(row).filter(|row| row.browser.as_deref() == Some(browser)));
            }
            let row = WaitingRow { browser: Some(browser.to_owned()), ..row };
            // Two browsers at once: the second reads again what the first has written.
            if self.run(CLAIM, &key(digest), &[text, serde_json::to_string(&row)?]).await? {
                return Ok(Some(row));
            }
        }
    }

    pub(super) async fn take_waiting(
        &self,
        digest: &str,
        browser: &str,
    ) -> Result<Option<WaitingRow>> {
        let Some((text, row)) = self.find_row(digest).await? else { return Ok(None) };
        let is_own = row.browser.as_deref() == Some(browser);
        let is_taken = is_own && self.run(TAKE, &key(digest), &[text]).await?;
        Ok(is_taken.then_some(row))
    }

    async fn find_row(&self, digest: &str) -> Result<Option<(String, WaitingRow)>> {
        let text: Option<String> = self.store.ask(cmd("GET").arg(key(digest))).await?;
        let Some(text) = text else { return Ok(None) };
        let row = serde_json::from_str(&text)?;
        Ok(Some((text, row)))
    }
}

fn key(digest: &str) -> String {
    format!("grantcore-server:waiting:{digest}")
}

fn set(source: &str) -> String {
    format!("grantcore-server:waiting-of:{source}")
}
