//! The async form of the store. A request needs one hop to another thread, for its write.
//! Concurrent requests share it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

use ::tokio::sync::oneshot::{self, Receiver};
use ::tokio::task::spawn_blocking;
use ::tokio::time::timeout;
use grantcore::blocking::{self, OnThreads, ThreadError};
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Counts, Keys, Seen, SeenKey, StoreAdministration, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Account, Accounts, Client, LoadsAccounts, Store, Timestamp};
use rusqlite::Connection;

use super::writes::Encoded;
use super::{Connections, SqliteError, SqliteStore, lock, reads, writes};

type Result<T> = std::result::Result<T, ThreadError<SqliteError>>;

impl SqliteStore {
    /// Returns the store for an async server on tokio: it implements the async [`Store`],
    /// [`Accounts`] and [`StoreAdministration`].
    ///
    /// ```
    /// use grantcore::store::StoreAdministration;
    /// use grantcore::{Client, FromStore, Policy, Server};
    /// use grantcore_sqlite::SqliteStore;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("grants.sqlite");
    /// let store = SqliteStore::open(path)?.on_tokio();
    /// store.add_client(Client::public("notes-app").redirect_uri("https://app.example/cb").build()?).await?;
    ///
    /// let policy = Policy::builder("https://auth.example")
    ///     .scope("notes", "Read notes")
    ///     .resource("https://mcp.example/mcp", "notes");
    /// let server = Server::new(policy.build()?, store, FromStore);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_tokio(self) -> TokioSqliteStore {
        let threads = OnThreads::new(self, |work| drop(spawn_blocking(work)));
        TokioSqliteStore(threads)
    }
}

/// A [`SqliteStore`] for an async server on tokio. A clone is another handle of the same
/// connections.
///
/// Writes run on tokio's threads for blocking calls, and those that wait at the same time are
/// committed in one transaction. A write whose future is dropped still runs to its end.
///
/// A request's reads are a few look-ups by key. They run on the thread that polls them if the
/// connection is free, because they take less time than a hop to another thread: about 20 µs if the
/// pages are in memory. If the connection is in use, they wait for it on another thread.
///
/// Its calls panic outside of a tokio runtime.
#[derive(Clone, Debug)]
pub struct TokioSqliteStore(OnThreads<SqliteStore>);

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Reads that wait for the connection to read with.
#[derive(Default)]
pub(crate) struct Reads(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    reads: Vec<Read>,
    /// Whether a call that runs the waiting reads is scheduled.
    is_scheduled: bool,
}

/// A call for a thread that may block. It is made on drop, so that it is made as well if the
/// runtime shuts down and drops its task: other runtimes may wait for it.
struct CallOnDrop {
    store: SqliteStore,
    call: fn(&Connections),
}

impl CallOnDrop {
    /// Makes the call on a thread for blocking calls.
    fn schedule(self) {
        drop(spawn_blocking(move || drop(self)));
    }
}

impl Drop for CallOnDrop {
    fn drop(&mut self) {
        (self.call)(&self.store.0);
    }
}

impl Connections {
    /// Runs the reads that wait, in one transaction.
    fn run_waiting_reads(&self) {
        let connection = lock(&self.reader);
        let mut waiting = lock(&self.reads.0);
        waiting.is_scheduled = false;
        let reads = std::mem::take(&mut waiting.reads);
        drop(waiting);
        let mut reads = Some(reads);
        let mut run = || {
            for read in reads.take().into_iter().flatten() {
                // A panic affects its caller alone: the sender of the result is dropped.
                let _ = catch_unwind(AssertUnwindSafe(|| read(&connection)));
            }
            Ok(())
        };
        if reads::in_transaction(&connection, &mut run).is_err() {
            // There is no transaction. Each read reports its own error.
            let _ = run();
        }
    }

    fn commit_waiting_writes(&self) {
        self.writer.commit_waiting();
    }
}

impl TokioSqliteStore {
    /// Returns the blocking store. Its calls block their caller.
    pub fn inner(&self) -> &SqliteStore {
        self.0.inner()
    }

    /// Makes a call of the blocking store on a thread that may block.
    ///
    /// # Errors
    /// [`ThreadError`] if the call fails, panics or is dropped.
    pub async fn call<R: Send + 'static>(
        &self,
        call: impl FnOnce(&SqliteStore) -> std::result::Result<R, SqliteError> + Send + 'static,
    ) -> Result<R> {
        self.0.call(call).await
    }

    /// Reads from the host's own tables, on the connection that the store reads with, and as the
    /// store does: `work` may run on the thread that polls this, so that it must be as short as a
    /// look-up by key. It must not write: use [`transact`](Self::transact).
    ///
    /// # Errors
    /// [`ThreadError`] if `work` fails or panics.
    pub async fn query<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R> {
        self.read(move |connection| Ok(work(connection)?)).await
    }

    /// Writes to the host's own tables: see [`SqliteStore::transact`].
    ///
    /// # Errors
    /// [`ThreadError`] if it is not known whether `work` was done.
    pub async fn transact<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R> {
        self.write(false, move |connection| Ok(work(connection)?)).await
    }

    /// Writes like [`transact`](Self::transact), but waits up to `patience` for another write, to
    /// be committed with it. It is for writes whose result nobody needs soon, such as a log: they
    /// then need no wait for the disk of their own.
    ///
    /// # Errors
    /// [`ThreadError`] if it is not known whether `work` was done.
    pub async fn transact_with_others<R: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R> {
        let mut result = self.add(false, move |connection| Ok(work(connection)?));
        if let Ok(received) = timeout(patience, &mut result).await {
            return received_from(received);
        }
        self.schedule();
        received_from(result.await)
    }

    async fn write<R: Send + 'static>(
        &self,
        is_single: bool,
        work: impl FnOnce(&Connection) -> std::result::Result<R, SqliteError> + Send + 'static,
    ) -> Result<R> {
        let result = self.add(is_single, work);
        self.schedule();
        received_from(result.await)
    }

    fn add<R: Send + 'static>(
        &self,
        is_single: bool,
        work: impl FnOnce(&Connection) -> std::result::Result<R, SqliteError> + Send + 'static,
    ) -> Receiver<std::result::Result<R, SqliteError>> {
        let (sender, receiver) = oneshot::channel();
        self.inner().0.writer.add(is_single, work, move |result| drop(sender.send(result)));
        receiver
    }

    /// Sends a call that commits the waiting writes, unless one is scheduled.
    fn schedule(&self) {
        if self.inner().0.writer.must_schedule() {
            let store = self.inner().clone();
            CallOnDrop { store, call: Connections::commit_waiting_writes }.schedule();
        }
    }

    /// Reads on this thread if the connection is free, and otherwise on another thread, with the
    /// reads that wait already. A look-up by key takes less time than a hop to another thread.
    async fn read<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> std::result::Result<R, SqliteError> + Send + 'static,
    ) -> Result<R> {
        if let Ok(connection) = self.inner().0.reader.try_lock() {
            return Ok(work(&connection)?);
        }
        received_from(self.add_read(work).await)
    }

    fn add_read<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> std::result::Result<R, SqliteError> + Send + 'static,
    ) -> Receiver<std::result::Result<R, SqliteError>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = lock(&self.inner().0.reads.0);
        waiting.reads.push(Box::new(move |connection| {
            if !sender.is_closed() {
                drop(sender.send(work(connection)));
            }
        }));
        let must_schedule = !std::mem::replace(&mut waiting.is_scheduled, true);
        drop(waiting);
        if must_schedule {
            let store = self.inner().clone();
            CallOnDrop { store, call: Connections::run_waiting_reads }.schedule();
        }
        receiver
    }
}

/// The sender of a result is dropped only by a panic.
fn received_from<R>(
    received: std::result::Result<std::result::Result<R, SqliteError>, oneshot::error::RecvError>,
) -> Result<R> {
    received.map_err(|_| ThreadError::Panicked)?.map_err(ThreadError::Failed)
}

impl Store for TokioSqliteStore {
    type Error = ThreadError<SqliteError>;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        let id = id.to_owned();
        let row = self.read(move |connection| reads::client(connection, &id)).await?;
        Ok(reads::stored(row)?)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        let row = self.read(move |connection| reads::grant(connection, id)).await?;
        Ok(reads::stored(row)?)
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        let write = Encoded::new(write)?;
        self.write(true, move |connection| write.run(connection)).await
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        let key = *key;
        self.read(move |connection| reads::seen(connection, &key)).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        let subject = subject.to_owned();
        self.read(move |connection| reads::grants_of(connection, &subject, after, limit)).await
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let asked = keys.clone().into_owned();
        let mut loaded = self.read(move |connection| reads::load(connection, &asked)).await?;
        let grant = loaded.grant.as_ref().map(|stored| &*stored.record);
        let owner = loaded.client.as_ref().and_then(|stored| stored.record.owner());
        if let Some(payer) = keys.payer_id(grant, owner).filter(|_| !keys.skip_accounts) {
            loaded.balance = Some(self.balance(payer).await?);
        }
        Ok(loaded)
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let ids = ids.to_vec();
        self.read(move |connection| {
            let load = |id: GrantId| reads::load(connection, &Keys::of_grant(id));
            reads::in_transaction(connection, || ids.into_iter().map(load).collect())
        })
        .await
    }
}

impl Accounts for TokioSqliteStore {
    type Error = ThreadError<SqliteError>;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        let subject = subject.to_owned();
        self.read(move |connection| reads::account(connection, &subject)).await.map(Some)
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        let subject = subject.to_owned();
        self.write(true, move |connection| writes::raise_epoch(connection, &subject)).await?;
        Ok(true)
    }
}

impl LoadsAccounts for TokioSqliteStore {}

impl StoreAdministration for TokioSqliteStore {
    async fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        StoreAdministration::clients(&self.0, after, limit).await
    }

    async fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        StoreAdministration::grants(&self.0, after, limit).await
    }

    async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>> {
        StoreAdministration::marks(&self.0, after, limit).await
    }

    async fn counts(&self) -> Result<Counts> {
        StoreAdministration::counts(&self.0).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.call(move |store| blocking::StoreAdministration::sweep(store, now, limit)).await
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reads").field(&lock(&self.0).reads.len()).finish()
    }
}
