//! Tests of CLIENT-23 and STORE-08: an unused client is dropped, and a used client outlives its
//! grants.

use std::time::Duration;

use grantcore::client::{ClientBuilder, ConsentMode, Registration};
use grantcore::policy::{
    DocumentRules, LifetimeOverrides, Lifetimes, PolicyBuilder, RegistrationRules,
};
use grantcore::value::LoopbackPorts;
use grantcore::{Choice, Client, Reason, Timestamp};

use crate::support::clients::{DOCUMENT, ask, document, metadata};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::DAY;
use crate::support::{Granted, T, World, policy};

pub(crate) const IDLE: u64 = 30 * DAY;

pub(crate) fn open(policy: PolicyBuilder) -> World {
    World::with(
        policy
            .registration(RegistrationRules::default())
            .client_documents(DocumentRules::default()),
    )
}

/// Returns a world with one client that registered itself at the beginning.
pub(crate) fn registered(policy: PolicyBuilder) -> (World, String) {
    let world = open(policy);
    let id = world.registered(&metadata())["client_id"].as_str().unwrap().to_owned();
    (world, id)
}

fn sweep(world: &World) -> usize {
    world.store.inner.sweep(world.now(), usize::MAX)
}

pub(crate) fn refresh(world: &World, id: &str, tokens: &Granted) -> Granted {
    Granted::of(&world.token(&Params::refresh(tokens.refresh()).set("client_id", id)))
}

/// Returns when the client expires, in seconds from the beginning.
pub(crate) fn end(world: &World, id: &str) -> u64 {
    world.client(id).unwrap().expires().unix_seconds() - T
}

#[test]
fn client_23_an_unused_client_is_unknown_after_a_day() {
    for (at, known) in [(0, true), (DAY - 1, true), (DAY, false), (DAY + 1, false)] {
        let (world, id) = registered(policy());
        world.at(at);
        assert_eq!(world.authorize(&ask(&id)).is_ok(), known, "after {at} s, with no sweep");
        let reason = if known { Reason::RefreshUnknown } else { Reason::ClientUnknown };
        let (status, code) = if known { (400, "invalid_grant") } else { (401, "invalid_client") };
        world.refused(&Params::refresh("x").set("client_id", &id), status, code, reason);
        let (world, id) = registered(policy());
        world.at(at);
        assert_eq!(
            (sweep(&world), world.client(&id).is_some()),
            (usize::from(!known), known),
            "swept after {at} s"
        );
    }
    let (world, id) = registered(policy());
    world.at(DAY);
    assert_page(&world, &refused(&world, &ask(&id)), 400, "invalid_client", Reason::ClientUnknown);
}

#[test]
fn client_23_the_policy_sets_the_day() {
    let (world, id) = registered(
        policy().lifetimes(Lifetimes::default().with_unused_client(Duration::from_secs(600))),
    );
    world.at(599);
    world.page(&ask(&id));
    world.at(600);
    assert_page(&world, &refused(&world, &ask(&id)), 400, "invalid_client", Reason::ClientUnknown);
}

#[test]
fn client_23_only_an_approval_renews() {
    type Use = fn(&World, &str, String);
    let uses: [(&str, Use, bool); 4] = [
        (
            "approved",
            |world, _, ticket| assert!(world.decide(&ticket, Choice::Allow).is_ok()),
            true,
        ),
        (
            "approved in part",
            |world, _, ticket| assert!(world.decide(&ticket, Choice::AllowOnly("read")).is_ok()),
            true,
        ),
        ("denied", |world, _, ticket| assert!(world.decide(&ticket, Choice::Deny).is_err()), false),
        ("only shown", |world, id, _| drop(world.page(&ask(id))), false),
    ];
    for (name, act, renews) in uses {
        let (world, id) = registered(policy());
        world.at(DAY - 1);
        let ticket = world.page(&ask(&id)).ticket();
        act(&world, &id, ticket);
        world.at(DAY);
        assert_eq!(world.authorize(&ask(&id)).is_ok(), renews, "{name}");
    }
}

/// A page that was made in time cannot be approved after the client expired.
#[test]
fn client_23_an_expired_client_is_not_approved() {
    let (world, id) = registered(policy());
    world.at(DAY - 1);
    let ticket = world.page(&ask(&id)).ticket();
    world.at(DAY);
    let refusal = world.decide(&ticket, Choice::Allow).expect_err("it is over");
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
    assert_eq!(end(&world, &id), DAY);
}

/// Refreshes at the last moment, repeatedly, and sweeps whenever a record may be dropped.
fn live_on(
    policy: PolicyBuilder,
    id: impl Fn(&World) -> String,
    until: u64,
) -> (World, String, Granted) {
    let world = open(policy);
    let id = id(&world);
    let mut tokens = world.tokens_of(&id);
    let mut at = 0;
    while at + IDLE - 1 < until {
        for hour in (at..at + IDLE - 1).step_by(12 * 3600) {
            world.at(hour);
            sweep(&world);
        }
        at += IDLE - 1;
        world.at(at);
        assert_eq!(sweep(&world), 0, "at {at} s");
        tokens = refresh(&world, &id, &tokens);
        assert!(world.works(&tokens.access), "at {at} s");
        assert_outlived(&world, &id);
    }
    (world, id, tokens)
}

/// Asserts that the record of the client outlives those of its grants.
#[track_caller]
pub(crate) fn assert_outlived(world: &World, id: &str) {
    let client = world.client(id).unwrap();
    for stored in world.grants() {
        assert!(
            stored.record.drop_after() <= client.drop_after().min(client.expires()),
            "{stored:?}"
        );
    }
}

pub(crate) fn a_registration(world: &World) -> String {
    world.registered(&metadata())["client_id"].as_str().unwrap().to_owned()
}

pub(crate) fn a_document(world: &World) -> String {
    drop(world.page_with(&ask(DOCUMENT), &document()));
    DOCUMENT.to_owned()
}

#[test]
fn client_23_a_client_outlives_every_refresh_of_its_family() {
    for kind in [a_registration, a_document] {
        let (world, id, tokens) = live_on(policy(), kind, 180 * DAY);
        world.at(180 * DAY - 1);
        let last = refresh(&world, &id, &tokens);
        assert!(world.works(&last.access), "until the last second of the family");
        world.at(180 * DAY);
        world.invalid_grant(
            &Params::refresh(last.refresh()).set("client_id", &id),
            Reason::RefreshAbsoluteExpired,
        );
        world.at(181 * DAY - 1);
        sweep(&world);
        assert!(world.client(&id).is_some() && !world.grants().is_empty());
        world.at(214 * DAY);
        sweep(&world);
        assert_eq!(
            (world.client(&id), world.grants().len()),
            (None, 0),
            "then both may be dropped"
        );
    }
}

#[test]
fn client_23_a_client_outlives_a_family_without_an_absolute_end() {
    for kind in [a_registration, a_document] {
        let (world, id, _) = live_on(
            policy().lifetimes(Lifetimes::default().with_refresh_absolute(None)),
            kind,
            1000 * DAY,
        );
        assert!(world.client(&id).is_some());
    }
}

#[test]
fn client_23_a_grant_that_is_used_every_day_keeps_its_client() {
    let (world, id) = registered(policy());
    let mut tokens = world.tokens_of(&id);
    for day in 1..=170 {
        world.at(day * DAY);
        sweep(&world);
        tokens = refresh(&world, &id, &tokens);
        assert_outlived(&world, &id);
    }
    world.page(&ask(&id));
    assert!(world.works(&tokens.access));
}

#[test]
fn client_23_a_document_read_again_does_not_shorten_its_clients_life() {
    let world = open(policy());
    let id = a_document(&world);
    let tokens = world.tokens_of(&id);
    let before = end(&world, &id);
    world.at(60);
    a_document(&world);
    assert_eq!(end(&world, &id), before);
    world.at(IDLE - 1);
    sweep(&world);
    assert!(world.works(&refresh(&world, &id, &tokens).access));
}

#[test]
fn client_23_a_client_with_several_grants_outlives_the_longest() {
    let (world, id) = registered(policy());
    let short = world.tokens_of(&id);
    world.at(20 * DAY);
    let long = world.tokens_of(&id);
    world.at(25 * DAY);
    let short = refresh(&world, &id, &short);
    world.at(49 * DAY);
    let long = refresh(&world, &id, &long);
    assert_outlived(&world, &id);
    world.at(56 * DAY);
    sweep(&world);
    world.invalid_grant(
        &Params::refresh(short.refresh()).set("client_id", &id),
        Reason::RefreshUnknown,
    );
    world.at(79 * DAY - 1);
    sweep(&world);
    assert!(world.works(&refresh(&world, &id, &long).access));
}

#[test]
fn client_23_a_client_of_the_operator_is_never_written_and_never_dropped() {
    let world = World::new();
    let before = world.client("app");
    let mut tokens = world.tokens();
    for day in 1..=170 {
        world.at(day * DAY);
        let commits = world.store.commits();
        tokens = world.refreshed(tokens.refresh());
        assert_eq!(world.store.commits() - commits, 1);
    }
    assert_eq!(world.client("app"), before);
    assert_eq!(before.unwrap().drop_after(), Timestamp::NEVER);
    world.at_unix(u64::MAX - 1);
    sweep(&world);
    assert_eq!((world.store.inner.counts().clients, world.grants().len()), (2, 0));
}

/// A self-registered client that the operator adopts never expires.
#[test]
fn client_23_an_operator_may_adopt_a_client() {
    for kind in [a_registration, a_document] {
        let world = open(policy());
        let id = kind(&world);
        let adopted =
            world.client(&id).unwrap().edit().registration(Registration::Operator).build().unwrap();
        world.put(adopted);
        world.at(400 * DAY);
        sweep(&world);
        world.page(&ask(&id));
        assert_eq!(world.client(&id).unwrap().expires(), Timestamp::NEVER);
    }
}

#[test]
fn client_23_a_clock_that_steps_back_ends_no_client() {
    let (world, id) = registered(policy());
    world.at(DAY / 2);
    let tokens = world.tokens_of(&id);
    world.at_unix(T - 1000 * DAY);
    let next = refresh(&world, &id, &tokens);
    assert_outlived(&world, &id);
    world.at(DAY / 2 + IDLE - 1);
    sweep(&world);
    refresh(&world, &id, &next);
    let (world, id) = registered(policy());
    world.at(DAY);
    sweep(&world);
    world.at(0);
    assert_page(&world, &refused(&world, &ask(&id)), 400, "invalid_client", Reason::ClientUnknown);
}

/// What the operator added to a client with a document would not come back with the document.
#[test]
fn client_23_a_client_with_a_document_is_kept_for_what_the_operator_added() {
    type Add = fn(ClientBuilder) -> ClientBuilder;
    let added: [(&str, Add); 4] = [
        ("nothing", |client| client),
        ("a lifetime", |client| {
            client.lifetimes(LifetimeOverrides::default().with_access(Duration::from_secs(60)))
        }),
        ("consent", |client| client.consent(ConsentMode::Ask)),
        ("ports", |client| client.loopback_ports(LoopbackPorts::Off)),
    ];
    for (what, add) in added {
        let world = open(policy());
        let id = a_document(&world);
        let client = add(Client::clone(&world.client(&id).unwrap()).edit()).build().unwrap();
        world.put(client);
        world.at(400 * DAY);
        sweep(&world);
        assert_eq!(world.client(&id).is_some(), what != "nothing", "{what}");
    }
}
