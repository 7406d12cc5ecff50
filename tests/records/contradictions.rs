//! Tests of records whose fields contradict each other. No constructor creates them, and they are
//! not decoded.

use serde_json::{Value, json};

use crate::{Record, records};

fn golden(name: &str) -> (Record, Value) {
    let (_, record) = records().into_iter().find(|(own, _)| *own == name).unwrap();
    let value = serde_json::from_str(&record.write()).unwrap();
    (record, value)
}

/// Replaces one value of a golden record and asserts that the result is refused with this error.
fn assert_refused(name: &str, at: &str, contradiction: Value, error: &str) {
    let (record, mut value) = golden(name);
    *value.pointer_mut(at).unwrap() = contradiction;
    let found = record.read(&value.to_string()).expect_err(name).to_string();
    assert!(found.contains(error), "{name} with {at}: {found}");
}

#[test]
fn i31_a_denial_has_its_page_and_a_used_code_has_none() {
    let error = "a grant has a closed_consent if it was denied, and none if its code was used";
    let revoked = |at: &str| format!("/phase/revoked/{at}");
    assert_refused("grant-denied", &revoked("closed_consent"), Value::Null, error);
    assert_refused("grant-denied", &revoked("cause"), json!("replay"), error);
    assert_refused("grant-revoked-user", &revoked("cause"), json!("denied"), error);
    let (_, denied) = golden("grant-denied");
    let page = denied.pointer(&revoked("closed_consent")).unwrap().clone();
    assert_refused("grant-revoked-replay", &revoked("closed_consent"), page, error);
}

/// Only a user who was asked has a page.
#[test]
fn i31_a_grant_has_a_page_if_and_only_if_its_user_was_asked() {
    let error = "a grant has a consent page if and only if its user was asked";
    let consent = "/terms/basis/consent/consent";
    let remembered = json!({ "remembered": { "of": "AAAAAAAAAAAAAAAAAAAAAA" } });
    for other in [json!("skipped"), remembered] {
        for name in ["grant-pending", "grant-code-issued", "grant-denied"] {
            assert_refused(name, consent, other.clone(), error);
        }
    }
    for name in ["grant-code-issued-skipped", "grant-code-issued-remembered"] {
        assert_refused(name, consent, json!("asked"), error);
    }
}

/// What has no consent has no code and no refresh token, and what has one has no token without a
/// code (I42).
#[test]
fn i42_no_record_of_a_direct_token_has_a_refresh_token() {
    let error = "a code if and only if it has a consent";
    let (_, person) = golden("grant-active");
    let (_, machine) = golden("grant-machine");
    let basis = |value: &Value| value["terms"]["basis"].clone();
    let account = json!({ "subject": "alice", "epoch": 0 });
    let issuer = "https://idp.example";
    let enterprise = json!({ "enterprise": { "account": account, "issuer": issuer } });
    let workload = json!({ "workload": { "issuer": issuer, "workload": "job" } });
    for basis in [basis(&machine), enterprise.clone(), workload.clone()] {
        for name in ["grant-active", "grant-pending", "grant-code-issued", "grant-denied"] {
            assert_refused(name, "/terms/basis", basis.clone(), "a grant has a consent page");
        }
        let (record, mut value) = golden("grant-machine");
        value["terms"]["basis"] = basis;
        assert!(record.read(&value.to_string()).is_ok(), "{value}");
    }
    assert_refused("grant-machine", "/terms/basis", basis(&person), error);
    let from_code = person["phase"]["active"]["issued_from"].clone();
    assert_refused("grant-machine", "/phase/active/issued_from", from_code, error);
    // A page of a revoked grant is a user's.
    assert_refused("grant-denied", "/terms/basis", workload, "a grant has a consent page");
}

#[test]
fn i31_an_active_grant_has_something_left() {
    let error = "an active grant has scope and resources left";
    let at = "/phase/active/remaining";
    for (scope, resources) in [
        (json!([]), json!("all")),
        (json!("all"), json!([])),
        // A position that nothing has is none.
        (json!([2, 63]), json!("all")),
        (json!([0]), json!([1])),
    ] {
        let left = json!({ "scope": scope, "resources": resources });
        assert_refused("grant-active", at, left, error);
    }
}

#[test]
fn i31_properties_of_a_record_are_one_object() {
    for text in ["", "[]", "{} {}", "{\"a\":1,\"a\":2}"] {
        let error = "the properties";
        let error = if text.contains(':') { "an object of the properties" } else { error };
        assert_refused("grant-active-with-properties", "/terms/properties", json!(text), error);
    }
    let (record, mut value) = golden("grant-active-with-properties");
    *value.pointer_mut("/terms/properties").unwrap() = json!({ "org": "acme" });
    assert!(record.read(&value.to_string()).is_err());
}

/// The subject of a grant and the epoch that ends it are one value.
#[test]
fn i31_no_grant_has_a_subject_without_its_epoch() {
    let of_users = |name: &str| name.starts_with("grant-") && !name.starts_with("grant-machine");
    for (name, record) in records().into_iter().filter(|(name, _)| of_users(name)) {
        let value: Value = serde_json::from_str(&record.write()).unwrap();
        let at = "/terms/basis/consent/account";
        let account = value.pointer(at).unwrap().as_object().unwrap();
        assert_eq!(account.keys().collect::<Vec<_>>(), ["epoch", "subject"], "{name}");
        for half in [json!({ "subject": "alice" }), json!({ "epoch": 0 }), Value::Null] {
            let mut other = value.clone();
            *other.pointer_mut(at).unwrap() = half;
            assert!(record.read(&other.to_string()).is_err(), "{name}: {other}");
        }
    }
}

#[test]
fn i31_a_client_that_no_builder_creates_is_refused() {
    let flow = |name: &str| format!("/kind/public/{name}");
    assert_refused("client-public", &flow("redirect_uris"), json!([]), "redirect_uris has no URI");
    let flow = json!({
        "redirect_uris": ["https://a.example/"],
        "loopback_ports": null,
        "refresh_tokens": true,
    });
    let error = "unknown field `code_flow`";
    let more = json!({ "code_flow": flow, "redirect_uris": ["https://a.example/"] });
    assert_refused("client-public", "/kind/public", more, error);
    let (_, value) = golden("client-confidential");
    let proved = value["kind"]["proved"].clone();
    let secret = proved["by"]["secret"].clone();
    assert_refused("client-confidential", "/kind", json!({ "public": secret }), "unknown field");
    let both = json!({ "public": flow, "proved": proved });
    assert_refused("client-confidential", "/kind", both, "");
    assert_refused("client-public", "/kind", json!({}), "");
    // A right needs proof, some scope and, where it names resources, at least one.
    let (_, value) = golden("client-machine");
    let rights = value["kind"]["proved"]["may"]["machine"].clone();
    let more = json!({ "code": flow, "machine": rights });
    assert_refused("client-public", "/kind/public", more, "unknown field");
    let at = |field: &str| format!("/kind/proved/may/machine/{field}");
    assert_refused("client-machine", &at("scope"), json!(""), "a scope names at least one token");
    let none = json!({ "only": [] });
    assert_refused("client-machine", &at("resources"), none, "a right names at least one resource");
    let twice = json!({ "only": ["https://a.example/", "https://a.example/"] });
    assert_refused("client-machine", &at("resources"), twice, "a right names each resource once");
    let many: Vec<_> = (0..65).map(|number| format!("https://{number}.example/")).collect();
    let many = json!({ "only": many });
    assert_refused("client-machine", &at("resources"), many, "at most 64 resources");
    let own = json!({ "federated": rights });
    assert_refused("client-dynamic", "/kind", own, "only an operator's client is federated");
    let refresh = json!({ "authorization_code": false, "refresh_token": true });
    let error = "without authorization_code there is nothing to refresh";
    assert_refused("client-dynamic", "/restrictions/grant_types", refresh.clone(), error);
    assert_refused("client-public", "/restrictions/grant_types", refresh, error);
    assert_refused("client-public", "/consent", json!("skip"), "consent Skip is refused");
    let error = "an operator's client has no restricted auth_method";
    assert_refused("client-public", "/restrictions/auth_method", json!("none"), error);
}

#[test]
fn keys_73_a_client_has_at_most_one_slow_hash() {
    let error = "two secrets of one client have a slow hash";
    let current = json!({ "slow_hash": "x" });
    let at = "/kind/proved/by/secret/secrets/current";
    assert_refused("client-confidential-slow-hash-rotated", at, current, error);
}
