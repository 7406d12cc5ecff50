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

mod end;

use self::end::carry_over_write;
use super::guard::Host;
use crate::audit::AuditError;
use crate::decision::{Decision, Loaded, Next, Operation};
use crate::event::{Durability, Event};
use crate::keys::{GrantList, Keys};
use crate::moment::{Entropy, Moment};
use crate::outside::{Answered, Answers, Asked, Need};
use crate::reason::Reason;
use crate::record::{Commit, Write};
use crate::refusal::Refusal;
use crate::seen::Seen;
use crate::store::FailureCause;
use crate::value::seen_key::SeenKey;

/// How often a request is decided before it is refused as contended. Each conflict means that
/// another request made progress. A preliminary write takes one attempt as well; marks and answers
/// of the host take none.
const ATTEMPTS: u32 = 4;

/// How often a request creates a mark: two marks, each created again if it was not found.
const CREATIONS: u32 = 4;

/// What a call does next.
pub(crate) enum Step<'a> {
    /// Loads these records.
    Load(Keys<'a>),
    /// Loads these grants of a user.
    List(GrantList<'a>),
    /// Decides again on the same records.
    Decide,
    /// Asks the host for this.
    Ask(&'a Need),
    /// Reserves room in the audit log for this event, before its write begins.
    Reserve(&'a Event),
    /// Commits this write.
    Commit(&'a Write),
    /// Looks for the mark of this key, whose creation conflicted.
    Find(&'a SeenKey),
    /// Records this event.
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
    /// The decision waits for an answer of the host.
    Ask,
    /// The write is under way.
    Commit,
    /// The write was the creation of a mark that exists. The mark is being read, to learn which
    /// request made it.
    Find,
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
    creations: u32,
    phase: Phase,
    /// Whether the request was decided before. It was then admitted by the limits.
    is_admitted: bool,
    decision: Option<Decision<O::Response>>,
    /// The event of the previous attempt, until the next decision replaces it: its write was
    /// preliminary, or the store may have repeated a commit of its own and called it a conflict.
    earlier: Option<Box<Event>>,
    /// Whether the request is decided again on the records that were loaded, after a mark.
    keeps_records: bool,
    /// What the host has answered.
    answers: Answers,
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
            creations: 0,
            phase: Phase::Begun,
            is_admitted: false,
            decision: None,
            earlier: None,
            keeps_records: false,
            answers: Answers::default(),
            failed: None,
        }
    }

    /// Returns what is to be done next.
    pub(crate) fn step(&self) -> Step<'_> {
        let Some(decision) = &self.decision else {
            if self.keeps_records {
                return Step::Decide;
            }
            return match self.operation.list() {
                Some(list) => Step::List(list),
                None => Step::Load(self.operation.keys(self.host.policy(), &self.moment)),
            };
        };
        match (self.phase, decision.write()) {
            (Phase::Begun, Some(_)) => Step::Reserve(decision.event()),
            (Phase::Commit, Some(write)) => Step::Commit(write),
            (Phase::Find, Some(Write::Seen(seen))) => Step::Find(seen.key()),
            (Phase::Record, _) => Step::Record(decision.event()),
            (Phase::Ask, _) => decision.need().map_or(Step::Nothing, Step::Ask),
            _ => Step::Nothing,
        }
    }

    /// Decides on what was loaded.
    pub(crate) fn loaded(&mut self, read: Result<&mut Loaded, FailureCause<E>>) {
        match read {
            Ok(loaded) => self.decide_on(loaded),
            Err(cause) => self.fail_load(cause),
        }
    }

    /// Decides on these records.
    pub(crate) fn decide_on(&mut self, loaded: &mut Loaded) {
        self.keeps_records = false;
        loaded.answers = self.answers.clone();
        self.decide(loaded);
        let Some(decision) = &mut self.decision else { return };
        // A question is not yet a decision that the limits have admitted.
        self.is_admitted |= decision.need().is_none();
        decision.event_mut().set_source(self.host.source());
        if let Some(earlier) = &self.earlier {
            carry_over_write(decision.event_mut(), earlier);
        }
        if let Some(need) = decision.need() {
            let is_asked = self.answers.admits(need);
            // A set in hand costs no turn, and no second load.
            if let Need::Keys(request) = need {
                let in_hand = self.host.cached_keys().in_hand(request, self.host.now());
                if let Some(answer) = in_hand.filter(|_| is_asked) {
                    self.answers.add(Answered::Keys(request.clone(), answer));
                    return self.decide_on(loaded);
                }
            }
            if is_asked {
                self.phase = Phase::Ask;
            } else {
                self.refuse_contended();
            }
            return;
        }
        match decision.write() {
            Some(_) if self.host.fail_closed() => self.phase = Phase::Begun,
            Some(_) => self.begin_commit(),
            None => self.settle(),
        }
    }

    /// Decides, unless a limit is reached: any number of requests may have been admitted before the
    /// first of them was counted. A request that was admitted once is not refused at a later
    /// attempt, nor after it made a mark.
    fn decide(&mut self, loaded: &Loaded) {
        let is_first = !self.is_admitted;
        if let Some(refusal) = self.host.throttled().filter(|_| is_first) {
            self.decision = Some(self.refuse_by_limit(refusal, None));
            return;
        }
        let decided = self.operation.decide(loaded, self.host.policy(), &self.moment);
        let decision = self.decision.insert(decided);
        let limited = self.host.admit(decision.refusal(), decision.write());
        if let Some(refusal) = limited.filter(|_| is_first) {
            let note = decision.event().note.clone();
            self.decision = Some(self.refuse_by_limit(refusal, note));
        }
    }

    /// Returns the refusal of a limit. It is recorded like one that was made before the records
    /// were loaded: its event has what the request claims, and nothing more.
    fn refuse_by_limit(&self, refusal: Refusal, note: Option<Box<str>>) -> Decision<O::Response> {
        let keys = self.operation.keys(self.host.policy(), &self.moment);
        let mut decision = Decision::refuse_by(refusal, &Loaded::default(), &self.moment)
            .claimed_by(keys.client.as_named().unwrap_or_default());
        decision.event_mut().note = note;
        decision
    }

    /// Ends the call without a decision, because the records could not be read.
    fn fail_load(&mut self, cause: FailureCause<E>) {
        let reason = Reason::StorageUnavailable;
        let keys = self.operation.keys(self.host.policy(), &self.moment);
        let refusal = Refusal::plain(reason, self.operation.endpoint());
        let mut decision = Decision::refuse_by(refusal, &Loaded::default(), &self.moment);
        let event = decision.event_mut();
        event.set_source(self.host.source());
        event.flow = keys.grant;
        event.claim(keys.client.as_named().unwrap_or_default());
        if let Some(earlier) = self.earlier.take() {
            event.written = earlier.written;
            event.prepared = earlier.prepared;
            event.marked = earlier.marked;
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
        let commit = match committed {
            Ok(commit) => commit,
            Err(error) => return self.fail_write(error),
        };
        let Some(decision) = &mut self.decision else { return };
        if commit == Commit::Done {
            decision.mark_durable();
        }
        match decision.next(commit) {
            None => self.settle(),
            Some(Next::Met(_)) => self.phase = Phase::Find,
            Some(next @ Next::Marked(_)) => self.go_on_marked(&next),
            Some(next) => {
                if matches!(next, Next::Prepared) {
                    let event = decision.event_mut();
                    event.prepared = event.written.take();
                }
                if self.attempt < ATTEMPTS {
                    self.attempt += 1;
                    self.decide_again(&next);
                } else {
                    self.refuse_contended();
                }
            }
        }
    }

    /// Takes the mark that was looked for.
    pub(crate) fn found(&mut self, found: Result<Option<Seen>, E>) {
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.fail_write(error),
        };
        let Some(decision) = &mut self.decision else { return };
        let Some(Write::Seen(own)) = decision.write() else { return };
        let next = Next::Met(own.clone()).found(found.as_ref());
        // This request's own creation arrived late. Any other mark is not its write.
        let is_own = matches!(next, Next::Marked(marked) if marked.is_own());
        let has_mark = is_own || self.moment.has_mark();
        decision.event_mut().marked = has_mark.then_some(Durability::Durable);
        self.go_on_marked(&next);
    }

    /// Ends the call because it is not known what was written.
    fn fail_write(&mut self, error: E) {
        let Some(decision) = &mut self.decision else { return };
        let refusal = decision.give_up(Reason::StorageUnavailable, self.operation.endpoint());
        self.failed = Some((FailureCause::Store(error), refusal));
        self.settle();
    }

    /// Ends the call because it was decided too often.
    fn refuse_contended(&mut self) {
        let Some(decision) = &mut self.decision else { return };
        decision.refuse_instead(Reason::Contended, self.operation.endpoint());
        self.settle();
    }

    /// Decides again after the creation of a mark, on the same records and at the time of their
    /// load. It takes no attempt: the request has not lost anything.
    fn go_on_marked(&mut self, next: &Next) {
        self.creations += 1;
        if self.creations > CREATIONS {
            return self.refuse_contended();
        }
        self.decide_again(next);
        self.keeps_records = true;
    }

    /// Takes the answer of the host. The request is decided again on records that are loaded anew:
    /// an answer may take seconds.
    pub(crate) fn answered(&mut self, asked: Asked) {
        let answered = asked.keep(self.host.cached_keys(), self.host.now());
        let Some(next) = self.decision.as_mut().and_then(|asking| asking.next(Commit::Done)) else {
            return;
        };
        self.answers.add(answered);
        self.moment.note_answers(&self.answers);
        self.decide_again(&next);
        // Nothing is durable because a question was asked.
        self.earlier = self.earlier.take().filter(|earlier| earlier.has_written());
    }

    /// Begins the next decision, with the same entropy and a fresh reading of the clock.
    fn decide_again(&mut self, next: &Next) {
        let decided = self.decision.take();
        self.earlier = decided.map(|decision| Box::new(decision.into_event()));
        self.phase = Phase::Begun;
        self.moment.go_on(next, self.host.now());
    }

    /// Reports the outcome to the limits and the observer, without an `await` since the write was
    /// acknowledged. The outcome may be returned once its event is recorded.
    fn settle(&mut self) {
        self.earlier = None;
        let Some(decision) = &mut self.decision else { return };
        let failure = self.failed.as_ref().map(|(_, refusal)| refusal);
        let refusal = failure.or(decision.refusal());
        let sent = refusal.map(|refusal| Box::new(refusal.sent(self.host.policy())));
        self.host.settled(refusal);
        decision.event_mut().sent = sent;
        let is_kept = self.host.observe(decision.event());
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
            decision.withhold(self.operation.endpoint());
        }
    }
}
