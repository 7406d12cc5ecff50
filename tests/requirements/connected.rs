//! Tests of REVOKE-06 to -09, REFRESH-17, and the seed's section on connected apps: listing and
//! ending connections.

use std::time::Duration;

use grantcore::blocking::Store as _;
use grantcore::client::ClientStatus;
use grantcore::event::EventKind;
use grantcore::grant::{GrantState, RevocationCause};
use grantcore::policy::Limits;
use grantcore::response::{Connection, ConnectionState};
use grantcore::{Choice, Client, Reason, RevokedBy, User};

use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{ALICE, Answered, Granted, MCP, Outcome, World, param, policy, user};

const BOB: User<'static> = user("bob", b"bob's browser");
const ADMIN: RevokedBy<'static> = RevokedBy::Administrator("left the company");

/// Returns a second public client.
fn other() -> Client {
    Client::public("other")
        .name("Other\u{202e}App")
        .redirect_uri("https://app.example/cb")
        .build()
        .unwrap()
}

fn world() -> World {
    let world = World::new();
    world.put(other());
    world
}

/// Returns tokens of this user for this client.
fn tokens(world: &World, user: User<'_>, client: &str) -> Granted {
    let page = match world
        .authorize_as(&Params::authorize().set("client_id", client), Some(user))
        .unwrap()
    {
        grantcore::AuthorizationStep::NeedsConsent(page) => page.into_ticket(),
        other => panic!("{other:?}"),
    };
    let location = world.server.consent(&page, user, Choice::Allow).unwrap().into_location();
    let code = param(&location, "code").unwrap();
    Granted::of(&world.token(&Params::redeem(&code).set("client_id", client)))
}

fn listed(world: &World, subject: &str) -> Vec<Connection> {
    world.server.connections(subject, None, 100).unwrap().entries
}

fn only(world: &World) -> Connection {
    let mut all = listed(world, "alice");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[track_caller]
fn is_over(world: &World, tokens: &Granted, reason: Reason) {
    world.dead(&tokens.access, Reason::TokenRevoked);
    world.invalid_grant(&Params::refresh(tokens.refresh()), reason);
}

#[test]
fn revoke_06_an_entry_has_client_scope_resources_and_times() {
    let world = world();
    let ticket = world.page(&Params::authorize().set("scope", "read write")).into_ticket();
    world.at(5);
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    assert!(listed(&world, "alice").is_empty(), "a code that waits is no connection yet");
    world.at(9);
    let tokens = Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap())));
    let first = only(&world);
    assert_eq!((first.client_id().as_str(), &*first.client_name()), ("app", "The App"));
    assert_eq!(first.scope().collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(first.resources().collect::<Vec<_>>(), [MCP]);
    let now = world.now();
    let at = |seconds| grantcore::Timestamp::from_unix_seconds(crate::support::T + seconds);
    assert_eq!((first.created(), first.first_used(), first.last_refreshed_at()), (at(0), now, now));
    assert_eq!(first.access_expires_at(), Some(now.after(Duration::from_secs(3600))));
    assert_eq!(first.expires(), now.after(Duration::from_secs(30 * 86_400)));
    assert_eq!(first.grant_id(), world.grants()[0].record.id());
    world.at(1000);
    world.refreshed(tokens.refresh());
    let second = only(&world);
    assert_eq!((second.first_used(), second.last_refreshed_at()), (now, at(1000)));
    assert_eq!(second.access_expires_at(), Some(at(4600)));
}

#[test]
fn revoke_06_a_name_is_cleaned_and_a_nameless_client_is_listed_by_its_id() {
    let world = world();
    world.put(Client::public("nameless").redirect_uri("https://app.example/cb").build().unwrap());
    tokens(&world, ALICE, "other");
    tokens(&world, ALICE, "nameless");
    let mut names: Vec<_> = listed(&world, "alice").iter().map(Connection::client_name).collect();
    names.sort();
    assert_eq!(names, ["OtherApp", "nameless"]);
}

#[test]
fn revoke_06_the_user_ends_one_and_no_other() {
    let world = world();
    let one = tokens(&world, ALICE, "app");
    let two = tokens(&world, ALICE, "other");
    let bobs = tokens(&world, BOB, "app");
    let grant = listed(&world, "alice")
        .into_iter()
        .find(|own| own.client_id().as_str() == "app")
        .unwrap()
        .grant_id();
    world.server.revoke_connection("alice", grant).unwrap();
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.kind, event.flow, event.client_id()),
        (EventKind::GrantRevoked, Some(grant), Some("app"))
    );
    is_over(&world, &one, Reason::GrantRevoked);
    assert!(world.works(&two.access) && world.works(&bobs.access));
    assert_eq!(listed(&world, "alice").len(), 1);
    let is_kept = world.grants().iter().any(|stored| stored.record.id() == grant);
    assert!(is_kept, "the record stays, so that a forged refresh token can be recognized");
    // A second revocation has the same result.
    let before = world.store.commits();
    world.server.revoke_connection("alice", grant).unwrap();
    assert_eq!(
        (world.store.commits(), world.events().pop().unwrap().kind),
        (before, EventKind::NothingRevoked)
    );
}

#[test]
fn revoke_06_another_users_grant_is_not_found_and_not_revealed() {
    let world = world();
    let alices = tokens(&world, ALICE, "app");
    let grant = only(&world).grant_id();
    let before = world.store.commits();
    for (subject, id) in [("bob", grant), ("alice", grantcore::value::GrantId::from_bytes([7; 16]))]
    {
        let refusal = world.server.revoke_connection(subject, id).outcome().unwrap_err();
        assert_eq!((refusal.reason(), refusal.status()), (Reason::ConnectionUnknown, 404));
        let event = world.events().pop().unwrap();
        assert_eq!(
            (event.subject, event.client, event.flow),
            (None, None, None),
            "nothing of the other user is in it"
        );
    }
    assert!(world.works(&alices.access) && world.store.commits() == before);
}

#[test]
fn revoke_06_the_user_can_end_a_pending_page_and_a_pending_code() {
    let world = world();
    let ticket = world.page(&Params::authorize()).into_ticket();
    let code = world.code(&Params::authorize());
    for stored in world.grants() {
        world.server.revoke_connection("alice", stored.record.id()).unwrap();
    }
    assert_eq!(world.decide(&ticket, Choice::Allow).unwrap_err().reason(), Reason::ConsentUsed);
    world.invalid_grant(&Params::redeem(&code), Reason::GrantRevoked);
}

#[test]
fn revoke_06_the_list_comes_in_pages_and_each_connection_once() {
    let world = world();
    for _ in 0..7 {
        tokens(&world, ALICE, "app");
    }
    tokens(&world, BOB, "app");
    let mut seen = Vec::new();
    let mut after = None;
    let mut pages = 0;
    loop {
        let page = world.server.connections("alice", after, 3).unwrap();
        assert!(page.entries.len() <= 3);
        seen.extend(page.entries.iter().map(Connection::grant_id));
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!((pages, seen.len(), once.len()), (3, 7, 7));
    assert_eq!(listed(&world, "nobody").len(), 0);
}

#[test]
fn revoke_07_active_while_an_access_token_works_dormant_while_it_can_be_renewed() {
    let world = world();
    let tokens = world.tokens();
    let state = |world: &World| listed(world, "alice").first().map(Connection::state);
    world.at(3599);
    assert_eq!(state(&world), Some(ConnectionState::Active));
    world.at(3600);
    assert_eq!(
        (state(&world), only(&world).access_expires_at()),
        (Some(ConnectionState::Dormant), None)
    );
    world.refreshed(tokens.refresh());
    assert_eq!(state(&world), Some(ConnectionState::Active));
    world.at(3600 + 30 * 86_400 - 1);
    assert_eq!(state(&world), Some(ConnectionState::Dormant));
    world.at(3600 + 30 * 86_400);
    assert_eq!(state(&world), None, "nothing could bring it back");
}

#[test]
fn revoke_07_without_a_refresh_token_a_connection_ends_with_its_access_token() {
    let world = world();
    let client = Client::public("short").redirect_uri("https://app.example/cb");
    let types = grantcore::value::GrantTypes { authorization_code: true, refresh_token: false };
    world.put(client.grant_types(types).build().unwrap());
    assert_eq!(tokens(&world, ALICE, "short").refresh, None);
    world.at(3599);
    assert_eq!(only(&world).state(), ConnectionState::Active);
    world.at(3600);
    assert!(listed(&world, "alice").is_empty());
}

/// A connection that is only blocked can be revoked by the user. A connection that is permanently
/// ended is not listed.
#[test]
fn revoke_07_a_suspended_connection_is_dormant_and_one_of_a_deleted_client_is_not_listed() {
    let world = world();
    world.tokens();
    world.store.suspend("alice", true);
    assert_eq!(only(&world).state(), ConnectionState::Dormant);
    world.store.suspend("alice", false);
    world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
    assert_eq!(only(&world).state(), ConnectionState::Dormant);
    world.server.set_client_status("app", ClientStatus::Active).unwrap();
    assert_eq!(only(&world).state(), ConnectionState::Active);
    world.put(crate::support::app().with_grants_ended());
    assert!(listed(&world, "alice").is_empty());
}

#[test]
fn revoke_07_revoking_the_access_token_leaves_a_connection_dormant() {
    let world = World::with(policy().revocation(grantcore::policy::RevocationRules::default()));
    let tokens = world.tokens();
    let body = Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .and("token", &tokens.access)
        .encode();
    assert_eq!(
        world
            .server
            .revoke(&crate::support::steps::form(&body))
            .answered(world.server.policy())
            .status,
        200
    );
    assert_eq!(only(&world).state(), ConnectionState::Dormant);
}

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
    let page = world.page(&Params::authorize()).into_ticket();
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
    assert_eq!(world.decide(&page, Choice::Allow).unwrap_err().reason(), Reason::ConsentUsed);
    assert!(world.works(&bobs.access) && listed(&world, "alice").is_empty());
    assert!(world.works(&tokens(&world, ALICE, "app").access), "she may connect again");
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

#[test]
fn revoke_08_more_grants_than_are_read_at_once_are_all_ended() {
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
    assert_eq!((ended.revoked, ended.is_complete()), (1, true), "it can be called again");
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

#[test]
fn revoke_09_the_next_check_refuses_and_a_new_consent_works() {
    let world = world();
    let first = world.tokens();
    let one = only(&world).grant_id();
    let second = world.tokens();
    assert!(
        world.works(&first.access) && world.works(&second.access),
        "a second consent leaves the first alone"
    );
    assert_eq!(listed(&world, "alice").len(), 2);
    assert!(world.works(&first.access));
    world.server.revoke_connection("alice", one).unwrap();
    world.dead(&first.access, Reason::TokenRevoked);
    assert!(world.works(&second.access));
    let third = world.tokens();
    assert!(world.works(&third.access));
    assert!(
        world
            .grants()
            .iter()
            .filter(|stored| stored.record.state() == GrantState::Active)
            .all(|stored| stored.record.id() != one)
    );
}

#[test]
fn seed_s49_an_app_that_does_not_refresh_leaves_the_active_list_after_an_hour() {
    let world = world();
    world.tokens();
    let active = |world: &World| {
        listed(world, "alice").iter().filter(|own| own.state() == ConnectionState::Active).count()
    };
    assert_eq!(active(&world), 1);
    world.at(3600);
    assert_eq!(active(&world), 0);
    assert_eq!(listed(&world, "alice").len(), 1, "it can still be seen, and revoked");
}

#[test]
fn seed_s50_an_app_that_refreshes_before_each_expiry_stays() {
    let world = world();
    let mut token = world.tokens();
    for hour in 1..50u64 {
        world.at(hour * 3600 - 60);
        token = world.refreshed(token.refresh());
        let own = only(&world);
        assert_eq!((own.state(), own.last_refreshed_at()), (ConnectionState::Active, world.now()));
    }
}

#[test]
fn seed_s51_a_failed_refresh_is_logged_before_the_expiry_that_it_causes() {
    let world = world();
    let tokens = world.tokens();
    world.at(3000);
    world.refused(
        &Params::refresh(tokens.refresh()).and("scope", "admin"),
        400,
        "invalid_scope",
        Reason::ScopeBeyondGrant,
    );
    let own = only(&world);
    assert_eq!(
        (own.last_refreshed_at(), own.access_expires_at().unwrap().seconds_from(world.now())),
        (own.first_used(), 600)
    );
    world.at(3600);
    assert_eq!(only(&world).state(), ConnectionState::Dormant);
    world.dead(&tokens.access, Reason::TokenExpired);
}

#[test]
fn seed_s52_a_connector_that_the_client_disabled_is_noticed_at_the_next_use() {
    let world = World::with(policy().revocation(grantcore::policy::RevocationRules::default()));
    let tokens = world.tokens();
    // The client deletes its tokens and does not revoke them, so the server does not know.
    assert_eq!(only(&world).state(), ConnectionState::Active);
    // The client revokes them: the next use fails, and the app is no longer listed.
    let body = Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .and("token", tokens.refresh())
        .encode();
    assert_eq!(
        world
            .server
            .revoke(&crate::support::steps::form(&body))
            .answered(world.server.policy())
            .status,
        200
    );
    assert!(listed(&world, "alice").is_empty());
    is_over(&world, &tokens, Reason::GrantRevoked);
}
