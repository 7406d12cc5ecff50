//! ASSERT-03: the keys of an issuer, in the policy and at a URL.

use grantcore::Reason;
use grantcore::jws::{Algorithm, Algorithms, KeysUrl};
use grantcore::policy::{IdJag, PolicyBuilder, TrustedIssuer};
use serde_json::json;

use crate::support::policy;
use crate::support::toy_issuers::{
    FORGER, Federation, IDP, KEY, Signer, exchange, id_jag_header, person, with,
};

const OTHER: &str = "https://other-idp.example";
const KEYS_URL: &str = "https://keys.example/jwks.json";

fn rules() -> IdJag {
    IdJag::new("read write".parse().unwrap()).with_client("web")
}

/// Trusts two identity providers, whose keys have the same name.
fn two() -> PolicyBuilder {
    policy()
        .trusted_issuer(TrustedIssuer::id_jag(IDP, KEY.key_set(), rules()))
        .trusted_issuer(TrustedIssuer::id_jag(OTHER, FORGER.key_set(), rules()))
}

fn remote() -> Federation {
    let url = KeysUrl::parse(KEYS_URL, false).unwrap();
    let federation =
        Federation::with(policy().trusted_issuer(TrustedIssuer::id_jag(IDP, url, rules())));
    publish(&federation, &[KEY]);
    federation
}

fn publish(federation: &Federation, signers: &[Signer]) {
    let keys: Vec<_> = signers.iter().map(Signer::jwk).collect();
    *federation.directory.keys.lock().unwrap() = Some(json!({ "keys": keys }));
}

fn fetches(federation: &Federation) -> usize {
    federation.directory.fetches.load(std::sync::atomic::Ordering::SeqCst)
}

#[track_caller]
fn refused(federation: &Federation, assertion: &str, reason: Reason) {
    federation.refused(&exchange(assertion).by_web(), 400, "invalid_grant", reason);
}

#[test]
fn assert_03_a_key_counts_for_its_issuer_alone() {
    let federation = Federation::with(two());
    let signed = |signer: Signer, issuer: &str| {
        signer.sign(&id_jag_header(), &with(person("1"), "iss", issuer))
    };
    refused(&federation, &signed(FORGER, IDP), Reason::AssertionSignature);
    refused(&federation, &signed(KEY, OTHER), Reason::AssertionSignature);
    let mut header = id_jag_header();
    header["kid"] = json!("2");
    refused(&federation, &KEY.sign(&header, &person("1")), Reason::AssertionKey);
    assert_eq!(federation.marks(), 0);
    federation.person(&person("1"));
}

#[test]
fn assert_03_only_the_issuers_algorithms_count() {
    let federation = Federation::with(two());
    for alg in ["none", "HS256", "RS256", "ES256", "PS256", "RS1"] {
        let mut header = id_jag_header();
        header["alg"] = json!(alg);
        refused(&federation, &KEY.sign(&header, &person("1")), Reason::AssertionAlgorithm);
    }
    assert_eq!(federation.verifier.count(), 0);
    let only = Algorithms::of([Algorithm::Es256]).unwrap();
    let issuer = TrustedIssuer::id_jag(IDP, KEY.key_set(), rules()).with_algorithms(only);
    let federation = Federation::with(policy().trusted_issuer(issuer));
    federation.faulty(&person("1"), Reason::AssertionAlgorithm);
}

#[test]
fn i36_no_member_of_a_header_chooses_another_key() {
    let federation = Federation::with(two());
    for name in ["jwk", "jku", "x5u", "x5c"] {
        let mut header = id_jag_header();
        header[name] = if name == "jwk" { FORGER.jwk() } else { json!("https://trap.example") };
        refused(&federation, &FORGER.sign(&header, &person("1")), Reason::AssertionSignature);
    }
    assert_eq!(fetches(&federation), 0);
}

#[test]
fn assert_03_keys_at_a_url_are_fetched_once_and_kept() {
    let federation = remote();
    federation.person(&person("1"));
    federation.person(&person("2"));
    federation.world.at(290);
    let later = |jti: &str, at: u64| {
        let claims = with(person(jti), "iat", crate::support::T + at);
        with(claims, "exp", crate::support::T + at + 300)
    };
    federation.person(&later("3", 290));
    assert_eq!(fetches(&federation), 1);
    federation.world.at(300);
    federation.person(&later("4", 300));
    assert_eq!(fetches(&federation), 2, "fresh for 300 s");
}

#[test]
fn i37_an_unknown_kid_causes_one_fetch_in_a_minute() {
    let federation = remote();
    federation.person(&person("1"));
    for n in 0..40 {
        let mut header = id_jag_header();
        header["kid"] = json!(format!("invented-{n}"));
        refused(&federation, &FORGER.sign(&header, &person("2")), Reason::AssertionKey);
    }
    assert_eq!(fetches(&federation), 1, "the set was fetched a moment ago");
    federation.world.at(60);
    for n in 0..10 {
        let mut header = id_jag_header();
        header["kid"] = json!(format!("invented-{n}"));
        refused(&federation, &FORGER.sign(&header, &person("2")), Reason::AssertionKey);
    }
    assert_eq!(fetches(&federation), 2);
}

#[test]
fn assert_03_a_rotated_key_is_found_by_one_fetch() {
    let federation = remote();
    federation.person(&person("1"));
    let new = Signer::new("2", 9);
    publish(&federation, &[KEY, new]);
    let mut header = id_jag_header();
    header["kid"] = json!("2");
    federation.world.at(61);
    let assertion = new.sign(&header, &person("2"));
    assert_eq!(federation.world.token(&exchange(&assertion).by_web()).status, 200);
    assert_eq!(fetches(&federation), 2);
    assert_eq!(federation.verifier.count(), 2, "one verification for each assertion");
    // A key that was withdrawn is refused once the set is read again.
    publish(&federation, &[new]);
    federation.world.at(62);
    federation.person(&person("3"));
    federation.world.at(361);
    let claims = with(person("4"), "iat", crate::support::T + 361);
    let claims = with(claims, "exp", crate::support::T + 600);
    federation.faulty(&claims, Reason::AssertionKey);
}

#[test]
fn i37_nothing_is_fetched_for_a_fault_that_needs_no_key() {
    let federation = remote();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("https://evil.example")),
        ("exp", json!(1)),
        ("sub", json!("")),
        ("jti", json!(null)),
        ("cnf", json!({})),
    ] {
        let assertion = KEY.sign(&id_jag_header(), &with(person("1"), name, value));
        assert_eq!(federation.world.token(&exchange(&assertion).by_web()).status, 400);
    }
    let wrong =
        exchange(&KEY.sign(&id_jag_header(), &person("1"))).by_web().set("client_secret", "wrong");
    assert_eq!(federation.world.token(&wrong).status, 401);
    assert_eq!(fetches(&federation), 0);
    assert_eq!(federation.verifier.count(), 0);
}

#[test]
fn l5_keys_out_of_reach_are_a_503_and_a_stale_set_serves_an_hour() {
    let federation = remote();
    *federation.directory.keys.lock().unwrap() = None;
    let params = |jti: &str, at: u64| {
        let claims = with(person(jti), "iat", crate::support::T + at);
        let claims = with(claims, "exp", crate::support::T + at + 300);
        exchange(&KEY.sign(&id_jag_header(), &claims)).by_web()
    };
    let unavailable = (503, "temporarily_unavailable", Reason::KeysUnreachable);
    let (status, code, reason) = unavailable;
    federation.refused(&params("1", 0), status, code, reason);
    assert_eq!(federation.marks(), 0, "the same assertion can be sent again");
    publish(&federation, &[KEY]);
    federation.world.at(60);
    assert_eq!(federation.world.token(&params("1", 0)).status, 200);
    *federation.directory.keys.lock().unwrap() = None;
    // Fetched at 60 s: fresh until 360 s, and used until 3,960 s.
    federation.world.at(3959);
    assert_eq!(federation.world.token(&params("2", 3959)).status, 200);
    federation.world.at(3960);
    federation.refused(&params("3", 3960), status, code, reason);
}

#[test]
fn i43_a_set_in_hand_costs_no_further_load() {
    let federation = remote();
    federation.person(&person("1"));
    federation.world.store.calls();
    federation.person(&person("2"));
    let calls = federation.world.store.calls();
    // The client, then after the host has named the account both, the mark, and the record.
    assert_eq!(calls, ["client", "client", "account", "commit", "commit"]);
}
