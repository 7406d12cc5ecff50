//! The host's own tables in PostgreSQL, beside those of `grantcore-postgres` and over its
//! connections. They hold no grant and no client. Each call is one statement in one round trip, but
//! for those that drop events.

mod audit;
mod sessions;
mod waiting;

use deadpool_postgres::Object;
use deadpool_postgres::tokio_postgres::{IsolationLevel, Row, types::ToSql};
use grantcore::Timestamp;
use grantcore_postgres::PostgresStore;

use super::grants::Grants;
use super::ledger::Kind;
use super::transport::{self, Transport, TransportError};
use super::{AnyLedger, BackendError, Ledger, Result, Room, SessionRow, WaitingRow};
use crate::audit::{Entry, Item, Position, Search};
use crate::config::{Address, DatabaseTls};

/// Balances, sessions and the audit log.
#[derive(Clone)]
pub(crate) struct PostgresLedger {
    store: PostgresStore,
}

type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The migrations of the tables. Each leads from the version that is its index to the next.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/postgres/0001_init.sql")];

/// The advisory lock that a change of the tables takes: `gcserver` in ASCII.
const LOCK: i64 = 0x6763_7365_7276_6572;

pub(super) async fn open(address: &Address, tls: &DatabaseTls) -> Result<(Grants, AnyLedger)> {
    let (url, transport) = transport::postgres(address.reveal())?;
    let store = match transport {
        Transport::Tls => {
            let opened = PostgresStore::connect_with_tls(&url, transport::connector(tls)?).await;
            opened.map_err(|error| match BackendError::from(error) {
                error if error.to_string().ends_with("server does not support TLS") => {
                    TransportError::Unsupported.into()
                }
                error => error,
            })?
        }
        Transport::Local | Transport::Plain => PostgresStore::connect(&url).await?,
    };
    migrate(&mut store.pool().get().await?).await?;
    Ok((Grants::Postgres(store.clone()), Kind::Postgres(PostgresLedger { store }).into()))
}

/// Brings the tables to this program's version. A process that starts at the same time waits, and
/// finds them ready.
async fn migrate(connection: &mut Object) -> Result<()> {
    let change = connection
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .await?;
    change.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    change
        .batch_execute("CREATE TABLE IF NOT EXISTS server_migrations (version bigint PRIMARY KEY)")
        .await?;
    let version: i64 =
        change.query_one("SELECT count(*) FROM server_migrations", &[]).await?.try_get(0)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let missing = MIGRATIONS.get(done..).ok_or(BackendError::Newer(version))?;
    for (version, migration) in (version + 1..).zip(missing) {
        change.batch_execute(migration).await?;
        change.execute("INSERT INTO server_migrations VALUES ($1)", &[&version]).await?;
    }
    Ok(change.commit().await?)
}

impl PostgresLedger {
    async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        Ok(self.store.rows(sql, values).await?)
    }

    /// Returns the balance that a statement about one account returns, or `None` if it found none.
    async fn units(&self, sql: &str, subject: &str, more: Values<'_>) -> Result<Option<u64>> {
        if !is_text(subject) {
            return Ok(None);
        }
        let rows = self.rows(sql, &[&[&subject as &(dyn ToSql + Sync)], more].concat()).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.map(i64::cast_unsigned))
    }
}

impl Ledger for PostgresLedger {
    async fn add_account(&self, subject: &str, balance: u64) -> Result<()> {
        let sql = "INSERT INTO balances (subject, balance) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.rows(sql, &[&subject, &number(balance)]).await.map(drop)
    }

    async fn name_account(&self, subject: &str, name: &str) -> Result<()> {
        if !is_text(name) {
            return Ok(());
        }
        let sql = "UPDATE balances SET name = $2 WHERE subject = $1 AND name IS DISTINCT FROM $2";
        self.rows(sql, &[&subject, &name]).await.map(drop)
    }

    async fn name_account_once(&self, subject: &str, name: &str) -> Result<()> {
        if !is_text(name) {
            return Ok(());
        }
        let sql = "UPDATE balances SET name = $2 WHERE subject = $1 AND name IS NULL";
        self.rows(sql, &[&subject, &name]).await.map(drop)
    }

    async fn account_names(&self) -> Result<Vec<(String, String)>> {
        let sql = "SELECT subject, name FROM balances WHERE name IS NOT NULL ORDER BY subject";
        let rows = self.rows(sql, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    async fn accounts(&self) -> Result<Vec<(String, u64)>> {
        let rows = self.rows("SELECT subject, balance FROM balances ORDER BY subject", &[]).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned())))
            .collect()
    }

    async fn balance(&self, subject: &str) -> Result<Option<u64>> {
        self.units("SELECT balance FROM balances WHERE subject = $1", subject, &[]).await
    }

    async fn top_up(&self, subject: &str, by: u64) -> Result<Option<u64>> {
        let by = number(by);
        let sql = "UPDATE balances SET balance = least(balance, $2) + $3 WHERE subject = $1 RETURNING balance";
        self.units(sql, subject, &[&(i64::MAX - by), &by]).await
    }

    async fn spend(&self, subject: &str) -> Result<Option<u64>> {
        let sql = "UPDATE balances SET balance = balance - 1 WHERE subject = $1 AND balance > 0 RETURNING balance";
        self.units(sql, subject, &[]).await
    }

    async fn open_session(
        &self,
        digest: &str,
        row: &SessionRow,
        previous: Option<&str>,
        limit: usize,
    ) -> Result<()> {
        self.add_session(digest, row, previous, limit).await
    }

    async fn session(&self, digest: &str) -> Result<Option<SessionRow>> {
        self.find_session(digest).await
    }

    async fn close_session(&self, digest: &str) -> Result<()> {
        self.end_session(digest).await
    }

    async fn drop_sessions(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.drop_expired(now, limit).await
    }

    async fn add_waiting(&self, digest: &str, row: &WaitingRow, room: Room) -> Result<()> {
        self.add_waiting(digest, row, room).await
    }

    async fn claim_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        self.claim_waiting(digest, browser).await
    }

    async fn take_waiting(&self, digest: &str, browser: &str) -> Result<Option<WaitingRow>> {
        self.take_waiting(digest, browser).await
    }

    async fn drop_waiting(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.drop_waiting(now, limit).await
    }

    async fn append(&self, items: Vec<Item>, _: bool) -> Result<()> {
        self.append_all(&Item::entries(&items)).await
    }

    async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, Entry)>> {
        self.find_events(search, before, limit).await
    }

    async fn flow(&self, flow: &str) -> Result<Vec<Entry>> {
        self.flow_events(flow).await
    }

    async fn drop_before(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.drop_events(before, limit).await
    }

    async fn drop_over(&self, rows: u64, limit: usize) -> Result<usize> {
        self.drop_surplus(rows, limit).await
    }
}

/// Returns whether PostgreSQL can keep `text`. Its text has no U+0000.
fn is_text(text: &str) -> bool {
    !text.contains('\0')
}

/// Converts to PostgreSQL's `bigint`. Larger numbers become `i64::MAX`.
fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
