//! What this host keeps of its own: what each account has to spend, the sessions, what waits for a
//! browser to come back, and the audit log. Grants and clients are in the library's stores.

use std::sync::Arc;

use grantcore::Timestamp;
use serde::{Deserialize, Serialize};

use super::Result;
use super::memory::MemoryLedger;
use super::postgres::PostgresLedger;
use super::redis::RedisLedger;
use super::sqlite::SqliteLedger;
use crate::audit::{Entry, Item, Position, Search};
use crate::metrics::{Call, Meter};

/// A session as a database keeps it, under the digest of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    pub(crate) subject: String,
    /// A digest of what the sign-in was checked by: the password hash of the account, or the rules
    /// of the identity provider.
    pub(crate) credential: String,
    /// The name of the account for people, if it is not the subject.
    pub(crate) name: Option<String>,
    /// Whether the identity provider's rules made the account an administrator.
    pub(crate) is_admin: bool,
    /// When the user proved to be the owner of the account, in seconds since 1970.
    pub(crate) signed_in: Option<u64>,
    /// In seconds since 1970.
    pub(crate) expires: u64,
}

/// What waits for a browser to come back, under the digest of its key: an authorization request
/// while its user signs in, or a sign-in at the identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingRow {
    /// The digest of the browser's cookie. `None` until a browser claims the row.
    pub(crate) browser: Option<String>,
    /// Where the request came from, as far as a limit goes by it.
    pub(crate) source: String,
    /// JSON.
    pub(crate) value: String,
    /// In seconds since 1970.
    pub(crate) expires: u64,
}

/// How many bytes wait at most, of one source and in all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) of_source: u64,
    pub(crate) in_all: u64,
}

impl WaitingRow {
    /// The most bytes that a database needs for a row beside its value.
    const OVERHEAD: u64 = 512;

    /// Returns the bytes of the row, as [`Room`] counts them.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.value.len()).unwrap_or(u64::MAX).saturating_add(Self::OVERHEAD)
    }
}

/// What a backend does for the pages, the guard and the audit log.
pub(crate) trait Ledger {
    /// Adds an account, unless it exists already.
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()>;

    /// Keeps the name of an account for people, in place of an earlier one.
    async fn name_account(&self, subject: &str, name: &str) -> Result<()>;

    /// Keeps the name of an account for people if it has none.
    async fn name_account_once(&self, subject: &str, name: &str) -> Result<()>;

    /// Lists the accounts that have a name for people, with it.
    async fn account_names(&self) -> Result<Vec<(String, String)>>;

    /// Lists all accounts with their balances, by subject. A host of this size has few.
    async fn accounts(&self) -> Result<Vec<(String, u64)>>;

    /// Returns the balance of an account, or `None` if there is no such account.
    async fn balance(&self, subject: &str) -> Result<Option<u64>>;

    /// Adds to a balance and returns the new one, or `None` if there is no such account. A balance
    /// ends at the largest number that the database has, and does not overflow.
    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>>;

    /// Draws one unit and returns what is left, or `None` if there was nothing to draw. However
    /// many draw at once, each unit is drawn once.
    async fn spend(&self, subject: &str) -> Result<Option<u64>>;

    /// Adds a session and ends `previous`. Of the account's sessions the latest `limit` remain,
    /// plus at most one for each other session that is opened at the same moment.
    async fn open_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()>;

    /// Returns a session, which may be over.
    async fn session(&self, digest: &str) -> Result<Option<SessionRow>>;

    /// Ends a session, if there is one.
    async fn close_session(&self, digest: &str) -> Result<()>;

    /// Drops up to `limit` sessions that are over, and returns how many.
    async fn drop_sessions(&self, now: Timestamp, limit: usize) -> Result<usize>;

    /// Adds a row. The oldest rows of its source, and then of all, make room for it. The room may
    /// be exceeded by one row, and by rows that are added at the same moment.
    async fn add_waiting(&self, digest: &str, row: &WaitingRow, room: Room) -> Result<()>;

    /// Returns a row, which may be over, to its browser. A row without a browser becomes a row of
    /// this browser. Of two browsers at once, one claims it.
    async fn claim_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>>;

    /// Removes a row of this browser and returns it, once. It may be over.
    async fn take_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>>;

    /// Drops up to `limit` waiting rows that are over, and returns how many.
    async fn drop_waiting(&self, now: Timestamp, limit: usize) -> Result<usize>;

    /// Stores these events durably, all of them or none. Of events with one correlation and kind
    /// the first is kept, because a step may arrive twice. If no caller waits, a database may delay
    /// the events by some milliseconds, to write them together with others.
    async fn append(&self, items: Vec<Item>, is_awaited: bool) -> Result<()>;

    /// Returns the latest `limit` events that match, before this place: the newest first, by their
    /// time, in Redis by their arrival.
    async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>>;

    /// Returns all events of a flow, in the order they were recorded.
    async fn flow(&self, flow: &str) -> Result<Vec<Entry>>;

    /// Drops up to `limit` events from before this time, the oldest first, and returns how many.
    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize>;

    /// Drops up to `limit` of the events in excess of `rows`, and returns how many. Those of
    /// strangers go first, then the oldest.
    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize>;
}

/// The ledger of an open database. A clone is another handle of the same.
#[derive(Clone)]
pub(crate) struct AnyLedger {
    pub(super) kind: Kind,
    meter: Meter,
}

/// The ledger of each kind of database.
#[derive(Clone)]
pub(super) enum Kind {
    Memory(Arc<MemoryLedger>),
    Sqlite(SqliteLedger),
    Postgres(PostgresLedger),
    Redis(RedisLedger),
}

impl From<Kind> for AnyLedger {
    fn from(kind: Kind) -> Self {
        Self { kind, meter: Meter::default() }
    }
}

impl AnyLedger {
    /// Returns a ledger in memory.
    #[cfg(test)]
    pub(crate) fn memory() -> Self {
        Kind::Memory(Arc::default()).into()
    }

    /// Returns the same ledger, with its calls measured.
    pub(super) fn measured(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }
}

/// Makes the same call of whichever ledger it is, and measures it. The futures of network databases
/// are on the heap, as in `grants.rs`.
macro_rules! each {
    ($ledgers:expr, $what:ident, $ledger:ident => $call:expr) => {{
        let made = async {
            match &$ledgers.kind {
                Kind::Memory($ledger) => $call.await,
                Kind::Sqlite($ledger) => $call.await,
                Kind::Postgres($ledger) => Box::pin($call).await,
                Kind::Redis($ledger) => Box::pin($call).await,
            }
        };
        $ledgers.meter.timed(Call::$what, made).await
    }};
}

impl Ledger for AnyLedger {
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        each!(self, Accounts, ledger => ledger.add_account(subject, balance))
    }

    async fn name_account(&self, subject: &str, name: &str) -> Result<()> {
        each!(self, Accounts, ledger => ledger.name_account(subject, name))
    }

    async fn name_account_once(&self, subject: &str, name: &str) -> Result<()> {
        each!(self, Accounts, ledger => ledger.name_account_once(subject, name))
    }

    async fn account_names(&self) -> Result<Vec<(String, String)>> {
        each!(self, Accounts, ledger => ledger.account_names())
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        each!(self, Accounts, ledger => ledger.accounts())
    }

    async fn balance(&self, subject: &str) -> Result<Option<u64>> {
        each!(self, Balance, ledger => ledger.balance(subject))
    }

    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        each!(self, ChangeBalance, ledger => ledger.top_up(subject, by))
    }

    async fn spend(&self, subject: &str) -> Result<Option<u64>> {
        each!(self, ChangeBalance, ledger => ledger.spend(subject))
    }

    async fn open_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()> {
        each!(self, ChangeSession, ledger => ledger.open_session(digest, row, previous, limit))
    }

    async fn session(&self, digest: &str) -> Result<Option<SessionRow>> {
        each!(self, Session, ledger => ledger.session(digest))
    }

    async fn close_session(&self, digest: &str) -> Result<()> {
        each!(self, ChangeSession, ledger => ledger.close_session(digest))
    }

    async fn drop_sessions(&self, now: Timestamp, limit: usize) -> Result<usize> {
        each!(self, Sweep, ledger => ledger.drop_sessions(now, limit))
    }

    async fn add_waiting(&self, digest: &str, row: &WaitingRow, room: Room) -> Result<()> {
        each!(self, ChangeWaiting, ledger => ledger.add_waiting(digest, row, room))
    }

    async fn claim_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        each!(self, ChangeWaiting, ledger => ledger.claim_waiting(digest, browser))
    }

    async fn take_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        each!(self, ChangeWaiting, ledger => ledger.take_waiting(digest, browser))
    }

    async fn drop_waiting(&self, now: Timestamp, limit: usize) -> Result<usize> {
        each!(self, Sweep, ledger => ledger.drop_waiting(now, limit))
    }

    async fn append(&self, items: Vec<Item>, is_awaited: bool) -> Result<()> {
        each!(self, AppendEvents, ledger => ledger.append(items, is_awaited))
    }

    async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        each!(self, FindEvents, ledger => ledger.find(search, before, limit))
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        each!(self, FindEvents, ledger => ledger.flow(flow))
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize> {
        each!(self, DropEvents, ledger => ledger.drop_before(before, limit))
    }

    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize> {
        each!(self, DropEvents, ledger => ledger.drop_over(rows, limit))
    }
}
