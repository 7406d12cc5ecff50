//! What a host writes: three reads and one conditional write. And what it must keep for the rest to
//! hold.
//!
//! There are two tables, grants and clients, and a [`Write`] is of one row of one of them. Clients
//! that the operator adds need no write of this crate's; those that register themselves do.
//!
//! # The laws of a store
//!
//! - [`commit`](Store::commit) is a linearizable compare-and-set of one record, and
//!   [`grant`](Store::grant) reads what the last one wrote: on the primary, never from a replica or
//!   a cache that can lag. A stale read tells an honest client `invalid_grant`, and clients throw
//!   their tokens away on it.
//! - [`client`](Store::client) reads what the last commit of that client wrote, too. A cache before
//!   it must be written through, or each renewal of a client that many share conflicts until the
//!   cache forgets. Only what the host itself changes elsewhere, such as an
//!   [`account`](Store::account), may lag for as long as the host can bear.
//! - [`Commit::Done`] means durable: still there after a crash. A store that forgets acknowledged
//!   writes lets codes be redeemed twice.
//! - [`Commit::Conflict`] means nothing was written. A result that is not known (a time-out, a lost
//!   connection) is an error; the core concludes nothing from it and the client is told to retry.
//! - A record that cannot be decoded is an error, never absent. Keep it as text or bytes: a column
//!   type that looks inside, such as PostgreSQL's `jsonb`, refuses characters that a client may
//!   have sent in its `state`.
//! - [`load`](Store::load) brings the client that the request named, or none: never the grant's
//!   in its place. [`Keys::client_id`] says which it is.
//! - Nothing is assumed between records: no transaction, no order, no shared clock.
//! - The epoch of a client or an account never goes back: to change a client,
//!   [`edit`](Client::edit) it, and write it only over the version that was read
//!   ([`Write::client`]), for it may have been deactivated meanwhile.
//! - A record may be dropped after its `drop_after`, and not before; nothing depends on its being
//!   dropped. What it names already has a client outlive its grants.

use std::future::Future;
use std::sync::Arc;

use crate::account::{Account, Balance};
use crate::client::Client;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::operation::Loaded;
use crate::record::{Commit, Stored, Write};
use crate::value::credential::GrantId;
use crate::value::text::Subject;

/// Where clients and grants are kept. See the [laws](self#the-laws-of-a-store) in this module's
/// documentation.
pub trait Store {
    /// What can go wrong in the storage itself. It reaches the host whole and is never mixed with a
    /// refusal.
    type Error;

    /// The client of this `client_id`, 1 to 2,048 printable ASCII characters as a stranger sent
    /// them, with its version; where clients are never written by this crate, any constant
    /// version will do.
    ///
    /// # Errors
    /// If it cannot be known whether there is one.
    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Self::Error>;

    /// The grant of this id, with its version.
    ///
    /// # Errors
    /// If it cannot be known whether there is one, or its record cannot be decoded.
    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error>;

    /// Writes the record if the stored version is [`Change::seen`](crate::Change::seen) (or there
    /// is none, if that is nothing), together with [`Change::version`](crate::Change::version).
    ///
    /// # Errors
    /// If it cannot be known whether it was written.
    fn commit(&self, write: &Write) -> Result<Commit, Self::Error>;

    /// The ids of this user's grants in their order, at most so many of those after this one: for a
    /// page of connected apps, and for ending all of them.
    ///
    /// # Errors
    /// If they cannot be known.
    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Self::Error>;

    /// Raises the [epoch](Account::epoch) of this user's account, durably, and says that it did:
    /// every grant that captured the one before is dead from then on, those included whose
    /// consent page is being made at this very moment. Left as it is, accounts have no epoch to
    /// raise, and a user's grants are ended one by one.
    ///
    /// # Errors
    /// If it cannot be known whether it was raised.
    fn raise_epoch(&self, subject: &str) -> Result<bool, Self::Error> {
        let _ = subject;
        Ok(false)
    }

    /// How this user's account stands; nothing if there is no such account, whose grants are then
    /// dead. Left as it is, accounts always stand well.
    ///
    /// # Errors
    /// If it cannot be known.
    fn account(&self, subject: &str) -> Result<Option<Account>, Self::Error> {
        let _ = subject;
        Ok(Some(Account::ACTIVE))
    }

    /// Whether this user's account can pay for one more call. It is asked only for calls that cost
    /// something ([`Needs::billed`](crate::Needs::billed)), and by account alone: all
    /// connections share it. Left as it is, it always can.
    ///
    /// # Errors
    /// If it cannot be known.
    fn balance(&self, subject: &str) -> Result<Balance, Self::Error> {
        let _ = subject;
        Ok(Balance::Sufficient)
    }

    /// All that is known of these grants, in this order: [`load`](Self::load) of each. Override it
    /// where one round trip can bring many.
    ///
    /// # Errors
    /// If one of them cannot be known.
    fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, Self::Error> {
        ids.iter().map(|id| self.load(&Keys { grant: Some(*id), ..Keys::default() })).collect()
    }

    /// Loads all that an attempt needs. Override it where one round trip can bring the three. Which
    /// client and which account that are, [`Keys::client_id`] and [`Keys::subject_id`] say: a
    /// client that was named is that one or none, never the grant's.
    ///
    /// # Errors
    /// If one of them cannot be known.
    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Self::Error> {
        let grant = keys.grant.map(|id| self.grant(id)).transpose()?.flatten();
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        let client = keys.client_id(of_grant).map(|id| self.client(id)).transpose()?.flatten();
        let account =
            keys.subject_id(of_grant).map(|subject| self.account(subject)).transpose()?.flatten();
        let owner =
            owner_key(client.as_ref()).map(|owner| self.account(owner)).transpose()?.flatten();
        let caller = keys.caller_id().map(|id| self.client(id)).transpose()?.flatten();
        let payer =
            keys.balance.then_some(of_grant).flatten().map(|grant| grant.subject().as_str());
        let balance = payer.map(|subject| self.balance(subject)).transpose()?;
        Ok(Loaded { grant, client, account, owner, caller, balance })
    }
}

/// [`Store`], for storage that is awaited. The same laws hold; dropping a future half way counts as
/// a result that is not known.
pub trait AsyncStore: Sync {
    /// What can go wrong in the storage itself.
    type Error: Send;

    /// See [`Store::client`].
    fn client(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<Stored<Client>>, Self::Error>> + Send;

    /// See [`Store::grant`].
    fn grant(
        &self,
        id: GrantId,
    ) -> impl Future<Output = Result<Option<Stored<Grant>>, Self::Error>> + Send;

    /// See [`Store::commit`].
    fn commit(&self, write: &Write) -> impl Future<Output = Result<Commit, Self::Error>> + Send;

    /// See [`Store::grants_of`].
    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<GrantId>, Self::Error>> + Send;

    /// See [`Store::raise_epoch`].
    fn raise_epoch(&self, subject: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        let _ = subject;
        async { Ok(false) }
    }

    /// See [`Store::balance`].
    fn balance(&self, subject: &str) -> impl Future<Output = Result<Balance, Self::Error>> + Send {
        let _ = subject;
        async { Ok(Balance::Sufficient) }
    }

    /// See [`Store::load_grants`].
    fn load_grants(
        &self,
        ids: &[GrantId],
    ) -> impl Future<Output = Result<Vec<Loaded>, Self::Error>> + Send {
        async move {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.push(self.load(&Keys { grant: Some(*id), ..Keys::default() }).await?);
            }
            Ok(found)
        }
    }

    /// See [`Store::account`].
    fn account(
        &self,
        subject: &str,
    ) -> impl Future<Output = Result<Option<Account>, Self::Error>> + Send {
        let _ = subject;
        async { Ok(Some(Account::ACTIVE)) }
    }

    /// See [`Store::load`].
    fn load(&self, keys: &Keys<'_>) -> impl Future<Output = Result<Loaded, Self::Error>> + Send {
        async {
            let grant = match keys.grant {
                Some(id) => self.grant(id).await?,
                None => None,
            };
            let of_grant = grant.as_ref().map(|stored| &*stored.record);
            let client = match keys.client_id(of_grant) {
                Some(id) => self.client(id).await?,
                None => None,
            };
            let account = match keys.subject_id(of_grant) {
                Some(subject) => self.account(subject).await?,
                None => None,
            };
            let owner = match owner_key(client.as_ref()) {
                Some(owner) => self.account(owner).await?,
                None => None,
            };
            let caller = match keys.caller_id() {
                Some(id) => self.client(id).await?,
                None => None,
            };
            let balance = match keys.balance.then_some(of_grant).flatten() {
                Some(grant) => Some(self.balance(grant.subject().as_str()).await?),
                None => None,
            };
            Ok(Loaded { grant, client, account, owner, caller, balance })
        }
    }
}

/// Whose client it is.
fn owner_key(client: Option<&Stored<Client>>) -> Option<&str> {
    client.and_then(|stored| stored.record.owner()).map(Subject::as_str)
}

/// A pointer to a store is a store.
macro_rules! forward {
    ($pointer:ty) => {
        impl<S: Store> Store for $pointer {
            type Error = S::Error;

            fn client(&self, id: &str) -> Result<Option<Stored<Client>>, S::Error> {
                (**self).client(id)
            }

            fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, S::Error> {
                (**self).grant(id)
            }

            fn commit(&self, write: &Write) -> Result<Commit, S::Error> {
                (**self).commit(write)
            }

            fn grants_of(
                &self,
                subject: &str,
                after: Option<GrantId>,
                limit: usize,
            ) -> Result<Vec<GrantId>, S::Error> {
                (**self).grants_of(subject, after, limit)
            }

            fn raise_epoch(&self, subject: &str) -> Result<bool, S::Error> {
                (**self).raise_epoch(subject)
            }

            fn balance(&self, subject: &str) -> Result<Balance, S::Error> {
                (**self).balance(subject)
            }

            fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, S::Error> {
                (**self).load_grants(ids)
            }

            fn account(&self, subject: &str) -> Result<Option<Account>, S::Error> {
                (**self).account(subject)
            }

            fn load(&self, keys: &Keys<'_>) -> Result<Loaded, S::Error> {
                (**self).load(keys)
            }
        }
    };
}

forward!(&S);
forward!(Arc<S>);

/// All calls of an [`AsyncStore`] but `commit`, passed on to another.
macro_rules! passed_on {
    ($self:ident => $store:expr) => {
        async fn client(&$self, id: &str) -> Result<Option<Stored<Client>>, Self::Error> {
            $store.client(id).await
        }

        async fn grant(&$self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error> {
            $store.grant(id).await
        }

        async fn grants_of(&$self, subject: &str, after: Option<GrantId>, limit: usize) -> Result<Vec<GrantId>, Self::Error> {
            $store.grants_of(subject, after, limit).await
        }

        async fn raise_epoch(&$self, subject: &str) -> Result<bool, Self::Error> {
            $store.raise_epoch(subject).await
        }

        async fn balance(&$self, subject: &str) -> Result<Balance, Self::Error> {
            $store.balance(subject).await
        }

        async fn account(&$self, subject: &str) -> Result<Option<Account>, Self::Error> {
            $store.account(subject).await
        }

        async fn load(&$self, keys: &Keys<'_>) -> Result<Loaded, Self::Error> {
            $store.load(keys).await
        }

        async fn load_grants(&$self, ids: &[GrantId]) -> Result<Vec<Loaded>, Self::Error> {
            $store.load_grants(ids).await
        }
    };
}

#[cfg(feature = "conformance")]
pub(crate) use passed_on;

impl<S: AsyncStore> AsyncStore for &S {
    type Error = S::Error;

    passed_on!(self => (**self));

    async fn commit(&self, write: &Write) -> Result<Commit, S::Error> {
        (**self).commit(write).await
    }
}

impl<S: AsyncStore + Send> AsyncStore for Arc<S> {
    type Error = S::Error;

    passed_on!(self => (**self));

    async fn commit(&self, write: &Write) -> Result<Commit, S::Error> {
        (**self).commit(write).await
    }
}
