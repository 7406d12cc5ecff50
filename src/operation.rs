//! The boundary: what an operation asks to be loaded, what it decides, and what must be durable before its outcome may leave.
//!
//! Never here: how anything is loaded or written. That is [`store`](crate::Store) and the driver, or a host that does both itself.

use std::sync::Arc;

use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::grant::Grant;
use crate::moment::{Moment, Timestamp};
use crate::policy::Policy;
use crate::reason::{Reason, Surface};
use crate::refusal::Refusal;
use crate::value::credential::GrantId;

/// One request, parsed: a pure function from what is stored and the moment to a decision.
///
/// [`drive`](crate::drive()) runs one against a store. A host may as well do what it does: load what [`keys`](Self::keys) names,
/// call [`decide`](Self::decide), commit the decision's write, [`settle`](Decision::settle) it, and on a conflict begin again
/// with [`Moment::again`]. The operations are this crate's; only it can make a [`Decision`].
pub trait Operation {
    /// What it answers when the protocol says yes.
    type Response;

    /// What must be loaded for this attempt.
    fn keys(&self, moment: &Moment) -> Keys<'_>;

    /// Decides. Equal arguments give equal decisions; nothing is read, drawn or written.
    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Self::Response>;

    /// Which face of the server it belongs to: how a failure of the store is told.
    fn surface(&self) -> Surface;
}

/// A reference to an operation is one.
impl<O: Operation> Operation for &O {
    type Response = O::Response;

    fn keys(&self, moment: &Moment) -> Keys<'_> {
        (**self).keys(moment)
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<O::Response> {
        (**self).decide(loaded, policy, moment)
    }

    fn surface(&self) -> Surface {
        (**self).surface()
    }
}

/// What to load: the grant first, then the client (this one, or else the grant's) and the account (this one, or else the grant's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    /// The grant, if the request names one.
    pub grant: Option<GrantId>,
    /// The client the request claims, as it spelled it.
    pub client: Option<&'a str>,
    /// The user the host has authenticated.
    pub subject: Option<&'a str>,
}

/// What was found. Nothing for a record that does not exist; a record that cannot be read is the store's error.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The grant.
    pub grant: Option<Stored>,
    /// The client.
    pub client: Option<Arc<Client>>,
    /// The account's standing.
    pub account: Option<Account>,
}

/// A grant as stored, with the version it was read at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Its record.
    pub grant: Arc<Grant>,
    /// The version to compare when it is replaced.
    pub version: Version,
}

/// A record's version: moves at every write, so that equal versions mean an unchanged record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of a record just created.
    pub const FIRST: Self = Self(1);

    /// The version after this one.
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// How an account stands with the host, and the epoch its grants capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Whether it is suspended. Its connections are then inactive until the suspension is lifted.
    pub suspended: bool,
    /// Raised to end every grant that captured an older one: at a password change, or a security event.
    pub epoch: u64,
}

impl Account {
    /// An account in good standing whose grants were never ended.
    pub const ACTIVE: Self = Self { suspended: false, epoch: 0 };
}

impl Loaded {
    /// Whether client and account still have the epochs the grant captured. A missing one is a moved one.
    pub(crate) fn is_of_epoch(&self, grant: &Grant) -> bool {
        let client = self.client.as_ref().is_some_and(|client| client.epoch() == grant.terms().client_epoch);
        client && self.account.is_some_and(|account| account.epoch == grant.terms().account_epoch)
    }

    /// A step of the flow that these records belong to.
    fn event(&self, kind: EventKind, reason: Option<Reason>, moment: &Moment) -> Event {
        let grant = self.grant.as_ref().map(|stored| &stored.grant);
        Event {
            flow: grant.map(|grant| grant.id()),
            client: self.client.as_ref().map(|client| client.id().clone()),
            subject: grant.map(|grant| grant.subject().clone()),
            ..Event::new(kind, reason, moment)
        }
    }

    pub(crate) fn account_in_standing(&self) -> bool {
        self.account.is_some_and(|account| !account.suspended)
    }
}

/// One compare-and-set of one grant's record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "an outcome may leave only when its write is durable"]
pub struct Write {
    id: GrantId,
    seen: Option<Version>,
    grant: Arc<Grant>,
}

impl Write {
    pub(crate) fn create(id: GrantId, grant: Grant) -> Self {
        Self { id, seen: None, grant: Arc::new(grant) }
    }

    pub(crate) fn replace(id: GrantId, seen: Version, grant: Grant) -> Self {
        Self { id, seen: Some(seen), grant: Arc::new(grant) }
    }

    /// The record's key.
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The version the stored record must have; nothing if there must be no record.
    pub fn seen(&self) -> Option<Version> {
        self.seen
    }

    /// The version to store with the new record.
    pub fn version(&self) -> Version {
        self.seen.map_or(Version::FIRST, Version::next)
    }

    /// The new record.
    pub fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }

    /// From when on the record may be dropped; nothing ever depends on its having been.
    pub fn drop_after(&self) -> Timestamp {
        self.grant.drop_after()
    }
}

/// What a store says of a write. A result it cannot know, such as a time-out, is neither: it is the store's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is durable.
    Done,
    /// The record was not as seen; nothing was written.
    Conflict,
}

/// A decision: what to write, and an outcome that stays sealed until that is durable (LAW 1).
#[derive(Debug)]
#[must_use = "commit its write, then settle it"]
pub struct Decision<T> {
    write: Option<Write>,
    settled: Settled<T>,
    unsaved: Option<Box<Refusal>>,
}

/// An outcome that may leave, and the event that tells of it.
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
        Self { write: None, settled, unsaved: None }
    }

    pub(crate) fn refuse(reason: Reason, surface: Surface, loaded: &Loaded, moment: &Moment) -> Self {
        Self::refuse_by(Refusal::plain(reason, surface), loaded, moment)
    }

    pub(crate) fn refuse_by(refusal: Refusal, loaded: &Loaded, moment: &Moment) -> Self {
        let event = loaded.event(EventKind::Refused, Some(refusal.reason()), moment);
        let refusal = refusal.correlated(event.correlation);
        Self { write: None, settled: Settled { outcome: Err(refusal), event }, unsaved: None }
    }

    pub(crate) fn writing(mut self, write: Write) -> Self {
        // The flow of a request that creates its grant begins with it; any other's was in the record it loaded.
        let event = &mut self.settled.event;
        event.flow.get_or_insert(write.id());
        event.subject.get_or_insert_with(|| write.grant().subject().clone());
        Self { write: Some(write), ..self }
    }

    /// How to tell that the write could not be made, where that is not the plain way of the operation's surface.
    pub(crate) fn or_unsaved(self, refusal: Refusal) -> Self {
        Self { unsaved: Some(Box::new(refusal)), ..self }
    }

    /// Keeps what the client called itself in the event, when there is no such client.
    pub(crate) fn claimed_by(mut self, client_id: &str) -> Self {
        self.settled.event.claim(client_id);
        self
    }

    /// What must be committed first.
    pub fn write(&self) -> Option<&Write> {
        self.write.as_ref()
    }

    /// Opens the outcome once the write is done, or nothing on a conflict: load and decide again, with the same entropy. Without
    /// a write, pass [`Commit::Done`].
    pub fn settle(self, commit: Commit) -> Option<Settled<T>> {
        match commit {
            Commit::Done => Some(self.settled),
            Commit::Conflict => None,
        }
    }

    /// Gives the decision up because the fate of its write is not known: how to say so. The outcome stays sealed for ever.
    pub fn abandon(self, surface: Surface) -> Refusal {
        self.given_up(Reason::StorageUnavailable, surface).0
    }

    /// Gives the decision up: how to say so, and the event, which keeps the flow it belongs to.
    pub(crate) fn given_up(self, reason: Reason, surface: Surface) -> (Refusal, Event) {
        let refusal = self.unsaved.map_or_else(|| Refusal::plain(reason, surface), |unsaved| unsaved.because(reason));
        let refusal = refusal.correlated(self.settled.event.correlation);
        (refusal, Event { kind: EventKind::Refused, reason: Some(reason), ..self.settled.event })
    }
}
