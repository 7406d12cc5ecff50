//! The traits that a host without an async runtime implements. Their async namesakes are
//! documented.

use std::convert::Infallible;
use std::error::Error;

use super::{Ready, block_on};
use crate::account::{Account, AlwaysActive, Balance, RefreshDecision};
use crate::audit::{AuditError, MemoryAuditLog};
use crate::client::Client;
use crate::decision::{Loaded, Records};
use crate::event::Event;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::outside::{DocumentRequest, FetchResult, KeysRequest, Link, Linked};
use crate::record::{Commit, Stored, Write};
use crate::seen::Seen;
use crate::store::{Counts, add_client, load_each, put_client};
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;

/// Where clients and grants are kept: see [`grantcore::Store`](crate::Store) and the
/// [laws](crate::store#the-laws-of-a-store) of a store.
pub trait Store: Send + Sync {
    /// See [`Store::Error`](crate::Store::Error).
    type Error: Error + Send + Sync + 'static;

    /// See [`Store::client`](crate::Store::client).
    ///
    /// # Errors
    /// If it is not known whether the client exists.
    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Self::Error>;

    /// See [`Store::grant`](crate::Store::grant).
    ///
    /// # Errors
    /// If it is not known whether the grant exists, or its record cannot be decoded.
    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error>;

    /// See [`Store::commit`](crate::Store::commit).
    ///
    /// # Errors
    /// If it is not known whether the record was written.
    fn commit(&self, write: &Write) -> Result<Commit, Self::Error>;

    /// See [`Store::seen`](crate::Store::seen).
    ///
    /// # Errors
    /// If it is not known whether there is such a mark, or its record cannot be decoded.
    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Self::Error> {
        let _ = key;
        Ok(None)
    }

    /// See [`Store::grants_of`](crate::Store::grants_of).
    ///
    /// # Errors
    /// If the ids are not known.
    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Self::Error>;

    /// See [`Store::load`](crate::Store::load).
    ///
    /// # Errors
    /// If one of the records is not known.
    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Self::Error> {
        block_on(load_each(&Ready(self), keys))
    }

    /// See [`Store::inspect`](crate::Store::inspect).
    ///
    /// # Errors
    /// If one of the records is not known.
    fn inspect(
        &self,
        keys: &Keys<'_>,
        visit: &mut (dyn FnMut(Records<'_>) + Send),
    ) -> Result<(), Self::Error> {
        visit(self.load(keys)?.records());
        Ok(())
    }

    /// See [`Store::load_grants`](crate::Store::load_grants).
    ///
    /// # Errors
    /// If one of the records is not known.
    fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, Self::Error> {
        ids.iter().map(|id| self.load(&Keys::of_grant(*id))).collect()
    }
}

/// The users of a host: see [`grantcore::Accounts`](crate::Accounts).
pub trait Accounts: Send + Sync {
    /// See [`Accounts::Error`](crate::Accounts::Error).
    type Error: Error + Send + Sync + 'static;

    /// See [`Accounts::account`](crate::Accounts::account).
    ///
    /// # Errors
    /// If it is not known whether there is such an account.
    fn account(&self, subject: &str) -> Result<Option<Account>, Self::Error>;

    /// See [`Accounts::raise_epoch`](crate::Accounts::raise_epoch).
    ///
    /// # Errors
    /// If it is not known whether the epoch was raised.
    fn raise_epoch(&self, subject: &str) -> Result<bool, Self::Error> {
        let _ = subject;
        Ok(false)
    }

    /// See [`Accounts::refresh_decision`](crate::Accounts::refresh_decision).
    ///
    /// # Errors
    /// If the decision is not known.
    fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, Self::Error> {
        let _ = grant;
        Ok(RefreshDecision::Keep)
    }

    /// See [`Accounts::balance`](crate::Accounts::balance).
    ///
    /// # Errors
    /// If the balance is not known.
    fn balance(&self, subject: &str) -> Result<Balance, Self::Error> {
        let _ = subject;
        Ok(Balance::Sufficient)
    }
}

/// A store that loads accounts in the same round trip: see
/// [`grantcore::LoadsAccounts`](crate::LoadsAccounts).
pub trait LoadsAccounts: Store + Accounts {}

/// The administration of a store: see
/// [`grantcore::store::StoreAdministration`](crate::store::StoreAdministration), which documents
/// each call.
pub trait StoreAdministration: Store {
    /// See [`add_client`](crate::store::StoreAdministration::add_client).
    ///
    /// # Errors
    /// If it is not known whether the client was added.
    fn add_client(&self, client: Client) -> Result<bool, Self::Error> {
        block_on(add_client(&Ready(self), client))
    }

    /// See [`put_client`](crate::store::StoreAdministration::put_client).
    ///
    /// # Errors
    /// If it is not known whether the client was written.
    fn put_client(&self, client: Client) -> Result<(), Self::Error> {
        block_on(put_client(&Ready(self), client))
    }

    /// See [`clients`](crate::store::StoreAdministration::clients).
    ///
    /// # Errors
    /// If a client of the page is not known.
    fn clients(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<Client>>, Self::Error>;

    /// See [`grants`](crate::store::StoreAdministration::grants).
    ///
    /// # Errors
    /// If a grant of the page is not known.
    fn grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<Stored<Grant>>, Self::Error>;

    /// See [`marks`](crate::store::StoreAdministration::marks).
    ///
    /// # Errors
    /// If a mark of the page is not known.
    fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>, Self::Error>;

    /// See [`counts`](crate::store::StoreAdministration::counts).
    ///
    /// # Errors
    /// If the counts are not known.
    fn counts(&self) -> Result<Counts, Self::Error>;

    /// See [`sweep`](crate::store::StoreAdministration::sweep).
    ///
    /// # Errors
    /// If it is not known what was dropped.
    fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, Self::Error>;
}

/// Answers what a request needs from outside the store: see
/// [`grantcore::Outside`](crate::Outside).
pub trait Outside: Send + Sync {
    /// See [`Outside::keys`](crate::Outside::keys).
    fn keys(&self, needed: &KeysRequest) -> FetchResult {
        let _ = needed;
        FetchResult::Failed
    }

    /// See [`Outside::document`](crate::Outside::document).
    fn document(&self, needed: &DocumentRequest) -> FetchResult {
        let _ = needed;
        FetchResult::Failed
    }

    /// See [`Outside::account`](crate::Outside::account).
    fn account(&self, link: &Link) -> Linked {
        let _ = link;
        Linked::Unavailable
    }
}

/// Where events are recorded: see [`grantcore::AuditLog`](crate::AuditLog).
pub trait AuditLog: Send + Sync {
    /// See [`AuditLog::Reservation`](crate::AuditLog::Reservation).
    type Reservation: Default + Send;

    /// See [`AuditLog::reserve`](crate::AuditLog::reserve).
    ///
    /// # Errors
    /// [`AuditError`] if there is no room.
    fn reserve(&self, event: &Event) -> Result<Self::Reservation, AuditError> {
        let _ = event;
        Ok(Self::Reservation::default())
    }

    /// See [`AuditLog::record`](crate::AuditLog::record).
    ///
    /// # Errors
    /// [`AuditError`] if the event was not recorded.
    fn record(&self, event: &Event, reservation: Self::Reservation) -> Result<(), AuditError>;

    /// See [`AuditLog::abandoned`](crate::AuditLog::abandoned). A blocking call is cut off by a
    /// panic only.
    fn abandoned(&self, event: Event);
}

impl AuditLog for () {
    type Reservation = ();

    fn record(&self, _: &Event, (): ()) -> Result<(), AuditError> {
        Ok(())
    }

    fn abandoned(&self, _: Event) {}
}

impl AuditLog for MemoryAuditLog {
    type Reservation = ();

    fn record(&self, event: &Event, (): ()) -> Result<(), AuditError> {
        self.keep(event.clone());
        Ok(())
    }

    fn abandoned(&self, event: Event) {
        self.keep(event);
    }
}

impl Accounts for AlwaysActive {
    type Error = Infallible;

    fn account(&self, _: &str) -> Result<Option<Account>, Infallible> {
        Ok(Some(Account::ACTIVE))
    }
}
