//! Tests of the single-use mark through the driver, with a request that stands for each one with an
//! assertion: what is written, in which order, and how often the store is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grantcore::blocking::{self, Store as _, drive};
use grantcore::conformance::AssertionRequest;
use grantcore::event::Durability;
use grantcore::grant::Grant;
use grantcore::store::{Commit, FailureCause, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{AlwaysActive, Client, MemoryStore, Reason, Timestamp};

use crate::marking::{END, Marking, T, Trouble, Unknown, entropy, request, two};

#[test]
fn seen_01_an_assertion_is_accepted_once() {
    let store = Marking::new();
    let first = request("one");
    assert_eq!(store.outcome(&first, 1), Ok(first.grant_id()));
    // The same request at another node, and another one with the same assertion.
    for again in [first.clone(), request("one")] {
        assert_eq!(store.outcome(&again, 2), Err(AssertionRequest::REPLAYED));
    }
    let other = request("two");
    assert_eq!(store.outcome(&other, 3), Ok(other.grant_id()));
}

#[test]
fn seen_03_marks_of_different_uses_never_meet() {
    let store = Marking::new();
    let both = two("one", "one");
    assert_eq!(store.outcome(&both, 1), Ok(both.grant_id()), "one jti for both assertions");
    assert_eq!(store.calls(), "load mark mark grant");
}

#[test]
fn seen_04_no_mark_is_read_before_it_is_created() {
    let store = Marking::new();
    store.run(&request("one"), 1).unwrap();
    assert_eq!(store.calls(), "load mark grant");
    store.run(&request("one"), 2).unwrap();
    assert_eq!(store.calls(), "load mark seen", "only after a conflict");
}

#[test]
fn seen_05_an_assertion_with_a_fault_leaves_no_mark() {
    let store = Marking::new();
    let late = request("one");
    store.now.store(END, Ordering::SeqCst);
    assert_eq!(store.outcome(&late, 1), Err(AssertionRequest::EXPIRED));
    assert_eq!(store.calls(), "load");
    store.now.store(END - 1, Ordering::SeqCst);
    assert_eq!(store.outcome(&late, 2), Ok(late.grant_id()));
}

#[test]
fn seen_06_a_refusal_uses_the_assertion_up() {
    let store = Marking::new();
    let refused = request("one").refused(Reason::CodeExpired);
    assert_eq!(store.outcome(&refused, 1), Err(Reason::CodeExpired));
    assert_eq!(store.calls(), "load mark");
    assert_eq!(store.outcome(&request("one"), 2), Err(AssertionRequest::REPLAYED));
}

#[test]
fn seen_07_a_refusal_for_now_leaves_no_mark() {
    let store = Marking::new();
    for reason in [Reason::Contended, Reason::RateLimited] {
        assert_eq!(store.outcome(&request("one").refused(reason), 1), Err(reason));
        assert_eq!(store.calls(), "load");
    }
    let again = request("one");
    assert_eq!(store.outcome(&again, 2), Ok(again.grant_id()));
}

#[test]
fn seen_08_a_request_goes_on_after_its_own_mark() {
    let store = Marking::with([Trouble::AppliedThenConflict]);
    let first = request("one");
    let done = store.run(&first, 1).unwrap();
    assert_eq!(done.outcome, Ok(first.grant_id()));
    assert_eq!(store.calls(), "load mark seen grant");
    assert_eq!(done.event.marked, Some(Durability::Durable));
    // Nobody else does.
    assert_eq!(store.outcome(&first, 2), Err(AssertionRequest::REPLAYED));
}

#[test]
fn seen_08_a_mark_that_is_not_found_is_created_again_once() {
    let store = Marking::with([Trouble::Conflict]);
    let first = request("one");
    assert_eq!(store.outcome(&first, 1), Ok(first.grant_id()));
    assert_eq!(store.calls(), "load mark seen mark grant");

    let store = Marking::with([Trouble::Conflict; 9]);
    let done = store.run(&request("one"), 1).unwrap();
    assert_eq!(done.outcome, Err(Reason::Contended), "nothing is accepted without a mark");
    assert_eq!((store.calls().as_str(), done.event.marked), ("load mark seen mark seen", None));
}

#[test]
fn seen_09_the_event_of_a_replay_names_the_first_request() {
    let store = Marking::new();
    let first = store.run(&request("one"), 1).unwrap();
    let again = store.run(&request("one"), 2).unwrap();
    assert_eq!(first.event.first, None);
    assert_eq!(again.event.first, Some(first.event.correlation));
    assert_ne!(again.event.correlation, first.event.correlation);
    assert_eq!(again.event.marked, None, "it has written nothing");
    let text = serde_json::to_value(&again.event).unwrap();
    assert_eq!(text["first"], first.event.correlation.to_string());
    let text = serde_json::to_value(&first.event).unwrap();
    assert_eq!(text["marked"], "durable");
}

#[test]
fn seen_10_a_mark_outlives_its_assertion() {
    let store = Marking::new();
    store.run(&request("one"), 1).unwrap();
    let at = |seconds| {
        store.now.store(seconds, Ordering::SeqCst);
        store.store.sweep(Timestamp::from_unix_seconds(seconds), 100);
        store.outcome(&request("one"), 2)
    };
    assert_eq!(at(END - 1), Err(AssertionRequest::REPLAYED));
    assert_eq!(at(END), Err(AssertionRequest::EXPIRED));
    assert_eq!(at(END + 600), Err(AssertionRequest::EXPIRED), "without its mark");
}

#[test]
fn seen_11_a_mark_is_kept_600_seconds_after_its_assertion() {
    let store = Marking::new();
    // The grant that is not created cannot be swept.
    let first = request("one").refused(Reason::CodeExpired);
    store.run(&first, 1).unwrap();
    let at = Timestamp::from_unix_seconds;
    assert_eq!(store.store.sweep(at(END + 599), 100), 0);
    assert_eq!(store.outcome(&request("one"), 2), Err(AssertionRequest::REPLAYED));
    assert_eq!(store.store.sweep(at(END + 600), 100), 1);
    // A clock that is set back 600 seconds after the sweep still shows the end of the assertion.
    store.now.store(END, Ordering::SeqCst);
    assert_eq!(store.outcome(&request("one"), 3), Err(AssertionRequest::EXPIRED));
}

/// The request that finds the record of another request was not at its main write before.
#[test]
fn seen_13_a_mark_is_no_earlier_attempt() {
    let store = Marking::new();
    let first = request("one");
    store.run(&first, 1).unwrap();
    let second = request("two").for_grant_of(&first).unwrap();
    assert_eq!(store.outcome(&second, 2), Err(Reason::CodeReused), "not taken for its own commit");
}

#[test]
fn seen_14_a_mark_takes_no_attempt() {
    let store = Marking { conflicts: AtomicU64::new(3), ..Marking::new() };
    let first = request("one");
    assert_eq!(store.outcome(&first, 1), Ok(first.grant_id()));
    assert_eq!(store.calls(), "load mark grant load grant load grant load grant");
    let store = Marking { conflicts: AtomicU64::new(4), ..Marking::new() };
    assert_eq!(store.outcome(&request("one"), 1), Err(Reason::Contended));
}

#[test]
fn seen_14_a_preliminary_write_comes_after_the_mark() {
    let store = Marking::new();
    let client = Client::public("new").redirect_uri("https://app.example/cb").build().unwrap();
    let first = request("one").preparing(client);
    let done = store.run(&first, 1).unwrap();
    assert_eq!(done.outcome, Ok(first.grant_id()));
    assert_eq!(store.calls(), "load mark client load grant");
    assert!(done.event.prepared.is_some() && done.event.marked.is_some());
}

#[test]
fn seen_15_the_clients_mark_comes_first() {
    let store = Marking::new();
    store.run(&request("client"), 1).unwrap();
    store.calls();
    assert_eq!(store.outcome(&two("client", "grant"), 2), Err(AssertionRequest::REPLAYED));
    assert_eq!(store.calls(), "load mark seen", "no mark of the grant");
    let both = two("client 2", "grant");
    assert_eq!(store.outcome(&both, 3), Ok(both.grant_id()));
    // A replayed grant uses a fresh client assertion up.
    assert_eq!(store.outcome(&two("client 3", "grant"), 4), Err(AssertionRequest::REPLAYED));
    assert_eq!(store.outcome(&request("client 3"), 5), Err(AssertionRequest::REPLAYED));
}

#[test]
fn seen_16_a_store_error_while_marking_writes_nothing_else() {
    let store = Marking::with([Trouble::Fails]);
    let first = request("one");
    let failure = store.run(&first, 1).err().unwrap();
    assert!(matches!(failure.cause, FailureCause::Store(Unknown)));
    assert_eq!(failure.refusal.reason(), Reason::StorageUnavailable);
    assert_eq!(failure.event.marked, Some(Durability::Unknown));
    assert!(failure.event.is_unknown());
    assert_eq!((store.calls().as_str(), store.has_grant(&first)), ("load mark", false));
    let again = request("two").for_grant_of(&first).unwrap();
    assert_eq!(store.outcome(&again, 2), Ok(first.grant_id()), "with a new assertion");

    let store = Marking { unreadable: true, ..Marking::with([Trouble::Conflict]) };
    let failure = store.run(&first, 1).err().unwrap();
    assert_eq!(failure.refusal.reason(), Reason::StorageUnavailable, "unreadable is never unseen");
    assert!(!store.has_grant(&first));
}

#[test]
fn seen_18_a_sweep_of_marks_keeps_to_its_limit() {
    let store = Marking::new();
    for number in 0..250 {
        let refused = request(&number.to_string()).refused(Reason::CodeExpired);
        store.run(&refused, 1).unwrap();
    }
    let due = Timestamp::from_unix_seconds(END + 600);
    let swept: Vec<_> = (0..4).map(|_| store.store.sweep(due, 100)).collect();
    assert_eq!(swept, [100, 100, 50, 0]);
    assert_eq!(store.store.counts().marks, 0);
}

#[test]
fn seen_19_a_mark_moves_to_another_store() {
    let (from, to) = (Marking::new(), Marking::new());
    from.run(&request("one"), 1).unwrap();
    from.run(&request("two"), 2).unwrap();
    let [first, second] = &from.store.marks(None, 9)[..] else { panic!("two marks") };
    assert_eq!(from.store.marks(Some(*first.key()), 9), std::slice::from_ref(second));
    for mark in [first, second] {
        let write = Write::moved_seen(mark.clone());
        assert_eq!(to.commit(&write).unwrap(), Commit::Done);
        assert_eq!(to.commit(&write).unwrap(), Commit::Conflict);
    }
    assert_eq!(to.outcome(&request("one"), 3), Err(AssertionRequest::REPLAYED));
}

/// The assertion is judged again after a slow mark. The rest is decided at the time of its load.
#[test]
fn i34_a_slow_mark_changes_nothing_but_the_time_of_the_assertion() {
    let store = Marking { slow: 299, ..Marking::new() };
    let first = request("one");
    let done = store.run(&first, 1).unwrap();
    assert_eq!(done.outcome, Ok(first.grant_id()));
    assert_eq!(done.event.at.unix_seconds(), T);
    let store = Marking { slow: 300, ..Marking::new() };
    let late = request("one");
    assert_eq!(store.outcome(&late, 1), Err(AssertionRequest::EXPIRED));
    assert_eq!((store.calls().as_str(), store.has_grant(&late)), ("load mark", false));
}

/// A mark that was swept before its creation was acknowledged: the assertion is past by then.
#[test]
fn i35_a_stalled_creation_finds_its_assertion_expired() {
    let store = Marking { slow: 900, ..Marking::with([Trouble::Lost]) };
    let late = request("one");
    assert_eq!(store.outcome(&late, 1), Err(AssertionRequest::EXPIRED));
    assert!(!store.has_grant(&late));
}

/// A store without marks of its own: every commit of a mark is a conflict.
#[test]
fn seen_12_a_store_without_marks_accepts_no_assertion() {
    struct Without(Arc<MemoryStore>);

    impl blocking::Store for Without {
        type Error = std::convert::Infallible;

        fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Self::Error> {
            blocking::Store::client(&self.0, id)
        }

        fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Self::Error> {
            blocking::Store::grant(&self.0, id)
        }

        fn commit(&self, write: &Write) -> Result<Commit, Self::Error> {
            match write {
                Write::Seen(_) => Ok(Commit::Conflict),
                Write::Grant(_) | Write::Client(_) => blocking::Store::commit(&self.0, write),
            }
        }

        fn grants_of(
            &self,
            subject: &str,
            after: Option<GrantId>,
            limit: usize,
        ) -> Result<Vec<GrantId>, Self::Error> {
            blocking::Store::grants_of(&self.0, subject, after, limit)
        }
    }

    let store = Without(Arc::default());
    let policy = AssertionRequest::policy().unwrap();
    let clock = || Timestamp::from_unix_seconds(T);
    let settled = drive(&request("one"), &store, AlwaysActive, &policy, &clock, entropy(1));
    assert_eq!(settled.unwrap().outcome.unwrap_err().reason(), Reason::Contended);
}
