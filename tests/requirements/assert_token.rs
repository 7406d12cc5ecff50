//! ASSERT-15 to -19 and -46: the token that an assertion brings, and its record.

use std::time::Duration;

use grantcore::Reason;
use grantcore::event::EventKind;
use grantcore::grant::Principal;
use grantcore::policy::{IdJag, Lifetimes, TrustedIssuer};
use serde_json::json;

use crate::support::store::Fault;
use crate::support::toy_issuers::{
    Federation, IDP, KEY, exchange, id_jag, person, program, with, workload,
};
use crate::support::{Granted, MCP, T, json as body, policy};

#[test]
fn assert_15_there_is_no_refresh_token() {
    let federation = Federation::new();
    for reply in [
        federation.world.token(&exchange(&id_jag(&person("1"))).by_web()),
        federation.world.token(&exchange(&workload(&program("1")))),
    ] {
        let members: Vec<_> = body(&reply).as_object().unwrap().keys().cloned().collect();
        assert!(!members.contains(&"refresh_token".to_owned()), "{members:?}");
        assert_eq!(body(&reply)["token_type"], "Bearer");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn i42_a_token_lives_an_hour_at_most() {
    let federation = Federation::new();
    let soon = with(person("1"), "exp", T + 60);
    let granted = federation.person(&soon);
    assert_eq!(granted.expires_in, 3600, "the end of the assertion does not cut it");
    federation.world.at(3599);
    assert!(federation.world.works(&granted.access));
    federation.world.at(3600);
    assert!(!federation.world.works(&granted.access));
    let record = &federation.world.grants()[0].record;
    assert_eq!(record.drop_after().unix_seconds(), T + 7200);
}

#[test]
fn assert_16_lifetimes_have_two_bounds() {
    let rules = || IdJag::new("read".parse().unwrap()).with_client("web");
    let seconds = Duration::from_secs;
    let issuer = |tokens| TrustedIssuer::id_jag(IDP, KEY.key_set(), rules()).with_tokens(tokens);
    let short = Federation::with(policy().trusted_issuer(issuer(seconds(600))));
    assert_eq!(short.person(&person("1")).expires_in, 600);
    let lifetimes = Lifetimes::default().with_access(seconds(500));
    let shorter =
        Federation::with(policy().lifetimes(lifetimes).trusted_issuer(issuer(seconds(600))));
    assert_eq!(shorter.person(&person("1")).expires_in, 500);
}

#[test]
fn assert_19_a_lost_acknowledgement_gives_the_same_token() {
    let federation = Federation::new();
    let store = &federation.world.store;
    let params = exchange(&id_jag(&person("1"))).by_web();
    // The mark and the record are written, and both are said to conflict.
    store.fail([Fault::AppliedThenConflict, Fault::AppliedThenConflict]);
    let granted = Granted::of(&federation.world.token(&params));
    assert_eq!(federation.world.events().len(), 1);
    assert!(federation.world.works(&granted.access));
    assert_eq!((federation.world.grants().len(), federation.marks()), (1, 1));
    // A mark that conflicts and is not found is created again, once.
    let params = exchange(&id_jag(&person("2"))).by_web();
    let commits = store.commits();
    store.fail([Fault::Conflict]);
    let reply = federation.world.token(&params);
    assert_eq!((reply.status, store.commits() - commits), (200, 3));
    let params = exchange(&id_jag(&person("3"))).by_web();
    store.fail([Fault::Conflict, Fault::Conflict]);
    federation.refused(&params, 503, "temporarily_unavailable", Reason::Contended);
}

#[test]
fn assert_19_a_store_that_fails_writes_nothing_more() {
    let federation = Federation::new();
    let params = exchange(&id_jag(&person("1"))).by_web();
    federation.world.unavailable(&params, Fault::Dropped);
    assert_eq!((federation.world.grants().len(), federation.marks()), (0, 0));
    // The mark is written and not acknowledged: this assertion is lost, the next one serves.
    federation.world.unavailable(&params, Fault::Unacknowledged);
    federation.faulty(&person("1"), Reason::AssertionReplayed);
    federation.person(&person("2"));
}

#[test]
fn i17_the_end_of_the_assertion_does_not_lose_an_own_commit() {
    let federation = Federation::new();
    let claims = with(person("1"), "exp", T + 1);
    let params = exchange(&id_jag(&claims)).by_web();
    let store = &federation.world.store;
    store.fail([Fault::AppliedThenConflict]);
    Granted::of(&federation.world.token(&params));
    assert_eq!(federation.world.grants().len(), 1);
}

#[test]
fn assert_46_scope_and_resource_are_named() {
    let federation = Federation::new();
    let reply = federation.world.token(&exchange(&id_jag(&person("1"))).by_web());
    let own = body(&reply);
    assert_eq!((&own["scope"], &own["resource"]), (&json!("read"), &json!(MCP)));
    assert!(own.get("authorization_details").is_none());
    // Other grants do not name it.
    let reply = federation.world.token(&exchange(&workload(&program("1"))));
    assert!(body(&reply).get("resource").is_none());
}

#[test]
fn i39_the_principal_is_the_user() {
    let federation = Federation::new();
    let granted = federation.person(&person("1"));
    let access = federation.world.access(&granted.access);
    assert!(
        matches!(access.principal(), Principal::Person(subject) if subject.as_str() == "alice")
    );
    assert_eq!(access.client_id().as_str(), "web");
}

#[test]
fn i32_two_nodes_accept_one_assertion_once() {
    let federation = Federation::new();
    let params = exchange(&workload(&program("1")));
    let replies = federation.world.race(8, &params);
    let accepted = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(accepted, 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(body(reply)["error"], "invalid_grant");
    }
}

#[test]
fn i43_one_verification_and_one_load_for_an_assertion() {
    let federation = Federation::new();
    federation.world.store.calls();
    federation.program(&program("1"));
    assert_eq!(federation.world.store.calls(), ["client", "commit", "commit"]);
    assert_eq!(federation.verifier.count(), 1);
    let event = federation.world.events().pop().unwrap();
    assert_eq!(event.kind, EventKind::AssertionAccepted);
    let detail = event.detail.unwrap();
    assert!(detail.contains("profile: workload."), "{detail}");
}
