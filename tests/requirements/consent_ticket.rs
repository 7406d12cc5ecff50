//! Tests of CONSENT-02 to -05: the ticket of a consent page, its lifetime and its single use.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use grantcore::blocking::{Server, Store};
use grantcore::event::EventClass;
use grantcore::grant::GrantState;
use grantcore::moment::Entropy;
use grantcore::operation::Decision;
use grantcore::policy::Lifetimes;
use grantcore::request::ConsentDecision;
use grantcore::response::Redirect;
use grantcore::store::Commit;
use grantcore::value::Subject;
use grantcore::{AuthorizationStep, Choice, FromStore, Reason, RequestParts, Timestamp, User};

use crate::support::params::Params;
use crate::support::refused::{assert_page, codes, states};
use crate::support::store::Fault;
use crate::support::{ALICE, Granted, T, World, app, entropy, param, policy, user};

use crate::consent::{allow, forged, ticket};

#[test]
fn consent_02_a_decision_without_its_ticket_is_refused() {
    let world = World::new();
    let good = ticket(&world);
    let another_id = forged(&good[.."gct_".len() + 20]) + &good["gct_".len() + 20..];
    for (bad, reason) in [
        ("", Reason::TicketMissing),
        ("gct_", Reason::TicketMissing),
        ("nonsense", Reason::TicketMissing),
        (&good[..good.len() - 1], Reason::TicketMissing),
        (&good[..good.len() - 4], Reason::TicketMissing),
        (&format!("{good}AAAA"), Reason::TicketMissing),
        (&good.replace("gct_", "gac_"), Reason::TicketMissing),
        (&good.replace("gct_", "GCT_"), Reason::TicketMissing),
        (&forged(&good), Reason::TicketUnknown),
        (&another_id, Reason::TicketUnknown),
    ] {
        for choice in [Choice::Allow, Choice::AllowOnly("read"), Choice::Deny] {
            let refusal = world.decide(bad, choice).unwrap_err();
            assert_page(&world, &refusal, 400, "invalid_request", reason);
        }
    }
    assert_eq!((world.store.commits(), states(&world)), (1, vec![GrantState::ConsentPending]));
    allow(&world, &good);
}

/// Flips each byte of the request's entropy, and counts the bytes that change the ticket. Those of
/// the grant id are not secret.
#[test]
fn consent_02_the_ticket_holds_at_least_128_random_bits() {
    let drawn = |bytes: [u8; 128]| {
        let policy = policy().build().unwrap();
        let world = World::new();
        let clock = || Timestamp::from_unix_seconds(T);
        let server =
            Server::with_sources(policy, Arc::clone(&world.store), FromStore, clock, move || {
                Ok(Entropy::from_bytes(bytes))
            });
        let query = Params::authorize().encode();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let AuthorizationStep::NeedsConsent(page) =
            server.authorize(&incoming, Some(ALICE)).unwrap()
        else {
            panic!()
        };
        page.ticket()
    };
    let turned = |at: usize| {
        let mut bytes = [0; 128];
        bytes[at] = 0xFF;
        drawn(bytes)
    };
    let same = drawn([0; 128]);
    let distinct: BTreeSet<String> =
        (0..128).map(turned).filter(|ticket| *ticket != same).collect();
    assert!(distinct.len() >= 16 + 16, "{}", distinct.len());
}

#[test]
fn consent_03_the_ticket_lives_600_seconds() {
    for choice in [Choice::Allow, Choice::Deny] {
        let world = World::new();
        let ticket = ticket(&world);
        for late in [600, 601, 86_400] {
            world.at(late);
            let refusal = world.decide(&ticket, choice).unwrap_err();
            assert_page(&world, &refusal, 400, "consent_expired", Reason::ConsentExpired);
        }
        assert_eq!(Reason::ConsentExpired.name(), "consent_nonce_expired");
        assert_eq!((world.store.commits(), states(&world)), (1, vec![GrantState::ConsentPending]));
    }
    let world = World::new();
    let ticket = ticket(&world);
    world.at(599);
    allow(&world, &ticket);
    assert_eq!(codes(&world), 1);
}

#[test]
fn consent_03_the_lifetime_is_configured_and_shown() {
    let world =
        World::with(policy().lifetimes(Lifetimes::default().with_consent(Duration::from_secs(60))));
    let page = world.page(&Params::authorize());
    assert_eq!(page.expires(), Timestamp::from_unix_seconds(T + 60));
    world.at(60);
    let refusal = world.decide(&page.ticket(), Choice::Allow).unwrap_err();
    assert_page(&world, &refusal, 400, "consent_expired", Reason::ConsentExpired);
}

#[test]
fn consent_04_reloading_gives_a_fresh_ticket() {
    let world = World::new();
    let first = ticket(&world);
    world.at(300);
    let second = ticket(&world);
    world.at(700);
    assert_eq!(world.decide(&first, Choice::Allow).unwrap_err().reason(), Reason::ConsentExpired);
    let third = ticket(&world);
    allow(&world, &second);
    allow(&world, &third);
    assert_eq!((BTreeSet::from([&first, &second, &third]).len(), codes(&world)), (3, 2));
}

#[test]
fn consent_04_reloading_checks_the_request_again() {
    let world = World::new();
    ticket(&world);
    world.put(app().deactivated());
    let refusal = world.authorize(&Params::authorize()).unwrap_err();
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientDeactivated);
}

#[test]
fn consent_05_a_ticket_is_used_once() {
    for (first, second) in [
        (Choice::Allow, Choice::Allow),
        (Choice::Allow, Choice::Deny),
        (Choice::Deny, Choice::Allow),
    ] {
        let world = World::new();
        let ticket = ticket(&world);
        let _ = world.decide(&ticket, first);
        let writes = world.store.commits();
        let refusal = world.decide(&ticket, second).unwrap_err();
        assert_page(&world, &refusal, 400, "consent_used", Reason::ConsentUsed);
        assert_eq!(world.store.commits(), writes);
    }
}

#[test]
fn consent_05_a_ticket_is_used_up_when_its_code_was_redeemed() {
    let world = World::new();
    let ticket = ticket(&world);
    let code = param(&allow(&world, &ticket), "code").unwrap();
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&ticket, choice).unwrap_err();
        assert_page(&world, &refusal, 400, "consent_used", Reason::ConsentUsed);
    }
    assert!(world.works(&tokens.access));
}

/// Both decisions have read the record before either writes.
#[test]
fn consent_05_only_one_of_two_parallel_decisions_is_stored() {
    for (first, second) in [
        (Choice::Allow, Choice::Allow),
        (Choice::Allow, Choice::Deny),
        (Choice::Deny, Choice::Allow),
    ] {
        let world = World::new();
        let ticket = ticket(&world);
        let decision = |choice, seed| -> Decision<Redirect> {
            let operation = ConsentDecision::new(&ticket, ALICE, choice).unwrap();
            world.decision(&operation, &world.moment(entropy(seed)))
        };
        let winner = decision(first, 7);
        let loser = decision(second, 8);
        assert_eq!(world.store.commit(winner.write().unwrap()), Ok(Commit::Done));
        assert_eq!(world.store.commit(loser.write().unwrap()), Ok(Commit::Conflict));
        assert!(loser.settle(Commit::Conflict).is_err());
        let again = decision(second, 8);
        assert!(again.write().is_none());
        assert_eq!(
            again.settle(Commit::Done).unwrap().outcome.unwrap_err().reason(),
            Reason::ConsentUsed
        );
        let settled = winner.settle(Commit::Done).unwrap();
        assert_eq!(settled.outcome.is_ok(), codes(&world) == 1);
    }
}

#[test]
fn consent_05_eight_threads_get_one_code() {
    let world = World::new();
    let ticket = ticket(&world);
    let barrier = Barrier::new(8);
    let approve = || {
        barrier.wait();
        world
            .decide(&ticket, Choice::Allow)
            .map(Redirect::into_location)
            .map_err(|refusal| refusal.reason())
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(approve)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(Reason::ConsentUsed)).count(), 7);
}

/// If the durability of a decision's write is unknown, the client gets neither a code nor a denial.
#[test]
fn consent_05_a_decision_that_was_not_saved_is_not_sent() {
    for (choice, fault) in [
        (Choice::Allow, Fault::Dropped),
        (Choice::Deny, Fault::Dropped),
        (Choice::Allow, Fault::Unacknowledged),
    ] {
        let world = World::new();
        let ticket = ticket(&world);
        world.store.fail([fault]);
        let failure = world.server.consent(&ticket, ALICE, choice).unwrap_err();
        let url = failure.refusal().location(world.server.policy()).unwrap_or_default();
        assert_eq!(world.reason(), Some(Reason::StorageUnavailable));
        assert!(!url.contains("code=") && !url.contains("access_denied"), "{url}");
    }
}

/// A host asks again only for a page that waits for an answer.
#[test]
fn consent_03_05_and_06_only_an_unanswered_page_of_its_own_session_is_open() {
    let world = World::new();
    let good = ticket(&world);
    let is_open = |text: &str, user: User<'_>, seconds: u64| {
        let decision = ConsentDecision::new(text, user, Choice::Allow).unwrap();
        let id = ConsentDecision::new(&good, ALICE, Choice::Allow).unwrap().grant_id();
        let grant = world.store.grant(id).unwrap().unwrap().record;
        decision.is_open(&grant, Timestamp::from_unix_seconds(T + seconds))
    };
    assert!(is_open(&good, ALICE, 0) && is_open(&good, ALICE, 599));
    assert!(!is_open(&good, ALICE, 600), "it has expired");
    assert!(!is_open(&forged(&good), ALICE, 0), "another ticket of the grant");
    assert!(!is_open(&ticket(&world), ALICE, 0), "the ticket of another grant");
    for other in [user("mallory", ALICE.session()), user(ALICE.subject(), b"another browser")] {
        assert!(!is_open(&good, other, 0), "{other:?}");
    }
    allow(&world, &good);
    assert!(!is_open(&good, ALICE, 0), "it is answered");
}

/// The user who sent a form without a good ticket is in the event.
#[test]
fn audit_01_a_form_without_a_ticket_names_its_user() {
    let world = World::new();
    for text in ["", "nonsense"] {
        let refusal = world.decide(text, Choice::Deny).unwrap_err();
        assert_eq!(refusal.reason(), Reason::TicketMissing);
        let event = world.events().pop().unwrap();
        assert_eq!(event.reason, Some(Reason::TicketMissing));
        assert_eq!(event.subject.as_ref().map(Subject::as_str), Some(ALICE.subject()));
        assert_eq!(event.class(), EventClass::Unattributed);
    }
}
