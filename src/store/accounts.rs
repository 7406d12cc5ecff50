//! The source of a server's accounts: the host's [`Accounts`], or a store that loads them.

use std::future::Future;

use super::{FailureCause, Store};
use crate::account::Accounts;
use crate::decision::Loaded;
use crate::keys::Keys;
use crate::value::text::Subject;

/// A store that loads accounts in the same round trip as its records.
///
/// An implementation promises that [`load`](Store::load), [`load_grants`](Store::load_grants) and
/// [`inspect`](Store::inspect) fill [`Loaded::account`], [`Loaded::owner`] and, where
/// [`Keys::balance`] asks for it, [`Loaded::balance`] with what its [`Accounts`] return, unless
/// [`Keys::skip_accounts`] is set. [`Loaded::fill_accounts`] does so where no join is possible. A
/// server asks for [`Accounts::refresh_decision`] itself.
///
/// ```
/// # use grantcore::{LoadsAccounts, MemoryStore, Policy, Server};
/// use grantcore::FromStore;
///
/// /// A server whose accounts come from its store, without a read of their own.
/// fn server(policy: Policy, store: impl LoadsAccounts) -> Server<impl LoadsAccounts> {
///     Server::new(policy, store, FromStore)
/// }
/// ```
pub trait LoadsAccounts: Store + Accounts {}

/// Takes the accounts from a store that [loads them](LoadsAccounts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a unit struct is its own constructor")]
pub struct FromStore;

/// The source of a server's accounts: any [`Accounts`], or [`FromStore`]. A host cannot implement
/// it.
///
/// [`Accounts`] that are passed to a server replace the accounts that its store loads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` brings no accounts to a server over `{S}`",
    label = "neither `Accounts`, nor `FromStore` with a store that implements `LoadsAccounts`",
    note = "pass `AlwaysActive`, or a type of the host's that implements `Accounts`"
)]
pub trait AccountSource<S: Store>: Send + Sync + Sealed<S> {
    /// Whether the store loads the accounts.
    #[doc(hidden)]
    const IN_STORE: bool;

    /// Loads the accounts that the store did not load, and the host's decision about a grant that
    /// is being refreshed.
    #[doc(hidden)]
    fn complete(
        &self,
        store: &S,
        keys: &Keys<'_>,
        loaded: &mut Loaded,
    ) -> impl Future<Output = Result<(), FailureCause<S::Error>>> + Send;

    #[doc(hidden)]
    fn raise_epoch(
        &self,
        store: &S,
        subject: &str,
    ) -> impl Future<Output = Result<bool, FailureCause<S::Error>>> + Send;
}

mod sealed {
    #![expect(unnameable_types, reason = "a trait that cannot be named cannot be implemented")]

    /// Keeps hosts from implementing an account source of their own.
    pub trait Sealed<S> {}
}

pub(crate) use self::sealed::Sealed;

impl<S: LoadsAccounts> Sealed<S> for FromStore {}
impl<S, A: Accounts> Sealed<S> for A {}

impl<S: LoadsAccounts> AccountSource<S> for FromStore {
    const IN_STORE: bool = true;

    async fn complete(
        &self,
        store: &S,
        keys: &Keys<'_>,
        loaded: &mut Loaded,
    ) -> Result<(), FailureCause<<S as Store>::Error>> {
        let filled = loaded.fill_refresh_decision(keys, store).await;
        filled.map_err(|error| FailureCause::Accounts(error.into()))
    }

    async fn raise_epoch(
        &self,
        store: &S,
        subject: &str,
    ) -> Result<bool, FailureCause<<S as Store>::Error>> {
        store.raise_epoch(subject).await.map_err(|error| FailureCause::Accounts(error.into()))
    }
}

// Hidden, because its hidden items would be dead links on the page of each type with accounts.
#[doc(hidden)]
impl<S: Store, A: Accounts> AccountSource<S> for A {
    const IN_STORE: bool = false;

    async fn complete(
        &self,
        _: &S,
        keys: &Keys<'_>,
        loaded: &mut Loaded,
    ) -> Result<(), FailureCause<S::Error>> {
        let filled = loaded.fill_accounts(keys, self).await;
        filled.map_err(|error| FailureCause::Accounts(error.into()))
    }

    async fn raise_epoch(&self, _: &S, subject: &str) -> Result<bool, FailureCause<S::Error>> {
        let raised = Accounts::raise_epoch(self, subject).await;
        raised.map_err(|error| FailureCause::Accounts(error.into()))
    }
}

impl Loaded {
    /// Loads the earlier grant that the keys or the loaded grant name, if there is one: see
    /// [`Keys::remembered_id`]. Call it after all other records are loaded.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn fill_remembered<S: Store>(
        &mut self,
        keys: &Keys<'_>,
        store: &S,
    ) -> Result<(), S::Error> {
        let grant = self.grant.as_ref().map(|stored| &*stored.record);
        if let Some(id) = keys.remembered_id(grant) {
            self.remembered = store.grant(id).await?;
        }
        Ok(())
    }

    /// Replaces the loaded accounts with those of `accounts`: the account of the user, that of the
    /// client's owner and, where the keys ask for them, the balance of the payer and the
    /// decision about the grant.
    ///
    /// # Errors
    /// The first error of `accounts`. The loaded accounts are then unchanged.
    pub async fn fill_accounts<A: Accounts>(
        &mut self,
        keys: &Keys<'_>,
        accounts: &A,
    ) -> Result<(), A::Error> {
        let grant = self.grant.as_ref().map(|stored| &*stored.record);
        let account = match keys.subject_id(grant) {
            Some(subject) => accounts.account(subject).await?,
            None => None,
        };
        let of_client = self.client.as_ref().and_then(|stored| stored.record.owner());
        let owner = match of_client.map(Subject::as_str) {
            Some(owner) => accounts.account(owner).await?,
            None => None,
        };
        let balance = match keys.payer_id(grant, of_client) {
            Some(payer) => Some(accounts.balance(payer).await?),
            None => None,
        };
        self.fill_refresh_decision(keys, accounts).await?;
        self.account = account;
        self.owner = owner;
        self.balance = balance;
        Ok(())
    }

    /// Asks for the host's decision about the grant, where the keys ask for it.
    async fn fill_refresh_decision<A: Accounts>(
        &mut self,
        keys: &Keys<'_>,
        accounts: &A,
    ) -> Result<(), A::Error> {
        if let Some(stored) =
            self.grant.as_ref().filter(|stored| keys.is_refresh_of(&stored.record))
        {
            self.refresh_decision = accounts.refresh_decision(&stored.record).await?;
        }
        Ok(())
    }
}
