//! Tests of KEYS-40 to KEYS-45 and KEYS-59: the parameters and the form of a client's assertion, byte by
//! byte hostile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::{Reason, Reply};
use serde_json::json;

use crate::support::assertions::signer;
use crate::support::keyed::{JWT_BEARER, Keyed, prove};
use crate::support::params::Params;
use crate::support::{SECRET, World, assert_refused};

/// Asserts that the client was authenticated: only its refresh token is unknown.
#[track_caller]
pub(crate) fn assert_proved(keyed: &Keyed, reply: &Reply) {
    assert_refused(&keyed.world, reply, 400, "invalid_grant", Reason::RefreshUnknown);
}

/// Asserts that authentication failed for this reason, that the response is that of any other
/// failure, and that nothing was written.
#[track_caller]
pub(crate) fn assert_failed(keyed: &Keyed, assertion: &str, reason: Reason) {
    let commits = keyed.world.store.commits();
    let reply = keyed.ask(assertion);
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    // A replay is found by the mark that it cannot create.
    let tried = usize::from(reason == Reason::ClientAssertionReplayed);
    assert_eq!(keyed.world.store.commits(), commits + tried, "nothing is written");
    assert_eq!(keyed.world.events().last().unwrap().proof, None);
    let unknown = keyed.world.token(&Params::refresh("x").by_web().set("client_secret", "wrong"));
    assert_eq!(reply.body, unknown.body, "all failures look alike");
    assert_eq!(reply.header("www-authenticate"), unknown.header("www-authenticate"));
    // Ten of them would end the test's own authentications.
    keyed.at(keyed.now() - crate::support::T + 61);
}

#[test]
fn keys_40_both_parameters_are_needed_once() {
    let keyed = Keyed::new();
    let good = || keyed.assertion(json!({}));
    let ask = Params::refresh("x").set("client_id", "job");
    for alone in [
        ask.clone().and("client_assertion", &good()),
        ask.clone().and("client_assertion_type", JWT_BEARER),
        prove(ask.clone(), &good()).set("client_assertion_type", ""),
        prove(ask.clone(), &good()).set("client_assertion", ""),
    ] {
        let reply = keyed.world.token(&alone);
        let reason = Reason::ClientAssertionIncomplete;
        assert_refused(&keyed.world, &reply, 400, "invalid_request", reason);
    }
    for name in ["client_assertion", "client_assertion_type"] {
        let reply = keyed.world.token(&prove(ask.clone(), &good()).and(name, "x"));
        assert_refused(&keyed.world, &reply, 400, "invalid_request", Reason::ParameterRepeated);
    }
    assert_proved(&keyed, &keyed.ask(&good()));
}

#[test]
fn keys_41_another_type_is_a_failed_authentication() {
    let keyed = Keyed::new();
    for kind in [
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
        "foo",
        &JWT_BEARER.to_uppercase(),
    ] {
        let ask = Params::refresh("x").set("client_id", "job");
        let ask = prove(ask, &keyed.assertion(json!({}))).set("client_assertion_type", kind);
        let reply = keyed.world.token(&ask);
        assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionType);
    }
}

#[test]
fn keys_42_one_way_for_each_request() {
    let keyed = Keyed::new();
    keyed.world.put(crate::support::web());
    let commits = keyed.world.store.commits();
    let ask = || prove(Params::refresh("x"), &keyed.assertion(json!({})));
    let ask = || ask().set("client_id", "job");
    for header in ["Basic am9iOng=", "Bearer x", "x"] {
        let reply = keyed.world.token_with(&ask(), header.as_bytes());
        assert_refused(
            &keyed.world,
            &reply,
            400,
            "invalid_request",
            Reason::SeveralAuthentications,
        );
    }
    let right = ask().set("client_id", "web").set("client_secret", SECRET);
    for both in [ask().and("client_secret", "x"), right] {
        let reply = keyed.world.token(&both);
        assert_refused(
            &keyed.world,
            &reply,
            400,
            "invalid_request",
            Reason::SeveralAuthentications,
        );
    }
    assert_eq!((keyed.world.store.commits(), keyed.verified()), (commits, 0), "no mark");
    assert_proved(&keyed, &keyed.world.token(&ask().and("client_secret", "")));
}

#[test]
fn keys_43_the_sub_names_the_client() {
    let keyed = Keyed::new();
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({}))));
    let ask = |id: &str, assertion: &str| {
        keyed.token(Params::refresh("x").set("client_id", id), assertion)
    };
    assert_proved(&keyed, &ask("job", &keyed.assertion(json!({}))));
    let reply = ask("app", &keyed.assertion(json!({})));
    assert_refused(&keyed.world, &reply, 400, "invalid_request", Reason::ClientAssertionClient);
    assert_eq!(keyed.world.events().last().unwrap().claimed, None);
    // Neither names a client.
    for nobody in ["x", "a.b.c", &keyed.assertion(json!({"sub": "ABSENT"}))] {
        let reply = keyed.ask(nobody);
        assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientUnknown);
    }
    let reply = ask("job", "x");
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionMalformed);
}

#[test]
fn keys_44_only_the_compact_form_is_read() {
    let keyed = Keyed::new();
    let good = keyed.assertion(json!({}));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let raw = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let ask = |text: &str| {
        let reply = keyed.token(Params::refresh("x").set("client_id", "job"), text);
        assert_eq!(
            (reply.status, keyed.world.reason()),
            (401, Some(Reason::ClientAssertionMalformed)),
            "{text}"
        );
    };
    ask(&format!("{header}.{payload}"));
    ask(&format!("{header}.{payload}.{signature}.{signature}"));
    ask(&format!("{header}.{payload}.{signature}.{signature}.{signature}"));
    ask(&format!("{header}.{payload}."));
    ask(&format!("{header}..{signature}"));
    ask(&format!("{header}=.{payload}.{signature}"));
    ask(&format!(" {good}"));
    ask(&format!("{good}\n"));
    ask(&good.replace('.', ". "));
    ask(&format!("{}.{payload}.{signature}", raw(r#"{"alg":"EdDSA","alg":"none","kid":"1"}"#)));
    ask(&format!("{}.{payload}.{signature}", raw(r#"{"alg":"EdDSA","kid":"1"} x"#)));
    ask(&format!("{}.{payload}.{signature}", raw(r#"["alg"]"#)));
    ask(
        &json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})
            .to_string(),
    );
    let key = signer("ed");
    for member in [json!({"crit": ["exp"]}), json!({"b64": false}), json!({"enc": "A128GCM"})] {
        ask(&keyed.signed("job", &key, member, json!({})));
    }
}

#[test]
fn keys_45_an_assertion_is_bounded() {
    let keyed = Keyed::new();
    let padded = |bytes: usize| keyed.assertion(json!({"pad": "x".repeat(bytes)}));
    let short = padded(0).len();
    // base64 takes four characters for three bytes.
    let largest = padded((8 * 1024 - short) / 4 * 3 - 3);
    assert!(largest.len() > 8 * 1024 - 8 && largest.len() <= 8 * 1024, "{}", largest.len());
    assert_proved(&keyed, &keyed.ask(&largest));
    let reply = keyed.ask(&padded(8 * 1024));
    assert_eq!((reply.status, keyed.world.reason()), (413, Some(Reason::RequestTooLarge)));
    let long = "x".repeat(513);
    assert_failed(&keyed, &keyed.assertion(json!({"jti": long})), Reason::ClientAssertionJti);
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({"jti": &long[1..]}))));
}

#[test]
fn keys_59_assertions_in_a_query_are_refused() {
    let world = World::new();
    for name in ["client_assertion", "assertion", "subject_token", "actor_token"] {
        let query = format!("{name}=x");
        let body = Params::refresh("x").encode();
        let parts = grantcore::RequestParts {
            query: query.as_bytes(),
            ..crate::support::steps::form(&body)
        };
        let reply = world.reply(world.server.token(&parts));
        assert_refused(&world, &reply, 400, "invalid_request", Reason::SecretInUrl);
    }
}
