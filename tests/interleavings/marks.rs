//! A model of its own: requests with one assertion at nodes whose clocks differ, on one store.
//!
//! Each request goes through the library's real decisions and turns, one step at a time: load,
//! send, land, look for a mark. Other requests, the clock and the sweep move between any two
//! steps. A commit is stalled, dropped, applied and misreported, or lands after it was given up,
//! and a node can crash. The stand-in for an endpoint is the request of the conformance suite.
//!
//! Each rule that protects an invariant is removed once, and the model must notice.

mod state;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use grantcore::conformance::AssertionRequest;
use grantcore::moment::Moment;
use grantcore::operation::{Decision, Loaded, Next, Operation};
use grantcore::store::{Commit, Seen, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{Policy, Reason, Timestamp};

pub use self::state::{Answer, Kind, LoadedGrant, Phase, Run, State, Turn};
use crate::support::{T, entropy};

/// The end of the assertions.
pub const END: i64 = 10;
/// How far the clocks of two nodes may differ, in seconds.
pub const SKEW: i64 = 600;
/// The times that the fastest clock shows, one after the other.
pub const CLOCK: [i64; 4] = [0, END, END + SKEW - 1, END + SKEW];
/// The attempts of the library's driver for one request.
pub const ATTEMPTS: usize = 4;

/// The rule that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    Nothing,
    /// Marks are created if there is none: each creation is done.
    CreateOnly,
    /// The comparison and the creation are one step: another creation comes between.
    Atomic,
    /// Marks are kept for the margin after the end of their assertions.
    Margin,
    /// Marks are not evicted.
    Keeping,
    /// The mark comes before the main write.
    Mark,
    /// Another request's mark refuses.
    Refusal,
    /// A mark that is not found is created again.
    Creation,
    /// An own mark goes on.
    OwnMark,
    /// The assertion is judged again after its mark.
    SecondLook,
    /// An assertion is judged no more once its main write was tried.
    Settled,
    /// The grant is decided at the time of its load.
    LoadTime,
    /// A mark is no earlier attempt.
    FirstAttempt,
}

/// All inputs of a decision.
#[derive(PartialEq, Eq, Hash)]
struct Inputs {
    /// The number of the request.
    run: usize,
    turns: Vec<Turn>,
    loaded: Option<LoadedGrant>,
    /// Whether the request has a mark, which the judgment of the decision needs.
    has_marked: bool,
}

/// What a request does after a decision.
#[derive(Clone)]
enum Decided {
    Sends(Kind),
    Answers(Answer),
}

pub struct Model {
    policy: Policy,
    /// The requests, each with how far the clock of its node is behind.
    pub requests: Vec<(AssertionRequest, i64)>,
    pub without: Without,
    decided: RefCell<HashMap<Inputs, Decided>>,
    /// The invariants that a decision broke.
    pub broken: RefCell<BTreeSet<&'static str>>,
}

pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(T.saturating_add_signed(seconds))
}

pub fn request(jti: &str) -> AssertionRequest {
    AssertionRequest::new(jti, time(END)).unwrap()
}

impl Model {
    pub fn new(requests: Vec<(AssertionRequest, i64)>, without: Without) -> Self {
        let policy = AssertionRequest::policy().unwrap();
        Self { policy, requests, without, decided: RefCell::default(), broken: RefCell::default() }
    }

    pub fn start(&self, faults: u8) -> State {
        let run = Run {
            turns: Vec::new(),
            loaded: None,
            phase: Phase::Loads,
            has_marked: false,
            has_created: false,
        };
        let count = self.requests.len();
        State {
            clock: 0,
            marks: BTreeMap::new(),
            grants: vec![None; count],
            late: Vec::new(),
            runs: vec![run; count],
            faults,
        }
    }

    /// The place of the grant that a request creates: that of the first request of its id.
    fn place(&self, run: usize) -> usize {
        let id = |at: usize| self.requests[at].0.grant_id();
        (0..self.requests.len()).find(|at| id(*at) == id(run)).expect("its own")
    }

    fn now(&self, state: &State, run: usize) -> i64 {
        CLOCK[state.clock] - self.requests[run].1
    }

    /// Returns the moment of the next decision, by the library's own turns.
    fn moment(&self, run: usize, own: &Run) -> Moment {
        let loaded_at = own.loaded.expect("it has loaded").at;
        let first = own.turns.iter().find_map(|turn| match turn {
            Turn::Lost(now) => Some(*now),
            Turn::Marked { .. } => None,
        });
        let begun = if first.is_some() { CLOCK[0] - self.requests[run].1 } else { loaded_at };
        let mut moment = Moment::new(time(begun), entropy(500 + run as u64));
        for turn in &own.turns {
            moment = match turn {
                Turn::Lost(now) => moment.after(&Next::Lost, time(*now)),
                Turn::Marked { own, given, now, .. } => {
                    let next = Next::Met(Box::new(own.clone())).found(given.as_ref());
                    assert!(next.keeps_records());
                    let fresh = if self.without == Without::SecondLook { loaded_at } else { *now };
                    let mut moment = moment.after(&next, time(fresh));
                    if self.without == Without::LoadTime {
                        moment.now = time(*now);
                    }
                    moment.is_retry |= self.without == Without::FirstAttempt;
                    moment
                }
            };
        }
        moment
    }

    fn loaded(&self, run: usize, own: &Run) -> Loaded {
        let created_by = own.loaded.expect("it has loaded").created_by;
        let grant = created_by.map(|by| {
            let request = self.requests[by].0.without_assertions();
            let moment = Moment::new(time(0), entropy(0));
            let decision = request.decide(&Loaded::default(), &self.policy, &moment);
            let write = decision.write().and_then(Write::as_grant).expect("it creates a grant");
            Stored { record: write.record().clone(), version: Version::FIRST }
        });
        assert!(
            grant.as_ref().is_none_or(|own| own.record.id() == self.requests[run].0.grant_id())
        );
        Loaded { grant, ..Loaded::default() }
    }

    pub fn decide(
        &self,
        request: &AssertionRequest,
        run: usize,
        own: &Run,
        moment: &Moment,
    ) -> Decision<GrantId> {
        request.decide(&self.loaded(run, own), &self.policy, moment)
    }

    pub fn successors(&self, state: &State) -> Vec<State> {
        let mut next: Vec<_> =
            (0..state.runs.len()).flat_map(|run| self.steps_of(state, run)).collect();
        let is_open = |run: &Run| !matches!(run.phase, Phase::Answered(_) | Phase::Crashed);
        if !state.runs.iter().any(is_open) {
            return next;
        }
        if state.clock + 1 < CLOCK.len() {
            next.push(State { clock: state.clock + 1, ..state.clone() });
        }
        // A sweep by the fastest clock.
        let due = |seen: &Seen| match self.without {
            Without::Keeping => true,
            Without::Margin => seen.end() <= time(CLOCK[state.clock]),
            _ => seen.drop_after() <= time(CLOCK[state.clock]),
        };
        if state.marks.values().any(due) {
            let mut after = state.clone();
            after.marks.retain(|_, seen| !due(seen));
            next.push(after);
        }
        for at in 0..state.late.len() {
            let mut after = state.clone();
            let (run, kind) = after.late.remove(at);
            let is_free = self.is_free(&after, run, &kind);
            self.apply(&mut after, run, &kind, is_free);
            next.push(after);
        }
        next
    }

    fn is_free(&self, state: &State, run: usize, kind: &Kind) -> bool {
        match kind {
            Kind::Mark(seen) => {
                self.without == Without::CreateOnly || !state.marks.contains_key(seen.key())
            }
            Kind::Grant => state.grants[self.place(run)].is_none(),
        }
    }

    /// Applies a creation that found its place free, and returns what the store answers.
    fn apply(&self, state: &mut State, run: usize, kind: &Kind, is_free: bool) -> Commit {
        if !is_free {
            return Commit::Conflict;
        }
        match kind {
            Kind::Mark(seen) => {
                state.marks.insert(*seen.key(), seen.clone());
                state.runs[run].has_marked = true;
            }
            Kind::Grant => {
                state.grants[self.place(run)] = Some(run);
                state.runs[run].has_created = true;
            }
        }
        Commit::Done
    }

    fn steps_of(&self, state: &State, run: usize) -> Vec<State> {
        let own = &state.runs[run];
        let phase = |phase| {
            let mut after = state.clone();
            after.runs[run].phase = phase;
            after
        };
        let mut next = match &own.phase {
            Phase::Loads => {
                let mut after = phase(Phase::Decides);
                let now = self.now(state, run);
                let own = &mut after.runs[run];
                if own.loaded.is_some() {
                    own.turns.push(Turn::Lost(now));
                }
                own.loaded =
                    Some(LoadedGrant { created_by: state.grants[self.place(run)], at: now });
                vec![after]
            }
            Phase::Decides => vec![phase(self.decided(state, run))],
            Phase::Sent { kind, is_free } => self.land(state, run, kind, *is_free),
            Phase::Finds(mark) => {
                vec![self.found(state, run, mark, state.marks.get(mark.key()))]
            }
            Phase::Answered(_) | Phase::Crashed => return Vec::new(),
        };
        if state.faults > 0 {
            next.push(State { faults: state.faults - 1, ..phase(Phase::Crashed) });
        }
        next
    }

    fn decided(&self, state: &State, run: usize) -> Phase {
        let own = &state.runs[run];
        let Run { turns, loaded, has_marked, .. } = own.clone();
        let inputs = Inputs { run, turns, loaded, has_marked };
        let known = self.decided.borrow().get(&inputs).cloned();
        let decided = known.unwrap_or_else(|| {
            let decided = self.decide_anew(run, own);
            self.decided.borrow_mut().insert(inputs, decided.clone());
            decided
        });
        match decided {
            Decided::Sends(kind) => Phase::Sent { is_free: self.is_free(state, run, &kind), kind },
            Decided::Answers(answer) => Phase::Answered(answer),
        }
    }

    fn decide_anew(&self, run: usize, own: &Run) -> Decided {
        let is_lost = own.turns.iter().any(|turn| matches!(turn, Turn::Lost(_)));
        let loaded_at = own.loaded.expect("it has loaded").at;
        if self.without == Without::Settled && is_lost && loaded_at >= END {
            return Decided::Answers(Answer::Refused(AssertionRequest::EXPIRED));
        }
        let decision = self.decide(&self.requests[run].0, run, own, &self.moment(run, own));
        if let Some(Write::Seen(seen)) = decision.write() {
            return Decided::Sends(Kind::Mark((**seen).clone()));
        }
        let creates = decision.write().is_some();
        let settled = decision.settle(Commit::Done).expect("no preliminary write");
        let answer = match settled.outcome {
            Ok(_) => Answer::Accepted,
            Err(refusal) => Answer::Refused(refusal.reason()),
        };
        self.judge(run, own, answer, settled.event.at);
        if creates { Decided::Sends(Kind::Grant) } else { Decided::Answers(answer) }
    }

    /// A write arrives, with every report that the store can make of it.
    fn land(&self, state: &State, run: usize, kind: &Kind, was_free: bool) -> Vec<State> {
        let is_free = match (self.without, kind) {
            (Without::Atomic, Kind::Mark(_)) => was_free,
            _ => self.is_free(state, run, kind),
        };
        let mut applied = state.clone();
        let commit = self.apply(&mut applied, run, kind, is_free);
        let mut next = vec![self.reported(applied.clone(), run, kind, Some(commit))];
        if self.without == Without::Mark && matches!(kind, Kind::Mark(_)) {
            // It is never sent.
            return vec![self.reported(state.clone(), run, kind, Some(Commit::Done))];
        }
        if state.faults > 0 {
            let mut late = state.clone();
            late.late.push((run, kind.clone()));
            let reports = [
                (applied.clone(), None),
                (applied, Some(Commit::Conflict)),
                (state.clone(), None),
                (late.clone(), None),
                (late, Some(Commit::Conflict)),
            ];
            next.extend(reports.into_iter().map(|(after, report)| {
                let after = self.reported(after, run, kind, report);
                State { faults: after.faults - 1, ..after }
            }));
        }
        next
    }

    fn reported(&self, mut after: State, run: usize, kind: &Kind, report: Option<Commit>) -> State {
        let own = &mut after.runs[run];
        own.phase = match (report, kind) {
            (None, _) => Phase::Answered(Answer::Unknown),
            (Some(Commit::Done), Kind::Grant) => Phase::Answered(Answer::Accepted),
            (Some(Commit::Conflict), Kind::Grant) => {
                let lost = own.turns.iter().filter(|turn| matches!(turn, Turn::Lost(_))).count();
                if lost + 1 < ATTEMPTS {
                    Phase::Loads
                } else {
                    Phase::Answered(Answer::Refused(Reason::Contended))
                }
            }
            (Some(Commit::Done), Kind::Mark(seen)) => {
                return self.found(&after, run, seen, Some(seen));
            }
            (Some(Commit::Conflict), Kind::Mark(seen)) => Phase::Finds(seen.clone()),
        };
        after
    }

    fn found(&self, state: &State, run: usize, own: &Seen, found: Option<&Seen>) -> State {
        let given = match (self.without, found) {
            (Without::Refusal, Some(_)) | (Without::Creation, None) => Some(own),
            (Without::OwnMark, Some(found))
                if state.runs[run].phase == Phase::Finds(own.clone()) =>
            {
                Some(found).filter(|found| *found != own)
            }
            (_, found) => found,
        };
        let now = self.now(state, run);
        let mut after = state.clone();
        let turn =
            Turn::Marked { own: own.clone(), given: given.cloned(), found: found.cloned(), now };
        after.runs[run].turns.push(turn);
        after.runs[run].phase = Phase::Decides;
        after
    }
}
