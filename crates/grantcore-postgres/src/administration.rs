//! What an operator calls: adding clients, suspending accounts, listing, counting and sweeping.

use grantcore::grant::Grant;
use grantcore::store::{Counts, Seen, SeenKey, StoreAdministration, Stored};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Client, Timestamp};

use crate::{PostgresStore, Result, queries};

impl StoreAdministration for PostgresStore {
    async fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        // No `client_id` is empty.
        let after = after.unwrap_or_default();
        let rows = self.rows(queries::CLIENTS, &[&after, &queries::count(limit)]).await?;
        rows.iter().map(queries::stored).collect()
    }

    async fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        let after = queries::id_bytes(after.as_ref());
        let rows = self.rows(queries::GRANTS, &[&after, &queries::count(limit)]).await?;
        rows.iter().map(queries::stored).collect()
    }

    async fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>> {
        let after: &[u8] = after.as_ref().map_or(&[], |key| key.as_bytes());
        let rows = self.rows(queries::MARKS, &[&after, &queries::count(limit)]).await?;
        rows.iter().map(queries::seen).collect()
    }

    /// Counts the records exactly. It reads an index of each table.
    async fn counts(&self) -> Result<Counts> {
        let rows = self.rows(queries::COUNTS, &[]).await?;
        let Some(row) = rows.first() else { return Ok(Counts::default()) };
        let clients: i64 = row.try_get(0)?;
        let grants: i64 = row.try_get(1)?;
        let marks: i64 = row.try_get(2)?;
        let counts = Counts::new(clients.unsigned_abs(), grants.unsigned_abs());
        Ok(counts.with_marks(marks.unsigned_abs()))
    }

    /// Skips records that are being written at this moment. The next call finds them.
    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        // A time that PostgreSQL cannot count is stored as never.
        let Some(now) = queries::seconds(now) else { return Ok(0) };
        let grants = self.rows(queries::SWEEP_GRANTS, &[&now, &queries::count(limit)]).await?;
        let left = queries::count(limit - grants.len());
        let clients = self.rows(queries::SWEEP_CLIENTS, &[&now, &left]).await?;
        let left = left - queries::count(clients.len());
        let marks = self.rows(queries::SWEEP_MARKS, &[&now, &left]).await?;
        Ok(grants.len() + clients.len() + marks.len())
    }
}

impl PostgresStore {
    /// Suspends an account, or lifts its suspension.
    ///
    /// # Errors
    /// [`PostgresError`](crate::PostgresError) if it is not known whether the account was written.
    pub async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<()> {
        self.write(queries::SUSPEND, &[&subject, &suspended]).await.map(|_| ())
    }

    /// Lists up to `limit` accounts that were ever suspended or whose epoch was ever raised,
    /// ascending by the bytes of their subjects, after `after`.
    ///
    /// # Errors
    /// [`PostgresError`](crate::PostgresError) if the database fails.
    pub async fn accounts(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Subject, Account)>> {
        let rows = self.rows(queries::ACCOUNTS, &[&after, &queries::count(limit)]).await?;
        let listed = rows.iter().map(|row| {
            let subject = Subject::new(row.try_get::<_, &str>(2)?);
            Ok((subject, queries::account(Some(row), 0)?))
        });
        listed.collect()
    }

    /// Writes an account, and overwrites the stored one, to move it here from another store.
    ///
    /// # Errors
    /// [`PostgresError`](crate::PostgresError) if it is not known whether the account was written.
    pub async fn put_account(&self, subject: &str, account: Account) -> Result<()> {
        let epoch = queries::signed(account.epoch);
        self.write(queries::PUT_ACCOUNT, &[&subject, &account.suspended, &epoch]).await.map(|_| ())
    }
}
