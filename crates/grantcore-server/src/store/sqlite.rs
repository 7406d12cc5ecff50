//! The host's own tables in the SQLite file, beside those of `grantcore-sqlite`. They hold no grant
//! and no client.
//!
//! WAL with `synchronous=FULL` keeps every acknowledged write over a power loss; each write is one
//! statement or one transaction.

mod balances;
mod sessions;
#[cfg(test)]
mod tests;
mod trail;
mod waiting;

#[cfg(unix)]
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grantcore::Timestamp;
use grantcore_sqlite::{SqliteError, SqliteStore};
use rusqlite::{Connection, TransactionBehavior};

use super::grants::Grants;
use super::ledger::Kind;
use super::{AnyLedger, BackendError, Ledger, Result, Room, SessionRow, WaitingRow};
use crate::trail::{Entry, Position, Search};

/// The turn to write to the file. SQLite lets one writer wait for another by polling, and unfairly.
/// The writers of one process queue up here first.
#[derive(Clone, Default)]
pub(crate) struct Turn(Arc<tokio::sync::Mutex<()>>);

impl Turn {
    /// Waits for the turn, and runs a blocking write in it. The turn ends with the write, which
    /// outlives this future if the caller is dropped.
    pub(super) async fn write<T, E>(
        &self,
        call: impl FnOnce() -> std::result::Result<T, E> + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        E: Send + 'static,
        BackendError: From<E>,
    {
        let turn = Arc::clone(&self.0).lock_owned().await;
        blocking(move || {
            let _turn = turn;
            call()
        })
        .await
    }
}

/// Balances, sessions and the audit log. Writes use a separate connection, so that reads never wait
/// for a blocked write. Searches of the audit log use a third, because they may be slow.
#[derive(Clone)]
pub(crate) struct SqliteLedger {
    connections: Arc<Connections>,
    turn: Turn,
}

struct Connections {
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
    searcher: Mutex<Connection>,
}

/// The migrations of the file. The migration at index `n` leads from version `n` to `n + 1`.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001_init.sql")];

/// Opens the file, and creates it if there is none.
pub(super) async fn open(path: &Path) -> Result<(Grants, AnyLedger)> {
    let path = path.to_owned();
    blocking(move || {
        create_private(&path)?;
        let store = SqliteStore::open(&path)?;
        let turn = Turn::default();
        let open = || -> Result<_> { Ok(Mutex::new(connection(&path)?)) };
        let connections =
            Arc::new(Connections { reader: open()?, writer: open()?, searcher: open()? });
        let ledger = SqliteLedger { connections, turn: turn.clone() };
        Ok::<_, BackendError>((Grants::Sqlite(store.on_tokio(), turn), Kind::Sqlite(ledger).into()))
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
    async fn on<T: Send + 'static>(
        &self,
        which: fn(&Connections) -> &Mutex<Connection>,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let connections = Arc::clone(&self.connections);
        blocking(move || call(&mut lock(which(&connections)))).await
    }

    async fn read<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.on(|all| &all.reader, call).await
    }

    async fn write<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let connections = Arc::clone(&self.connections);
        self.turn.write(move || call(&mut lock(&connections.writer))).await
    }

    async fn search<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.on(|all| &all.searcher, call).await
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
        self.read(|connection| balances::names(connection)).await
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        self.read(|connection| balances::all(connection)).await
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

    async fn append(&self, entries: Vec<Entry>) -> Result<()> {
        self.write(move |connection| trail::append(connection, &entries)).await
    }

    async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        let search = search.clone();
        self.search(move |connection| trail::find(connection, &search, before, limit)).await
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        let flow = flow.to_owned();
        self.search(move |connection| trail::flow(connection, &flow)).await
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |connection| trail::drop_before(connection, before, limit)).await
    }

    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize> {
        let surplus = move |count: u64| {
            usize::try_from(count.saturating_sub(rows)).unwrap_or(usize::MAX).min(limit)
        };
        if surplus(self.search(|connection| trail::count(connection)).await?) == 0 {
            return Ok(0);
        }
        // Counted again inside the transaction: another server may have dropped the same surplus.
        self.write(move |connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let dropped = trail::drop_oldest(&change, surplus(trail::count(&change)?))?;
            change.commit()?;
            Ok(dropped)
        })
        .await
    }
}

/// Locks a connection. A thread that panicked with it left it usable: a transaction is rolled back
/// when it is dropped.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Converts to SQLite's signed 64-bit integer. Larger numbers become `i64::MAX`.
fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
