//! The journal mode of the file, and its tables.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{BUSY_TIMEOUT, Result, SqliteError};

/// Each entry brings the tables from the version of its place in the list to the next version.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_init.sql")];

const WAL_RETRY: Duration = Duration::from_millis(10);

/// Sets WAL mode, which the file keeps. SQLite does not wait while another process does the same to
/// a new file: it reports that the file is busy.
pub(crate) fn enable_wal(connection: &Connection) -> Result<()> {
    let mut retries = BUSY_TIMEOUT.as_millis() / WAL_RETRY.as_millis();
    loop {
        // SQLite does not fail if it cannot set the mode: it answers the mode that stays.
        let set = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match set {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(SqliteError::Journal(mode)),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && retries > 0 =>
            {
                retries -= 1;
                std::thread::sleep(WAL_RETRY);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Brings the tables to this crate's version, once, also if several processes open the file.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch(
        "CREATE TABLE IF NOT EXISTS grantcore_migrations (version INTEGER PRIMARY KEY) STRICT",
    )?;
    let version =
        change.query_row("SELECT count(*) FROM grantcore_migrations", [], |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.get(done..).ok_or(SqliteError::Newer(version))? {
        change.execute_batch(migration)?;
        change.execute("INSERT INTO grantcore_migrations DEFAULT VALUES", [])?;
    }
    Ok(change.commit()?)
}
