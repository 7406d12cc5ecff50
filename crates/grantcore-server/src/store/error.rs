//! The errors of a database. Each is one line that names all causes, and holds no address and no
//! password.

use std::convert::Infallible;
use std::error::Error;

use deadpool_postgres::{PoolError, tokio_postgres};
use grantcore::blocking::ThreadError;
use grantcore_postgres::PostgresError;
use grantcore_redis::{RedisStoreError, redis::RedisError};
use grantcore_sqlite::SqliteError;

use super::transport::TransportError;

/// A failure of the library's store, or of the host's own data beside it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackendError {
    #[error("{}", line(.0))]
    SqliteStore(#[from] SqliteError),
    /// A read of the library's store failed, or its thread ended before it answered.
    #[error("{}", line(.0))]
    SqliteRead(#[from] ThreadError<SqliteError>),
    #[error("{}", line(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("the file cannot be made: {0}")]
    File(#[from] std::io::Error),
    #[error("the thread that waited for the disk ended before it answered")]
    Stopped(#[from] tokio::task::JoinError),
    #[error("{}", line(.0))]
    PostgresStore(#[from] PostgresError),
    #[error("{}", line(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error("{}", line(.0))]
    Pool(#[from] PoolError),
    #[error("{}", line(.0))]
    RedisStore(#[from] RedisStoreError),
    #[error("{}", line(.0))]
    Redis(#[from] RedisError),
    /// The connection would not be protected, or the authority of TLS cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("an event or a session cannot be encoded or decoded: {0}")]
    Json(#[from] serde_json::Error),
    /// A newer version of this program made the host's own tables.
    #[error("the database is of version {0}, which this program does not know")]
    Newer(i64),
}

impl From<Infallible> for BackendError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Returns an error with its causes. The first error of a database's client says little.
pub(super) fn line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some repeat their cause.
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line.lines().collect::<Vec<_>>().join("; ")
}
