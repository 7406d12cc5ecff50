//! Implementations of the traits for references and shared pointers to an implementor.

use std::sync::Arc;

use super::traits::{Accounts, AuditLog, LoadsAccounts, Outside, Store, StoreAdministration};
use crate::account::{Account, Balance, RefreshDecision};
use crate::audit::AuditError;
use crate::client::Client;
use crate::decision::{Loaded, Records};
use crate::event::Event;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::outside::{DocumentRequest, FetchResult, KeysRequest, Link, Linked};
use crate::record::{Commit, Stored, Write};
use crate::seen::Seen;
use crate::store::Counts;
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;

/// Implements the traits for a pointer to an implementor.
macro_rules! forward {
    ($pointer:ty) => {
        impl<T: Store + ?Sized> Store for $pointer {
            type Error = T::Error;

            fn client(&self, id: &str) -> Result<Option<Stored<Client>>, T::Error> {
                (**self).client(id)
            }

            fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, T::Error> {
                (**self).grant(id)
            }

            fn commit(&self, write: &Write) -> Result<Commit, T::Error> {
                (**self).commit(write)
            }

            fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, T::Error> {
                (**self).seen(key)
            }

            fn grants_of(
                &self,
                subject: &str,
                after: Option<GrantId>,
                limit: usize,
            ) -> Result<Vec<GrantId>, T::Error> {
                (**self).grants_of(subject, after, limit)
            }

            fn load(&self, keys: &Keys<'_>) -> Result<Loaded, T::Error> {
                (**self).load(keys)
            }

            fn inspect(
                &self,
                keys: &Keys<'_>,
                visit: &mut (dyn FnMut(Records<'_>) + Send),
            ) -> Result<(), T::Error> {
                (**self).inspect(keys, visit)
            }

            fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, T::Error> {
                (**self).load_grants(ids)
            }
        }

        impl<T: Accounts + ?Sized> Accounts for $pointer {
            type Error = T::Error;

            fn account(&self, subject: &str) -> Result<Option<Account>, T::Error> {
                (**self).account(subject)
            }

            fn raise_epoch(&self, subject: &str) -> Result<bool, T::Error> {
                (**self).raise_epoch(subject)
            }

            fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, T::Error> {
                (**self).refresh_decision(grant)
            }

            fn balance(&self, subject: &str) -> Result<Balance, T::Error> {
                (**self).balance(subject)
            }
        }

        impl<T: LoadsAccounts + ?Sized> LoadsAccounts for $pointer {}

        impl<T: StoreAdministration + ?Sized> StoreAdministration for $pointer {
            fn add_client(&self, client: Client) -> Result<bool, T::Error> {
                (**self).add_client(client)
            }

            fn put_client(&self, client: Client) -> Result<(), T::Error> {
                (**self).put_client(client)
            }

            fn clients(
                &self,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<Stored<Client>>, T::Error> {
                (**self).clients(after, limit)
            }

            fn grants(
                &self,
                after: Option<GrantId>,
                limit: usize,
            ) -> Result<Vec<Stored<Grant>>, T::Error> {
                (**self).grants(after, limit)
            }

            fn marks(&self, after: Option<SeenKey>, limit: usize) -> Result<Vec<Seen>, T::Error> {
                (**self).marks(after, limit)
            }

            fn counts(&self) -> Result<Counts, T::Error> {
                (**self).counts()
            }

            fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, T::Error> {
                (**self).sweep(now, limit)
            }
        }

        impl<T: Outside + ?Sized> Outside for $pointer {
            fn keys(&self, needed: &KeysRequest) -> FetchResult {
                (**self).keys(needed)
            }

            fn document(&self, needed: &DocumentRequest) -> FetchResult {
                (**self).document(needed)
            }

            fn account(&self, link: &Link) -> Linked {
                (**self).account(link)
            }
        }

        impl<T: AuditLog + ?Sized> AuditLog for $pointer {
            type Reservation = T::Reservation;

            fn reserve(&self, event: &Event) -> Result<T::Reservation, AuditError> {
                (**self).reserve(event)
            }

            fn record(&self, event: &Event, reservation: T::Reservation) -> Result<(), AuditError> {
                (**self).record(event, reservation)
            }

            fn abandoned(&self, event: Event) {
                (**self).abandoned(event);
            }
        }
    };
}

forward!(&T);
forward!(Arc<T>);
