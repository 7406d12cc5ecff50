//! The interface between decisions and their driver: what an operation needs to be loaded, what it
//! decides, and what must be durable before its outcome is returned. Hosts see it as the module
//! `operation`.
//!
//! Never here: loading and writing. The driver and the store do both.

mod allowed;
mod next;
mod own;
mod records;
mod sealed;
mod single_use;

use std::sync::Arc;

pub(crate) use self::allowed::Allowed;
pub use self::next::{Marked, Next};
pub(crate) use self::own::{Own, OwnRecords};
pub use self::records::Records;
pub use self::sealed::{Decision, Settled};
pub(crate) use self::single_use::SingleUse;
use crate::account::{Account, Balance, RefreshDecision};
use crate::client::{Client, ClientStatus};
use crate::grant::Grant;
use crate::keys::{GrantList, Keys};
use crate::moment::{Moment, Timestamp};
use crate::outside::Answers;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Stored;
use crate::value::credential::GrantId;

/// One parsed request: a pure function from what is stored and the moment to a decision.
///
/// [`Server`](crate::Server) runs operations; [`drive`](crate::operation::drive()) runs one against
/// a store. A host can also do [by hand](crate::operation#by-hand) what they do: load what
/// [`keys`](Self::keys) names, call [`decide`](Self::decide), commit the decision's write,
/// [`settle`](Decision::settle) the decision, and begin again with [`Moment::after`] if it is not
/// settled. Such a host has no guard: if it stops between the commit and the record of the event, a
/// durable step stays unrecorded.
///
/// All operations are those of this crate: only the crate can make a [`Decision`].
pub trait Operation: Send + Sync {
    /// The response to a request that is allowed.
    type Response: Send;

    /// Returns what must be loaded for this attempt.
    fn keys(&self, policy: &Policy, moment: &Moment) -> Keys<'_>;

    /// Returns the part of a user's grants that must be loaded, if the operation is about several.
    /// A page is listed by [`Store::grants_of`](crate::Store::grants_of). The grants are loaded by
    /// [`Store::load_grants`](crate::Store::load_grants) and decided on as [`Loaded::list`].
    fn list(&self) -> Option<GrantList<'_>> {
        None
    }

    /// Decides. Equal arguments give equal decisions; nothing is read, drawn or written.
    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment)
    -> Decision<Self::Response>;

    /// Returns the endpoint that the operation belongs to. It determines the form of a refusal,
    /// also of the one that is sent if the store fails.
    fn endpoint(&self) -> Endpoint;
}

/// A reference to an operation is an operation.
impl<O: Operation> Operation for &O {
    type Response = O::Response;

    fn keys(&self, policy: &Policy, moment: &Moment) -> Keys<'_> {
        (**self).keys(policy, moment)
    }

    fn list(&self) -> Option<GrantList<'_>> {
        (**self).list()
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<O::Response> {
        (**self).decide(loaded, policy, moment)
    }

    fn endpoint(&self) -> Endpoint {
        (**self).endpoint()
    }
}

/// The records of one attempt. A record that does not exist is `None`; a record that cannot be read
/// is the store's error.
///
/// A store builds it as a literal that ends with `..Loaded::default()`.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a store builds it from its rows")]
pub struct Loaded {
    /// The grant.
    pub grant: Option<Stored<Grant>>,
    /// The client.
    pub client: Option<Stored<Client>>,
    /// The user's account.
    pub account: Option<Account>,
    /// The account that owns the client, if the client has an owner.
    pub owner: Option<Account>,
    /// The client that introspects a token, which may be of another client's grant.
    pub caller: Option<Stored<Client>>,
    /// The earlier grant of [`Keys::remembered_id`]. A store leaves it empty.
    pub remembered: Option<Stored<Grant>>,
    /// The balance of the [payer](Keys::payer_id), if it was asked for.
    pub balance: Option<Balance>,
    /// The host's decision about the grant, if it was asked for. A store leaves it alone:
    /// [`fill_accounts`](Self::fill_accounts) or the driver sets it.
    pub refresh_decision: RefreshDecision,
    /// The user's grants, each with its client and account, if the
    /// [operation](Operation::list) asks for a list. A store leaves it empty.
    pub list: Vec<(GrantId, Self)>,
    /// What the host has answered to this request. A store leaves it empty: the driver sets it.
    pub answers: Answers,
}

/// Returns the client if it exists, is active, has not expired, and no rule about domains refuses
/// it.
pub(crate) fn usable<'s>(
    client: Option<&'s Stored<Client>>,
    policy: &Policy,
    now: Timestamp,
) -> Result<&'s Arc<Client>, Reason> {
    match client {
        Some(stored) if stored.record.status() == ClientStatus::Deactivated => {
            Err(Reason::ClientDeactivated)
        }
        Some(stored) if stored.record.is_denied(policy) => Err(Reason::CimdDenied),
        Some(stored) if stored.record.is_expired(now) => Err(Reason::ClientUnknown),
        Some(stored) => Ok(&stored.record),
        None => Err(Reason::ClientUnknown),
    }
}

/// Returns the record if it is that of the client of this id. Impersonation: if a store loads
/// another client than the request named, the request must not act as that client (I44).
pub(crate) fn with_id<'s>(
    stored: Option<&'s Stored<Client>>,
    client_id: &str,
) -> Option<&'s Stored<Client>> {
    stored.filter(|stored| stored.record.id().as_str() == client_id)
}

impl Loaded {
    /// Returns the record of the client of this id, if it was loaded.
    pub(crate) fn client_of(&self, client_id: &str) -> Option<&Stored<Client>> {
        with_id(self.client.as_ref(), client_id)
    }

    /// Returns the record of the grant of this id, if it was loaded as the earlier grant.
    pub(crate) fn remembered(&self, id: GrantId) -> Option<&Grant> {
        self.remembered.as_ref().map(|stored| &*stored.record).filter(|grant| grant.id() == id)
    }

    /// Returns the client of this id if it exists, is active and has not expired.
    pub(crate) fn usable_client(
        &self,
        client_id: &str,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<&Arc<Client>, Reason> {
        usable(self.client_of(client_id), policy, now)
    }

    /// See [`Records::epochs_match`].
    pub(crate) fn epochs_match(&self, grant: &Grant) -> bool {
        self.records().epochs_match(grant)
    }

    /// See [`Records::check_accounts`].
    pub(crate) fn check_accounts(&self) -> Result<(), Reason> {
        self.records().check_accounts()
    }

    /// See [`Records::check_owner`].
    pub(crate) fn check_owner(&self) -> Result<(), Reason> {
        self.records().check_owner()
    }
}
