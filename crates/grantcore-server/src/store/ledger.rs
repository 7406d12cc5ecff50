//! What this host keeps of its own: what each account has to spend, and the trail. Grants and
//! clients are the library's stores'.

use std::sync::Arc;

use grantcore::Timestamp;

use super::Result;
use super::memory::MemoryLedger;
use super::postgres::PostgresLedger;
use super::redis::RedisLedger;
use super::sqlite::SqliteLedger;
use crate::trail::{Entry, Search};

/// What a backend does for the pages, the guard and the trail.
pub(crate) trait Ledger {
    /// Adds an account, unless it is there already.
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()>;

    /// All accounts and what they have, by subject: a host of this size has few.
    async fn accounts(&self) -> Result<Vec<(String, u64)>>;

    /// What an account has to spend; nothing if there is no such account.
    async fn balance(&self, subject: &str) -> Result<Option<u64>>;

    /// Adds to what an account has, and says what that is then; nothing if there is no such
    /// account. It ends at the largest number that the database has, and does not overflow.
    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>>;

    /// Draws one unit, and says what is left; nothing if there was nothing to draw. However many
    /// draw at once, each unit is drawn once.
    async fn spend(&self, subject: &str) -> Result<Option<u64>>;

    /// Keeps these events, all of them or none, durably. Of events of one correlation and kind the
    /// first is kept: a step may arrive twice.
    async fn append(&self, entries: Vec<Entry>) -> Result<()>;

    /// The events that fit, in the order of their time; the latest `most` of them.
    async fn find(&self, search: &Search, limit: usize) -> Result<Vec<Entry>>;

    /// All events of a flow, in the order they were recorded.
    async fn flow(&self, flow: &str) -> Result<Vec<Entry>>;

    /// Drops at most `most` events from before this time, the oldest first, and says how many.
    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize>;

    /// Drops at most `most` of the events that are more than `rows`, those of strangers first and
    /// then the oldest, and says how many.
    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize>;
}

/// The ledger of an open database. A clone is another handle of the same.
#[derive(Clone)]
pub(crate) enum AnyLedger {
    Memory(Arc<MemoryLedger>),
    Sqlite(SqliteLedger),
    Postgres(PostgresLedger),
    Redis(RedisLedger),
}

/// The latest `most` of these events, in the order of their time; those of one second in the order
/// they were recorded.
pub(super) fn latest(mut entries: Vec<Entry>, limit: usize) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.at);
    entries.split_off(entries.len().saturating_sub(limit))
}

/// The same call of whichever ledger it is.
macro_rules! each {
    ($ledgers:expr, $ledger:ident => $call:expr) => {
        match $ledgers {
            AnyLedger::Memory($ledger) => $call.await,
            AnyLedger::Sqlite($ledger) => $call.await,
            AnyLedger::Postgres($ledger) => $call.await,
            AnyLedger::Redis($ledger) => $call.await,
        }
    };
}

impl Ledger for AnyLedger {
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        each!(self, ledger => ledger.add_account(subject, balance))
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        each!(self, ledger => ledger.accounts())
    }

    async fn balance(&self, subject: &str) -> Result<Option<u64>> {
        each!(self, ledger => ledger.balance(subject))
    }

    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        each!(self, ledger => ledger.top_up(subject, by))
    }

    async fn spend(&self, subject: &str) -> Result<Option<u64>> {
        each!(self, ledger => ledger.spend(subject))
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<()> {
        each!(self, ledger => ledger.append(entries))
    }

    async fn find(&self, search: &Search, limit: usize) -> Result<Vec<Entry>> {
        each!(self, ledger => ledger.find(search, limit))
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        each!(self, ledger => ledger.flow(flow))
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize> {
        each!(self, ledger => ledger.drop_before(before, limit))
    }

    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize> {
        each!(self, ledger => ledger.drop_over(rows, limit))
    }
}
