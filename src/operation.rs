//! The boundary: what an operation asks to be loaded, what it decides, and what must be durable
//! before its outcome may leave.
//!
//! Never here: how anything is loaded or written. That is [`store`](crate::Store) and the driver,
//! or a host that does both itself.

use std::sync::Arc;

use crate::account::{Account, Balance};
use crate::client::{Authentication, Client, ClientStatus, Registration};
use crate::event::{Event, EventKind, Fate, Written};
use crate::grant::Grant;
use crate::keys::{GrantList, Keys};
use crate::moment::{Moment, Timestamp};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Commit, Stored, Write};
use crate::refusal::{Fault, Refusal};
use crate::request::metadata::{Dropped, Sender};
use crate::value::credential::GrantId;
use crate::value::text::log_text;

/// One request, parsed: a pure function from what is stored and the moment to a decision.
///
/// [`drive`](crate::drive()) runs one against a store. A host may as well do what it does: load
/// what [`keys`](Self::keys) names, call [`decide`](Self::decide), commit the decision's write,
/// [`settle`](Decision::settle) it, and where that gives nothing begin again with
/// [`Moment::again`]. A host that does so has no guard: if it stops between the commit and the
/// record of the event, a durable step stays unrecorded. [`Server`](crate::Server) has
/// one. The operations are this crate's; only it can make
/// a [`Decision`].
pub trait Operation: Send + Sync {
    /// The response to a request that is allowed.
    type Response: Send;

    /// Returns what must be loaded for this attempt.
    fn keys(&self, policy: &Policy, moment: &Moment) -> Keys<'_>;

    /// Returns the part of a user's grants that must be loaded, if the operation is about several.
    /// They are listed by [`Store::grants_of`](crate::Store::grants_of), loaded by
    /// [`Store::load_grants`](crate::Store::load_grants) and decided on as [`Loaded::list`].
    fn list(&self) -> Option<GrantList<'_>> {
        None
    }

    /// Decides. Equal arguments give equal decisions; nothing is read, drawn or written.
    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment)
    -> Decision<Self::Response>;

    /// Returns the endpoint it belongs to: how a failure of the store is answered.
    fn endpoint(&self) -> Endpoint;
}

/// A reference to an operation is one.
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

/// What was found. Nothing for a record that does not exist; a record that cannot be read is the
/// store's error.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The grant.
    pub grant: Option<Stored<Grant>>,
    /// The client.
    pub client: Option<Stored<Client>>,
    /// The account's standing.
    pub account: Option<Account>,
    /// The standing of the account that owns the client, if one does.
    pub owner: Option<Account>,
    /// The client that asks about the grant of another.
    pub caller: Option<Stored<Client>>,
    /// The balance of the grant's account, if it was asked for.
    pub balance: Option<Balance>,
    /// The user's grants in the order of their ids, each with its client and account, if the
    /// [operation](Operation::list) asks for a list. A store leaves it empty.
    pub list: Vec<(GrantId, Self)>,
}

/// The client, if there is one and it is served: neither deactivated nor, as far as it was
/// registered for a time, over it.
pub(crate) fn served(
    client: Option<&Stored<Client>>,
    now: Timestamp,
) -> Result<&Arc<Client>, Reason> {
    match client {
        Some(stored) if stored.record.status() == ClientStatus::Deactivated => {
            Err(Reason::ClientDeactivated)
        }
        Some(stored) if stored.record.is_expired(now) => Err(Reason::ClientUnknown),
        Some(stored) => Ok(&stored.record),
        None => Err(Reason::ClientUnknown),
    }
}

/// The record, if it is of the client of this id. A store that loads another client than the one
/// that was named would let a stranger act as that one.
pub(crate) fn of_id<'s>(
    stored: Option<&'s Stored<Client>>,
    client_id: &str,
) -> Option<&'s Stored<Client>> {
    stored.filter(|stored| stored.record.id().as_str() == client_id)
}

impl Loaded {
    /// Returns the record of the client of this id, if it was loaded.
    pub(crate) fn client_of(&self, client_id: &str) -> Option<&Stored<Client>> {
        of_id(self.client.as_ref(), client_id)
    }

    /// Returns the client of this id, if it is [`served`].
    pub(crate) fn served(&self, client_id: &str, now: Timestamp) -> Result<&Arc<Client>, Reason> {
        served(self.client_of(client_id), now)
    }

    /// Returns whether the client and the account are those of the grant and still have the epochs
    /// that it captured. One that is missing counts as one whose epoch was raised.
    pub(crate) fn is_of_epoch(&self, grant: &Grant) -> bool {
        let client = self
            .client_of(grant.client_id().as_str())
            .is_some_and(|client| client.record.epoch() == grant.terms().client_epoch);
        client && self.account.is_some_and(|account| account.epoch == grant.terms().account().epoch)
    }

    /// Whether the accounts behind this stand well: the user's, and the client's owner's if it has
    /// one.
    pub(crate) fn check_accounts(&self) -> Result<(), Reason> {
        let good = |account: Option<Account>| account.is_some_and(|account| !account.suspended);
        let owned = self.client.as_ref().is_some_and(|client| client.record.owner().is_some());
        match (good(self.account), owned) {
            (false, _) => Err(Reason::AccountSuspended),
            (true, true) if !good(self.owner) => Err(Reason::OwnerSuspended),
            (true, _) => Ok(()),
        }
    }

    /// A step of the flow that these records belong to. A flow that is over counts for nothing:
    /// whoever kept one of its tokens can name it as often as they like.
    fn event(&self, kind: EventKind, reason: Option<Reason>, moment: &Moment) -> Event {
        let grant = self.grant.as_ref().map(|stored| &stored.record);
        Event {
            flow: grant.map(|grant| grant.id()),
            client: self.client.as_ref().map(|client| client.record.id().clone()),
            subject: grant.map(|grant| grant.subject().clone()),
            attributed: grant
                .is_some_and(|grant| grant.is_live(moment.now) && self.is_of_epoch(grant)),
            ..Event::new(kind, reason, moment)
        }
    }
}

/// A decision: what to write, and an outcome that stays sealed until that is durable (LAW 1).
#[derive(Debug)]
#[must_use = "commit its write, then settle it"]
pub struct Decision<T> {
    write: Option<Write>,
    settled: Settled<T>,
    unsaved: Option<Box<Refusal>>,
    /// Whether the write only prepares: the request is decided again when it is done.
    prepares: bool,
}

/// The outcome of a decision whose write is durable, with its audit event.
#[derive(Debug)]
#[must_use = "the outcome is the response and the event is the trail"]
pub struct Settled<T> {
    /// What to answer.
    pub outcome: Result<T, Refusal>,
    /// What happened.
    pub event: Event,
}

impl<T> Decision<T> {
    pub(crate) fn allow(kind: EventKind, response: T, loaded: &Loaded, moment: &Moment) -> Self {
        let settled = Settled { outcome: Ok(response), event: loaded.event(kind, None, moment) };
        Self { write: None, settled, unsaved: None, prepares: false }
    }

    pub(crate) fn refuse(
        fault: impl Into<Fault>,
        endpoint: Endpoint,
        loaded: &Loaded,
        moment: &Moment,
    ) -> Self {
        Self::refuse_by(Refusal::of(fault, endpoint), loaded, moment)
    }

    pub(crate) fn refuse_by(refusal: Refusal, loaded: &Loaded, moment: &Moment) -> Self {
        let mut event = Event {
            detail: refusal.detail().map(Into::into),
            ..loaded.event(EventKind::Refused, Some(refusal.reason()), moment)
        };
        // Only the operator's own pages lead to this endpoint.
        // A user who asks for a connection that does not exist can do so any number of times.
        let is_operators = refusal.endpoint() == Endpoint::Operator;
        event.attributed |= is_operators && refusal.reason() != Reason::ConnectionUnknown;
        let refusal = refusal.correlated(event.correlation);
        Self {
            write: None,
            settled: Settled { outcome: Err(refusal), event },
            unsaved: None,
            prepares: false,
        }
    }

    pub(crate) fn writing(mut self, write: Write) -> Self {
        // The trail of a request that creates its record begins with it; any other's was in what it
        // loaded.
        let event = &mut self.settled.event;
        event.written = Some(Written::of(&write));
        match &write {
            Write::Grant(change) => {
                event.flow.get_or_insert(change.id());
                event.subject.get_or_insert_with(|| change.record().subject().clone());
                event.attributed = true;
            }
            Write::Client(change) => {
                event.client.get_or_insert_with(|| change.id().clone());
            }
        }
        Self { write: Some(write), ..self }
    }

    /// A write that must be durable before this request can be decided at all: of the client,
    /// before a grant of it. There is no outcome yet; when the write is done, the request is
    /// decided again, with the same entropy.
    pub(crate) fn prepare(
        write: Write,
        endpoint: Endpoint,
        loaded: &Loaded,
        moment: &Moment,
    ) -> Self {
        Self {
            prepares: true,
            ..Self::refuse(Reason::Contended, endpoint, loaded, moment).writing(write)
        }
    }

    /// How to tell that the write could not be made, where that is not the plain way of the
    /// operation's endpoint.
    pub(crate) fn or_unsaved(self, refusal: Refusal) -> Self {
        Self { unsaved: Some(Box::new(refusal)), ..self }
    }

    /// Keeps what the client called itself in the event, when there is no such client.
    pub(crate) fn claimed_by(mut self, client_id: &str) -> Self {
        self.settled.event.claim(client_id);
        self
    }

    /// Marks the event as one of this client, if the operator registered it and it has proved who it
    /// is. A public client proves nothing: anybody can send its name.
    pub(crate) fn by(mut self, client: &Client) -> Self {
        // Anybody can register a client and then prove to be it, any number of times.
        let is_operators = client.registration() == Registration::Operator;
        let has_secret = client.authentication() != Authentication::Public;
        self.settled.event.attributed |= is_operators && has_secret;
        self
    }

    /// Marks the event as one of a sender that has proved who it is.
    pub(crate) fn authenticated(mut self) -> Self {
        self.settled.event.attributed = true;
        self
    }

    /// Keeps in the event why nothing was done, where that is no refusal.
    pub(crate) fn because(mut self, reason: Reason) -> Self {
        self.settled.event.reason = Some(reason);
        self
    }

    /// Keeps in the event what was noticed in a request that is answered.
    pub(crate) fn noticing(mut self, detail: Option<String>) -> Self {
        if let Some(detail) = detail {
            self.settled.event.detail = Some(detail.into());
        }
        self
    }

    /// Records in the event what was left out of a client's metadata.
    pub(crate) fn narrowed(mut self, dropped: &Dropped) -> Self {
        let event = &mut self.settled.event;
        event.detail = event.detail.take().or_else(|| dropped.detail().map(Into::into));
        event.dropped = dropped.members().map(log_text).collect();
        self
    }

    /// Records in the event what is known of the sender of a registration.
    pub(crate) fn sent_by(mut self, sender: &Sender) -> Self {
        self.settled.event.set_source(sender.source());
        self.noted(sender.note())
    }

    /// Records in the event the reason that an administrator gave, or the resource server that
    /// introspected.
    pub(crate) fn noted(mut self, note: Option<&str>) -> Self {
        self.settled.event.set_note(note);
        self
    }

    /// What must be committed first.
    pub fn write(&self) -> Option<&Write> {
        self.write.as_ref()
    }

    /// Opens the outcome once the write is done. Returns `None` if the request must be decided
    /// again, with the same entropy: after a conflict, or after a preliminary write. Without a
    /// write, pass [`Commit::Done`].
    pub fn settle(mut self, commit: Commit) -> Option<Settled<T>> {
        if self.is_undecided(commit) {
            return None;
        }
        self.mark_durable();
        Some(self.settled)
    }

    /// Returns whether the request must be decided again.
    pub(crate) fn is_undecided(&self, commit: Commit) -> bool {
        self.prepares || commit == Commit::Conflict
    }

    /// Returns whether the write only prepares.
    pub(crate) fn prepares(&self) -> bool {
        self.prepares
    }

    /// Notes in the event that the write is durable.
    pub(crate) fn mark_durable(&mut self) {
        if let Some(written) = &mut self.settled.event.written {
            written.fate = Fate::Durable;
        }
    }

    /// Gives the decision up because the fate of its write is not known, and returns how to say
    /// so. The outcome is dropped unopened.
    pub fn abandon(mut self, endpoint: Endpoint) -> Refusal {
        self.give_up(Reason::StorageUnavailable, endpoint)
    }

    /// Gives the decision up and returns the refusal to send instead. The event keeps its flow and
    /// its write, whose fate is unknown.
    pub(crate) fn give_up(&mut self, reason: Reason, endpoint: Endpoint) -> Refusal {
        let event = &mut self.settled.event;
        event.kind = EventKind::Refused;
        event.reason = Some(reason);
        let plain = || Refusal::plain(reason, endpoint);
        let refusal = self.unsaved.take().map_or_else(plain, |unsaved| unsaved.with_reason(reason));
        refusal.correlated(event.correlation)
    }

    /// Gives the decision up and puts the refusal in the place of its outcome.
    pub(crate) fn refuse_instead(&mut self, reason: Reason, endpoint: Endpoint) {
        let refusal = self.give_up(reason, endpoint);
        self.settled.outcome = Err(refusal);
    }

    /// Forgets the write, which was not begun. What an earlier attempt may have written stays.
    pub(crate) fn drop_write(&mut self, earlier: Option<&Event>) {
        self.write = None;
        self.settled.event.written = earlier.and_then(|earlier| earlier.written);
    }

    pub(crate) fn settled(&self) -> &Settled<T> {
        &self.settled
    }

    pub(crate) fn settled_mut(&mut self) -> &mut Settled<T> {
        &mut self.settled
    }

    /// The sealed outcome with its event. Only the driver calls it, after the write.
    pub(crate) fn into_settled(self) -> Settled<T> {
        self.settled
    }
}
