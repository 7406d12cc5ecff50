//! What a host does with its store beside the library's calls: sweeping, suspending, listing,
//! moving.

use grantcore::{Account, Client, Grant, GrantId, Stored, Subject, Timestamp};

use crate::{PostgresStore, Result, queries};

impl PostgresStore {
    /// Drops at most `most` grants and clients that may be dropped, and says how many it did. What
    /// is being written at this moment is passed over, and left to the next call.
    ///
    /// # Errors
    /// If the database fails. What was dropped until then stays so.
    pub async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize> {
        // What ends later than can be counted never ends.
        let Some(now) = queries::seconds(now) else { return Ok(0) };
        let grants = self.rows(queries::SWEEP_GRANTS, &[&now, &queries::count(limit)]).await?.len();
        let clients = self
            .rows(queries::SWEEP_CLIENTS, &[&now, &queries::count(limit - grants)])
            .await?
            .len();
        Ok(grants + clients)
    }

    /// Suspends an account, or lifts its suspension. Accounts that were never mentioned stand well.
    ///
    /// # Errors
    /// If it cannot be known whether it was written.
    pub async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<()> {
        self.write(queries::SUSPEND, &[&subject, &suspended]).await.map(|_| ())
    }

    /// The clients in the byte order of their ids: at most so many of those after this one.
    ///
    /// # Errors
    /// If the database fails, or one of them cannot be decoded.
    pub async fn clients(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stored<Client>>> {
        // No `client_id` is empty.
        let rows = self
            .rows(queries::CLIENTS, &[&after.unwrap_or_default(), &queries::count(limit)])
            .await?;
        rows.iter().map(queries::stored).collect()
    }

    /// The grants in the order of their ids, likewise: to move them to another store.
    ///
    /// # Errors
    /// If the database fails, or one of them cannot be decoded.
    pub async fn grants(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Stored<Grant>>> {
        let rows = self
            .rows(queries::GRANTS, &[&queries::id_bytes(after.as_ref()), &queries::count(limit)])
            .await?;
        rows.iter().map(queries::stored).collect()
    }

    /// The accounts that were ever suspended or raised to a new epoch, in the byte order of their
    /// names, likewise.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn accounts(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Subject, Account)>> {
        let rows = self.rows(queries::ACCOUNTS, &[&after, &queries::count(limit)]).await?;
        rows.iter()
            .map(|row| {
                Ok((Subject::new(row.try_get::<_, &str>(2)?), queries::account(Some(row), 0)?))
            })
            .collect()
    }

    /// Says how an account stands, whatever it said before: to move it here from another store.
    ///
    /// # Errors
    /// If it cannot be known whether it was written.
    pub async fn put_account(&self, subject: &str, account: Account) -> Result<()> {
        let epoch = queries::signed(account.epoch);
        self.write(queries::PUT_ACCOUNT, &[&subject, &account.suspended, &epoch]).await.map(|_| ())
    }
}
