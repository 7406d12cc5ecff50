//! Tests of KEYS-26, KEYS-27 and KEYS-54 to KEYS-56: the signature of a client's assertion, and what a
//! failure discloses.

use grantcore::Reason;
use grantcore::jws::{self, Algorithms};
use grantcore::policy::KeyRules;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::keys_assertion::{assert_failed, assert_proved};
use crate::support::assertions::signer;
use crate::support::json as body;
use crate::support::keyed::{JWKS, Keyed, keyed_client, keyed_policy};
use crate::support::params::Params;

#[test]
fn keys_54_the_signature_is_of_the_clients_key_and_its_algorithm() {
    let keyed = Keyed::new();
    for (client, kind) in [("rsa", "rsa"), ("ec", "ec")] {
        keyed.world.put(keyed_client(client, kind).build().unwrap());
    }
    for (client, kind) in [("job", "ed"), ("rsa", "rsa"), ("ec", "ec")] {
        let key = signer(kind);
        assert_proved(&keyed, &keyed.ask(&keyed.signed(client, &key, json!({}), json!({}))));
        let other = signer(&format!("other-{kind}"));
        let forged = keyed.signed(client, &other, json!({}), json!({}));
        assert_failed(&keyed, &forged, Reason::ClientAssertionSignature);
        let mut flipped = keyed.signed(client, &key, json!({}), json!({"x": 1}));
        let place = flipped.rfind('.').unwrap() + 5;
        let letter = if &flipped[place..=place] == "A" { "B" } else { "A" };
        flipped.replace_range(place..=place, letter);
        assert_failed(&keyed, &flipped, Reason::ClientAssertionSignature);
        // The claims of one assertion with the signature of another.
        let one = keyed.signed(client, &key, json!({}), json!({}));
        let two = keyed.signed(client, &key, json!({}), json!({}));
        let swapped =
            format!("{}.{}", &one[..one.rfind('.').unwrap()], &two[two.rfind('.').unwrap() + 1..]);
        assert_failed(&keyed, &swapped, Reason::ClientAssertionSignature);
    }
    // An algorithm swap: the header names what the key is not for.
    for alg in ["none", "HS256", "RS1", "ES256K", "RS384", "PS256", "RS256", "ES256", "eddsa", ""] {
        let assertion = keyed.signed("job", &signer("ed"), json!({"alg": alg}), json!({}));
        assert_failed(&keyed, &assertion, Reason::ClientAssertionAlgorithm);
    }
    // An RSA key without alg serves RS256 alone (KEYS-22).
    let pss = keyed.signed("rsa", &signer("rsa").with(Algorithm::PS256), json!({}), json!({}));
    assert_failed(&keyed, &pss, Reason::ClientAssertionAlgorithm);
    // The key of another client.
    let ec = keyed.signed("job", &signer("ec"), json!({"alg": "EdDSA"}), json!({}));
    assert_failed(&keyed, &ec, Reason::ClientAssertionSignature);
    let unknown = keyed.signed("job", &signer("ed"), json!({"kid": "2"}), json!({}));
    assert_failed(&keyed, &unknown, Reason::ClientAssertionKey);
}

#[test]
fn keys_26_a_key_in_the_header_is_not_used() {
    let keyed = Keyed::new();
    let thief = signer("other-ed");
    for member in [
        json!({"jwk": thief.jwk()}),
        json!({"jku": "https://evil.example/jwks.json"}),
        json!({"x5u": "https://evil.example/x", "x5c": ["AA"], "x5t": "AA"}),
    ] {
        let assertion = keyed.signed("job", &thief, member, json!({}));
        assert_failed(&keyed, &assertion, Reason::ClientAssertionSignature);
    }
    assert_eq!(keyed.web.fetches(), 0);
    let unnamed = keyed.signed("job", &signer("ed"), json!({"kid": null}), json!({}));
    assert_proved(&keyed, &keyed.ask(&unnamed));
}

#[test]
fn keys_27_a_signature_is_verified_once() {
    let keyed = Keyed::new();
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({}))));
    assert_eq!(keyed.verified(), 1, "although the request is decided twice");
    let tokens = keyed.tokens("job", Some(&keyed.assertion(json!({}))));
    assert_eq!(keyed.verified(), 2);
    keyed.world.store.fail([crate::support::store::Fault::Conflict; 1]);
    let refresh = Params::refresh(tokens.refresh()).set("client_id", "job");
    assert_eq!(keyed.token(refresh, &keyed.assertion(json!({}))).status, 200);
    assert_eq!(keyed.verified(), 3);
}

/// The responses are equal byte for byte, whichever check failed. The event has the fault, and what
/// the assertion claims is in it bounded and escaped.
#[test]
fn keys_55_all_failures_look_alike() {
    let keyed = Keyed::new();
    let forged = keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    let unknown = keyed.signed("nobody\n", &signer("ed"), json!({}), json!({}));
    let replies = [
        keyed.ask(&forged),
        keyed.ask(&keyed.assertion(json!({"aud": "https://evil.example"}))),
        keyed.ask(&unknown),
        keyed.world.token(&Params::refresh("x").set("client_id", "job")),
    ];
    let [first, others @ ..] = &replies;
    for reply in others {
        assert_eq!((reply.status, body(reply)["error"].clone()), (401, json!("invalid_client")));
        assert_eq!(reply.header("www-authenticate"), first.header("www-authenticate"));
    }
    assert_eq!((&replies[1].body, &replies[2].body), (&first.body, &first.body));
    let event = keyed.world.events().into_iter().rev().nth(1).unwrap();
    assert!(event.claimed.as_deref().is_some_and(|claimed| !claimed.contains('\n')));
}

/// An unknown client, and one that has no keys, cost the verification of a known one.
#[test]
fn keys_56_each_client_costs_one_verification() {
    let keyed = Keyed::new();
    for kind in ["ed", "rsa", "ec"] {
        let key = signer(kind);
        for client in ["nobody", "web", "app"] {
            let before = keyed.verified();
            let reply = keyed.ask(&keyed.signed(client, &key, json!({}), json!({})));
            assert_eq!((reply.status, keyed.verified() - before), (401, 1), "{client} {kind}");
        }
    }
    let before = keyed.verified();
    let forged = keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    assert_failed(&keyed, &forged, Reason::ClientAssertionSignature);
    assert_eq!(keyed.verified() - before, 1);
    keyed.world.put(keyed_client("job", "ed").build().unwrap().deactivated());
    let before = keyed.verified();
    assert_failed(&keyed, &keyed.assertion(json!({})), Reason::ClientDeactivated);
    assert_eq!(keyed.verified() - before, 1);
}

/// Each refusal of an assertion that could be read costs one verification, whatever its fault, so
/// that the duration discloses neither the client nor the fault.
#[test]
fn keys_56_each_fault_costs_one_verification() {
    let rules = KeyRules::default()
        .with_algorithms(Algorithms::of([jws::Algorithm::EdDsa, jws::Algorithm::Es256]).unwrap());
    let keyed = Keyed::with(keyed_policy(), rules);
    keyed.world.put(crate::keys_proof::either_client());
    keyed.web.serve(JWKS, Some(crate::keys_fetch::set(&["1"])));
    let now = keyed.now();
    let (ed, ec, rsa) = (signer("ed"), signer("ec"), signer("rsa"));
    let other = signer("other-ed");
    let header = |header: Value| (&ed, header, json!({}));
    let claims = |claims: Value| (&ed, json!({}), claims);
    let faults = [
        (header(json!({"typ": "at+jwt"})), "typ"),
        (header(json!({"alg": "none"})), "algorithm"),
        (header(json!({"alg": "HS256"})), "algorithm"),
        ((&rsa, json!({}), json!({})), "algorithm"),
        ((&ec, json!({}), json!({})), "algorithm"),
        ((&ec, json!({"kid": null}), json!({})), "algorithm"),
        (header(json!({"kid": "random"})), "key"),
        ((&other, json!({}), json!({})), "signature"),
        (claims(json!({"iss": "other"})), "issuer"),
        (claims(json!({"aud": "https://other.example"})), "audience"),
        (claims(json!({"exp": now - 100})), "expired"),
        (claims(json!({"nbf": now + 100})), "early"),
        (claims(json!({"exp": now + 9_000})), "long_lived"),
        (claims(json!({"jti": ""})), "jti"),
    ];
    for client in ["job", "remote", crate::keys_proof::EITHER, "web", "app", "nobody"] {
        let is_keyed = !matches!(client, "web" | "app" | "nobody");
        for ((key, header, claims), fault) in &faults {
            let assertion = keyed.signed(client, key, header.clone(), claims.clone());
            let before = keyed.verified();
            let reply = keyed.ask(&assertion);
            let reason = keyed.world.reason().unwrap();
            assert_eq!(reply.status, 401, "{client}: {reason:?}");
            assert_eq!(keyed.verified() - before, 1, "{client}: {fault}");
            if is_keyed {
                assert_eq!(reason.name(), format!("client_assertion_{fault}"), "{client}");
            }
        }
    }
    // Used before: the signature was verified.
    let good = keyed.assertion(json!({}));
    for expected in [400, 401] {
        let before = keyed.verified();
        assert_eq!(keyed.ask(&good).status, expected);
        assert_eq!(keyed.verified() - before, 1);
    }
    // What cannot be read costs none.
    let before = keyed.verified();
    assert_eq!(keyed.ask("a.b.c").status, 401);
    assert_eq!(keyed.verified(), before);
}
