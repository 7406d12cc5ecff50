//! What can go wrong in a database. None of it has an address or a password in it.

use std::convert::Infallible;

use grantcore_sqlite::SqliteError;

/// The store, or the host's own tables, failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    /// In the tables of the store for SQLite.
    #[error(transparent)]
    SqliteStore(#[from] SqliteError),
    /// In the host's own tables.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the file cannot be made: {0}")]
    File(#[from] std::io::Error),
    /// The tables were made by a newer version of this program.
    #[error("the database is of version {0}, which this program does not know")]
    Newer(i64),
    #[error("the thread that waited for the disk ended before it answered")]
    Stopped(#[from] tokio::task::JoinError),
}

impl From<Infallible> for BackendError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
