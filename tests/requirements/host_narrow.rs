//! Tests of HOST-52 to HOST-54: scope and resources are taken away from a live grant.

use std::time::Duration;

use grantcore::event::EventKind;
use grantcore::grant::{Grant, GrantState};
use grantcore::policy::{IntrospectionRules, PolicyBuilder};
use grantcore::request::{GrantNarrowing, Narrowing};
use grantcore::value::GrantId;
use grantcore::{Authorization, Reason, Refusal};
use proptest::prelude::*;

use crate::support::host::at;
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{Granted, MCP, Outcome, World, json, needs, policy, property};

const NOTES: &str = "https://notes.example/";

fn scope(text: &str) -> Narrowing {
    Narrowing::default().with_scope(text.parse().unwrap())
}

fn narrow(world: &World, to: &Narrowing) -> Result<(), Refusal> {
    world.server.narrow_connection("alice", world.only_grant().id(), to).outcome()
}

#[track_caller]
fn refused(world: &World, to: &Narrowing, status: u16, reason: Reason) {
    let commits = world.store.commits();
    let refusal = narrow(world, to).unwrap_err();
    assert_eq!(refusal.reply(world.server.policy()).status, status);
    assert_eq!((refusal.reason(), world.reason()), (reason, Some(reason)));
    assert_eq!(world.store.commits(), commits);
}

fn left(grant: &Grant) -> String {
    grant.remaining_scope().collect::<Vec<_>>().join(" ")
}

#[test]
fn host_52_what_is_taken_away_counts_at_the_next_check_and_for_every_later_token() {
    let rules = IntrospectionRules::default().with_resource_server("web", MCP);
    let world = World::with(policy().introspection(rules));
    let first = world.tokens();
    assert!(world.check(&first.access, &["write"]).is_ok());
    narrow(&world, &scope("read")).unwrap();
    let event = world.events().pop().unwrap();
    assert_eq!((event.kind, event.flow), (EventKind::GrantNarrowed, Some(world.only_grant().id())));
    world.lacks(&first.access, "write");
    assert!(world.check(&first.access, &["read"]).is_ok());
    assert_eq!(json(&world.introspected(&first.access))["scope"], "read");
    let second = world.refreshed(first.refresh());
    assert_eq!(second.scope, "read");
    world.lacks(&second.access, "write");
    let write = Params::refresh(second.refresh()).set("scope", "read write");
    world.refused(&write, 400, "invalid_scope", Reason::ScopeBeyondGrant);
    let connections = world.server.connections("alice", None, 10).unwrap();
    assert!(connections.entries[0].scope().eq(["read"]));
    assert_eq!(world.only_grant().scope().as_str(), "read write");
    assert_eq!(left(&world.only_grant()), "read");
}

#[test]
fn host_52_an_administrator_narrows_any_grant() {
    let world = World::new();
    let tokens = world.tokens();
    let grant = world.only_grant().id();
    world.server.narrow_grant(grant, &scope("read"), "ticket 4711").outcome().unwrap();
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.kind, event.note.as_deref()),
        (EventKind::GrantNarrowed, Some("ticket 4711"))
    );
    world.lacks(&tokens.access, "write");
    // By the operation of the expert half as well.
    let to = scope("read");
    world.server.run(GrantNarrowing::by_administrator(grant, "again", &to)).outcome().unwrap();
    assert_eq!(world.events().pop().unwrap().kind, EventKind::NothingNarrowed);
}

#[test]
fn host_52_a_grant_that_is_not_the_users_or_not_in_use_is_not_found() {
    let world = World::new();
    let to = scope("read");
    let unknown = |result: Result<(), Refusal>| {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.reason(), Reason::ConnectionUnknown);
        assert_eq!(refusal.reply(world.server.policy()).status, 404);
        assert_eq!(world.events().pop().unwrap().flow, None);
    };
    let nobodys = GrantId::from_bytes([7; 16]);
    unknown(world.server.narrow_connection("alice", nobodys, &to).outcome());
    unknown(world.server.narrow_grant(nobodys, &to, "").outcome());
    let code = world.code(&Params::authorize());
    unknown(narrow(&world, &to));
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    let grant = world.only_grant().id();
    let commits = world.store.commits();
    unknown(world.server.narrow_connection("bob", grant, &to).outcome());
    assert!(world.check(&tokens.access, &["write"]).is_ok());
    assert_eq!(world.store.commits(), commits);
    world.at(181 * 24 * 3600);
    unknown(narrow(&world, &to));
    world.at(0);
    world.server.revoke_connection("alice", grant).unwrap();
    unknown(narrow(&world, &to));
}

#[test]
fn host_53_narrowing_never_widens_and_never_empties() {
    let world = World::new();
    let tokens = world.tokens();
    refused(&world, &scope("read admin"), 400, Reason::NarrowingBeyondGrant);
    refused(&world, &scope("unheard-of"), 400, Reason::NarrowingBeyondGrant);
    let elsewhere = Narrowing::default().with_resources(["https://other.example/"]);
    refused(&world, &elsewhere, 400, Reason::NarrowingBeyondGrant);
    refused(&world, &Narrowing::default().with_resources([""; 0]), 400, Reason::NarrowingEmpty);
    narrow(&world, &scope("read")).unwrap();
    refused(&world, &scope("write"), 400, Reason::NarrowingEmpty);
    // What was granted and is gone may be named, and stays away.
    let commits = world.store.commits();
    narrow(&world, &scope("read write")).unwrap();
    narrow(&world, &Narrowing::default()).unwrap();
    assert_eq!(world.store.commits(), commits);
    assert_eq!(left(&world.only_grant()), "read");
    world.lacks(&tokens.access, "write");
}

fn two_resources() -> PolicyBuilder {
    policy().resource(NOTES, "read admin").default_resource(MCP)
}

#[test]
fn host_53_narrowed_twice_is_the_intersection() {
    let world = World::with(two_resources());
    let params = Params::authorize().set("scope", "read write admin");
    let code = world.code(&params.and("resource", MCP).and("resource", NOTES));
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    narrow(&world, &scope("read write")).unwrap();
    narrow(&world, &scope("admin read").with_resources([NOTES])).unwrap();
    let grant = world.only_grant();
    assert_eq!(left(&grant), "read");
    assert!(grant.remaining_resources().eq([NOTES]));
    world.dead(&tokens.access, Reason::AudienceMismatch);
    let at_notes = needs(world.server.policy(), 1, "read");
    let header = format!("Bearer {}", tokens.access);
    let access = world.server.check(&Authorization::One(header.as_bytes()), &at_notes).outcome();
    assert!(access.unwrap().resources().eq([NOTES]));
    let gone = Params::refresh(tokens.refresh()).set("resource", MCP);
    world.refused(&gone, 400, "invalid_target", Reason::ResourceBeyondGrant);
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!(tokens.scope, "read");
    world.dead(&tokens.access, Reason::AudienceMismatch);
    let connections = world.server.connections("alice", None, 10).unwrap();
    assert!(connections.entries[0].resources().eq([NOTES]));
}

/// A token of which nothing is left is still one of the user's: it reaches nothing that needs a
/// scope.
#[test]
fn host_53_a_token_of_which_nothing_is_left_reaches_nothing() {
    let rules = IntrospectionRules::default().with_resource_server("web", MCP);
    let world = World::with(policy().introspection(rules));
    let first = world.tokens();
    let write = Params::refresh(first.refresh()).set("scope", "write");
    let second = Granted::of(&world.token(&write));
    narrow(&world, &scope("read")).unwrap();
    for needed in ["read", "write"] {
        world.lacks(&second.access, needed);
    }
    let introspected = json(&world.introspected(&second.access));
    assert_eq!((introspected["active"].as_bool(), introspected.get("scope")), (Some(true), None));
    assert_eq!(world.refreshed(second.refresh()).scope, "read");
}

#[test]
fn host_54_narrow_against_refresh_the_narrow_one_holds() {
    // The refresh commits between the read and the write of the narrowing, and the reverse.
    let world = World::new();
    let first = world.tokens();
    world.store.fail([Fault::Conflict]);
    narrow(&world, &scope("read")).unwrap();
    world.lacks(&first.access, "write");
    let other = World::new();
    let first = other.tokens();
    let id = other.only_grant().id();
    let now = other.now();
    let rules = other.server.policy().clone();
    other.store.meanwhile(move |store| {
        let server = grantcore::blocking::Server::with_sources(
            rules,
            store,
            grantcore::FromStore,
            move || now,
            crate::support::seeded(9),
        );
        server.narrow_connection("alice", id, &scope("read")).unwrap();
    });
    let second = other.refreshed(first.refresh());
    assert_eq!(second.scope, "read");
    other.lacks(&first.access, "write");
    other.lacks(&second.access, "write");
}

/// In any order of narrowings, decisions, refreshes and repeated refreshes, what is left shrinks,
/// and no token reaches beyond it. The explorer has the same for parallel requests.
#[test]
fn i52_what_is_left_never_grows_and_no_token_reaches_beyond_it() {
    let scopes = ["read", "write", "read write", "admin read", "read write admin"];
    let step = (0..4_u8, 0..scopes.len());
    property::check(&proptest::collection::vec(step, 1..8), |steps| {
        let world = World::with(policy().replay_window(Duration::from_secs(30)));
        let code = world.code(&Params::authorize().set("scope", "read write admin"));
        let mut tokens = vec![Granted::of(&world.token(&Params::redeem(&code)))];
        let mut before = left(&world.only_grant());
        for (kind, chosen) in steps {
            let chosen = scopes[chosen];
            let newest = tokens.last().unwrap().refresh().to_owned();
            let reply = match kind {
                0 => {
                    let _ = narrow(&world, &scope(chosen));
                    None
                }
                1 => {
                    let changes = grantcore::account::GrantChanges::default();
                    world.store.judge(changes.with_scope(chosen.parse().unwrap()));
                    Some(world.token(&Params::refresh(&newest)))
                }
                2 => Some(world.token(&Params::refresh(&newest).set("scope", chosen))),
                _ => {
                    let old = tokens[tokens.len().saturating_sub(2)].refresh();
                    Some(world.token(&Params::refresh(old)))
                }
            };
            world.store.judge(grantcore::account::RefreshDecision::Keep);
            tokens.extend(reply.filter(|reply| reply.status == 200).map(|own| Granted::of(&own)));
            if world.only_grant().state() != GrantState::Active {
                prop_assert!(tokens.iter().all(|granted| !world.works(&granted.access)));
                return Ok(());
            }
            let after = left(&world.only_grant());
            let is_left = |token: &&str| before.split(' ').any(|own| own == *token);
            prop_assert!(after.split(' ').all(|token| is_left(&token)), "{} to {}", before, after);
            for granted in &tokens {
                for needed in ["read", "write", "admin"] {
                    let reaches = world.check(&granted.access, &[needed]).is_ok();
                    prop_assert!(!reaches || after.split(' ').any(|own| own == needed));
                }
            }
            before = after;
        }
        Ok(())
    });
}

/// All credentials have ended, and the grant itself would live for months.
#[test]
fn host_52_an_idle_grant_is_not_in_use() {
    let world = World::new();
    world.tokens();
    let id = world.only_grant().id();
    world.at(90 * 24 * 60 * 60);
    assert!(world.only_grant().expires() > at(90 * 24 * 60 * 60));
    let to = Narrowing::default().with_scope("read".parse().unwrap());
    let narrowed = world.server.narrow_connection("alice", id, &to).outcome();
    assert_eq!(narrowed.unwrap_err().reason(), Reason::ConnectionUnknown);
}
