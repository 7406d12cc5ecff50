//! The version of the tables, and how they are brought up to date. Processes that start at the same
//! time wait for each other.

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::IsolationLevel;

use crate::{PostgresError, Result};

/// Each entry brings the tables from the version of its place in the list to the next version, and
/// records that in `grantcore_migrations`.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_init.sql")];

/// The advisory lock of a process that changes the tables: `grantcor` in ASCII.
const LOCK: i64 = 0x6772_616e_7463_6f72;

/// Returns whether there are tables. It reads the catalogue itself: `to_regclass` answers from a
/// cache that does not know tables that were created during the wait for the lock.
const TABLES_EXIST: &str = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'grantcore_migrations' AND pg_table_is_visible(oid))";

/// Returns whether an acknowledged commit of this connection is durable.
pub(crate) async fn is_durable(connection: &Object) -> Result<bool> {
    Ok(connection
        .query_one("SELECT current_setting('synchronous_commit') <> 'off'", &[])
        .await?
        .try_get(0)?)
}

/// Brings the tables to this crate's version. If they have it, nothing is written, so that a role
/// without the right to change tables suffices.
pub(crate) async fn migrate(connection: &mut Object) -> Result<()> {
    if missing(connection).await?.is_empty() {
        return Ok(());
    }
    // Each statement must see what was committed during the wait for the lock.
    let change = connection
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .await?;
    change.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    for migration in missing(&change).await? {
        change.batch_execute(migration).await?;
    }
    Ok(change.commit().await?)
}

/// Returns the migrations that are still to be run.
async fn missing(connection: &impl GenericClient) -> Result<&'static [&'static str]> {
    if !connection.query_one(TABLES_EXIST, &[]).await?.try_get(0)? {
        return Ok(&MIGRATIONS);
    }
    let row = connection
        .query_one("SELECT coalesce(max(version), 0) FROM grantcore_migrations", &[])
        .await?;
    let version = row.try_get(0)?;
    usize::try_from(version)
        .ok()
        .and_then(|done| MIGRATIONS.get(done..))
        .ok_or(PostgresError::Newer(version))
}
