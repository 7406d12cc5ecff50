//! The server's database: the library's store of grants and clients, and beside it the host's own
//! data.
//!
//! An account exists if and only if it has a balance here. The library's stores know which accounts
//! are suspended, and not which accounts there are.

mod error;
mod grants;
mod ledger;
mod memory;
mod postgres;
mod redis;
mod sqlite;
#[cfg(test)]
pub(crate) mod tests;
mod transport;

use std::sync::Arc;

use grantcore::account::{Balance, RefreshDecision};
use grantcore::client::{ClientStatus, Registration};
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Keys, Records, Seen, SeenKey, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts, Client, LoadsAccounts, Store, Timestamp};

pub(crate) use self::error::BackendError;
pub(crate) use self::grants::Grants;
use self::ledger::Kind;
pub(crate) use self::ledger::{AnyLedger, Ledger, Room, SessionRow, WaitingRow};
use self::memory::MemoryLedger;
pub(crate) use self::transport::{Transport, check as check_transport};
use crate::config::{Database, DatabaseTls};
use crate::metrics::{Call, Meter};
use crate::organizations::Organizations;

type Result<T> = std::result::Result<T, BackendError>;

/// How many records of a kind one sweep drops at most, so that it holds no lock for long.
pub(crate) const SWEPT_AT_ONCE: u16 = 1000;

/// An open database. A clone is another handle of the same database.
#[derive(Clone)]
pub(crate) struct Backend {
    grants: Grants,
    ledger: AnyLedger,
    /// A balance below this is low.
    low_balance: u64,
    meter: Meter,
    /// The organizations whose members keep their connections.
    organizations: Arc<Organizations>,
}

/// An account: its name, whether it is suspended, and what its applications have to spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) subject: String,
    pub(crate) suspended: bool,
    /// Raised to end every grant of the account.
    pub(crate) epoch: u64,
    /// In units: a call of the API or of a tool costs one.
    pub(crate) balance: u64,
}

impl Backend {
    /// Opens a database. Balances below `low_balance` are low.
    pub(crate) async fn open(
        database: &Database,
        tls: &DatabaseTls,
        low_balance: u64,
    ) -> Result<Self> {
        let (grants, ledger) = match database {
            Database::Memory => {
                (Grants::Memory(Arc::default()), Kind::Memory(Arc::default()).into())
            }
            Database::Sqlite(path) => sqlite::open(path).await?,
            Database::Postgres(address) => postgres::open(address, tls).await?,
            Database::Redis(address) => redis::open(address, tls).await?,
        };
        let organizations = Arc::default();
        Ok(Self { grants, ledger, low_balance, meter: Meter::default(), organizations })
    }

    /// Returns the same database, with its calls measured.
    pub(crate) fn measured(self, meter: Meter) -> Self {
        Self { ledger: self.ledger.measured(meter.clone()), meter, ..self }
    }

    /// Returns the organizations whose members keep their connections.
    pub(crate) fn organizations(&self) -> &Arc<Organizations> {
        &self.organizations
    }

    /// Returns the same database, where a refresh ends the connections of an organization's former
    /// members.
    pub(crate) fn with_organizations(self, organizations: Organizations) -> Self {
        Self { organizations: Arc::new(organizations), ..self }
    }

    /// Returns the host's own data.
    pub(crate) fn ledger(&self) -> &AnyLedger {
        &self.ledger
    }

    /// Adds a client, and returns whether it was added. One that exists already stays as it is.
    pub(crate) async fn add_client(&self, client: Client) -> Result<bool> {
        self.grants.add_client(client).await
    }

    /// Writes a client that the file of settings declares, and returns whether it may be declared:
    /// a client that registered itself may not. Of a client that exists, its epoch stays, and it
    /// stays deactivated.
    pub(crate) async fn declare_client(&self, client: Client) -> Result<bool> {
        let client = Arc::new(client);
        loop {
            let seen = self.grants.client(client.id().as_str()).await?;
            let mut next = Arc::clone(&client);
            if let Some(Stored { record, .. }) = &seen {
                if record.registration() != Registration::Operator {
                    return Ok(false);
                }
                if record.status() == ClientStatus::Deactivated {
                    next = Arc::new(Client::clone(&client).deactivated());
                }
            }
            let write = Write::put_client(seen.as_ref(), next);
            let is_same = seen
                .as_ref()
                .zip(write.as_client())
                .is_some_and(|(seen, change)| seen.record == *change.record());
            if is_same || self.grants.commit(&write).await? == Commit::Done {
                return Ok(true);
            }
        }
    }

    /// Returns the library's store alone, without the ledger, for a move to another database.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Lists up to `limit` clients, ascending by their ids, after `after`.
    pub(crate) async fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>> {
        self.grants.clients(after, limit).await
    }

    /// Lists up to `limit` of the accounts whose subject fits, by subject.
    pub(crate) async fn accounts(
        &self,
        fits: impl Fn(&str) -> bool + Send,
        limit: usize,
    ) -> Result<Vec<AccountRow>> {
        let mut subjects = self.ledger.accounts().await?;
        subjects.retain(|(subject, _)| fits(subject));
        let mut rows = Vec::new();
        for (subject, balance) in subjects.into_iter().take(limit) {
            rows.extend(self.row(subject, balance).await?);
        }
        Ok(rows)
    }

    /// Returns an account, or `None` if there is no such account.
    pub(crate) async fn account_row(&self, subject: &str) -> Result<Option<AccountRow>> {
        match self.ledger.balance(subject).await? {
            Some(balance) => self.row(subject.to_owned(), balance).await,
            None => Ok(None),
        }
    }

    async fn row(&self, subject: String, balance: u64) -> Result<Option<AccountRow>> {
        let standing = self.grants.account(&subject).await?;
        Ok(standing.map(|Account { suspended, epoch }| AccountRow {
            subject,
            suspended,
            epoch,
            balance,
        }))
    }

    /// Suspends an account or lifts its suspension, and returns whether there is such an account.
    pub(crate) async fn set_suspended(&self, subject: &str, suspended: bool) -> Result<bool> {
        let is_there = self.ledger.balance(subject).await?.is_some();
        if is_there {
            self.grants.set_suspended(subject, suspended).await?;
        }
        Ok(is_there)
    }

    /// Drops some of the records that may be dropped, and returns how many. Only the size of the
    /// database depends on it.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<usize> {
        let records = self.grants.sweep(now, SWEPT_AT_ONCE.into());
        let records = self.meter.timed(Call::Sweep, records).await?;
        let sessions = self.ledger.drop_sessions(now, SWEPT_AT_ONCE.into()).await?;
        let waiting = self.ledger.drop_waiting(now, SWEPT_AT_ONCE.into()).await?;
        Ok(records + sessions + waiting)
    }

    /// Returns whether a balance can pay for a call, and whether little is left. `None` is the
    /// balance of an account that does not exist.
    fn verdict(&self, balance: Option<u64>) -> Balance {
        match balance.unwrap_or(0) {
            0 => Balance::Insufficient,
            left if left < self.low_balance => Balance::Low { left },
            _ => Balance::Sufficient,
        }
    }

    /// Completes records that are in memory, as [`complete`](Self::complete) does.
    fn completed<'r>(
        &self,
        ledger: &MemoryLedger,
        keys: &Keys<'_>,
        records: Records<'r>,
    ) -> Records<'r> {
        let grant = records.grant.map(|stored| &*stored.record);
        let owner = records.client.and_then(|client| client.record.owner());
        let subject = keys.subject.as_deref();
        let user = subject.or_else(|| grant?.subject().map(Subject::as_str));
        let exists = |subject: &str| ledger.balance_now(subject).is_some();
        let payer = keys.payer_id(grant, owner);
        Records {
            account: records.account.filter(|_| user.is_none_or(exists)),
            owner: records.owner.filter(|_| owner.is_none_or(|own| exists(own.as_str()))),
            balance: payer.map(|payer| self.verdict(ledger.balance_now(payer))),
            ..records
        }
    }

    /// Completes what the grants' store has loaded by the ledger: removes accounts that do not
    /// exist, and adds the payer's balance.
    async fn complete(
        &self,
        mut loaded: Loaded,
        subject: Option<&str>,
        balance: bool,
    ) -> Result<Loaded> {
        let grant = loaded.grant.as_ref().map(|stored| &*stored.record);
        let owner = loaded.client.as_ref().and_then(|client| client.record.owner());
        let keys = Keys { balance, ..Keys::default() };
        let payer = keys.payer_id(grant, owner);
        let user = subject.or_else(|| grant?.subject().map(Subject::as_str));
        let of_user = match user {
            Some(user) => self.ledger.balance(user).await?,
            None => None,
        };
        let owner = owner.map(Subject::as_str).filter(|_| loaded.owner.is_some());
        let of_owner = match owner {
            Some(owner) => self.ledger.balance(owner).await?,
            None => None,
        };
        loaded.balance = match payer {
            Some(payer) if Some(payer) == user => Some(self.verdict(of_user)),
            Some(payer) if Some(payer) == owner => Some(self.verdict(of_owner)),
            Some(payer) => Some(self.balance(payer).await?),
            None => None,
        };
        loaded.account = loaded.account.filter(|_| user.is_none() || of_user.is_some());
        loaded.owner = loaded.owner.filter(|_| owner.is_none() || of_owner.is_some());
        Ok(loaded)
    }
}

impl Store for Backend {
    type Error = BackendError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        self.meter.timed(Call::Client, self.grants.client(id)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        self.meter.timed(Call::Grant, self.grants.grant(id)).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit> {
        self.meter.committed(self.grants.commit(write)).await
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        self.meter.timed(Call::Seen, self.grants.seen(key)).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        self.meter.timed(Call::GrantsOf, self.grants.grants_of(subject, after, limit)).await
    }

    /// Loads from the grants' store at once, and then the balance from the ledger.
    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let of_grants = Keys { balance: false, ..keys.clone() };
        let loaded = self.meter.timed(Call::Load, self.grants.load(&of_grants)).await?;
        self.complete(loaded, keys.subject.as_deref(), keys.balance).await
    }

    /// Borrows the records that are in memory. Those of other databases are loaded.
    async fn inspect(
        &self,
        keys: &Keys<'_>,
        visit: &mut (dyn FnMut(Records<'_>) + Send),
    ) -> Result<()> {
        let (Grants::Memory(store), Kind::Memory(ledger)) = (&self.grants, &self.ledger.kind)
        else {
            // On the heap: the future of a check in memory has no room for it.
            let Loaded { grant, client, account, owner, balance, .. } =
                Box::pin(self.load(keys)).await?;
            let (grant, client) = (grant.as_ref(), client.as_ref());
            visit(Records { grant, client, account, owner, balance });
            return Ok(());
        };
        let mut complete = |records: Records<'_>| visit(self.completed(ledger, keys, records));
        let of_grants = Keys { balance: false, ..keys.clone() };
        let inspected = Store::inspect(&**store, &of_grants, &mut complete);
        Ok(self.meter.timed(Call::Load, inspected).await?)
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let mut found = Vec::with_capacity(ids.len());
        for loaded in self.meter.timed(Call::LoadGrants, self.grants.load_grants(ids)).await? {
            found.push(self.complete(loaded, None, false).await?);
        }
        Ok(found)
    }
}

impl Accounts for Backend {
    type Error = BackendError;

    async fn account(&self, subject: &str) -> Result<Option<Account>> {
        match self.ledger.balance(subject).await? {
            Some(_) => self.meter.timed(Call::Account, self.grants.account(subject)).await,
            None => Ok(None),
        }
    }

    async fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision> {
        Ok(self.organizations.decide(grant))
    }

    async fn balance(&self, subject: &str) -> Result<Balance> {
        Ok(self.verdict(self.ledger.balance(subject).await?))
    }

    async fn raise_epoch(&self, subject: &str) -> Result<bool> {
        match self.ledger.balance(subject).await? {
            Some(_) => self.meter.timed(Call::RaiseEpoch, self.grants.raise_epoch(subject)).await,
            None => Ok(false),
        }
    }
}

impl LoadsAccounts for Backend {}
