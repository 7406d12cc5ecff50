//! The connection to write with, and the writes that wait for it. Writes that wait are committed
//! together: in one transaction, and so with one wait for the disk.
//!
//! No thread is kept for it. The caller that adds a write ensures that the waiting writes are
//! committed: a blocking caller commits them itself, and an async caller sends a call to a thread
//! that may block. The writes that arrive in the meantime are the next transaction.
//!
//! Here: order and transactions. Never here: what a statement means.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::{Result, SqliteError, lock};

/// The connection to write with.
pub(crate) struct Writer {
    connection: Mutex<Connection>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    writes: Vec<Box<dyn Write>>,
    /// Whether a call that commits the waiting writes is scheduled.
    is_scheduled: bool,
}

/// A write that waits.
trait Write: Send {
    /// Returns whether it needs no transaction of its own: it changes at most one row.
    fn is_single(&self) -> bool;

    /// Runs its statements, and keeps their result until the transaction has ended.
    fn run(&mut self, connection: &Connection);

    /// Delivers its result, or the error of the transaction.
    fn deliver(self: Box<Self>, failed: Option<&Arc<rusqlite::Error>>);
}

struct Pending<W, R, D> {
    work: Option<W>,
    is_single: bool,
    result: Option<Result<R>>,
    deliver: D,
}

impl<W, R, D> Write for Pending<W, R, D>
where
    W: FnOnce(&Connection) -> Result<R> + Send,
    R: Send,
    D: FnOnce(Result<R>) + Send,
{
    fn is_single(&self) -> bool {
        self.is_single
    }

    fn run(&mut self, connection: &Connection) {
        let Some(work) = self.work.take() else { return };
        self.result =
            if self.is_single { run(connection, work) } else { run_in_savepoint(connection, work) };
    }

    fn deliver(self: Box<Self>, failed: Option<&Arc<rusqlite::Error>>) {
        match (self.result, failed) {
            (Some(Err(error)), _) => (self.deliver)(Err(error)),
            (_, Some(failed)) => (self.deliver)(Err(SqliteError::Transaction(Arc::clone(failed)))),
            (Some(done), None) => (self.deliver)(done),
            // The write panicked. `deliver` is dropped, which the caller takes for a panic.
            (None, None) => {}
        }
    }
}

/// Runs one write. A panic affects its caller alone: the other writes of the transaction continue.
fn run<R>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<R>,
) -> Option<Result<R>> {
    catch_unwind(AssertUnwindSafe(|| work(connection))).ok()
}

/// Runs one write of several statements: all of them or none.
fn run_in_savepoint<R>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<R>,
) -> Option<Result<R>> {
    if let Err(error) = execute(connection, "SAVEPOINT one_write") {
        return Some(Err(error.into()));
    }
    let result = run(connection, work);
    let ended = if matches!(result, Some(Ok(_))) {
        execute(connection, "RELEASE one_write")
    } else {
        execute(connection, "ROLLBACK TO one_write")
            .and_then(|()| execute(connection, "RELEASE one_write"))
    };
    match (result, ended) {
        (Some(Ok(_)), Err(error)) => Some(Err(error.into())),
        (result, _) => result,
    }
}

impl Writer {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection: Mutex::new(connection), waiting: Mutex::default() }
    }

    /// Adds a write to those that wait. `is_single` means that it changes at most one row, and runs
    /// no statement after that change. `deliver` is called with its result once that is durable,
    /// and dropped if `work` panics.
    pub(crate) fn add<R: Send + 'static>(
        &self,
        is_single: bool,
        work: impl FnOnce(&Connection) -> Result<R> + Send + 'static,
        deliver: impl FnOnce(Result<R>) + Send + 'static,
    ) {
        let write = Pending { work: Some(work), is_single, result: None, deliver };
        lock(&self.waiting).writes.push(Box::new(write));
    }

    /// Returns whether a call of [`commit_waiting`](Self::commit_waiting) must be scheduled for the
    /// waiting writes. Returns `false` if one is scheduled already.
    #[cfg(feature = "tokio")]
    pub(crate) fn must_schedule(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        !waiting.writes.is_empty() && !std::mem::replace(&mut waiting.is_scheduled, true)
    }

    /// Commits what waits, in one transaction, and delivers the results. Blocks.
    pub(crate) fn commit_waiting(&self) {
        let connection = lock(&self.connection);
        let mut waiting = lock(&self.waiting);
        waiting.is_scheduled = false;
        let mut writes = std::mem::take(&mut waiting.writes);
        drop(waiting);
        let failed = commit(&connection, &mut writes).err().map(Arc::new);
        // The next transaction begins while the results of this one are delivered.
        drop(connection);
        for write in writes {
            write.deliver(failed.as_ref());
        }
    }
}

/// Runs these writes in one transaction. If it fails, none of them is known to be done.
fn commit(connection: &Connection, writes: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
    match writes {
        [] => return Ok(()),
        // One statement is a transaction by itself.
        [write] if write.is_single() => {
            write.run(connection);
            return Ok(());
        }
        _ => {}
    }
    execute(connection, "BEGIN IMMEDIATE")?;
    for write in writes {
        write.run(connection);
        // After some errors, as of a full disk, SQLite has rolled the whole transaction back.
        if connection.is_autocommit() {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK),
                None,
            ));
        }
    }
    execute(connection, "COMMIT").inspect_err(|_| {
        if !connection.is_autocommit() {
            // The error of the commit is returned, and not that of the rollback.
            let _ = execute(connection, "ROLLBACK");
        }
    })
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Shows no write, because writes contain records.
impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).writes.len();
        f.debug_struct("Writer").field("waiting", &waiting).finish_non_exhaustive()
    }
}
