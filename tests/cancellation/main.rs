//! Tests of I45: every durable step is recorded, also if its call is cancelled. Each operation that
//! writes is dropped at each of its await points. The store suspends before and after each call,
//! and the audit log before and after each event.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod cases;
mod slow;
#[path = "../support/mod.rs"]
mod support;
mod trails;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use cases::{CASES, Case};
use grantcore::event::{Durability, EventKind, Written, WrittenRecord};
use grantcore::{Event, Reason};
use slow::{Durable, Fixture, Trouble};
use support::Answered;

/// The state after a call was dropped.
struct Cut {
    durable: Vec<Durable>,
    observed: Vec<Event>,
    recorded: Vec<Event>,
    is_finished: bool,
}

/// Polls the call of this case `polls` times, and ends it: by a drop, or without one, as if the driver
/// had no guard.
fn cut_by(
    end: fn(Pin<Box<dyn Future<Output = ()> + '_>>),
    case: &Case,
    trouble: Option<Trouble>,
    polls: usize,
) -> Cut {
    let fixture = Fixture::new();
    let run = (case.prepare)(&fixture.world);
    *fixture.store.trouble.lock().unwrap() = trouble;
    let mut future: Pin<Box<dyn Future<Output = ()> + '_>> = run(&fixture.server);
    let mut context = Context::from_waker(Waker::noop());
    let is_finished = (0..polls).any(|_| future.as_mut().poll(&mut context) == Poll::Ready(()));
    end(future);
    Cut {
        durable: fixture.store.durable.lock().unwrap().clone(),
        observed: fixture.observed.lock().unwrap().clone(),
        recorded: fixture.trail.events.lock().unwrap().clone(),
        is_finished,
    }
}

/// Returns the state after each number of polls. The last call ran to its end.
fn cuts(case: &Case, trouble: Option<Trouble>) -> Vec<Cut> {
    cuts_by(|future| drop(future), case, trouble)
}

fn cuts_by(
    end: fn(Pin<Box<dyn Future<Output = ()> + '_>>),
    case: &Case,
    trouble: Option<Trouble>,
) -> Vec<Cut> {
    let mut all: Vec<Cut> = Vec::new();
    while all.last().is_none_or(|last| !last.is_finished) {
        assert!(all.len() < 1000, "{} never ends", case.name);
        all.push(cut_by(end, case, trouble, all.len()));
    }
    all
}

/// Returns whether the event belongs to this write. If the store wrongly reported a conflict, the
/// request may write the same again, and its only event has the later version.
fn is_of(event: &Event, durable: &Durable) -> bool {
    if durable.is_mark {
        return event.marked.is_some();
    }
    [event.written, event.prepared].into_iter().flatten().any(|written| {
        let (id, version) = match written.record {
            WrittenRecord::Grant(version) => (event.flow.map(|id| id.to_string()), version.0),
            WrittenRecord::Client(version) => (event.client_id().map(str::to_owned), version.0),
            WrittenRecord::Account => (event.subject.as_ref().map(ToString::to_string), 0),
            _ => panic!("another record"),
        };
        let is_own = if durable.is_repeated {
            durable.version <= version
        } else {
            version == durable.version
        };
        id.as_ref() == Some(&durable.id) && is_own
    })
}

fn check(name: &str, polls: usize, cut: &Cut) {
    let shown = || format!("{name} after {polls} polls: {:?} {:#?}", cut.durable, cut.recorded);
    let mut names = HashSet::new();
    let once: Vec<_> =
        cut.recorded.iter().filter(|event| names.insert((event.correlation, event.kind))).collect();
    for durable in &cut.durable {
        let own = once.iter().filter(|event| is_of(event, durable)).count();
        assert!(own >= 1, "{durable:?} is not recorded: {}", shown());
        assert!(own == 1, "{durable:?} is recorded {own} times: {}", shown());
    }
    for event in &once {
        let is_known = |written: Written| written.durability == Durability::Durable;
        let known = event.written.is_some_and(is_known);
        let of_record = |durable: &&Durable| !durable.is_mark && is_of(event, durable);
        let there = cut.durable.iter().any(|durable| of_record(&durable));
        if event.marked == Some(Durability::Durable) {
            assert!(cut.durable.iter().any(|durable| durable.is_mark), "{}", shown());
        }
        assert!(!known || there, "what is called durable is not: {}", shown());
    }
    if cut.is_finished {
        assert_eq!(once.len(), cut.recorded.len(), "nothing comes twice: {}", shown());
    }
    let mut seen = HashSet::new();
    let is_new = |event: &Event| seen.insert((event.correlation, event.kind));
    assert!(cut.observed.iter().all(is_new), "the observer sees each once: {}", shown());
    let recorded = |event: &&Event| names.contains(&(event.correlation, event.kind));
    assert_eq!(cut.observed.iter().filter(recorded).count(), names.len(), "{}", shown());
}

#[test]
fn i45_every_durable_step_is_recorded_wherever_its_call_is_cancelled() {
    for case in &CASES {
        let cuts = cuts(case, None);
        for (polls, cut) in cuts.iter().enumerate() {
            check(case.name, polls, cut);
        }
        let last = cuts.last().unwrap();
        assert!(!last.durable.is_empty(), "{} writes", case.name);
        let unknown = last.recorded.iter().filter(|event| event.is_unknown()).count();
        assert_eq!(unknown, 0, "{}: what ran to its end is known", case.name);
    }
}

/// The planted fault: the guard of the driver never runs. Every operation then loses an event.
#[test]
fn i45_without_the_guard_every_operation_loses_an_event() {
    for case in &CASES {
        let has_lost = |cut: &Cut| {
            let is_recorded = |own: &Durable| cut.recorded.iter().any(|event| is_of(event, own));
            !cut.durable.iter().all(is_recorded)
        };
        let cuts = cuts_by(|future| std::mem::forget(future), case, None);
        assert!(cuts.iter().any(has_lost), "{} loses nothing", case.name);
    }
}

/// The store reports a conflict, correctly or although the commit was applied (I17).
#[test]
fn i45_a_call_cancelled_after_a_conflict_reports_its_possible_write() {
    for trouble in [Trouble::Conflict, Trouble::AppliedThenConflict, Trouble::Unacknowledged] {
        for case in &CASES {
            for (polls, cut) in cuts(case, Some(trouble)).iter().enumerate() {
                check(&format!("{} with {trouble:?}", case.name), polls, cut);
            }
        }
    }
}

/// Lists the durability at each point of a refresh: one load of three reads, one commit and one
/// record, each of which suspends twice.
#[test]
fn i45_the_fate_is_correct_at_each_point_of_cancellation() {
    let case = CASES.iter().find(|case| case.name == "refresh").unwrap();
    let rows: Vec<_> = cuts(case, None)
        .iter()
        .map(|cut| {
            let durabilities = cut.recorded.iter().map(|event| event.written.unwrap().durability);
            (cut.durable.len(), cut.observed.len(), durabilities.collect::<Vec<_>>())
        })
        .collect();
    let expected = [
        // Before the first poll and in the load, nothing is written.
        (0, 0, vec![]),
        (0, 0, vec![]),
        (0, 0, vec![]),
        (0, 0, vec![]),
        (0, 0, vec![]),
        (0, 0, vec![]),
        (0, 0, vec![]),
        // In the commit, before and after the write.
        (0, 1, vec![Durability::Unknown]),
        (1, 1, vec![Durability::Unknown]),
        // In the record, before and after the event is stored.
        (1, 1, vec![Durability::Durable]),
        (1, 1, vec![Durability::Durable, Durability::Durable]),
        // At its end.
        (1, 1, vec![Durability::Durable]),
    ];
    assert_eq!(rows, expected);
}

/// An applied commit was reported as a conflict. During the second load its durability is unknown.
#[test]
fn i45_an_applied_commit_reported_as_a_conflict_is_unknown_until_the_next_decision() {
    let case = CASES.iter().find(|case| case.name == "refresh").unwrap();
    let cuts = cuts(case, Some(Trouble::AppliedThenConflict));
    // Six points of a load, two of a commit, six of the second load.
    for cut in &cuts[9..15] {
        let durabilities: Vec<_> =
            cut.recorded.iter().map(|event| event.written.unwrap().durability).collect();
        assert_eq!((cut.durable.len(), durabilities), (1, vec![Durability::Unknown]));
    }
    let last = cuts.last().unwrap();
    let event = &last.recorded[0];
    assert_eq!(
        (event.kind, event.written.unwrap().durability),
        (EventKind::TokensRefreshed, Durability::Durable)
    );
}

/// A preliminary write is durable before the request has an outcome.
#[test]
fn i45_a_preliminary_write_is_reported_if_the_request_is_cancelled_after_it() {
    let case = CASES.iter().find(|case| case.name == "consent that renews its client").unwrap();
    let cuts = cuts(case, None);
    let alone = cuts.iter().filter(|cut| cut.durable.len() == 1 && !cut.recorded.is_empty());
    let known = alone.filter(|cut| {
        let prepared = cut.recorded[0].prepared;
        prepared.is_some_and(|written| written.durability == Durability::Durable)
    });
    assert!(known.count() >= 6, "each point of the second load");
    let last = &cuts.last().unwrap().recorded[0];
    assert_eq!(last.kind, EventKind::ConsentApproved);
    assert!(last.prepared.is_some() && last.written.is_some());
}

/// A mark is durable before the request has an outcome. A request that is cancelled between the
/// mark and its main write has lost its assertion, and nothing else.
#[cfg(feature = "conformance")]
#[test]
fn i45_a_mark_is_reported_if_the_request_is_cancelled_after_it() {
    let case = &cases::MARKING;
    for trouble in [
        None,
        Some(Trouble::Conflict),
        Some(Trouble::AppliedThenConflict),
        Some(Trouble::Unacknowledged),
    ] {
        let cuts = cuts(case, trouble);
        for (polls, cut) in cuts.iter().enumerate() {
            check(&format!("{} with {trouble:?}", case.name), polls, cut);
        }
        let alone = cuts.iter().filter(|cut| cut.durable.iter().all(|durable| durable.is_mark));
        let marked = alone.filter(|cut| !cut.durable.is_empty());
        assert!(marked.count() >= 1, "{trouble:?}: each point between the two writes");
        let last = &cuts.last().unwrap().recorded[0];
        let is_unknown = trouble == Some(Trouble::Unacknowledged);
        let expected = if is_unknown { Durability::Unknown } else { Durability::Durable };
        assert_eq!((last.marked, last.written.is_none()), (Some(expected), is_unknown));
    }
}

/// A caller that disconnects while the event is recorded has made its guess.
#[test]
fn i45_a_failed_authentication_is_counted_although_the_caller_hangs_up() {
    let fixture = Fixture::new();
    let guess = || {
        let body = support::params::Params::refresh("x").by_web().set("client_secret", "wrong");
        body.encode()
    };
    let mut polls = 0;
    let mut context = Context::from_waker(Waker::noop());
    // The limit is ten failures a minute.
    for _ in 0..10 {
        let body = guess();
        let incoming = support::steps::form(&body);
        let mut future = Box::pin(fixture.server.token(&incoming));
        let before = fixture.observed.lock().unwrap().len();
        while fixture.observed.lock().unwrap().len() == before {
            assert!(future.as_mut().poll(&mut context).is_pending(), "it is being recorded");
            polls += 1;
            assert!(polls < 1000);
        }
    }
    let right = support::params::Params::refresh("x").by_web().encode();
    let incoming = support::steps::form(&right);
    let reply = slow::finish(fixture.server.token(&incoming)).answered(fixture.server.policy());
    assert_eq!(reply.status, 429);
    let reason = fixture.observed.lock().unwrap().last().unwrap().reason;
    assert_eq!(reason, Some(Reason::AuthenticationsThrottled));
    assert!(fixture.trail.abandoned.load(Ordering::SeqCst) >= 10);
}

/// A blocking server has no cancellation, but it can panic.
#[test]
fn i45_a_panic_of_the_audit_log_reports_the_step() {
    trails::a_panic_is_reported();
}

/// The process dies at an await point, and its memory with it. Another one serves the same user from
/// the first request to tokens that work: no lock and no half-written record is in the way.
#[test]
fn l3_after_a_crash_at_any_point_the_user_can_start_over() {
    let mut crashes = 0;
    let troubles = [None, Some(Trouble::AppliedThenConflict), Some(Trouble::Unacknowledged)];
    for (case, trouble) in CASES.iter().flat_map(|case| troubles.map(|trouble| (case, trouble))) {
        for polls in 0.. {
            let fixture = Fixture::new();
            let run = (case.prepare)(&fixture.world);
            *fixture.store.trouble.lock().unwrap() = trouble;
            let mut future = run(&fixture.server);
            let mut context = Context::from_waker(Waker::noop());
            let is_over = (0..polls).any(|_| future.as_mut().poll(&mut context).is_ready());
            // What a killed process would have done later is never done.
            std::mem::forget(future);
            if case.name == "deactivate" {
                fixture.world.put(support::app());
            }
            let policy = fixture.world.server.policy().clone();
            let next = fixture.world.beside(policy, 77);
            let tokens = next.tokens();
            assert!(next.works(&tokens.access), "{} after {polls} polls", case.name);
            let refreshed = next.refreshed(tokens.refresh());
            assert!(next.works(&refreshed.access), "{} after {polls} polls", case.name);
            crashes += 1;
            if is_over {
                break;
            }
        }
    }
    assert!(crashes > 300, "{crashes} crashes");
}
