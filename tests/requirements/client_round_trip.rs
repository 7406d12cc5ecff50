//! Tests of CLIENT-02 and CLIENT-11: a client reads its whole registration, and an update with what
//! it read changes nothing.

use grantcore::Client;
use grantcore::client::ClientBuilder;
use grantcore::policy::{KeyRules, RegistrationRules};
use grantcore::value::{GrantTypes, Scope};
use serde_json::{Value, json};

use crate::support::assertions::{merged, signer};
use crate::support::clients::{MOVED, Own, confidential, metadata, with, without};
use crate::support::{CALLBACK, World, json as body, policy};

/// The members that only the server sets (RFC 7592 §2.2).
const READ_ONLY: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];
const METHOD: &str = "token_endpoint_auth_method";
const ALG: &str = "token_endpoint_auth_signing_alg";
const ALGS: &str = "token_endpoint_auth_signing_alg_values_supported";
const URL: &str = "https://client.example/oauth/jwks.json";

fn world() -> World {
    World::with(
        policy()
            .registration(RegistrationRules::default())
            .client_keys(KeyRules::default().with_registered_key_urls(true))
            .verifier(crate::support::keyed::verifier()),
    )
}

/// Returns the set of these keys, each with its type as its name.
fn jwks(kinds: &[&str]) -> Value {
    let named = |kind: &&str| merged(signer(kind).jwk(), json!({ "kid": kind }));
    json!({ "keys": kinds.iter().map(named).collect::<Vec<_>>() })
}

fn keyed(member: &str, value: Value) -> Value {
    with(with(metadata(), METHOD, "private_key_jwt"), member, value)
}

/// Returns a registration of each kind.
fn registrations() -> Vec<Value> {
    let described = merged(
        metadata(),
        json!({
            "redirect_uris": [CALLBACK, MOVED, "http://127.0.0.1/cb"],
            "client_uri": "https://notes.example/",
            "logo_uri": "https://notes.example/logo",
            "tos_uri": "https://notes.example/tos",
            "policy_uri": "https://notes.example/privacy",
            "contacts": ["ada@notes.example"],
            "application_type": "native",
            "software_id": "notes",
            "software_version": "1",
            "scope": "read write",
        }),
    );
    vec![
        metadata(),
        described,
        confidential(),
        with(confidential(), "grant_types", json!(["authorization_code"])),
        with(metadata(), METHOD, "tls_client_auth"),
        without(metadata(), METHOD),
        with(metadata(), "scope", "openid read"),
        keyed("jwks", jwks(&["ed"])),
        keyed("jwks", jwks(&["ed", "rsa", "ec"])),
        with(keyed("jwks", jwks(&["rsa"])), ALG, "PS256"),
        with(keyed("jwks", jwks(&["rsa"])), ALG, "RS256"),
        with(keyed("jwks", jwks(&["rsa", "ed"])), ALGS, json!(["PS256", "Ed25519"])),
        keyed("jwks_uri", json!(URL)),
        with(keyed("jwks_uri", json!(URL)), ALG, "ES256"),
    ]
}

/// What the operator may have changed since the registration.
fn edits() -> Vec<fn(ClientBuilder) -> ClientBuilder> {
    vec![
        |client| client,
        |client| client.scope(Scope::parse("read").unwrap()),
        |client| client.scope(Scope::parse("admin").unwrap()),
        |client| client.grant_types(GrantTypes { authorization_code: true, refresh_token: false }),
        |client| client.name("Named by the operator").trusted(true),
    ]
}

fn read(world: &World, own: &Own) -> Value {
    body(&world.manage("GET", &own.id, &own.token, &Value::Null))
}

fn sent_back(mut response: Value) -> Value {
    for member in READ_ONLY {
        response.as_object_mut().unwrap().remove(member);
    }
    response
}

#[test]
fn client_11_an_update_with_what_was_read_changes_nothing() {
    for registration in registrations() {
        for edit in edits() {
            let world = world();
            let own = world.own(&registration);
            world.put(edit(world.client(&own.id).unwrap().edit()).build().unwrap());
            let before: Client = world.client(&own.id).unwrap();
            let response = read(&world, &own);
            world.at(60);
            assert_eq!(world.updated(&own, sent_back(response.clone())), response);
            assert_eq!(world.client(&own.id), Some(before), "{registration}");
            assert_eq!(read(&world, &own), response);
        }
    }
}

#[test]
fn client_02_the_keys_of_a_client_are_returned() {
    let world = world();
    let public =
        |kind: &str, alg: &str| merged(signer(kind).jwk(), json!({ "kid": kind, "alg": alg }));
    for (registration, keys) in [
        (keyed("jwks", jwks(&["ed"])), json!([public("ed", "EdDSA")])),
        (with(keyed("jwks", jwks(&["rsa"])), ALG, "PS256"), json!([public("rsa", "PS256")])),
        (
            keyed("jwks", jwks(&["ec", "rsa"])),
            json!([public("ec", "ES256"), public("rsa", "RS256")]),
        ),
    ] {
        let own = world.own(&registration);
        assert_eq!(own.response["jwks"], json!({ "keys": keys }), "{registration}");
        assert_eq!(read(&world, &own), own.response, "{registration}");
        let shown = own.response.to_string();
        assert!(!shown.contains("\"d\"") && !shown.contains("jwks_uri"), "{shown}");
    }
    let own = world.own(&keyed("jwks_uri", json!(URL)));
    assert_eq!((&own.response["jwks_uri"], own.response.get("jwks")), (&json!(URL), None));
    assert_eq!(read(&world, &own), own.response);
    // A client without keys has no member of keys.
    let other = world.own(&with(confidential(), "jwks", jwks(&["ed"])));
    for member in ["jwks", "jwks_uri", ALG, ALGS] {
        assert_eq!(other.response.get(member), None, "{member}");
    }
}

#[test]
fn client_02_the_algorithms_of_a_client_are_returned() {
    let world = world();
    for (named, value, single, list) in [
        (ALG, json!("ES256"), Some("ES256"), None),
        (ALG, json!("Ed25519"), Some("EdDSA"), None),
        (ALGS, json!(["PS256"]), Some("PS256"), None),
        (ALGS, json!(["PS256", "Ed25519"]), None, Some(json!(["PS256", "EdDSA"]))),
        ("x", json!("y"), None, Some(json!(["RS256", "PS256", "ES256", "EdDSA"]))),
    ] {
        let own = world.own(&with(keyed("jwks_uri", json!(URL)), named, value));
        assert_eq!(own.response.get(ALG), single.map(Value::from).as_ref());
        assert_eq!(own.response.get(ALGS), list.as_ref());
    }
}
