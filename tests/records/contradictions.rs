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
fn i31_a_denial_has_its_page_and_no_other_revocation_has_one() {
    let error = "a grant has a denied_consent if and only if its cause is denied";
    let revoked = |at: &str| format!("/phase/revoked/{at}");
    assert_refused("grant-denied", &revoked("denied_consent"), Value::Null, error);
    assert_refused("grant-denied", &revoked("cause"), json!("replay"), error);
    assert_refused("grant-revoked-user", &revoked("cause"), json!("denied"), error);
    let (_, denied) = golden("grant-denied");
    let page = denied.pointer(&revoked("denied_consent")).unwrap().clone();
    assert_refused("grant-revoked-user", &revoked("denied_consent"), page, error);
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
    for (name, record) in records().into_iter().filter(|(name, _)| name.starts_with("grant-")) {
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
    let secret = json!({ "method": "client_secret_post", "stored": { "digest": "" } });
    assert_refused("client-confidential", "/kind", json!({ "public": secret }), "unknown field");
    let (_, value) = golden("client-confidential");
    let both = json!({ "public": flow, "secret": value["kind"]["secret"] });
    assert_refused("client-confidential", "/kind", both, "");
    assert_refused("client-public", "/kind", json!({}), "");
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
    let at = "/kind/secret/secrets/current";
    assert_refused("client-confidential-slow-hash-rotated", at, current, error);
}
