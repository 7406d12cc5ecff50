//! The step machine of one request. It names what is needed next and takes the result. It never
//! waits and does no I/O.
//!
//! The machine is also the guard against cancellation (LAW 10). When it is dropped, at an `await`
//! of the driver for example, it reports the step that may be durable. So every durable step is
//! recorded at least once, deduplicated by (correlation, kind); a step of unknown durability is
//! marked, and may have no durable counterpart. Nothing is reported after `mem::forget`, a leaked
//! task, `kill -9` or an abort.
//!
//! A decision is changed in place and never moved between states: the moves would cost 240 to 380
//! instructions a request, six times what the guard costs.

use super::guard::Host;
use crate::audit::AuditError;
use crate::decision::{Decision, Loaded, Operation, Settled};
use crate::event::{Event, EventKind, Written};
use crate::keys::{GrantList, Keys};
use crate::moment::{Entropy, Moment};
use crate::reason::Reason;
use crate::record::{Commit, Write};
use crate::refusal::Refusal;
use crate::store::{Failure, FailureCause};

/// How often a request is decided before it is refused as contended. Each conflict means that
/// another request made progress. A preliminary write takes one attempt as well.
const ATTEMPTS: u32 = 4;

/// What a call needs next.
pub(crate) enum Need<'a> {
    /// These records.
    Load(Keys<'a>),
    /// These grants of a user.
    List(GrantList<'a>),
    /// A reservation in the audit log for this event, before its write begins.
    Reserve(&'a Event),
    /// This write.
    Commit(&'a Write),
    /// A record of this event.
    Record(&'a Event),
    /// Nothing: it is finished.
    Nothing,
}

/// How far a decision has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no decision, or its write waits for room in the audit log. Nothing of this
    /// attempt has begun.
    Begun,
    /// The write is under way.
    Commit,
    /// The write is durable and the observer has the event. The audit log is recording it.
    Record,
    /// The event is recorded.
    Done,
}

/// One request, from its first load to the record of its event.
pub(crate) struct Call<'c, O: Operation, H: Host, E> {
    operation: &'c O,
    host: &'c H,
    moment: Moment,
    attempt: u32,
    phase: Phase,
    decision: Option<Decision<O::Response>>,
    /// The event of the previous attempt, until the next decision replaces it: its write was
    /// preliminary, or the store may have repeated a commit of its own and called it a conflict.
    earlier: Option<Box<Event>>,
    /// What failed, and the refusal to send.
    failed: Option<(FailureCause<E>, Refusal)>,
}

impl<'c, O: Operation, H: Host, E> Call<'c, O, H, E> {
    pub(crate) fn new(operation: &'c O, host: &'c H, entropy: Entropy) -> Self {
        Self {
            operation,
            host,
            moment: Moment::new(host.now(), entropy),
            attempt: 1,
            phase: Phase::Begun,
            decision: None,
            earlier: None,
            failed: None,
        }
    }

    /// Returns what is needed next.
    pub(crate) fn need(&self) -> Need<'_> {
        let Some(decision) = &self.decision else {
            return match self.operation.list() {
                Some(list) => Need::List(list),
                None => Need::Load(self.operation.keys(self.host.policy(), &self.moment)),
            };
        };
        match (self.phase, decision.write()) {
            (Phase::Begun, Some(_)) => Need::Reserve(&decision.settled().event),
            (Phase::Commit, Some(write)) => Need::Commit(write),
            (Phase::Record, _) => Need::Record(&decision.settled().event),
            _ => Need::Nothing,
        }
    }

    /// Decides on what was loaded.
    pub(crate) fn loaded(&mut self, loaded: Result<Loaded, FailureCause<E>>) {
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(cause) => return self.fail_load(cause),
        };
        let mut decision = self.decide(&loaded);
        decision.settled_mut().event.set_source(self.host.source());
        if let Some(earlier) = &self.earlier {
            carry_over_write(&mut decision.settled_mut().event, earlier);
        }
        let has_write = decision.write().is_some();
        self.decision = Some(decision);
        match has_write {
            true if self.host.fail_closed() => self.phase = Phase::Begun,
            true => self.begin_commit(),
            false => self.settle(),
        }
    }

    /// Decides, unless a limit is reached: any number of requests may have been admitted before the
    /// first of them was counted. A request that was admitted once is not refused at a later
    /// attempt.
    fn decide(&self, loaded: &Loaded) -> Decision<O::Response> {
        let is_first = !self.moment.is_retry;
        if let Some(refusal) = self.host.throttled().filter(|_| is_first) {
            return self.refuse_by_limit(refusal, None);
        }
        let decision = self.operation.decide(loaded, self.host.policy(), &self.moment);
        let refusal = decision.settled().outcome.as_ref().err();
        match self.host.admit(refusal, decision.write()) {
            Some(refusal) if is_first => {
                let note = decision.settled().event.note.clone();
                self.refuse_by_limit(refusal, note)
            }
            _ => decision,
        }
    }

    /// Returns the refusal of a limit. It is recorded like one that was made before the records
    /// were loaded: its event has what the request claims, and nothing more.
    fn refuse_by_limit(&self, refusal: Refusal, note: Option<Box<str>>) -> Decision<O::Response> {
        let keys = self.operation.keys(self.host.policy(), &self.moment);
        let mut decision = Decision::refuse_by(refusal, &Loaded::default(), &self.moment)
            .claimed_by(keys.client.as_named().unwrap_or_default());
        decision.settled_mut().event.note = note;
        decision
    }

    /// Ends the call without a decision, because the records could not be read.
    fn fail_load(&mut self, cause: FailureCause<E>) {
        let reason = Reason::StorageUnavailable;
        let keys = self.operation.keys(self.host.policy(), &self.moment);
        let refusal = Refusal::plain(reason, self.operation.endpoint());
        let mut decision = Decision::refuse_by(refusal, &Loaded::default(), &self.moment);
        let event = &mut decision.settled_mut().event;
        event.set_source(self.host.source());
        event.flow = keys.grant;
        event.claim(keys.client.as_named().unwrap_or_default());
        if let Some(earlier) = self.earlier.take() {
            event.written = earlier.written;
            event.prepared = earlier.prepared;
        }
        let refusal = decision.give_up(reason, self.operation.endpoint());
        self.failed = Some((cause, refusal));
        self.decision = Some(decision);
        self.settle();
    }

    /// Takes the result of the audit log's reservation. Without one nothing is written, so that a
    /// retry finds what this request found.
    pub(crate) fn reserved(&mut self, reserved: Result<(), AuditError>) {
        match (&mut self.decision, reserved) {
            (Some(decision), Err(AuditError)) => {
                decision.refuse_instead(Reason::AuditUnavailable, self.operation.endpoint());
                decision.drop_write(self.earlier.as_deref());
                self.settle();
            }
            _ => self.begin_commit(),
        }
    }

    /// Begins the commit. From here on the write may become durable, even if the call is dropped.
    fn begin_commit(&mut self) {
        self.phase = Phase::Commit;
        self.earlier = None;
    }

    /// Takes the result of the commit.
    pub(crate) fn committed(&mut self, committed: Result<Commit, E>) {
        let endpoint = self.operation.endpoint();
        let Some(decision) = &mut self.decision else { return };
        match committed {
            Err(error) => {
                let refusal = decision.give_up(Reason::StorageUnavailable, endpoint);
                self.failed = Some((FailureCause::Store(error), refusal));
                self.settle();
            }
            Ok(commit) if !decision.is_undecided(commit) => {
                decision.mark_durable();
                self.settle();
            }
            Ok(commit) => {
                if commit == Commit::Done {
                    decision.mark_durable();
                }
                if decision.prepares() {
                    let event = &mut decision.settled_mut().event;
                    event.prepared = event.written.take();
                }
                if self.attempt < ATTEMPTS {
                    self.decide_again();
                } else {
                    decision.refuse_instead(Reason::Contended, endpoint);
                    self.settle();
                }
            }
        }
    }

    /// Begins the next attempt, with the same entropy and a fresh reading of the clock.
    fn decide_again(&mut self) {
        let decided = self.decision.take();
        self.earlier = decided.map(|decision| Box::new(decision.into_settled().event));
        self.phase = Phase::Begun;
        self.attempt += 1;
        self.moment.now = self.host.now();
        self.moment.is_retry = true;
    }

    /// Reports the outcome to the limits and the observer, without an `await` since the write was
    /// acknowledged. The outcome may be returned once its event is recorded.
    fn settle(&mut self) {
        self.earlier = None;
        let Some(decision) = &mut self.decision else { return };
        let settled = decision.settled_mut();
        let failure = self.failed.as_ref().map(|(_, refusal)| refusal);
        let refusal = failure.or(settled.outcome.as_ref().err());
        let sent = refusal.map(|refusal| Box::new(refusal.sent(self.host.policy())));
        self.host.settled(refusal);
        settled.event.sent = sent;
        let is_kept = self.host.observe(&settled.event);
        self.phase = if is_kept { Phase::Record } else { Phase::Done };
    }

    /// Takes the result of recording the event. Under
    /// [`AuditPolicy::with_fail_closed`](crate::audit::AuditPolicy::with_fail_closed) a lost event
    /// withholds the response, unless the store failed: that failure is returned to the host.
    pub(crate) fn recorded(&mut self, recorded: Result<(), AuditError>) {
        self.phase = Phase::Done;
        if recorded.is_ok() || !self.host.fail_closed() || self.failed.is_some() {
            return;
        }
        if let Some(decision) = &mut self.decision {
            let Settled { outcome, event } = decision.settled_mut();
            let endpoint = self.operation.endpoint();
            let refusal = Refusal::plain(Reason::AuditUnavailable, endpoint);
            *outcome = Err(refusal.correlated(event.correlation));
        }
    }

    /// Returns the result of the call when nothing is needed any more.
    pub(crate) fn finish(&mut self) -> Option<Result<Settled<O::Response>, Failure<E>>> {
        if self.phase != Phase::Done {
            return None;
        }
        let settled = self.decision.take()?.into_settled();
        Some(match self.failed.take() {
            None => Ok(settled),
            Some((cause, refusal)) => {
                Err(Failure { cause, refusal, event: Box::new(settled.event) })
            }
        })
    }
}

impl<O: Operation, H: Host, E> Drop for Call<'_, O, H, E> {
    fn drop(&mut self) {
        let decided = self.decision.take().map(|decision| decision.into_settled().event);
        let event = match (self.phase, decided) {
            // The durability of its write is unknown, and the event records that.
            (Phase::Commit, Some(event)) => event,
            // The observer has it already.
            (Phase::Record, Some(event)) => return self.host.abandoned(event),
            _ => match self.earlier.take() {
                Some(earlier) => *earlier,
                None => return,
            },
        };
        if self.host.observe(&event) {
            self.host.abandoned(event);
        }
    }
}

/// Copies what an earlier attempt has written, or may have written, into the event that replaces
/// the earlier one.
fn carry_over_write(event: &mut Event, earlier: &Event) {
    event.prepared = earlier.prepared;
    if event.written.is_some() {
        return;
    }
    // Lost response of the store: a store that repeats a commit of its own may report a conflict
    // (I17). A step that then succeeds without a write has found its own commit in the record. If
    // the later attempt only finds that nothing is left to do, another request may have done it:
    // the durability stays unknown.
    let is_found = event.kind == earlier.kind && event.kind != EventKind::Refused;
    event.written = if is_found { earlier.written.map(Written::durable) } else { earlier.written };
}
