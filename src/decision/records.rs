//! The records of a grant, borrowed from where they are kept, with the checks that a decision makes
//! of them.

use super::Loaded;
use crate::account::{Account, Balance};
use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::grant::Grant;
use crate::moment::Stamp;
use crate::reason::{Endpoint, Reason};
use crate::record::Stored;
use crate::refusal::Refusal;

/// The records of a grant with its client and its accounts, borrowed from where they are kept.
///
/// A store that keeps its records in memory passes them to a check without a copy:
/// [`Store::inspect`](crate::Store::inspect). It builds the value as a literal that ends with
/// `..Records::default()`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a store builds it from its tables")]
pub struct Records<'r> {
    /// The grant.
    pub grant: Option<&'r Stored<Grant>>,
    /// The client.
    pub client: Option<&'r Stored<Client>>,
    /// The user's account.
    pub account: Option<Account>,
    /// The account that owns the client, if the client has an owner.
    pub owner: Option<Account>,
    /// The balance of the [payer](crate::store::Keys::payer_id), if it was asked for.
    pub balance: Option<Balance>,
}

impl Loaded {
    /// Returns the records of the grant.
    pub(crate) fn records(&self) -> Records<'_> {
        Records {
            grant: self.grant.as_ref(),
            client: self.client.as_ref(),
            account: self.account,
            owner: self.owner,
            balance: self.balance,
        }
    }
}

fn is_active(account: Option<Account>) -> bool {
    account.is_some_and(|own| !own.suspended)
}

impl Records<'_> {
    /// Returns whether client and account are those of the grant and still have the epochs that the
    /// grant captured. A missing client or account counts as one whose epoch was raised. A grant
    /// without a user has no account (I39).
    pub(crate) fn epochs_match(&self, grant: &Grant) -> bool {
        let client = self.client.is_some_and(|client| {
            client.record.id().is(grant.client_id())
                && client.record.epoch() == grant.terms().client_epoch
        });
        client
            && grant.terms().account().is_none_or(|captured| {
                self.account.is_some_and(|account| account.epoch == captured.epoch)
            })
    }

    /// Checks that neither the user's account nor the account of the client's owner is suspended.
    /// A missing account counts as suspended.
    pub(crate) fn check_accounts(&self) -> Result<(), Reason> {
        if !is_active(self.account) {
            return Err(Reason::AccountSuspended);
        }
        self.check_owner()
    }

    /// Checks that the account of the client's owner is not suspended, if the client has one. A
    /// missing account counts as suspended.
    pub(crate) fn check_owner(&self) -> Result<(), Reason> {
        let is_owned = self.client.is_some_and(|client| client.record.owner().is_some());
        if is_owned && !is_active(self.owner) {
            return Err(Reason::OwnerSuspended);
        }
        Ok(())
    }

    /// Checks the accounts behind a grant: those of its user and of the client's owner, or of the
    /// owner alone if there is no user (I39).
    pub(crate) fn check_accounts_of(&self, grant: &Grant) -> Result<(), Reason> {
        match grant.subject() {
            Some(_) => self.check_accounts(),
            None => self.check_owner(),
        }
    }

    /// Makes the event of a step of the flow that these records belong to. A flow that is over does
    /// not make its event [attributed](crate::event::EventClass::Attributed): anybody who kept one
    /// of its tokens can name it any number of times.
    pub(crate) fn event(&self, kind: EventKind, reason: Option<Reason>, stamp: Stamp) -> Event {
        let mut event = Event::new(kind, reason, stamp);
        event.client = self.client.map(|client| client.record.id().clone());
        if let Some(stored) = self.grant {
            let grant = &*stored.record;
            event.flow = Some(grant.id());
            event.subject = grant.subject().cloned();
            event.attributed = grant.is_live(stamp.at) && self.epochs_match(grant);
        }
        event
    }

    /// Makes the event of a refusal, and gives the refusal the id of its request.
    pub(crate) fn refused(&self, refusal: Refusal, stamp: Stamp) -> (Refusal, Event) {
        let mut event = self.event(EventKind::Refused, Some(refusal.reason()), stamp);
        event.detail = refusal.detail().map(Into::into);
        // Only the host calls the operator's functions, so their refusals are attributed. The
        // exception is a user who asks for a connection that does not exist, any number of times.
        let is_operators = refusal.endpoint() == Endpoint::Operator;
        event.attributed |= is_operators && refusal.reason() != Reason::ConnectionUnknown;
        (refusal.correlated(stamp.correlation), event)
    }
}
