//! Tests of REVOKE-08 and REFRESH-17: an administrator ends connections.

use grantcore::blocking::Store as _;
use grantcore::event::EventKind;
use grantcore::grant::{GrantState, RevocationCause};
use grantcore::policy::Limits;
use grantcore::{Choice, Reason, RevokedBy};

use crate::connected::{BOB, is_over, listed, only, tokens, world};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{ALICE, Outcome, World, policy};

const ADMIN: RevokedBy<'static> = RevokedBy::Administrator("left the company");

#[test]
fn revoke_08_an_administrator_ends_one_grant() {
    let world = world();
    let one = tokens(&world, ALICE, "app");
    let two = tokens(&world, BOB, "app");
    let grant = only(&world).grant_id();
    world.server.revoke_grant(grant, ADMIN).unwrap();
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.kind, event.note.as_deref()),
        (EventKind::GrantRevoked, Some("left the company"))
    );
    assert_eq!(
        world.grants()[0].record.state(),
        GrantState::Revoked(RevocationCause::Administrator)
    );
    is_over(&world, &one, Reason::GrantRevoked);
    assert!(world.works(&two.access));
    // A grant that has ended, or does not exist, is not an error.
    for gone in [grant, grantcore::value::GrantId::from_bytes([7; 16])] {
        world.server.revoke_grant(gone, ADMIN).unwrap();
        assert_eq!(world.events().pop().unwrap().kind, EventKind::NothingRevoked);
    }
}

#[test]
fn revoke_08_an_administrator_ends_all_of_a_user() {
    let world = world();
    let one = tokens(&world, ALICE, "app");
    let two = tokens(&world, ALICE, "other");
    let bobs = tokens(&world, BOB, "app");
    let page = world.page(&Params::authorize()).ticket();
    let events = world.events().len();
    assert!(world.server.revoke_user("alice", ADMIN).unwrap().is_complete());
    let events: Vec<_> = world.events().split_off(events);
    assert_eq!(events[0].kind, EventKind::AccountGrantsEnded);
    assert_eq!(
        (events.len(), events.iter().filter(|event| event.kind == EventKind::GrantRevoked).count()),
        (4, 3)
    );
    assert!(events.iter().all(|event| event.note.as_deref() == Some("left the company")));
    assert!(
        events
            .iter()
            .all(|event| event.subject.as_ref().is_some_and(|subject| subject.as_str() == "alice"))
    );
    is_over(&world, &one, Reason::GrantRevoked);
    is_over(&world, &two, Reason::GrantRevoked);
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&page, choice).unwrap_err();
        assert_eq!(refusal.reason(), Reason::ConsentExpired, "nobody has decided");
    }
    assert!(world.works(&bobs.access) && listed(&world, "alice").is_empty());
    assert!(world.works(&tokens(&world, ALICE, "app").access), "the user may connect again");
}

#[test]
fn revoke_08_an_administrator_ends_all_of_a_client_in_one_write() {
    let world = world();
    let one = tokens(&world, ALICE, "app");
    let two = tokens(&world, BOB, "app");
    let others = tokens(&world, ALICE, "other");
    let before = world.store.commits();
    world.server.revoke_client("app", ADMIN).unwrap();
    assert_eq!(world.store.commits() - before, 1);
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.kind, event.note.as_deref()),
        (EventKind::ClientGrantsEnded, Some("left the company"))
    );
    is_over(&world, &one, Reason::GrantEnded);
    is_over(&world, &two, Reason::GrantEnded);
    assert!(world.works(&others.access) && world.works(&tokens(&world, BOB, "app").access));
    assert_eq!(
        world.server.revoke_client("nobody", ADMIN).outcome().unwrap_err().reason(),
        Reason::ClientUnknown
    );
}

#[test]
fn revoke_08_an_administrator_ends_all_of_a_user_for_one_client() {
    let world = world();
    let one = tokens(&world, ALICE, "app");
    let two = tokens(&world, ALICE, "app");
    let others = tokens(&world, ALICE, "other");
    let bobs = tokens(&world, BOB, "app");
    let ended = world.server.revoke_user_client("alice", "app", ADMIN).unwrap();
    assert_eq!((ended.revoked, ended.is_complete()), (2, true));
    is_over(&world, &one, Reason::GrantRevoked);
    is_over(&world, &two, Reason::GrantRevoked);
    assert!(world.works(&others.access) && world.works(&bobs.access));
}

/// A user has one button for an application that was authorized several times.
#[test]
fn revoke_08_a_user_ends_all_of_one_client() {
    let world = world();
    let one = tokens(&world, ALICE, "app");
    let two = tokens(&world, ALICE, "app");
    let others = tokens(&world, ALICE, "other");
    let ended = world.server.revoke_user_client("alice", "app", RevokedBy::User).unwrap();
    assert_eq!((ended.revoked, ended.is_complete()), (2, true));
    is_over(&world, &one, Reason::GrantRevoked);
    is_over(&world, &two, Reason::GrantRevoked);
    assert!(world.works(&others.access));
    let by_user = GrantState::Revoked(RevocationCause::User);
    assert_eq!(world.grants().iter().filter(|grant| grant.record.state() == by_user).count(), 2);
}

#[test]
fn revoke_08_many_grants_are_all_ended() {
    let world = World::with(policy().limits(
        Limits::default().with_token_requests_per_minute(1000).with_consent_pages_per_minute(1000),
    ));
    let all: Vec<_> = (0..600).map(|_| tokens(&world, ALICE, "app")).collect();
    let ended = world.server.revoke_user_client("alice", "app", ADMIN).unwrap();
    assert_eq!((ended.revoked, ended.is_complete()), (600, true));
    assert!(all.iter().all(|tokens| !world.works(&tokens.access)));
}

/// If the store cannot be read at all, the result is its error.
#[test]
fn revoke_08_a_store_that_cannot_list_the_grants_is_an_error() {
    let world = world();
    let all = [tokens(&world, ALICE, "app"), tokens(&world, ALICE, "app")];
    *world.store.broken_reads.lock().unwrap() = true;
    assert!(
        world.server.revoke_user("alice", ADMIN).is_err()
            && world.server.revoke_user_client("alice", "app", ADMIN).is_err()
            && world.server.connections("alice", None, 9).is_err()
    );
    assert_eq!(world.reason(), Some(Reason::StorageUnavailable));
    *world.store.broken_reads.lock().unwrap() = false;
    assert!(all.iter().all(|tokens| world.works(&tokens.access)));
}

/// One grant that cannot be ended does not prevent the end of the others, and is tried again.
#[test]
fn revoke_08_a_grant_that_cannot_be_ended_at_first_is_tried_again() {
    for fault in [Fault::Dropped, Fault::Unacknowledged, Fault::Conflict] {
        let world = world();
        let all = [(); 3].map(|()| tokens(&world, ALICE, "app"));
        // There are more conflicts than attempts of one request.
        world.store.fail([fault; 4]);
        let ended = world.server.revoke_user_client("alice", "app", ADMIN).unwrap();
        assert!(ended.is_complete(), "{fault:?}: {ended:?}");
        assert!(all.iter().all(|tokens| !world.works(&tokens.access)), "{fault:?}");
    }
}

/// If a grant always conflicts, the result names it, and the others are ended.
#[test]
fn revoke_08_the_result_names_grants_that_could_not_be_ended() {
    let world = world();
    let all = [(); 3].map(|()| tokens(&world, ALICE, "app"));
    // The first grant conflicts in the first round and is ended in the next. The second cannot be
    // read.
    world.store.fail([Fault::Conflict; 4]);
    let ids = world.server.store().grants_of("alice", None, 9).unwrap();
    world.store.broken_grant(Some(ids[1]));
    let ended = world.server.revoke_user_client("alice", "app", ADMIN).unwrap();
    assert_eq!((ended.revoked, &ended.remaining), (2, &vec![ids[1]]));
    world.store.broken_grant(None);
    let working: Vec<_> = all.iter().filter(|tokens| world.works(&tokens.access)).collect();
    assert_eq!(working.len(), 1);
    let ended = world.server.revoke_user("alice", ADMIN).unwrap();
    assert_eq!((ended.revoked, ended.is_complete()), (1, true), "the operation can be repeated");
    assert!(all.iter().all(|tokens| !world.works(&tokens.access)));
}

#[test]
fn revoke_08_the_note_is_stored_as_harmless_text() {
    let world = world();
    world.tokens();
    let note = format!("line\nbreak {}", "x".repeat(1000));
    world.server.revoke_grant(only(&world).grant_id(), RevokedBy::Administrator(&note)).unwrap();
    let kept = world.events().pop().unwrap().note.unwrap();
    assert!(kept.starts_with("line\\nbreak") && kept.ends_with('…') && kept.len() < 300, "{kept}");
}

#[test]
fn refresh_17_after_a_security_event_each_family_is_refused_with_that_reason() {
    let world = world();
    let all = [tokens(&world, ALICE, "app"), tokens(&world, ALICE, "other")];
    let bobs = tokens(&world, BOB, "app");
    let revoked_by = RevokedBy::SecurityEvent("password changed");
    assert!(world.server.revoke_user("alice", revoked_by).unwrap().is_complete());
    for (tokens, client) in all.iter().zip(["app", "other"]) {
        world.dead(&tokens.access, Reason::TokenRevoked);
        world.invalid_grant(
            &Params::refresh(tokens.refresh()).set("client_id", client),
            Reason::RevokedSecurityEvent,
        );
    }
    assert!(world.works(&bobs.access));
}

/// The accounts fail: one event says that the step failed, and what was answered.
#[test]
fn revoke_08_accounts_that_cannot_be_written_are_an_error_with_one_event() {
    let world = world();
    let tokens = tokens(&world, ALICE, "app");
    *world.store.broken_reads.lock().unwrap() = true;
    let before = world.events().len();
    let error = world.server.revoke_user("alice", ADMIN).unwrap_err();
    let events = world.events();
    let [event] = &events[before..] else { panic!("{:?}", &events[before..]) };
    assert_eq!((event.kind, event.reason), (EventKind::Refused, Some(Reason::StorageUnavailable)));
    assert_eq!(event.sent.as_ref().map(|sent| sent.status), Some(503));
    assert_eq!(error.failure().unwrap().event.sent, event.sent);
    *world.store.broken_reads.lock().unwrap() = false;
    assert!(world.works(&tokens.access));
}

/// Grants that other requests keep changing remain, and are named.
#[test]
fn revoke_08_grants_that_remain_are_named() {
    let world = world();
    let one = tokens(&world, ALICE, "app");
    let id = world.access(&one.access).grant_id();
    // The user's epoch is not raised for a single client, so that each grant is written.
    world.store.fail([Fault::Conflict; 40]);
    let ended = world.server.revoke_user_client("alice", "app", ADMIN).unwrap();
    assert_eq!((ended.revoked, ended.is_complete()), (0, false));
    assert_eq!(ended.remaining, [id]);
    world.store.faults.lock().unwrap().clear();
    let ended = world.server.revoke_user_client("alice", "app", ADMIN).unwrap();
    assert_eq!((ended.revoked, ended.is_complete()), (1, true));
}
