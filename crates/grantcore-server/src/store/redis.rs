//! The host's own data in Redis, beside what `grantcore-redis` keeps there and over its
//! connections: balances, sessions, and the audit log as streams. Each script touches one key, so
//! that a cluster of any shape will do.
//!
//! A cluster's client sends a command again by itself when it has lost a connection. A unit can
//! then be drawn twice for one call, or an event be recorded twice. Neither is worth a record of
//! every call.

mod audit;
mod sessions;
mod waiting;

use std::collections::BTreeMap;

use grantcore::Timestamp;
use grantcore_redis::RedisStore;
use grantcore_redis::redis::{FromRedisValue, ToRedisArgs, cmd};

use super::grants::Grants;
use super::ledger::Kind;
use super::transport::{self, Transport};
use super::{AnyLedger, Ledger, Result, Room, SessionRow, WaitingRow};
use crate::audit::{Entry, Item, Position, Search};
use crate::config::{Address, DatabaseTls};

/// Balances, sessions and the audit log.
#[derive(Clone)]
pub(crate) struct RedisLedger {
    store: RedisStore,
}

/// The subjects of all accounts.
const ACCOUNTS: &str = "grantcore-server:accounts";
/// The names of accounts for people, by their subjects.
const NAMES: &str = "grantcore-server:names";

/// Reads a balance as text, because the numbers of a script are exact to 2^53 only.
const TOP_UP: &str = "
    if redis.call('EXISTS', KEYS[1]) == 0 then return false end
    local added = redis.pcall('INCRBY', KEYS[1], ARGV[1])
    if type(added) == 'table' and added.err then redis.call('SET', KEYS[1], ARGV[2]) end
    return redis.call('GET', KEYS[1])";

const SPEND: &str = "
    local left = redis.call('GET', KEYS[1])
    if not left or left == '0' then return false end
    redis.call('DECR', KEYS[1])
    return redis.call('GET', KEYS[1])";

pub(super) async fn open(address: &Address, tls: &DatabaseTls) -> Result<(Grants, AnyLedger)> {
    let url = address.reveal();
    let transport = transport::redis(url, tls.allow_plaintext_redis)?;
    let certificates = match transport {
        Transport::Tls => transport::certificates(tls)?,
        Transport::Local | Transport::Plain => None,
    };
    let store = match certificates {
        Some(certificates) => RedisStore::connect_with_tls(url, certificates).await?,
        None => RedisStore::connect(url).await?,
    };
    for risk in store.risks().await? {
        tracing::warn!("Redis: {risk}");
    }
    let ledger = RedisLedger { store: store.clone() };
    Ok((Grants::Redis(store), Kind::Redis(ledger).into()))
}

impl RedisLedger {
    async fn run<T: FromRedisValue>(
        &self,
        script: &str,
        key: &str,
        arguments: &[impl ToRedisArgs],
    ) -> Result<T> {
        Ok(self.store.ask(cmd("EVAL").arg(script).arg(1).arg(key).arg(arguments)).await?)
    }
}

impl Ledger for RedisLedger {
    /// Adds to the list first: an entry without a balance is no account.
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        self.store.ask::<u64>(cmd("SADD").arg(ACCOUNTS).arg(subject)).await?;
        let set = cmd("SET").arg(key(subject)).arg(number(balance)).arg("NX").take();
        Ok(self.store.ask::<Option<String>>(&set).await.map(drop)?)
    }

    async fn name_account(&self, subject: &str, name: &str) -> Result<()> {
        Ok(self.store.ask::<u64>(cmd("HSET").arg(NAMES).arg(subject).arg(name)).await.map(drop)?)
    }

    async fn name_account_once(&self, subject: &str, name: &str) -> Result<()> {
        let set = cmd("HSETNX").arg(NAMES).arg(subject).arg(name).take();
        Ok(self.store.ask::<u64>(&set).await.map(drop)?)
    }

    async fn account_names(&self) -> Result<Vec<(String, String)>> {
        let names: BTreeMap<String, String> = self.store.ask(cmd("HGETALL").arg(NAMES)).await?;
        Ok(names.into_iter().collect())
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        let mut subjects: Vec<String> = self.store.ask(cmd("SMEMBERS").arg(ACCOUNTS)).await?;
        subjects.sort_unstable();
        let mut accounts = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let balance = self.balance(&subject).await?;
            accounts.extend(balance.map(|balance| (subject, balance)));
        }
        Ok(accounts)
    }

    async fn balance(&self, subject: &str) -> Result<Option<u64>> {
        Ok(self.store.ask(cmd("GET").arg(key(subject))).await?)
    }

    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        self.run(TOP_UP, &key(subject), &[number(by), i64::MAX]).await
    }

    async fn spend(&self, subject: &str) -> Result<Option<u64>> {
        self.run(SPEND, &key(subject), &[""; 0]).await
    }

    async fn open_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()> {
        self.add_session(digest, row, previous, limit).await
    }

    async fn session(&self, digest: &str) -> Result<Option<SessionRow>> {
        self.find_session(digest).await
    }

    async fn close_session(&self, digest: &str) -> Result<()> {
        self.end_session(digest).await
    }

    /// Redis drops them by itself.
    async fn drop_sessions(&self, _: Timestamp, _: usize) -> Result<usize> {
        Ok(0)
    }

    async fn add_waiting(&self, digest: &str, row: &WaitingRow, room: Room) -> Result<()> {
        self.add_waiting(digest, row, room).await
    }

    async fn claim_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        self.claim_waiting(digest, browser).await
    }

    async fn take_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        self.take_waiting(digest, browser).await
    }

    /// Redis drops them by itself.
    async fn drop_waiting(&self, _: Timestamp, _: usize) -> Result<usize> {
        Ok(0)
    }

    async fn append(&self, items: Vec<Item>, _: bool) -> Result<()> {
        self.append_all(&Item::entries(&items)).await
    }

    async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        self.find_events(search, before, limit).await
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        self.flow_events(flow).await
    }

    async fn drop_before(&self, before: Timestamp, _: usize) -> Result<usize> {
        self.drop_events(before).await
    }

    /// The streams are trimmed as they are appended to.
    async fn drop_over(&self, _: u64, _: usize) -> Result<usize> {
        Ok(0)
    }
}

fn key(subject: &str) -> String {
    format!("grantcore-server:balance:{subject}")
}

/// A number as Redis counts, to 2^63.
fn number(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
