//! Tests of HOST-10 to HOST-17: what the host decides about a grant when it is refreshed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use grantcore::account::{GrantChanges, RefreshDecision};
use grantcore::event::{Durability, EventKind};
use grantcore::grant::{GrantState, RevocationCause};
use grantcore::policy::IntrospectionRules;
use grantcore::store::FailureCause;
use grantcore::{Authorization, Reason};

use crate::support::host::{at, properties};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{MCP, World, assert_refused, json, policy};

fn scope(text: &str) -> GrantChanges {
    GrantChanges::default().with_scope(text.parse().unwrap())
}

fn end() -> RefreshDecision {
    RefreshDecision::End("left the company".into())
}

const ENDED: GrantState = GrantState::Revoked(RevocationCause::Host);

fn judged(world: &World) -> usize {
    world.store.judged.swap(0, Ordering::SeqCst)
}

#[test]
fn host_10_a_refresh_asks_once_for_each_attempt_and_nothing_else_asks() {
    let rules = IntrospectionRules::default().with_resource_server("web", MCP);
    let world = World::with(policy().introspection(rules));
    let tokens = world.tokens();
    assert!(world.works(&tokens.access));
    assert_eq!(json(&world.introspected(&tokens.access))["active"], true);
    world.server.connections("alice", None, 10).unwrap();
    assert_eq!(judged(&world), 0);
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!(judged(&world), 1);
    world.store.fail([Fault::Conflict, Fault::Conflict]);
    world.refreshed(tokens.refresh());
    assert_eq!(judged(&world), 3);
}

#[test]
fn host_10_by_default_a_refresh_reads_what_it_read_before() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.calls();
    let kept = world.only_grant();
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!(world.store.calls(), ["grant", "client", "account", "commit"]);
    // It also changes nothing.
    let after = world.only_grant();
    assert_eq!((kept.expires(), kept.properties()), (after.expires(), after.properties()));
    assert!(kept.remaining_scope().eq(after.remaining_scope()));
    assert_eq!((tokens.scope.as_str(), world.events().pop().unwrap().detail), ("read write", None));
}

#[test]
fn host_10_nobody_but_the_grants_client_makes_the_host_decide() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.judge(end());
    world.invalid_grant(&Params::refresh(tokens.refresh()).by_web(), Reason::RefreshClientMismatch);
    world.invalid_grant(&Params::refresh("grt_nothing"), Reason::RefreshUnknown);
    assert_eq!(judged(&world), 0);
    world.server.revoke_connection("alice", world.only_grant().id()).unwrap();
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
    assert_eq!(judged(&world), 0);
}

#[test]
fn host_11_narrow_lessens_every_token_of_the_grant_and_adds_nothing() {
    let world = World::new();
    let first = world.tokens();
    world.store.judge(scope("read admin"));
    let second = world.refreshed(first.refresh());
    assert_eq!(second.scope, "read");
    for token in [&first.access, &second.access] {
        assert!(world.check(token, &["read"]).is_ok());
        world.lacks(token, "write");
        world.lacks(token, "admin");
        assert!(world.access(token).scope().eq(["read"]));
    }
    let event = world.events().into_iter().rfind(|event| event.kind == EventKind::TokensRefreshed);
    assert_eq!(event.unwrap().detail.as_deref(), Some("changed_by_host: scope."));
    // What is gone does not come back with a kinder decision.
    world.store.judge(scope("read write admin"));
    let third = world.refreshed(second.refresh());
    assert_eq!(third.scope, "read");
    world.lacks(&third.access, "write");
    let write = Params::refresh(third.refresh()).set("scope", "write");
    world.refused(&write, 400, "invalid_scope", Reason::ScopeBeyondGrant);
    assert_eq!(
        world.events().last().unwrap().detail.as_deref(),
        Some("Beyond the grant: 'write'.")
    );
}

#[test]
fn host_11_a_decision_that_leaves_no_scope_ends_the_grant() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.judge(scope("admin"));
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantEndedByHost);
    assert_eq!(world.only_grant().state(), ENDED);
    world.dead(&tokens.access, Reason::TokenRevoked);
}

/// A token needs a scope. If nothing of what is asked for is left, neither a token is issued nor the
/// decision applied.
#[test]
fn host_11_a_request_for_nothing_that_is_left_is_refused_and_changes_nothing() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.judge(scope("read"));
    let write = Params::refresh(tokens.refresh()).set("scope", "write");
    world.refused(&write, 400, "invalid_scope", Reason::ScopeBeyondGrant);
    assert!(world.check(&tokens.access, &["write"]).is_ok());
    assert_eq!(world.refreshed(tokens.refresh()).scope, "read");
    world.lacks(&tokens.access, "write");
}

#[test]
fn host_12_end_ends_the_grant_before_the_refusal_leaves() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.judge(end());
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantEndedByHost);
    assert_eq!(world.only_grant().state(), ENDED);
    let event = world.events().pop().unwrap();
    assert_eq!(event.note.as_deref(), Some("left the company"));
    assert_eq!(event.written.unwrap().durability, Durability::Durable);
    world.dead(&tokens.access, Reason::TokenRevoked);
    // It stays ended, whatever the host thinks later.
    world.store.judge(RefreshDecision::Keep);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
}

#[test]
fn host_12_an_end_whose_write_is_lost_is_a_503() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.judge(end());
    world.unavailable(&Params::refresh(tokens.refresh()), Fault::Dropped);
    assert_eq!(world.only_grant().state(), GrantState::Active);
    world.store.fail([Fault::Conflict]);
    assert_eq!(world.token(&Params::refresh(tokens.refresh())).status, 400);
    assert_eq!(
        (world.reason(), world.only_grant().state()),
        (Some(Reason::GrantEndedByHost), ENDED)
    );
}

#[test]
fn host_13_renew_replaces_the_properties_of_every_token() {
    let world = World::new();
    let first = world.tokens_with(r#"{"plan":"free"}"#);
    let gold = r#"{"plan":"gold"}"#;
    world.store.judge(GrantChanges::default().with_properties(properties(gold)));
    let second = world.refreshed(first.refresh());
    for token in [&first.access, &second.access] {
        assert_eq!(world.properties_of(token).as_deref(), Some(gold));
    }
    let event = world.events().into_iter().rfind(|event| event.kind == EventKind::TokensRefreshed);
    assert_eq!(event.unwrap().detail.as_deref(), Some("changed_by_host: properties."));
    // The same again is no change. A grant without properties gets some as well.
    world.refreshed(second.refresh());
    assert_eq!(world.events().last().unwrap().detail, None);
    let bare = world.tokens();
    world.refreshed(bare.refresh());
    assert_eq!(world.properties_of(&bare.access).as_deref(), Some(gold));
}

#[test]
fn host_14_until_brings_the_end_nearer_and_never_further() {
    let world = World::new();
    let tokens = world.tokens();
    let first = tokens.access.clone();
    let end_of_policy = world.only_grant().expires();
    world.store.judge(GrantChanges::default().until(at(400 * 24 * 3600)));
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!(world.only_grant().expires(), end_of_policy);
    world.store.judge(GrantChanges::default().until(at(1000)));
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!((tokens.expires_in, world.only_grant().expires()), (1000, at(1000)));
    assert_eq!(world.events().last().unwrap().detail.as_deref(), Some("changed_by_host: end."));
    // An older token, which would live for an hour, follows.
    assert_eq!(world.access(&first).expires(), at(1000));
    let connections = world.server.connections("alice", None, 10).unwrap();
    assert_eq!(connections.entries[0].access_expires_at(), Some(at(1000)));
    // Never further.
    world.store.judge(GrantChanges::default().until(at(5000)));
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!((tokens.expires_in, world.only_grant().expires()), (1000, at(1000)));
    world.at(999);
    assert!(world.works(&tokens.access));
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!(tokens.expires_in, 1);
    world.at(1000);
    world.dead(&tokens.access, Reason::TokenExpired);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::RefreshAbsoluteExpired);
}

#[test]
fn host_14_an_end_that_is_not_in_the_future_ends_the_grant() {
    for end in [at(49), at(50)] {
        let world = World::new();
        let tokens = world.tokens();
        world.at(50);
        world.store.judge(GrantChanges::default().until(end));
        world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantEndedByHost);
        assert_eq!(world.only_grant().state(), ENDED);
    }
    let world = World::new();
    let tokens = world.tokens();
    world.at(50);
    world.store.judge(GrantChanges::default().until(at(51)));
    assert_eq!(world.refreshed(tokens.refresh()).expires_in, 1);
}

#[test]
fn host_15_a_decision_neither_excuses_nor_shields_a_replay() {
    for decision in [scope("read").into(), end(), scope("admin").into()] {
        let world = World::with(policy().replay_window(Duration::from_secs(30)));
        let first = world.tokens();
        let second = world.refreshed(first.refresh());
        world.at(30);
        world.store.judge(decision);
        world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
        assert_eq!(world.only_grant().state(), GrantState::Revoked(RevocationCause::Replay));
        world.dead(&second.access, Reason::TokenRevoked);
    }
}

#[test]
fn host_15_a_forger_and_a_faulty_request_trigger_nothing() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.judge(end());
    let forged = {
        let mut text = tokens.refresh().to_owned();
        let other = if text.as_bytes()[40] == b'A' { "B" } else { "A" };
        text.replace_range(40..=40, other);
        text
    };
    world.invalid_grant(&Params::refresh(&forged), Reason::RefreshForged);
    let beyond = Params::refresh(tokens.refresh()).set("scope", "admin");
    world.refused(&beyond, 400, "invalid_scope", Reason::ScopeBeyondGrant);
    let elsewhere = Params::refresh(tokens.refresh()).set("resource", "https://other.example/");
    world.refused(&elsewhere, 400, "invalid_target", Reason::ResourceBeyondGrant);
    world.store.suspend("alice", true);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::AccountSuspended);
    world.store.suspend("alice", false);
    assert_eq!(world.only_grant().state(), GrantState::Active);
    assert!(world.works(&tokens.access));
}

#[test]
fn host_16_an_answer_that_is_given_again_is_the_recorded_one() {
    // Its own write, which was applied although it seemed lost.
    let world = World::new();
    let first = world.tokens();
    world.store.fail([Fault::AppliedThenConflict]);
    let store = std::sync::Arc::clone(&world.store);
    world.store.meanwhile(move |_| store.judge(scope("read")));
    let second = world.refreshed(first.refresh());
    assert_eq!(second.scope, "read write");
    assert!(world.check(&second.access, &["write"]).is_ok());
    // Inside the window.
    let world = World::with(policy().replay_window(Duration::from_secs(30)));
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    world.store.judge(scope("read").with_properties(properties("{}")).until(at(9)));
    let commits = world.store.commits();
    let again = world.refreshed(first.refresh());
    assert_eq!((&again.access, &again.scope), (&second.access, &second.scope));
    assert_eq!((world.store.commits(), world.only_grant().properties()), (commits, None));
    // Then a decision that narrowed between the two: the scope of the first answer is returned, and
    // the check knows what is left.
    let third = world.refreshed(second.refresh());
    assert_eq!(third.scope, "read");
    world.lacks(&second.access, "write");
}

#[test]
fn host_16_an_end_counts_for_an_answer_that_is_given_again() {
    let world = World::new();
    let first = world.tokens();
    world.store.fail([Fault::AppliedThenConflict]);
    let store = std::sync::Arc::clone(&world.store);
    world.store.meanwhile(move |_| store.judge(end()));
    let reply = world.token(&Params::refresh(first.refresh()));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::GrantEndedByHost);
    assert_eq!(world.only_grant().state(), ENDED);
    let world = World::with(policy().replay_window(Duration::from_secs(30)));
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    world.store.judge(end());
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::GrantEndedByHost);
    world.dead(&second.access, Reason::TokenRevoked);
    assert_eq!(world.only_grant().state(), ENDED);
}

#[test]
fn host_17_a_decision_that_is_not_known_is_a_store_error() {
    // A host whose accounts are its own; `FromStore` has the error of the store.
    let world = World::new();
    let tokens = world.tokens();
    world.store.break_decisions(true);
    let commits = world.store.commits();
    let sent = world.try_token(&Params::refresh(tokens.refresh()), Authorization::None);
    let error = sent.unwrap_err();
    let failure = error.failure().unwrap();
    assert!(matches!(failure.cause, FailureCause::Accounts(_)), "{failure:?}");
    let reply = error.reply(world.server.policy());
    assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::StorageUnavailable);
    assert_eq!((reply.header("retry-after"), world.store.commits()), (Some("1"), commits));
    world.store.break_decisions(false);
    assert_eq!(world.refreshed(tokens.refresh()).scope, "read write");
}
