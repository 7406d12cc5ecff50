//! Tests of KEYS-12 and KEYS-57 to KEYS-63: what an assertion counts for, and where.

use grantcore::Reason;
use grantcore::event::ClientProof;
use grantcore::policy::{KeyRules, Limits};
use serde_json::json;

use crate::keys_assertion::{assert_failed, assert_proved};
use crate::support::assertions::{merged, signer};
use crate::support::keyed::{Keyed, keyed_client, keyed_policy, prove, sign};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{SECRET, World, assert_refused, json as body, policy};

#[test]
fn keys_57_bad_assertions_lock_nobody_out() {
    let keyed = Keyed::new();
    let forged = keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    for _ in 0..1000 {
        assert_eq!(keyed.ask(&forged).status, 401);
    }
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({}))));
    for _ in 0..10 {
        drop(keyed.world.token(&Params::refresh("x").by_web().set("client_secret", "wrong")));
    }
    assert_eq!(keyed.world.token(&Params::refresh("x").by_web()).status, 429, "a secret counts");
}

#[test]
fn keys_57_assertions_count_in_the_rate_of_requests() {
    let limits = Limits::default().with_token_requests_per_minute(3);
    let keyed = Keyed::with(policy().limits(limits), KeyRules::default());
    let forged = || keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    assert_eq!([401, 401, 401], [(); 3].map(|()| keyed.ask(&forged()).status));
    let before = keyed.verified();
    assert_eq!(keyed.ask(&keyed.assertion(json!({}))).status, 429);
    assert_eq!(keyed.verified(), before);
}

#[test]
fn keys_58_each_client_uses_its_own_method() {
    let keyed = Keyed::new();
    let secret = Params::refresh("x").set("client_id", "job").set("client_secret", SECRET);
    let reply = keyed.world.token(&secret);
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientSecretUnexpected);
    let reply = keyed.world.token(&Params::refresh("x").set("client_id", "job"));
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionMissing);
    for client in ["web", "app"] {
        let assertion = keyed.signed(client, &signer("ed"), json!({}), json!({}));
        assert_failed(&keyed, &assertion, Reason::ClientAssertionUnexpected);
    }
    let lenient = Keyed::with(keyed_policy().lenient_on_method(true), KeyRules::default());
    assert_eq!(lenient.world.token(&secret).status, 401, "leniency covers no keys");
}

#[test]
fn keys_60_a_deactivated_client_proves_nothing() {
    let keyed = Keyed::new();
    let job = keyed_client("job", "ed").build().unwrap();
    keyed.world.put(job.clone().deactivated());
    let good = keyed.assertion(json!({}));
    assert_failed(&keyed, &good, Reason::ClientDeactivated);
    keyed.world.put(job);
    let good = keyed.assertion(json!({}));
    assert_proved(&keyed, &keyed.ask(&good));
}

/// No assertion is in an event, a record, a refusal or the text of a request.
#[test]
fn keys_62_success_names_the_method_and_the_key() {
    let keyed = Keyed::new();
    let assertion = keyed.assertion(json!({"jti": "canary-jti"}));
    let tokens = keyed.tokens("job", Some(&assertion));
    let event = keyed.world.events().pop().unwrap();
    assert_eq!(event.proof, Some(ClientProof::Key { kid: Some("1".into()) }));
    let value = serde_json::to_value(&event).unwrap();
    assert_eq!(value["proof"], json!({"method": "private_key_jwt", "kid": "1"}));
    assert_eq!(event.proof.as_ref().unwrap().to_string(), "private_key_jwt (1)");
    let refused = keyed.ask(&assertion);
    let dump = serde_json::to_string(&keyed.world.grants()[0].record).unwrap();
    let shown = format!("{:?} {dump} {refused:?}", keyed.world.events());
    for part in assertion.split('.').chain(["canary-jti"]) {
        assert!(!shown.contains(part), "{part}");
    }
    drop(tokens);
    let ask = Params::refresh("x").without("client_id");
    let parsed = prove(ask, &keyed.assertion(json!({}))).encode();
    let parts = crate::support::steps::form(&parsed);
    let request =
        grantcore::request::TokenRequest::parse(&parts, keyed.world.server.policy()).unwrap();
    assert!(!format!("{request:?}").contains("eyJ"));
}

#[test]
fn keys_12_each_endpoint_authenticates_alike() {
    let keyed = Keyed::new();
    let forged = || keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    let send = |endpoint: &str, params: Params| match endpoint {
        "token" => {
            keyed.world.token(&params.and("grant_type", "refresh_token").and("refresh_token", "x"))
        }
        "revoke" => keyed.revoke(&params.and("token", "x")),
        _ => keyed.introspect(&params.and("token", "x")),
    };
    for (endpoint, proved) in [("token", 400), ("revoke", 200), ("introspect", 200)] {
        let plain = || Params(vec![("client_id".into(), "job".into())]);
        let reply = send(endpoint, plain());
        assert_eq!(
            (reply.status, keyed.world.reason()),
            (401, Some(Reason::ClientAssertionMissing))
        );
        let reply = send(endpoint, prove(plain(), &forged()));
        let wrong = Some(Reason::ClientAssertionSignature);
        assert_eq!((reply.status, keyed.world.reason()), (401, wrong), "{endpoint}");
        let good = keyed.assertion(json!({}));
        let reply = send(endpoint, prove(plain(), &good));
        assert_eq!(reply.status, proved, "{endpoint}: {}", reply.body);
        let proof = keyed.world.events().pop().unwrap().proof;
        assert_eq!(proof, Some(ClientProof::Key { kid: Some("1".into()) }), "{endpoint}");
        for other in ["token", "revoke", "introspect"] {
            let reply = send(other, prove(plain(), &good));
            let replayed = Some(Reason::ClientAssertionReplayed);
            assert_eq!((reply.status, keyed.world.reason()), (401, replayed), "{endpoint} {other}");
        }
    }
}

#[test]
fn keys_61_metadata_name_the_method_and_the_algorithms() {
    let metadata = |world: &World| body(&world.server.policy().server_metadata());
    let keyed = Keyed::new();
    let on = metadata(&keyed.world);
    let names = json!(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]);
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = &on[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(methods.as_array().unwrap().contains(&json!("private_key_jwt")), "{methods}");
        let algorithms = &on[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(*algorithms, names, "{endpoint}");
    }
    assert!(
        on["token_endpoint_auth_methods_supported"].as_array().unwrap().contains(&json!("none"))
    );
    let off = World::with(keyed_policy());
    let off = metadata(&off).to_string();
    assert!(!off.contains("private_key_jwt") && !off.contains("signing_alg"), "{off}");
    let es = grantcore::jws::Algorithms::of([grantcore::jws::Algorithm::Es256]).unwrap();
    let some = Keyed::with(policy(), KeyRules::default().with_algorithms(es));
    let some = metadata(&some.world);
    assert_eq!(some["token_endpoint_auth_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(some.get("revocation_endpoint_auth_signing_alg_values_supported"), None);
}

#[test]
fn keys_63_keys_need_a_verifier() {
    let error = policy().client_keys(KeyRules::default()).build().unwrap_err();
    assert!(error.to_string().contains("feature jws"), "{error}");
    let seconds = std::time::Duration::from_secs;
    for rules in [
        KeyRules::default().with_leeway(seconds(61)),
        KeyRules::default().with_longest(seconds(29)),
        KeyRules::default().with_longest(seconds(3601)),
        KeyRules::default().with_stale(seconds(3601)),
    ] {
        let built = policy().client_keys(rules).verifier(crate::support::keyed::verifier()).build();
        assert!(built.unwrap_err().to_string().contains("client_keys is refused"));
    }
}

/// With keys off, the parameters of an assertion are unknown ones.
#[test]
fn keys_58_assertions_are_ignored_where_keys_are_off() {
    let world = World::new();
    let claims = json!({"iss": "app", "sub": "app"});
    let assertion = sign(&signer("ed"), &json!({}), &claims);
    let reply = world.token(&prove(Params::refresh("x"), &assertion));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshUnknown);
    drop(merged(claims, json!({})));
}

/// A store that never makes the mark of an assertion ends the request after a few attempts. The
/// assertion is not used up.
#[test]
fn i32_a_mark_that_cannot_be_made_is_contended_and_uses_nothing_up() {
    let keyed = Keyed::new();
    let assertion = keyed.assertion(json!({}));
    keyed.world.store.fail([Fault::Conflict; 2]);
    let reply = keyed.ask(&assertion);
    assert_refused(&keyed.world, &reply, 503, "temporarily_unavailable", Reason::Contended);
    assert_proved(&keyed, &keyed.ask(&assertion));
}
