//! Tests of KEYS-11, I38 and of the marks of client assertions (SEEN): proof once given is not given
//! up, and an assertion counts once whatever happens on the way.

use grantcore::client::{Authentication, ClientKeys, Registration};
use grantcore::event::EventKind;
use grantcore::grant::GrantState;
use grantcore::policy::{KeyRules, Limits};
use grantcore::{Client, Reason};
use serde_json::json;

use crate::support::assertions::signer;
use crate::support::keyed::{JWKS, Keyed, keyed_policy, prove, set_of};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{CALLBACK, Granted, assert_refused};

pub(crate) const EITHER: &str = "https://client.example/oauth/meta.json";

/// A world with a client that may prove itself, and need not.
pub(crate) fn either() -> Keyed {
    with_either(Keyed::new())
}

pub(crate) fn with_either(keyed: Keyed) -> Keyed {
    keyed.world.put(either_client());
    keyed
}

pub(crate) fn either_client() -> Client {
    Client::with_keys(EITHER, ClientKeys::inline(set_of("ed")))
        .registration(Registration::MetadataDocument)
        .redirect_uri(CALLBACK)
        .build()
        .unwrap()
        .edit()
        .without_restrictions()
        .authentication(Authentication::KeysOrNone(ClientKeys::inline(set_of("ed"))))
        .build()
        .unwrap()
}

pub(crate) fn proof(keyed: &Keyed) -> String {
    keyed.signed(EITHER, &signer("ed"), json!({}), json!({}))
}

fn refresh(token: &str) -> Params {
    Params::refresh(token).set("client_id", EITHER)
}

fn assert_dropped(keyed: &Keyed, params: &Params) {
    let commits = keyed.world.store.commits();
    let reply = keyed.world.token(params);
    assert_refused(&keyed.world, &reply, 400, "invalid_grant", Reason::ClientProofDropped);
    assert_eq!(keyed.world.store.commits(), commits, "nothing is written");
    assert_eq!(keyed.world.grants()[0].record.state(), GrantState::Active);
}

#[test]
fn keys_11_a_client_may_do_without_proof_as_long_as_it_gave_none() {
    let keyed = either();
    let tokens = keyed.tokens(EITHER, None);
    let tokens = Granted::of(&keyed.world.token(&refresh(tokens.refresh())));
    assert_eq!(keyed.verified(), 0);
    let proved = prove(refresh(tokens.refresh()), &proof(&keyed));
    let tokens = Granted::of(&keyed.world.token(&proved));
    assert_dropped(&keyed, &refresh(tokens.refresh()));
    assert_eq!(keyed.token(refresh(tokens.refresh()), &proof(&keyed)).status, 200);
}

#[test]
fn keys_11_proof_at_the_redemption_is_not_given_up() {
    let keyed = either();
    let tokens = keyed.tokens(EITHER, Some(&proof(&keyed)));
    assert_dropped(&keyed, &refresh(tokens.refresh()));
    let next = Granted::of(&keyed.token(refresh(tokens.refresh()), &proof(&keyed)));
    // A thief of an old refresh token has no key: it ends nothing (no replay revocation either).
    assert_dropped(&keyed, &refresh(tokens.refresh()));
    assert!(keyed.world.works(&next.access));
    for token in [next.access.clone(), next.refresh().to_owned()] {
        let revoke = Params(vec![("client_id".into(), EITHER.into()), ("token".into(), token)]);
        let reply = keyed.revoke(&revoke);
        assert_refused(&keyed.world, &reply, 400, "invalid_grant", Reason::ClientProofDropped);
        assert!(keyed.world.works(&next.access));
    }
    let bad = keyed.signed(EITHER, &signer("other-ed"), json!({}), json!({}));
    let reply = keyed.token(refresh(next.refresh()), &bad);
    let reason = Reason::ClientAssertionSignature;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    let revoke =
        Params(vec![("client_id".into(), EITHER.into()), ("token".into(), next.access.clone())]);
    assert_eq!(keyed.revoke(&prove(revoke, &proof(&keyed))).status, 200);
    assert!(!keyed.world.works(&next.access));
}

/// A second redemption without proof neither revokes the grant nor gets its tokens.
#[test]
fn i38_a_code_that_was_redeemed_with_proof_is_not_replayed_without() {
    let keyed = either();
    let code = keyed.world.code(&Params::authorize().set("client_id", EITHER));
    let redeem = Params::redeem(&code).set("client_id", EITHER);
    let tokens = Granted::of(&keyed.token(redeem.clone(), &proof(&keyed)));
    assert_dropped(&keyed, &redeem);
    assert!(keyed.world.works(&tokens.access));
    let reply = keyed.token(redeem, &proof(&keyed));
    assert_refused(&keyed.world, &reply, 400, "invalid_grant", Reason::CodeReused);
}

/// Within a replay window, the proof of a repeated refresh counts from then on.
#[test]
fn keys_11_a_proof_within_the_replay_window_counts() {
    let window = std::time::Duration::from_secs(30);
    let policy = keyed_policy().replay_window(window);
    let keyed = with_either(Keyed::with(policy, KeyRules::default()));
    let tokens = keyed.tokens(EITHER, None);
    let next = Granted::of(&keyed.world.token(&refresh(tokens.refresh())));
    let again = Granted::of(&keyed.token(refresh(tokens.refresh()), &proof(&keyed)));
    assert_eq!(next.refresh(), again.refresh());
    assert_dropped(&keyed, &refresh(tokens.refresh()));
    assert_dropped(&keyed, &refresh(next.refresh()));
    assert_eq!(keyed.token(refresh(next.refresh()), &proof(&keyed)).status, 200);
}

#[test]
fn keys_11_with_keys_off_such_a_grant_needs_a_new_authorization() {
    let keyed = either();
    let tokens = keyed.tokens(EITHER, Some(&proof(&keyed)));
    let off = keyed.world.beside(keyed_policy().build().unwrap(), 7);
    let reply = off.token(&refresh(tokens.refresh()));
    assert_refused(&off, &reply, 400, "invalid_grant", Reason::ClientProofDropped);
    let code = off.code(&Params::authorize().set("client_id", EITHER));
    assert_eq!(off.token(&Params::redeem(&code).set("client_id", EITHER)).status, 200);
}

/// A public-or-keys client proves itself for what only a proved client may do.
#[test]
fn keys_09_only_codes_and_refresh_tokens_go_without_proof() {
    let rules = grantcore::policy::IntrospectionRules::default()
        .with_resource_server(EITHER, crate::support::MCP);
    let policy = keyed_policy().introspection(rules);
    let keyed = with_either(Keyed::with(policy, KeyRules::default()));
    let ask = Params(vec![("client_id".into(), EITHER.into()), ("token".into(), "x".into())]);
    let reply = keyed.introspect(&ask);
    let reason = Some(Reason::IntrospectionUnauthenticated);
    assert_eq!((reply.status, keyed.world.reason()), (401, reason));
    assert_eq!(keyed.introspect(&prove(ask, &proof(&keyed))).status, 200);
}

#[test]
fn seen_01_an_assertion_is_accepted_once_by_all_nodes_together() {
    let keyed = Keyed::new();
    let policy = keyed_policy().client_keys(KeyRules::default());
    let node =
        keyed.world.beside(policy.verifier(crate::support::keyed::verifier()).build().unwrap(), 5);
    let assertion = keyed.assertion(json!({}));
    assert_eq!(keyed.ask(&assertion).status, 400);
    let first = keyed.world.events().pop().unwrap().correlation;
    let reply = node.token(&prove(Params::refresh("x").without("client_id"), &assertion));
    assert_refused(&node, &reply, 401, "invalid_client", Reason::ClientAssertionReplayed);
    assert_eq!(node.events().pop().unwrap().first, Some(first), "SEEN-09");
}

#[test]
fn seen_03_two_clients_may_have_one_jti() {
    let keyed = Keyed::new();
    keyed.world.put(crate::support::keyed::keyed_client("other", "ed").build().unwrap());
    let jti = json!({"jti": "the same"});
    for client in ["job", "other"] {
        let assertion = keyed.signed(client, &signer("ed"), json!({}), jti.clone());
        assert_eq!(keyed.ask(&assertion).status, 400, "{client}");
        assert_eq!(keyed.ask(&assertion).status, 401, "{client}");
    }
}

#[test]
fn seen_05_06_a_fault_leaves_no_mark_and_a_refusal_of_the_grant_leaves_one() {
    let keyed = Keyed::new();
    let jti = json!({"jti": "one"});
    let forged = keyed.signed("job", &signer("other-ed"), json!({}), jti.clone());
    assert_eq!(keyed.ask(&forged).status, 401);
    let good = keyed.assertion(jti);
    let code = keyed.world.code(&Params::authorize().set("client_id", "job"));
    let redeem = |code: &str| Params::redeem(code).set("client_id", "job");
    let reply = keyed.token(redeem("gac_unknown"), &good);
    assert_refused(&keyed.world, &reply, 400, "invalid_grant", Reason::CodeUnknown);
    let event = keyed.world.events().pop().unwrap();
    assert_eq!(event.marked, Some(grantcore::event::Durability::Durable));
    let reply = keyed.token(redeem(&code), &good);
    let reason = Reason::ClientAssertionReplayed;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    assert_eq!(keyed.token(redeem(&code), &keyed.assertion(json!({}))).status, 200);
}

#[test]
fn seen_07_what_may_succeed_later_leaves_no_mark() {
    let keyed = Keyed::new();
    let good = keyed.assertion(json!({}));
    keyed.world.store.break_reads(true);
    assert!(
        keyed
            .world
            .try_token(
                &prove(Params::refresh("x").without("client_id"), &good),
                grantcore::Authorization::None
            )
            .is_err()
    );
    keyed.world.store.break_reads(false);
    assert_eq!(keyed.ask(&good).status, 400, "the same assertion again");

    let remote = keyed.signed("remote", &signer("ed"), json!({}), json!({}));
    let reply = keyed.ask(&remote);
    let reason = Reason::KeysUnreachable;
    assert_refused(&keyed.world, &reply, 503, "temporarily_unavailable", reason);
    keyed.web.serve(JWKS, Some(crate::keys_fetch::set(&["1"])));
    keyed.at(61);
    let later = keyed.ask(&keyed.signed(
        "remote",
        &signer("ed"),
        json!({}),
        json!({"exp": crate::support::T + 100}),
    ));
    assert_eq!(later.status, 400);

    let limits = Limits::default().with_token_requests_per_minute(1);
    let busy = Keyed::with(crate::support::policy().limits(limits), KeyRules::default());
    let good = busy.assertion(json!({"exp": busy.now() + 600}));
    drop(busy.ask(&busy.assertion(json!({}))));
    assert_eq!(busy.ask(&good).status, 429);
    busy.at(61);
    assert_eq!(busy.ask(&good).status, 400);
}

#[test]
fn seen_08_a_request_goes_on_with_its_own_mark() {
    for fault in [Fault::AppliedThenConflict, Fault::Conflict] {
        let keyed = Keyed::new();
        let code = keyed.world.code(&Params::authorize().set("client_id", "job"));
        keyed.world.store.fail([fault]);
        let redeem = Params::redeem(&code).set("client_id", "job");
        let tokens = Granted::of(&keyed.token(redeem, &keyed.assertion(json!({}))));
        assert!(keyed.world.works(&tokens.access), "{fault:?}");
    }
}

/// A mark is no second attempt: a replay outside the window revokes on the first try (I12).
#[test]
fn seen_13_a_replay_of_a_keyed_client_revokes_although_it_made_a_mark() {
    let window = std::time::Duration::from_secs(30);
    let keyed = Keyed::with(keyed_policy().replay_window(window), KeyRules::default());
    let tokens = keyed.tokens("job", Some(&keyed.assertion(json!({}))));
    let ask = |token: &str| Params::refresh(token).set("client_id", "job");
    keyed.at(31);
    let next = Granted::of(&keyed.token(ask(tokens.refresh()), &keyed.assertion(json!({}))));
    keyed.at(100);
    let reply = keyed.token(ask(tokens.refresh()), &keyed.assertion(json!({})));
    assert_refused(&keyed.world, &reply, 400, "invalid_grant", Reason::RefreshReused);
    assert!(!keyed.world.works(&next.access));
}

#[test]
fn seen_14_marks_take_no_attempt_and_no_second_load() {
    let keyed = Keyed::new();
    let tokens = keyed.tokens("job", Some(&keyed.assertion(json!({}))));
    let ask = |token: &str| Params::refresh(token).set("client_id", "job");
    drop(keyed.world.store.calls());
    let tokens = Granted::of(&keyed.token(ask(tokens.refresh()), &keyed.assertion(json!({}))));
    let calls = keyed.world.store.calls();
    assert_eq!(
        calls,
        ["grant", "client", "account", "commit", "commit"],
        "one load of each record"
    );
    // The mark, and three conflicts on the grant.
    keyed.world.store.meanwhile(|_| {});
    let conflicting = std::sync::Arc::clone(&keyed.world.store);
    keyed.world.store.meanwhile(move |_| conflicting.fail([Fault::Conflict; 3]));
    assert_eq!(keyed.token(ask(tokens.refresh()), &keyed.assertion(json!({}))).status, 200);
}

/// A proof that was marked and used stays given: a request does not lose its own commit because its
/// assertion ends meanwhile.
#[test]
fn i34_a_request_is_not_judged_again_after_its_main_write() {
    let keyed = Keyed::new();
    let code = keyed.world.code(&Params::authorize().set("client_id", "job"));
    let assertion = keyed.assertion(json!({"exp": keyed.now() + 1}));
    let clock = keyed.clock();
    keyed.world.store.meanwhile(|_| {});
    keyed.world.store.meanwhile(move |_| clock(60));
    keyed.world.store.fail_at(1, Fault::AppliedThenConflict);
    let redeem = Params::redeem(&code).set("client_id", "job");
    assert_eq!(keyed.token(redeem, &assertion).status, 200);
    assert_eq!(keyed.world.events().pop().unwrap().kind, EventKind::CodeRedeemed);
}

/// An assertion that ends while its mark is made is refused: the mark may be swept already.
#[test]
fn seen_10_an_assertion_that_ends_during_its_mark_is_refused() {
    let keyed = Keyed::new();
    let code = keyed.world.code(&Params::authorize().set("client_id", "job"));
    let assertion = keyed.assertion(json!({"exp": keyed.now() + 1}));
    let clock = keyed.clock();
    keyed.world.store.meanwhile(move |_| clock(11));
    let redeem = Params::redeem(&code).set("client_id", "job");
    let reply = keyed.token(redeem, &assertion);
    let reason = Reason::ClientAssertionExpired;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
}

#[test]
fn seen_16_a_failing_store_ends_the_request_before_its_main_write() {
    for fault in [Fault::Dropped, Fault::Unacknowledged] {
        let keyed = Keyed::new();
        let code = keyed.world.code(&Params::authorize().set("client_id", "job"));
        let redeem = || Params::redeem(&code).set("client_id", "job");
        keyed.world.store.fail([fault]);
        let commits = keyed.world.store.commits();
        let sent = prove(redeem(), &keyed.assertion(json!({})));
        assert!(keyed.world.try_token(&sent, grantcore::Authorization::None).is_err());
        assert_eq!(keyed.world.store.commits(), commits + 1);
        assert_eq!(keyed.token(redeem(), &keyed.assertion(json!({}))).status, 200);
    }
}

#[test]
fn seen_04_of_many_requests_with_one_assertion_one_is_accepted() {
    let keyed = Keyed::new();
    let body =
        prove(Params::refresh("x").without("client_id"), &keyed.assertion(json!({}))).encode();
    let server = &keyed.world.server;
    let barrier = std::sync::Barrier::new(8);
    let refused = std::thread::scope(|scope| {
        let send = || {
            barrier.wait();
            let parts = crate::support::steps::form(&body);
            let refusal = crate::support::Outcome::outcome(server.token(&parts)).unwrap_err();
            refusal.reason()
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|own| own.join().unwrap()).collect::<Vec<_>>()
    });
    let accepted = refused.iter().filter(|reason| **reason == Reason::RefreshUnknown).count();
    let replayed = refused.iter().filter(|own| **own == Reason::ClientAssertionReplayed).count();
    assert_eq!((accepted, replayed), (1, 7), "{refused:?}");
}

#[test]
fn seen_20_the_fix_of_a_replay_is_a_new_assertion() {
    for reason in [Reason::ClientAssertionReplayed, Reason::AssertionReplayed] {
        let fix = reason.fix();
        assert!(fix.contains("a new assertion for e"), "{fix}");
    }
}

#[test]
fn machine_02_a_client_that_may_do_without_proof_has_to_give_it_for_itself() {
    let machines = keyed_policy().machines(grantcore::policy::MachineRules::default());
    let keyed = with_either(Keyed::with(machines, KeyRules::default()));
    let request = || Params::machine().set("client_id", EITHER);
    let reply = keyed.world.token(&request());
    let reason = Reason::ClientAssertionMissing;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    // With proof it has still no right.
    let reply = keyed.token(request(), &proof(&keyed));
    let reason = Reason::GrantTypeUnauthorized;
    assert_refused(&keyed.world, &reply, 400, "unauthorized_client", reason);
}
