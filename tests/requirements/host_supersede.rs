//! Tests of HOST-47 to HOST-51: a redemption ends the user's older grants at the same place.

use grantcore::event::EventKind;
use grantcore::grant::{GrantState, RevocationCause};
use grantcore::policy::{Limits, PolicyBuilder, Remember, Supersede};
use grantcore::request::GrantSupersession;
use grantcore::value::GrantId;
use grantcore::{Client, Reason};

use crate::host_remember::{Earlier, silent};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{CALLBACK, Granted, MCP, Outcome, World, policy, user};

const NOTES: &str = "https://notes.example/";
const OTHER: &str = "https://app.example/other";

fn on() -> PolicyBuilder {
    policy().supersede(Supersede::SamePlace)
}

#[track_caller]
fn superseded(world: &World, tokens: &Granted) {
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantSuperseded);
    world.dead(&tokens.access, Reason::TokenRevoked);
}

fn alive(world: &World) -> usize {
    let state = |own: &&grantcore::store::Stored<_>| grant_state(own) == GrantState::Active;
    world.grants().iter().filter(state).count()
}

fn grant_state(stored: &grantcore::store::Stored<grantcore::grant::Grant>) -> GrantState {
    stored.record.state()
}

#[test]
fn host_47_by_default_a_new_consent_adds_a_grant() {
    let world = World::new();
    let first = world.tokens();
    world.store.calls();
    let second = world.tokens();
    assert!(world.works(&first.access) && world.works(&second.access));
    // Nothing is listed for it.
    assert!(!world.store.calls().contains(&"grants_of"));
    world.refreshed(first.refresh());
    assert_eq!(alive(&world), 2);
}

#[test]
fn host_47_at_the_same_place_a_new_grant_ends_the_older_ones() {
    let world = World::with(on());
    let first = world.tokens();
    world.at(1);
    let second = world.tokens();
    superseded(&world, &first);
    assert!(world.works(&second.access));
    let second = world.refreshed(second.refresh());
    world.at(2);
    let third = world.tokens();
    superseded(&world, &second);
    let event = world.events().into_iter().rfind(|event| event.kind == EventKind::GrantRevoked);
    let event = event.unwrap();
    let newer = world.access(&third.access).grant_id();
    assert_eq!(event.note, Some(format!("superseded by {newer}").into()));
    assert_ne!(event.flow, Some(newer));
    assert_eq!(alive(&world), 1);
    let ended = GrantState::Revoked(RevocationCause::Superseded);
    assert_eq!(world.grants().iter().filter(|own| grant_state(own) == ended).count(), 2);
}

#[test]
fn host_47_grants_at_other_places_are_untouched() {
    let world = World::with(on().resource(NOTES, "read admin").default_resource(MCP));
    let own = Client::public("app").redirect_uri(CALLBACK).redirect_uri(OTHER);
    world.put(own.build().unwrap());
    world.put(Client::public("app2").redirect_uri(CALLBACK).build().unwrap());
    let get = |params: Params, redeem: fn(Params) -> Params| {
        let code = world.code(&params);
        Granted::of(&world.token(&redeem(Params::redeem(&code))))
    };
    let same = |redeem: Params| redeem;
    let first = get(Params::authorize(), same);
    let others = [
        get(Params::authorize().set("redirect_uri", OTHER), |own| own.set("redirect_uri", OTHER)),
        get(Params::authorize().and("resource", NOTES), same),
        get(Params::authorize().and("resource", MCP).and("resource", NOTES), same),
        get(Params::authorize().set("client_id", "app2"), |own| own.set("client_id", "app2")),
        world.tokens_with(r#"{"org":"acme"}"#),
        world.tokens_with(r#"{"org":"globex"}"#),
        world.tokens_with("{}"),
    ];
    let works = |tokens: &Granted| world.works(&tokens.access) || at_notes(&world, tokens);
    assert!(works(&first) && others.iter().all(works));
    // Another user's grant at the same place.
    let bob = user("bob", b"bob's browser");
    let step = world.authorize_as(&Params::authorize(), Some(bob)).unwrap();
    let grantcore::AuthorizationStep::NeedsConsent(page) = step else { panic!("no page") };
    let choice = grantcore::Choice::Allow;
    let redirect = world.server.consent(&page.ticket(), bob, choice).outcome().unwrap();
    let code = crate::support::param(&redirect.into_location(), "code").unwrap();
    Granted::of(&world.token(&Params::redeem(&code)));
    assert!(works(&first) && others.iter().all(works));
    // The order of the resources does not matter.
    world.at(1);
    let both = Params::authorize().and("resource", NOTES).and("resource", MCP);
    get(both, same);
    superseded(&world, &others[2]);
    // The same place again.
    world.tokens_with(r#"{"org":"acme"}"#);
    superseded(&world, &others[4]);
    assert!(works(&first) && works(&others[5]) && works(&others[6]));
}

fn at_notes(world: &World, tokens: &Granted) -> bool {
    let needs = crate::support::needs(world.server.policy(), 1, "");
    let header = format!("Bearer {}", tokens.access);
    world.server.check(&grantcore::Authorization::One(header.as_bytes()), &needs).is_ok()
}

#[test]
fn host_48_only_tokens_in_hand_supersede() {
    let world = World::with(on());
    let first = world.tokens();
    world.page(&Params::authorize());
    let code = world.code(&Params::authorize());
    assert!(world.works(&first.access));
    world.at(601);
    world.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);
    let first = world.refreshed(first.refresh());
    // Neither does a redemption that is refused, or a refresh.
    let code = world.code(&Params::authorize());
    let wrong = Params::redeem(&code).set("code_verifier", &"v".repeat(43));
    world.invalid_grant(&wrong, Reason::VerifierMismatch);
    let first = world.refreshed(first.refresh());
    assert!(world.works(&first.access));
}

/// workers-oauth-provider#299 and sentry-mcp#924: a new consent logged the user's other machines
/// out, because all installations share a `client_id`.
#[test]
fn host_49_grants_on_the_users_own_device_are_left_alone() {
    for (registered, sent) in [
        ("http://127.0.0.1/cb", ["http://127.0.0.1:50123/cb", "http://127.0.0.1:50124/cb"]),
        ("http://127.0.0.1/cb", ["http://127.0.0.1:50123/cb", "http://127.0.0.1:50123/cb"]),
        ("com.example.app:/cb", ["com.example.app:/cb", "com.example.app:/cb"]),
    ] {
        let world = World::with(on());
        world.put(Client::public("app").redirect_uri(registered).build().unwrap());
        let tokens = sent.map(|uri| {
            let code = world.code(&Params::authorize().set("redirect_uri", uri));
            Granted::of(&world.token(&Params::redeem(&code).set("redirect_uri", uri)))
        });
        assert!(tokens.iter().all(|tokens| world.works(&tokens.access)), "{registered}");
        // Nothing is listed for them either.
        assert!(!world.store.calls().contains(&"grants_of"));
        assert_eq!(alive(&world), 2);
    }
}

#[test]
fn host_50_a_failure_harms_nobody_and_is_made_up_for() {
    let world = World::with(on());
    let first = world.tokens();
    let code = world.code(&Params::authorize());
    world.at(1);
    // The redemption's own write succeeds, the end of the older one is lost.
    let store = std::sync::Arc::clone(&world.store);
    world.store.meanwhile(|_| ());
    world.store.meanwhile(move |_| store.fail([Fault::Dropped]));
    let second = Granted::of(&world.token(&Params::redeem(&code)));
    assert!(world.works(&first.access) && world.works(&second.access));
    let failed = world.events();
    assert!(failed.iter().any(|event| event.reason == Some(Reason::StorageUnavailable)));
    world.at(2);
    let third = world.tokens();
    superseded(&world, &first);
    superseded(&world, &second);
    assert!(world.works(&third.access));
}

#[test]
fn host_50_a_list_that_cannot_be_read_harms_nobody() {
    let world = World::with(on());
    let first = world.tokens();
    let unreadable = world.access(&first.access).grant_id();
    let between = world.tokens_with(r#"{"org":"acme"}"#);
    world.store.broken_grant(Some(unreadable));
    world.at(1);
    let second = world.tokens_with(r#"{"org":"acme"}"#);
    // The one that can be read is ended.
    superseded(&world, &between);
    assert!(world.works(&second.access));
    let unread = world.events();
    assert!(unread.iter().any(|event| event.reason == Some(Reason::StorageUnavailable)));
    world.store.broken_grant(None);
    assert!(world.works(&first.access));
}

#[test]
fn host_51_two_new_grants_do_not_end_each_other() {
    let world = World::with(on());
    let codes = [world.code(&Params::authorize()), world.code(&Params::authorize())];
    let ids = world.grants().iter().map(|own| own.record.id()).collect::<Vec<_>>();
    let tokens = codes.map(|code| Granted::of(&world.token(&Params::redeem(&code))));
    assert_eq!(alive(&world), 1);
    // Both were redeemed in one second: the greater id is the newer one.
    let greater = ids.iter().max().unwrap();
    let lives = world.grants().into_iter().find(|own| grant_state(own) == GrantState::Active);
    assert_eq!(lives.unwrap().record.id(), *greater);
    assert_eq!(tokens.iter().filter(|tokens| world.works(&tokens.access)).count(), 1);
}

#[test]
fn host_51_the_operation_spares_what_is_not_older_and_in_use() {
    let world = World::new();
    let first = world.tokens();
    world.at(1);
    let second = world.tokens();
    let id = |tokens: &Granted| world.access(&tokens.access).grant_id();
    let (older, newer) = (id(&first), id(&second));
    let run = |own: GrantId, other: GrantId| {
        world.server.run(GrantSupersession::between(own, other)).outcome().unwrap()
    };
    assert_eq!(run(newer, newer), None);
    assert_eq!(run(newer, GrantId::from_bytes([1; 16])), None);
    let elsewhere = world.tokens_with("{}");
    assert_eq!(run(newer, id(&elsewhere)), None);
    // Whichever of the two asks, the older one ends.
    assert_eq!(run(older, newer), Some(older));
    assert_eq!(run(newer, older), None);
    // A grant that was revoked supersedes nothing.
    world.at(2);
    let third = world.tokens();
    let newest = id(&third);
    world.server.revoke_connection("alice", newest).unwrap();
    assert_eq!(run(newest, newer), None);
    assert!(world.works(&second.access));
}

/// The event names the newer grant, whichever of the two was redeemed now.
#[test]
fn host_47_the_note_of_a_superseded_grant_names_the_other() {
    let mut own_is_older = 0;
    for seed in 2..18 {
        let world = World::new();
        let policy = policy().supersede(Supersede::SamePlace).build().unwrap();
        let world = world.beside(policy, seed);
        // Both are redeemed in one second: the lesser id is the older grant.
        let tokens = [world.tokens(), world.tokens()];
        let grants = world.grants();
        let alive = grants.iter().find(|own| own.record.state() == GrantState::Active).unwrap();
        let kind = EventKind::GrantRevoked;
        let event = world.events().into_iter().find(|event| event.kind == kind).unwrap();
        let note = format!("superseded by {}", alive.record.id());
        assert_eq!(event.note.as_deref(), Some(&*note));
        own_is_older += usize::from(world.works(&tokens[0].access));
    }
    assert!((1..16).contains(&own_is_older), "{own_is_older}");
}

/// A grant and the one whose consent it remembers spare each other, whichever of the two asks.
#[test]
fn host_51_a_remembered_grant_is_spared_by_the_one_that_relies_on_it() {
    let earlier = Earlier::new(Remember::Confidential);
    earlier.world.at(1);
    let code = silent(earlier.again());
    let tokens = Granted::of(&earlier.world.token(&Params::redeem(&code).by_web()));
    let later = earlier.world.access(&tokens.access).grant_id();
    for (own, other) in [(earlier.id, later), (later, earlier.id)] {
        let ended = earlier.world.server.run(GrantSupersession::between(own, other)).outcome();
        assert_eq!(ended.unwrap(), None);
    }
    assert_eq!(alive(&earlier.world), 2);
}

/// However many grants a user has, all older ones at the place are ended.
#[test]
fn host_47_more_grants_than_a_page_are_ended() {
    let limits = Limits::default().with_consent_pages_per_minute(1000);
    let world = World::with(policy().limits(limits));
    for _ in 0..300 {
        drop(world.page(&Params::authorize()));
    }
    for _ in 0..3 {
        world.tokens();
    }
    assert_eq!(alive(&world), 3);
    world.at(1);
    let superseding = world.beside(on().build().unwrap(), 2);
    superseding.tokens();
    assert_eq!(alive(&world), 1);
}
