//! A decision, sealed until its write is durable.

use super::{Loaded, Next};
use crate::client::{Client, Registration};
use crate::event::{ClientProof, Durability, Event, EventKind};
use crate::moment::{CorrelationId, Moment, Stamp};
use crate::outside::Need;
use crate::reason::{Endpoint, Reason};
use crate::record::{Change, Commit, Write};
use crate::refusal::{Fault, Redirectable, Refusal};
use crate::request::metadata::{Dropped, Sender};
use crate::seen::Seen;
use crate::value::text::log_text;

/// A decision: at most one write, and an outcome that stays sealed until the write is durable (LAW
/// 1).
#[derive(Debug)]
#[must_use = "commit its write, then settle it"]
pub struct Decision<T> {
    write: Option<Write>,
    /// The response or the refusal, until it is taken.
    outcome: Option<Result<T, Refusal>>,
    event: Event,
    write_failed: WriteFailed,
    /// What a durable write leads to.
    end: End,
}

/// What follows once the write of a decision is durable.
#[derive(Debug)]
enum End {
    /// The outcome.
    Settles,
    /// Another decision: the write is that of a client's record, before one of its grants.
    Prepares,
    /// Another decision on the same records: the write is a mark.
    Marks,
    /// Another decision, after the host's answer. There is no write.
    Needs(Box<Need>),
}

/// How a failure of the write is answered.
#[derive(Debug, Default)]
pub(super) enum WriteFailed {
    /// In the plain form of the endpoint.
    #[default]
    Plain,
    /// By redirect to the client, as the grant to be written names it. Nothing is built for a write
    /// that succeeds: a refusal beside each took 5 allocations of an authorization.
    Redirect { at_once: bool },
    /// By this refusal.
    Refusal(Box<Refusal>),
}

/// The outcome of a decision whose write is durable, with its audit event.
#[derive(Debug)]
#[must_use = "the outcome is the response, and the event is to be recorded"]
#[expect(clippy::exhaustive_structs, reason = "a host that drives by hand takes it apart")]
pub struct Settled<T> {
    /// The response, or the refusal.
    pub outcome: Result<T, Refusal>,
    /// The audit event.
    pub event: Event,
}

// A decision has about 400 bytes, and each move of it takes 60 to 80 instructions. A function moves
// it that changes it after it was made. So the driver keeps it in one place, and the common steps
// make it in one go. Methods that take and return it, such as `writing`, are for rare steps.
impl<T> Decision<T> {
    pub(crate) fn allow(kind: EventKind, response: T, loaded: &Loaded, moment: &Moment) -> Self {
        let event = loaded.records().event(kind, None, moment.stamp());
        Self::settling(Ok(response), event)
    }

    fn settling(outcome: Result<T, Refusal>, event: Event) -> Self {
        Self::of(None, outcome, event, WriteFailed::Plain)
    }

    pub(super) fn of(
        write: Option<Write>,
        outcome: Result<T, Refusal>,
        event: Event,
        write_failed: WriteFailed,
    ) -> Self {
        Self { write, outcome: Some(outcome), event, write_failed, end: End::Settles }
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
        let (refusal, event) = loaded.records().refused(refusal, moment.stamp());
        Self::settling(Err(refusal), event)
    }

    pub(crate) fn writing(mut self, write: Write) -> Self {
        self.set_write(write);
        self
    }

    /// Sets the write.
    pub(crate) fn set_write(&mut self, write: Write) {
        self.event.note_write(&write);
        self.write = Some(write);
    }

    /// Makes a preliminary write: of the client, before a grant of that client. The request is
    /// decided again, with the same entropy, once the write is durable.
    pub(crate) fn prepare(
        write: Write,
        endpoint: Endpoint,
        loaded: &Loaded,
        moment: &Moment,
    ) -> Self {
        Self {
            end: End::Prepares,
            ..Self::refuse(Reason::Contended, endpoint, loaded, moment).writing(write)
        }
    }

    /// Creates a mark. Once it is durable, the request is decided again on the same records.
    pub(crate) fn mark(seen: Seen, endpoint: Endpoint, loaded: &Loaded, moment: &Moment) -> Self {
        let write = Write::Seen(Box::new(seen));
        Self {
            end: End::Marks,
            ..Self::refuse(Reason::Contended, endpoint, loaded, moment).writing(write)
        }
    }

    /// Asks the host. Once it has answered, the request is decided again.
    pub(crate) fn ask(need: Need, endpoint: Endpoint, loaded: &Loaded, moment: &Moment) -> Self {
        Self {
            end: End::Needs(Box::new(need)),
            ..Self::refuse(Reason::Contended, endpoint, loaded, moment)
        }
    }

    /// Returns whether the decision can be given without the mark of an assertion that it rests
    /// on: it asks the host, or it refuses for now and the client can come again with the same
    /// assertion (SEEN-07).
    pub(crate) fn precedes_marks(&self) -> bool {
        match self.end {
            End::Needs(_) => true,
            End::Prepares | End::Marks => false,
            End::Settles => self.refusal().is_some_and(|refusal| refusal.reason().is_retryable()),
        }
    }

    /// Records in the event which request used the assertion first.
    pub(crate) fn replaying(mut self, first: CorrelationId) -> Self {
        self.event.first = Some(first);
        self
    }

    /// Answers with this refusal if the write fails, instead of in the plain form of the endpoint.
    pub(crate) fn if_not_written(mut self, refusal: Refusal) -> Self {
        self.write_failed = WriteFailed::Refusal(Box::new(refusal));
        self
    }

    /// Answers by redirect if the write of a grant with a consent page fails, with the redirect URI
    /// and the state of that grant. Without `at_once`, a page shows the error first.
    pub(crate) fn redirect_if_not_written(&mut self, at_once: bool) {
        self.write_failed = WriteFailed::Redirect { at_once };
    }

    /// Records the claimed `client_id` in the event if there is no such client.
    pub(crate) fn claimed_by(mut self, client_id: &str) -> Self {
        self.event.claim(client_id);
        self
    }

    /// Attributes the event to this client if the operator registered the client and it
    /// authenticated. Anybody can send the id of a public client, and anybody can register a client
    /// and authenticate as it.
    pub(crate) fn attribute_to(&mut self, client: &Client) {
        let is_operators = client.registration() == Registration::Operator;
        self.event.attributed |= is_operators && client.is_confidential();
    }

    /// Records in the event what the client proved itself with.
    pub(crate) fn set_proof(&mut self, proof: Option<ClientProof>) {
        self.event.proof = proof;
    }

    /// Marks the event as [attributed](crate::event::EventClass::Attributed), because its sender
    /// authenticated.
    pub(crate) fn attributed(mut self) -> Self {
        self.event.attributed = true;
        self
    }

    /// Records in the event why nothing was done, although the request is not refused.
    pub(crate) fn with_reason(mut self, reason: Reason) -> Self {
        self.event.reason = Some(reason);
        self
    }

    /// Records in the event what was noticed in a request that is allowed.
    pub(crate) fn with_detail(mut self, detail: Option<String>) -> Self {
        self.add_detail(detail);
        self
    }

    /// See [`with_detail`](Self::with_detail).
    pub(crate) fn add_detail(&mut self, detail: Option<String>) {
        if let Some(detail) = detail {
            let event = &mut self.event;
            event.detail = Some(match event.detail.take() {
                None => detail.into(),
                Some(earlier) => format!("{earlier} {detail}").into(),
            });
        }
    }

    /// Records in the event what was left out of a client's metadata.
    pub(crate) fn with_dropped(mut self, dropped: &Dropped) -> Self {
        let event = &mut self.event;
        event.detail = event.detail.take().or_else(|| dropped.detail().map(Into::into));
        event.dropped = dropped.members().map(log_text).collect();
        self
    }

    /// Records in the event what is known of the sender of a registration.
    pub(crate) fn sent_by(mut self, sender: &Sender) -> Self {
        self.event.set_source(sender.source());
        self.with_note(sender.note())
    }

    /// Records in the event the reason that an administrator gave, or the resource server that
    /// introspected.
    pub(crate) fn with_note(mut self, note: Option<&str>) -> Self {
        self.event.set_note(note);
        self
    }

    /// Returns the write that must be durable before the decision is settled, if there is one.
    pub fn write(&self) -> Option<&Write> {
        self.write.as_ref()
    }

    /// Opens the outcome once the write is durable. Without a write, pass [`Commit::Done`].
    ///
    /// # Errors
    /// [`Next`] if the request must be decided again, with the same entropy: after a conflict,
    /// after a preliminary write or a mark, or for an answer of the host.
    pub fn settle(mut self, commit: Commit) -> Result<Settled<T>, Next> {
        if let Some(next) = self.next(commit) {
            return Err(next);
        }
        self.mark_durable();
        Ok(self.take_settled())
    }

    /// Returns how the request goes on if it must be decided again.
    pub(crate) fn next(&mut self, commit: Commit) -> Option<Next> {
        match (std::mem::replace(&mut self.end, End::Settles), &self.write) {
            (End::Needs(need), _) => Some(Next::Need(need)),
            (End::Prepares, _) => Some(Next::Prepared),
            (End::Marks, Some(Write::Seen(seen))) => Some(match commit {
                Commit::Done => Next::created(seen),
                Commit::Conflict => Next::Met(seen.clone()),
            }),
            (End::Settles | End::Marks, _) => (commit == Commit::Conflict).then_some(Next::Lost),
        }
    }

    /// Returns what the host must answer, if the decision asks for something.
    pub fn need(&self) -> Option<&Need> {
        match &self.end {
            End::Needs(need) => Some(need),
            End::Settles | End::Prepares | End::Marks => None,
        }
    }

    /// Notes in the event that the write is durable.
    pub(crate) fn mark_durable(&mut self) {
        let event = &mut self.event;
        match (&self.write, &mut event.written) {
            (Some(Write::Seen(_)), _) => event.marked = Some(Durability::Durable),
            (_, Some(written)) => written.durability = Durability::Durable,
            (_, None) => {}
        }
    }

    /// Gives the decision up because the durability of its write is not known. Returns the refusal
    /// to send; the outcome is dropped unopened.
    pub fn abandon(mut self, endpoint: Endpoint) -> Refusal {
        self.give_up(Reason::StorageUnavailable, endpoint)
    }

    /// Gives the decision up and returns the refusal to send instead. The event keeps its flow and
    /// its write, whose durability is unknown.
    pub(crate) fn give_up(&mut self, reason: Reason, endpoint: Endpoint) -> Refusal {
        let event = &mut self.event;
        event.kind = EventKind::Refused;
        event.reason = Some(reason);
        let written = self.write.as_ref().and_then(Write::as_grant).map(Change::record);
        let redirected = written.and_then(|grant| Some((grant, grant.terms().redirect_uri()?)));
        let refusal = match (std::mem::take(&mut self.write_failed), redirected) {
            (WriteFailed::Refusal(refusal), _) => refusal.with_reason(reason),
            (WriteFailed::Redirect { at_once }, Some((grant, uri))) => {
                let uri = uri.clone();
                let state = grant.consent_page().and_then(|page| page.state.as_ref());
                let state = state.map(|state| state.as_str().into());
                Refusal::redirectable(reason, Redirectable { uri, state, at_once })
            }
            (WriteFailed::Plain | WriteFailed::Redirect { .. }, _) => {
                Refusal::plain(reason, endpoint)
            }
        };
        refusal.correlated(event.correlation)
    }

    /// Gives the decision up and puts the refusal in the place of its outcome.
    pub(crate) fn refuse_instead(&mut self, reason: Reason, endpoint: Endpoint) {
        let refusal = self.give_up(reason, endpoint);
        self.outcome = Some(Err(refusal));
    }

    /// Withholds the outcome, whose event could not be recorded.
    pub(crate) fn withhold(&mut self, endpoint: Endpoint) {
        let refusal = Refusal::plain(Reason::AuditUnavailable, endpoint);
        self.outcome = Some(Err(refusal.correlated(self.event.correlation)));
    }

    /// Drops the write, which was not begun. What an earlier attempt may have written stays in the
    /// event.
    pub(crate) fn drop_write(&mut self, earlier: Option<&Event>) {
        self.write = None;
        self.event.written = earlier.and_then(|earlier| earlier.written);
        self.event.marked = earlier.and_then(|earlier| earlier.marked);
    }

    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    pub(crate) fn event_mut(&mut self) -> &mut Event {
        &mut self.event
    }

    pub(crate) fn into_event(self) -> Event {
        self.event
    }

    /// Returns the refusal, if the request is refused.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.outcome.as_ref()?.as_ref().err()
    }

    /// Takes the sealed outcome. Only the driver calls it, once and after the write.
    #[expect(clippy::expect_used, reason = "an outcome leaves once")]
    pub(crate) fn take_outcome(&mut self) -> Result<T, Refusal> {
        self.outcome.take().expect("the outcome of a decision is taken once")
    }

    /// Returns the sealed outcome with its event. Only the driver calls it, once and after the
    /// write.
    pub(crate) fn take_settled(&mut self) -> Settled<T> {
        Settled { outcome: self.take_outcome(), event: self.take_event() }
    }

    /// Takes the event, and leaves one without anything in its place. To take the whole decision
    /// out of its place first would copy the event twice.
    pub(crate) fn take_event(&mut self) -> Event {
        let Event { kind, at, correlation, .. } = self.event;
        std::mem::replace(&mut self.event, Event::new(kind, None, Stamp { at, correlation }))
    }
}
