//! The tables' version, and how they come to be of this crate's. Whoever starts at the same time
//! waits, and finds them ready.

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::IsolationLevel;

use crate::{PostgresError, Result};

/// Each brings the tables from the version that is its place in the list to the next, and says so
/// in `grantcore_migrations`.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_init.sql")];

/// The advisory lock of whoever changes the tables: `grantcor` in ASCII.
const LOCK: i64 = 0x6772_616e_7463_6f72;

/// Whether there are tables at all. Asked of the catalogue itself: `to_regclass` answers from a
/// cache that does not yet know what was made while one waited for the lock.
const MADE: &str = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'grantcore_migrations' AND pg_table_is_visible(oid))";

/// Whether a commit of this connection is durable when it is acknowledged.
pub(crate) async fn is_durable(connection: &Object) -> Result<bool> {
    Ok(connection
        .query_one("SELECT current_setting('synchronous_commit') <> 'off'", &[])
        .await?
        .try_get(0)?)
}

/// Brings the tables to this crate's version. Where they are, nothing is written: a role without
/// the right to will do.
pub(crate) async fn migrate(connection: &mut Object) -> Result<()> {
    if missing(connection).await?.is_empty() {
        return Ok(());
    }
    // Each statement of it must see what was committed while it waited for the lock.
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

/// The migrations that are still to be run.
async fn missing(connection: &impl GenericClient) -> Result<&'static [&'static str]> {
    if !connection.query_one(MADE, &[]).await?.try_get(0)? {
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
