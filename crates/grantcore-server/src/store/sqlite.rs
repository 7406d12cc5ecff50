//! The host's own tables in the SQLite file, beside those of `grantcore-sqlite`. They hold no grant
//! and no client.
//!
//! WAL with `synchronous=FULL` keeps every acknowledged write over a power loss; each write is one
//! statement or one transaction.

mod audit;
mod balances;
mod sessions;
#[cfg(test)]
mod tests;
mod waiting;

#[cfg(unix)]
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grantcore::Timestamp;
use grantcore_sqlite::{SqliteError, SqliteStore, TokioSqliteStore};
use rusqlite::{Connection, TransactionBehavior};

use super::grants::Grants;
use super::ledger::Kind;
use super::{AnyLedger, BackendError, Ledger, Result, Room, SessionRow, WaitingRow};
use crate::audit::{Entry, Item, Position, Search};

/// The time for which events wait for a write of a grant, to be committed with it.
const PATIENCE: Duration = Duration::from_millis(20);
/// The number of rows of the audit log that are dropped in one transaction, for which other writes
/// wait.
const BITE: usize = 64;
/// The same number for transactions that also count all rows.
const BITE_COUNTED: usize = 256;

/// Balances, sessions and the audit log. They are written through the store of the grants, which
/// commits all writes that wait in one transaction, and read on its connection. Searches of the
/// audit log use a connection of their own, because they may be slow.
#[derive(Clone)]
pub(crate) struct SqliteLedger {
    store: TokioSqliteStore,
    searcher: Arc<Mutex<Connection>>,
}

/// The migrations of the file. The migration at index `n` leads from version `n` to `n + 1`.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_init.sql")];

/// Opens the file, and creates it if there is none.
pub(super) async fn open(path: &Path) -> Result<(Grants, AnyLedger)> {
    let path = path.to_owned();
    blocking(move || {
        create_private(&path)?;
        let store = SqliteStore::open(&path)?;
        let searcher = Arc::new(Mutex::new(connection(&path)?));
        let store = store.on_tokio();
        let ledger = SqliteLedger { store: store.clone(), searcher };
        Ok::<_, BackendError>((Grants::Sqlite(store), Kind::Sqlite(ledger).into()))
    })
    .await
}

/// Creates a new file with mode 0600. The file holds no tokens in clear, but it shows which user
/// authorized which client. The mode of an existing file is not changed.
#[cfg(unix)]
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

#[cfg(not(unix))]
fn create_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn connection(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(SqliteError::Journal(mode).into());
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Brings the file to this program's version. Another process that opens it waits.
fn migrate(connection: &mut Connection) -> Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.get(done..).ok_or(BackendError::Newer(version.into()))? {
        change.execute_batch(migration)?;
    }
    change.pragma_update(
        None,
        "user_version",
        u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX),
    )?;
    Ok(change.commit()?)
}

/// Runs a blocking call on Tokio's blocking thread pool. If the caller is dropped, the call still
/// runs to its end and its result is discarded. The library allows this: a write whose response is
/// lost may have happened.
async fn blocking<T, E>(
    call: impl FnOnce() -> std::result::Result<T, E> + Send + 'static,
) -> Result<T>
where
    T: Send + 'static,
    E: Send + 'static,
    BackendError: From<E>,
{
    Ok(tokio::task::spawn_blocking(call).await??)
}

impl SqliteLedger {
    async fn read<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        Ok(self.store.query(call).await?)
    }

    /// Writes all of a call or nothing. If the caller is dropped, the call still runs to its end.
    async fn write<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        Ok(self.store.transact(call).await?)
    }

    async fn search<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let searcher = Arc::clone(&self.searcher);
        blocking(move || call(&searcher.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Drops up to `limit` rows, a few in each transaction.
    async fn drop_in_bites(
        &self,
        limit: usize,
        most: usize,
        bite: impl Fn(&Connection, usize) -> rusqlite::Result<usize> + Clone + Send + 'static,
    ) -> Result<usize> {
        let mut dropped = 0;
        while dropped < limit {
            let size = most.min(limit - dropped);
            let bite = bite.clone();
            let here = self.write(move |connection| bite(connection, size)).await?;
            dropped += here;
            if here < size {
                break;
            }
        }
        Ok(dropped)
    }
}

impl Ledger for SqliteLedger {
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        let subject = subject.to_owned();
        self.write(move |connection| balances::add(connection, &subject, balance)).await
    }

    async fn name_account(&self, subject: &str, name: &str) -> Result<()> {
        let (subject, name) = (subject.to_owned(), name.to_owned());
        self.write(move |connection| balances::name(connection, &subject, &name)).await
    }

    async fn name_account_once(&self, subject: &str, name: &str) -> Result<()> {
        let (subject, name) = (subject.to_owned(), name.to_owned());
        self.write(move |connection| balances::name_once(connection, &subject, &name)).await
    }

    async fn account_names(&self) -> Result<Vec<(String, String)>> {
        self.read(balances::names).await
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        self.read(balances::all).await
    }

    async fn balance(&self, subject: &str) -> Result<Option<u64>> {
        let subject = subject.to_owned();
        self.read(move |connection| balances::find(connection, &subject)).await
    }

    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        let subject = subject.to_owned();
        self.write(move |connection| balances::top_up(connection, &subject, by)).await
    }

    async fn spend(&self, subject: &str) -> Result<Option<u64>> {
        let subject = subject.to_owned();
        self.write(move |connection| balances::spend(connection, &subject)).await
    }

    async fn open_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()> {
        let digest = digest.to_owned();
        let row = row.clone();
        let previous = previous.map(str::to_owned);
        self.write(move |connection| {
            sessions::open(connection, &digest, &row, previous.as_deref(), limit)
        })
        .await
    }

    async fn session(&self, digest: &str) -> Result<Option<SessionRow>> {
        let digest = digest.to_owned();
        self.read(move |connection| sessions::find(connection, &digest)).await
    }

    async fn close_session(&self, digest: &str) -> Result<()> {
        let digest = digest.to_owned();
        self.write(move |connection| sessions::close(connection, &digest)).await
    }

    async fn drop_sessions(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |connection| sessions::drop_expired(connection, now, limit)).await
    }

    async fn add_waiting(&self, digest: &str, row: &WaitingRow, room: Room) -> Result<()> {
        let (digest, row) = (digest.to_owned(), row.clone());
        self.write(move |connection| waiting::add(connection, &digest, &row, room)).await
    }

    async fn claim_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        let (digest, browser) = (digest.to_owned(), browser.to_owned());
        self.write(move |connection| waiting::claim(connection, &digest, &browser)).await
    }

    async fn take_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        let (digest, browser) = (digest.to_owned(), browser.to_owned());
        self.write(move |connection| waiting::take(connection, &digest, &browser)).await
    }

    async fn drop_waiting(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |connection| waiting::drop_expired(connection, now, limit)).await
    }

    async fn append(&self, items: Vec<Item>, is_awaited: bool) -> Result<()> {
        let append = move |connection: &Connection| audit::append(connection, &items);
        if is_awaited {
            return self.write(append).await;
        }
        Ok(self.store.transact_with_others(PATIENCE, append).await?)
    }

    async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        let search = search.clone();
        self.search(move |connection| audit::find(connection, &search, before, limit)).await
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        let flow = flow.to_owned();
        self.search(move |connection| audit::flow(connection, &flow)).await
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.drop_in_bites(limit, BITE, move |connection, bite| {
            audit::drop_before(connection, before, bite)
        })
        .await
    }

    /// Counts again inside each transaction: another server may have dropped the same surplus.
    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize> {
        let surplus = move |count: u64, limit: usize| {
            usize::try_from(count.saturating_sub(rows)).unwrap_or(usize::MAX).min(limit)
        };
        if surplus(self.search(audit::count).await?, limit) == 0 {
            return Ok(0);
        }
        self.drop_in_bites(limit, BITE_COUNTED, move |connection, bite| {
            audit::drop_oldest(connection, surplus(audit::count(connection)?, bite))
        })
        .await
    }
}

/// Converts to SQLite's signed 64-bit integer. Larger numbers become `i64::MAX`.
fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
