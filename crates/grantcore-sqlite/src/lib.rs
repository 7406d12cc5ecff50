//! Stores the grants and clients of a [`grantcore`] server in one SQLite file.
//!
//! ```
//! use grantcore::blocking::{Server, StoreAdministration};
//! use grantcore::{Client, FromStore, Policy};
//! use grantcore_sqlite::SqliteStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("grants.sqlite");
//! let store = SqliteStore::open(path)?;
//! let client = Client::public("notes-app").redirect_uri("https://app.example/cb").build()?;
//! // A client that exists stays as an administrator left it.
//! store.add_client(client)?;
//!
//! let policy = Policy::builder("https://auth.example")
//!     .scope("notes", "Read notes")
//!     .resource("https://mcp.example/mcp", "notes");
//! let server = Server::new(policy.build()?, store, FromStore);
//! # Ok(())
//! # }
//! ```
//!
//! # Accounts
//!
//! The store has a table of accounts of its own: [`set_suspended`](SqliteStore::set_suspended)
//! suspends one, and [`raise_epoch`](grantcore::blocking::Accounts::raise_epoch) ends its grants.
//! An account that has no row is active. A server that is given [`FromStore`](grantcore::FromStore)
//! uses this table. Give it [`Accounts`](grantcore::blocking::Accounts) on your own users table
//! instead, and the table is not read.
//!
//! # Guarantees
//!
//! - The file is in WAL mode with `synchronous=FULL`. An acknowledged write survives a crash of the
//!   program or of the system, and a power loss as far as the disk keeps its guarantees.
//! - Each change is one conditional statement. Changes that wait at the same time are committed in
//!   one transaction, with one wait for the disk. Each learns of its own conflict; if the commit
//!   fails, all of them are errors.
//! - Several processes of one machine may open the same file.
//!
//! The tables have the prefix `grantcore_`, so that they can share a file with others: see
//! `migrations/`. [`SqliteStore::open`] creates them and brings them up to date. Call
//! [`sweep`](grantcore::blocking::StoreAdministration::sweep) every few minutes: SQLite drops no
//! record by itself.
//!
//! Columns have only what is queried. The bodies of grants and clients are compressed JSON: to read
//! them, list the records with [`grants`](grantcore::blocking::StoreAdministration::grants) and
//! [`clients`](grantcore::blocking::StoreAdministration::clients).
//!
//! # In an async server
//!
//! The store blocks its caller. With the feature `tokio`, `SqliteStore::on_tokio` returns its async
//! form. With another runtime, use [`OnThreads`](grantcore::blocking::OnThreads): each call runs on
//! a thread pool of the host's.
//!
//! # Tables of the host
//!
//! [`SqliteStore::transact`] writes to tables of the host's own in the same file. A host that has a
//! connection of its own for them must have a `busy_timeout`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod administration;
mod body;
mod reads;
mod store;
mod tables;
#[cfg(feature = "tokio")]
mod tokio;
mod writer;
mod writes;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

pub use rusqlite;
use rusqlite::Connection;

#[cfg(feature = "tokio")]
pub use self::tokio::TokioSqliteStore;
use self::writer::Writer;

/// Clients, grants and accounts in one SQLite file. A clone is another handle of the same
/// connections.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Connections>);

/// Writes have a connection of their own, so that a write that waits for the file delays no read.
/// The reads of an operator also have a connection of their own, because they may be long.
#[derive(Debug)]
struct Connections {
    reader: Mutex<Connection>,
    operator: Mutex<Connection>,
    writer: Writer,
    #[cfg(feature = "tokio")]
    reads: tokio::Reads,
}

/// A failure of the database, or a record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// SQLite reported an error.
    #[error("SQLite failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// The transaction that committed this write together with others failed. It is not known
    /// whether the write was done.
    #[error("SQLite failed to commit: {0}")]
    Transaction(Arc<rusqlite::Error>),
    /// A write of the host's own panicked. It was not done.
    #[error("a write panicked")]
    Panicked,
    /// A record cannot be decoded: it is damaged, or a newer version of the library wrote it.
    #[error("a record cannot be decoded: {0}")]
    Record(#[from] serde_json::Error),
    /// A record is damaged: it cannot be decompressed.
    #[error("a record cannot be decompressed")]
    Compression,
    /// The tables were created by a newer version of this crate.
    #[error("the tables have version {0}, which this version of grantcore-sqlite does not know")]
    Newer(i64),
    /// SQLite cannot use this file in WAL mode, on which the guarantees depend. Usually the file is
    /// on a file system without shared memory, such as a network file system. A database in memory
    /// is refused as well: the connections of the store would not share it.
    #[error(
        "the file cannot be opened in WAL mode; its journal mode is {0}. The usual cause is a \
         network file system: the file must be on a local disk"
    )]
    Journal(String),
}

type Result<T> = std::result::Result<T, SqliteError>;

/// How long a write waits for a write of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl SqliteStore {
    /// Opens the file, creates it if it does not exist, and brings its tables up to date.
    ///
    /// # Errors
    /// [`SqliteError`] if it is not an SQLite file, cannot be in WAL mode, or its tables were
    /// created by a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let open = || -> Result<_> {
            let mut connection = Connection::open(path.as_ref())?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            tables::enable_wal(&connection)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            tables::migrate(&mut connection)?;
            Ok(connection)
        };
        Ok(Self(Arc::new(Connections {
            reader: Mutex::new(open()?),
            operator: Mutex::new(open()?),
            writer: Writer::new(open()?),
            #[cfg(feature = "tokio")]
            reads: tokio::Reads::default(),
        })))
    }

    /// Writes to the host's own tables in the same file: all statements of `work` or none.
    ///
    /// The writes of a process that wait at the same time, the store's own and these, are committed
    /// in one transaction, with one wait for the disk. `work` therefore begins and commits no
    /// transaction itself. A write of the host's own on another connection would wait for the file
    /// by polling.
    ///
    /// # Errors
    /// [`SqliteError`] if it is not known whether `work` was done. If `work` returns an error,
    /// nothing of it was.
    pub fn transact<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R> {
        self.write(false, move |connection| Ok(work(connection)?))
    }

    /// Adds a write to those that wait, commits them, and returns its result.
    fn write<R: Send + 'static>(
        &self,
        is_single: bool,
        work: impl FnOnce(&Connection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.0.writer.add(is_single, work, move |result| drop(sender.send(result)));
        self.0.writer.commit_waiting();
        // Another caller may have committed the write, and is about to deliver its result.
        receiver.recv().map_err(|_| SqliteError::Panicked)?
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        lock(&self.0.reader)
    }

    fn operator(&self) -> MutexGuard<'_, Connection> {
        lock(&self.0.operator)
    }
}

/// Locks a connection or its queue. A thread that panicked left it usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
