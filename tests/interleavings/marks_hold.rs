//! What holds in the model of marks, and that it notices each rule that is missing.

use std::collections::{BTreeSet, HashSet, VecDeque};

use grantcore::Reason;
use grantcore::conformance::AssertionRequest;
use grantcore::moment::Moment;
use grantcore::operation::Next;
use grantcore::store::Commit;

use crate::marks::{
    Answer, CLOCK, END, Model, Phase, Run, SKEW, State, Turn, Without, request, time,
};
use crate::support::entropy;

impl Model {
    /// Judges an answer when it is decided.
    pub fn judge(&self, run: usize, own: &Run, answer: Answer, at: grantcore::Timestamp) {
        let loaded_at = own.loaded.expect("it has loaded").at;
        let mut broken = self.broken.borrow_mut();
        let is_lost = |turn: &&Turn| matches!(turn, Turn::Lost(_));
        let lost: Vec<_> = own.turns.iter().filter(is_lost).collect();
        let tried = own.turns.iter().rev().find_map(|turn| match turn {
            Turn::Lost(_) => None,
            Turn::Marked { own, found, .. } => Some((own, found.as_ref())),
        });
        let of_itself = tried.is_some_and(|(own, found)| found == Some(own));
        let of_others = tried.is_some_and(|(own, found)| found.is_some_and(|f| f != own));
        match answer {
            // Whatever was marked: it is too late.
            Answer::Refused(AssertionRequest::EXPIRED) => return,
            Answer::Refused(AssertionRequest::REPLAYED) => {
                if of_itself {
                    broken.insert("I34");
                }
                return;
            }
            Answer::Refused(Reason::Contended) if lost.is_empty() => {
                if of_itself {
                    broken.insert("I34");
                }
                return;
            }
            Answer::Refused(Reason::Contended) | Answer::Unknown => {}
            Answer::Accepted | Answer::Refused(_) => {
                if !own.has_marked {
                    broken.insert("I33");
                }
                if of_others {
                    broken.insert("I34");
                }
            }
        }
        // Everything but the assertion is decided at the time of its load, and as if there was no
        // assertion.
        if at != time(loaded_at) {
            broken.insert("I34");
        }
        let plain = self.requests[run].0.without_assertions();
        let moment = Moment::new(time(loaded_at), entropy(500 + run as u64));
        let moment =
            lost.iter().fold(moment, |moment, _| moment.after(&Next::Lost, time(loaded_at)));
        let other = self.decide(&plain, run, own, &moment);
        let other = other.settle(Commit::Done).expect("no preliminary write").outcome;
        let expected = other.map_or_else(|no| Answer::Refused(no.reason()), |_| Answer::Accepted);
        if answer != expected {
            broken.insert("I34");
        }
    }

    /// Judges a state.
    fn judge_state(&self, state: &State) {
        let mut broken = self.broken.borrow_mut();
        for (_, runs) in self.parties() {
            let accepted = runs.iter().filter(|run| {
                let own = &state.runs[**run];
                own.has_created || own.phase == Phase::Answered(Answer::Accepted)
            });
            if accepted.count() > 1 {
                broken.insert("I32");
            }
            // The slowest clock still takes the assertion.
            let is_taken = CLOCK[state.clock] - SKEW < END;
            let marked = runs.iter().any(|run| state.runs[*run].has_marked);
            if is_taken && marked && state.marks.is_empty() {
                broken.insert("I35");
            }
        }
        for run in &state.runs {
            let is_expired =
                run.phase == Phase::Answered(Answer::Refused(AssertionRequest::EXPIRED));
            if is_expired && run.turns.is_empty() && run.has_marked {
                broken.insert("I33");
            }
            // Its own commit would be lost to it.
            if is_expired && run.has_created {
                broken.insert("I34");
            }
        }
    }

    /// Returns the requests of each assertion of a grant.
    fn parties(&self) -> Vec<(String, Vec<usize>)> {
        let mut parties: Vec<(String, Vec<usize>)> = Vec::new();
        for (run, (request, _)) in self.requests.iter().enumerate() {
            let jti = request.last_jti().to_owned();
            match parties.iter_mut().find(|(own, _)| *own == jti) {
                Some((_, runs)) => runs.push(run),
                None => parties.push((jti, vec![run])),
            }
        }
        parties
    }
}

/// What an exploration found.
struct Found {
    states: usize,
    broken: BTreeSet<&'static str>,
    answers: BTreeSet<String>,
}

/// Explores all orders, or stops when this invariant breaks.
fn explore(model: &Model, faults: u8, until: Option<&str>) -> Found {
    let start = model.start(faults);
    let mut visited = HashSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    let mut answers = BTreeSet::new();
    while let Some(state) = open.pop_front() {
        model.judge_state(&state);
        if until.is_some_and(|until| model.broken.borrow().contains(until)) {
            break;
        }
        for run in &state.runs {
            if let Phase::Answered(answer) = &run.phase {
                answers.insert(format!("{answer:?}"));
            }
        }
        let next = model.successors(&state);
        open.extend(next.into_iter().filter(|after| visited.insert(after.clone())));
    }
    Found { states: visited.len(), broken: model.broken.take(), answers }
}

/// Two nodes, one of them 600 s behind, and one assertion.
fn one_assertion() -> Vec<(AssertionRequest, i64)> {
    vec![(request("one"), 0), (request("one"), SKEW)]
}

/// The same, and the second request is refused for another reason.
fn one_refused() -> Vec<(AssertionRequest, i64)> {
    vec![(request("one"), 0), (request("one").refused(Reason::GrantEnded), 0)]
}

/// Two requests of one grant, each with an assertion of its own.
fn one_grant() -> Vec<(AssertionRequest, i64)> {
    let first = request("one");
    let second = request("two").for_grant_of(&first).unwrap();
    vec![(first, 0), (second, SKEW)]
}

/// Two requests with a client's assertion each, and one assertion that is the grant.
fn one_of_two() -> Vec<(AssertionRequest, i64)> {
    let with = |client: &str| request(client).with_grant_assertion("grant", time(END));
    vec![(with("one"), 0), (with("two"), SKEW)]
}

#[test]
fn i32_i33_i34_i35_hold_in_every_order_with_every_fault() {
    let mut answers = BTreeSet::new();
    for (name, requests, faults, floor) in [
        ("one assertion", one_assertion(), 1, 39_000),
        ("one refused", one_refused(), 1, 14_000),
        ("one grant", one_grant(), 1, 47_000),
        ("two assertions", one_of_two(), 0, 6_600),
        ("three nodes", [one_assertion(), vec![(request("one"), 0)]].concat(), 0, 55_000),
    ] {
        let found = explore(&Model::new(requests, Without::Nothing), faults, None);
        println!("{name}: {} states", found.states);
        assert!(found.broken.is_empty(), "{name} breaks {:?}", found.broken);
        assert!(found.states >= floor, "{name}: fewer states than before");
        answers.extend(found.answers);
    }
    let met: Vec<_> = answers.iter().map(String::as_str).collect();
    assert_eq!(
        met,
        [
            "Accepted",
            "Refused(CodeExpired)",
            "Refused(CodeReused)",
            "Refused(Contended)",
            "Refused(GrantEnded)",
            "Refused(RefreshReused)",
            "Unknown",
        ]
    );
}

#[test]
fn i32_i33_i34_i35_break_without_each_of_their_rules() {
    for (without, requests, invariant) in [
        (Without::CreateOnly, one_assertion(), "I32"),
        (Without::Atomic, one_assertion(), "I32"),
        (Without::Margin, one_assertion(), "I32"),
        (Without::Margin, one_assertion(), "I35"),
        (Without::Keeping, one_assertion(), "I32"),
        (Without::Mark, one_assertion(), "I32"),
        (Without::Mark, one_refused(), "I33"),
        (Without::Refusal, one_assertion(), "I32"),
        (Without::Refusal, one_assertion(), "I34"),
        (Without::Creation, one_assertion(), "I32"),
        (Without::OwnMark, one_assertion(), "I34"),
        (Without::SecondLook, one_assertion(), "I32"),
        (Without::Settled, one_assertion(), "I34"),
        (Without::LoadTime, one_assertion(), "I34"),
        (Without::FirstAttempt, one_grant(), "I34"),
    ] {
        let found = explore(&Model::new(requests, without), 1, Some(invariant));
        println!("{without:?}: {} states", found.states);
        assert!(found.broken.contains(invariant), "{without:?} does not break {invariant}");
    }
}

/// L4: after a crash between the mark and the main write, the client comes with a new assertion.
#[test]
fn l4_a_crash_after_the_mark_loses_one_assertion() {
    let crashed = request("one");
    let again = request("two").for_grant_of(&crashed).unwrap();
    let model = Model::new(vec![(crashed, 0), (again, 0)], Without::Nothing);
    let start = model.start(1);
    let mut visited = HashSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    let mut cases = 0;
    while let Some(state) = open.pop_front() {
        let [first, second] = &state.runs[..] else { unreachable!("two requests") };
        let is_between = first.phase == Phase::Crashed && first.has_marked && !first.has_created;
        // Whoever comes in time with a new assertion is not hindered by the crash.
        if is_between && state.clock == 0 {
            if let Phase::Answered(answer) = second.phase {
                cases += 1;
                assert_eq!(answer, Answer::Accepted);
            }
        }
        let next = model.successors(&state).into_iter().filter(|after| after.clock == 0);
        open.extend(next.filter(|after| visited.insert(after.clone())));
    }
    assert!(cases > 0);
}
