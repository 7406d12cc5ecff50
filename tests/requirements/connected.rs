//! Tests of REVOKE-06, -07 and -09: a user lists and ends connections.

use std::time::Duration;

use grantcore::client::ClientStatus;
use grantcore::event::EventKind;
use grantcore::grant::GrantState;
use grantcore::response::{Connection, ConnectionState};
use grantcore::{Choice, Client, Reason, User};

use crate::support::params::Params;
use crate::support::{ALICE, Answered, Granted, MCP, Outcome, World, param, policy, user};

pub(crate) const BOB: User<'static> = user("bob", b"bob's browser");

/// Returns a second public client.
pub(crate) fn other() -> Client {
    Client::public("other")
        .name("Other\u{202e}App")
        .redirect_uri("https://app.example/cb")
        .build()
        .unwrap()
}

pub(crate) fn world() -> World {
    let world = World::new();
    world.put(other());
    world
}

/// Returns tokens of this user for this client.
pub(crate) fn tokens(world: &World, user: User<'_>, client: &str) -> Granted {
    let page = match world
        .authorize_as(&Params::authorize().set("client_id", client), Some(user))
        .unwrap()
    {
        grantcore::AuthorizationStep::NeedsConsent(page) => page.ticket(),
        other => panic!("{other:?}"),
    };
    let location = world.server.consent(&page, user, Choice::Allow).unwrap().into_location();
    let code = param(&location, "code").unwrap();
    Granted::of(&world.token(&Params::redeem(&code).set("client_id", client)))
}

pub(crate) fn listed(world: &World, subject: &str) -> Vec<Connection> {
    world.server.connections(subject, None, 100).unwrap().entries
}

pub(crate) fn only(world: &World) -> Connection {
    let mut all = listed(world, "alice");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[track_caller]
pub(crate) fn is_over(world: &World, tokens: &Granted, reason: Reason) {
    world.dead(&tokens.access, Reason::TokenRevoked);
    world.invalid_grant(&Params::refresh(tokens.refresh()), reason);
}

#[test]
fn revoke_06_an_entry_has_client_scope_resources_and_times() {
    let world = world();
    let ticket = world.page(&Params::authorize().set("scope", "read write")).ticket();
    world.at(5);
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    assert!(listed(&world, "alice").is_empty(), "a pending code is not a connection");
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
            "the response has nothing of the other user"
        );
    }
    assert!(world.works(&alices.access) && world.store.commits() == before);
}

#[test]
fn revoke_06_the_user_can_end_a_pending_page_and_a_pending_code() {
    let world = world();
    let ticket = world.page(&Params::authorize()).ticket();
    let code = world.code(&Params::authorize());
    for stored in world.grants() {
        world.server.revoke_connection("alice", stored.record.id()).unwrap();
    }
    assert_eq!(world.decide(&ticket, Choice::Allow).unwrap_err().reason(), Reason::ConsentExpired);
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
    assert_eq!(state(&world), None, "the connection cannot be renewed");
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
fn revoke_09_the_next_check_refuses_and_a_new_consent_works() {
    let world = world();
    let first = world.tokens();
    let one = only(&world).grant_id();
    let second = world.tokens();
    assert!(
        world.works(&first.access) && world.works(&second.access),
        "a second consent keeps the first grant"
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

/// A page of connections that is not full is the last one: the store is asked once.
#[test]
fn revoke_06_a_short_page_is_the_last_one() {
    let world = World::new();
    world.tokens();
    world.store.calls();
    let page = world.server.connections("alice", None, 100).unwrap();
    assert!(page.next.is_none() && page.entries.len() == 1);
    assert_eq!(world.store.calls().iter().filter(|call| **call == "grants_of").count(), 1);
}

/// Connections that do not fit on a page are on the next one, also if most grants of the user are
/// no connections.
#[test]
fn revoke_06_connections_behind_unanswered_pages_are_on_the_next_page() {
    let world = World::new();
    for _ in 0..40 {
        drop(world.page(&Params::authorize()));
    }
    for _ in 0..9 {
        world.tokens();
    }
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = world.server.connections("alice", after, 4).unwrap();
        assert!(page.entries.len() <= 4, "{}", page.entries.len());
        listed.extend(page.entries.iter().map(Connection::grant_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let count = listed.len();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!((count, listed.len()), (9, 9));
}

#[test]
fn revoke_06_an_entry_says_whether_its_code_went_to_the_users_own_device() {
    for (uri, host, is_own) in [
        ("https://app.example/cb", "app.example", false),
        ("http://127.0.0.1/cb", "127.0.0.1", true),
        ("com.example.app:/cb", "com.example.app", true),
    ] {
        let world = World::new();
        world.put(Client::public("app").redirect_uri(uri).build().unwrap());
        let ask = Params::authorize().set("redirect_uri", uri);
        let code = world.code(&ask);
        drop(world.token(&Params::redeem(&code).set("redirect_uri", uri)));
        let connection = only(&world);
        assert_eq!(connection.redirects_to_own_device(), is_own, "{uri}");
        assert_eq!(connection.redirects_to_loopback(), uri.contains("127.0.0.1"), "{uri}");
        assert_eq!(connection.redirect_host(), host, "{uri}");
    }
}
