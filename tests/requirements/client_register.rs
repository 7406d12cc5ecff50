//! Tests of CLIENT-01 to -04 and -06: the response to a registration.

use std::collections::BTreeSet;

use grantcore::client::{ClientStatus, Registration};
use grantcore::event::EventKind;
use grantcore::policy::{AuthMethods, RegistrationRules};
use grantcore::value::GrantTypes;
use grantcore::{Policy, Reason};
use serde_json::{Value, json};

use crate::support::clients::{metadata, with, without};
use crate::support::params::Params;
use crate::support::{CALLBACK, ISSUER, MCP, T, World, assert_refused, json as body, policy};

/// Returns a registration with every member.
fn everything() -> Value {
    json!({
        "client_name": "Notes Helper",
        "client_uri": "https://notes.example/",
        "logo_uri": "https://notes.example/logo.png",
        "tos_uri": "https://notes.example/terms",
        "policy_uri": "https://notes.example/privacy",
        "redirect_uris": [CALLBACK, "http://127.0.0.1/cb", "com.example.notes:/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "read write",
        "contacts": ["ada@notes.example", "bob@notes.example"],
        "application_type": "native",
        "software_id": "notes-helper",
        "software_version": "2.1",
    })
}

/// Returns the smallest registration, which has only a redirect URI.
fn least() -> Value {
    json!({ "redirect_uris": [CALLBACK] })
}

/// Returns the places of nulls and empty strings in a value.
fn blanks(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Null => vec![path.to_owned()],
        Value::String(text) if text.is_empty() => vec![path.to_owned()],
        Value::Array(list) => {
            list.iter().flat_map(|value| blanks(value, &format!("{path}[]"))).collect()
        }
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| blanks(value, &format!("{path}.{name}")))
            .collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    }
}

#[test]
fn client_01_a_registration_is_answered_with_json_that_no_cache_keeps() {
    let world = World::open();
    let clients = world.store.inner.counts().clients;
    let reply = world.register(&metadata());
    assert_eq!(reply.status, 201);
    let headers: Vec<_> = reply.headers.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(
        headers,
        [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("pragma", "no-cache")
        ]
    );
    assert!(body(&reply).is_object());
    assert_eq!((world.store.inner.counts().clients, world.store.commits()), (clients + 1, 1));
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.kind, event.reason, event.at.unix_seconds()),
        (EventKind::ClientRegistered, None, T)
    );
    assert_eq!(event.client.unwrap().as_str(), body(&reply)["client_id"]);
}

#[test]
fn client_02_every_registered_value_is_returned() {
    let world = World::open();
    world.at(5);
    let own = world.own(&everything());
    let uri = format!("https://auth.example/oauth/register/{}", own.id);
    let mut response = everything();
    for (member, value) in [
        ("client_id", json!(own.id)),
        ("client_id_issued_at", json!(T + 5)),
        ("client_secret", json!(own.secret)),
        ("client_secret_expires_at", json!(0)),
        ("registration_access_token", json!(own.token)),
        ("registration_client_uri", json!(uri)),
    ] {
        response[member] = value;
    }
    assert_eq!(own.response, response);
    let client = world.client(&own.id).unwrap();
    let uris: Vec<_> = client.redirect_uris().iter().map(|uri| uri.as_str().to_owned()).collect();
    assert_eq!(
        (json!(uris), json!(client.scope().unwrap().as_str())),
        (response["redirect_uris"].clone(), response["scope"].clone())
    );
    assert_eq!(
        (client.description().name.as_deref(), client.created().unix_seconds()),
        (Some("Notes Helper"), T + 5)
    );
}

#[test]
fn client_02_and_so_is_every_replaced_one() {
    let methods =
        AuthMethods::default().with_client_secret_basic(false).with_client_secret_post(false);
    let world = World::with(
        policy()
            .registration(RegistrationRules::default())
            .unverified_scope("read")
            .auth_methods(methods),
    );
    let twice = with(everything(), "redirect_uris", vec![CALLBACK, "http://[::1]/cb", CALLBACK]);
    let requested = with(
        with(twice, "grant_types", vec!["refresh_token", "authorization_code", "refresh_token"]),
        "scope",
        "  write  read x",
    );
    let response = world.registered(&requested);
    assert_eq!(response["redirect_uris"], json!([CALLBACK, "http://[::1]/cb"]));
    assert_eq!(response["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(
        (&response["scope"], &response["token_endpoint_auth_method"]),
        (&json!("read"), &json!("none"))
    );
}

#[test]
fn client_02_equal_requests_make_different_clients() {
    let world = World::open();
    let requested = with(metadata(), "token_endpoint_auth_method", "client_secret_post");
    let all: Vec<_> = (0..20).map(|_| world.own(&requested)).collect();
    let mut issued: BTreeSet<_> = all.iter().flat_map(|own| [&own.id, &own.token]).collect();
    issued.extend(all.iter().filter_map(|own| own.secret.as_ref()));
    assert_eq!(
        (issued.len(), all.iter().filter(|own| world.client(&own.id).is_some()).count()),
        (60, 20)
    );
}

#[test]
fn client_03_only_a_confidential_client_gets_a_secret() {
    let world = World::open();
    for (method, secret) in
        [("none", false), ("client_secret_basic", true), ("client_secret_post", true), ("", true)]
    {
        let response = world.registered(&with(metadata(), "token_endpoint_auth_method", method));
        assert_eq!(response.get("client_secret").is_some_and(Value::is_string), secret, "{method}");
        assert_eq!(
            response.get("client_secret_expires_at"),
            secret.then_some(&json!(0)),
            "{method}"
        );
    }
}

#[test]
fn client_03_the_secret_authenticates_and_nothing_else_does() {
    let world = World::open();
    let requested = with(metadata(), "token_endpoint_auth_method", "client_secret_post");
    let own = world.own(&requested);
    let other = world.own(&requested);
    let probe = |secret: &str| {
        world.token(&Params::refresh("x").set("client_id", &own.id).set("client_secret", secret))
    };
    assert_refused(
        &world,
        &probe(own.secret.as_deref().unwrap()),
        400,
        "invalid_grant",
        Reason::RefreshUnknown,
    );
    for wrong in [other.secret.as_deref().unwrap(), &own.token, &own.id, "x"] {
        assert_refused(&world, &probe(wrong), 401, "invalid_client", Reason::ClientSecretWrong);
    }
}

/// Some clients fail on a null, and on an empty string in place of a URL.
#[test]
fn client_03_no_member_is_null_or_empty() {
    let world = World::open();
    let texts = [
        "client_name",
        "client_uri",
        "logo_uri",
        "tos_uri",
        "policy_uri",
        "software_id",
        "software_version",
    ];
    let more = ["application_type", "scope", "jwks_uri", "token_endpoint_auth_method"];
    for nothing in [json!(""), Value::Null] {
        let blank = texts
            .iter()
            .chain(&more)
            .fold(metadata(), |metadata, member| with(metadata, member, nothing.clone()));
        for contacts in [json!([]), json!([""]), json!(["", "ada@notes.example"]), Value::Null] {
            let response = world.registered(&with(blank.clone(), "contacts", contacts));
            assert_eq!(blanks(&response, ""), [""; 0]);
            assert_eq!(texts.iter().find(|member| response.get(**member).is_some()), None);
        }
    }
    for response in
        [world.registered(&least()), world.registered(&metadata()), world.registered(&everything())]
    {
        assert_eq!(blanks(&response, ""), [""; 0]);
    }
    let unscoped = World::with(
        Policy::builder(ISSUER).resource(MCP, "").registration(RegistrationRules::default()),
    );
    assert_eq!(blanks(&unscoped.registered(&metadata()), ""), [""; 0]);
    assert_eq!(
        blanks(&json!({ "a": [null], "b": "" }), ""),
        [".a[]", ".b"],
        "the search finds values that exist"
    );
}

#[test]
fn client_04_an_omitted_member_has_its_default() {
    let own = World::open().own(&least());
    let response =
        ["client_id", "client_secret", "registration_access_token", "registration_client_uri"]
            .iter()
            .fold(own.response, without_one);
    let defaults = json!({
        "client_id_issued_at": T,
        "client_secret_expires_at": 0,
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "scope": "read write admin",
    });
    assert_eq!(response, defaults);
}

fn without_one(metadata: Value, member: &&str) -> Value {
    assert!(metadata.get(*member).is_some(), "{member} is in {metadata}");
    without(metadata, member)
}

/// AMB-11: the server may give refresh tokens to a client that did not request them, and the
/// response shows it.
#[test]
fn client_04_the_default_grant_types_are_configured() {
    let requested = without(metadata(), "grant_types");
    for refresh_token in [false, true] {
        let grants = GrantTypes { authorization_code: true, refresh_token };
        let world = World::with(
            policy().registration(RegistrationRules::default()).default_grant_types(grants),
        );
        let own = world.own(&requested);
        let names = if refresh_token {
            json!(["authorization_code", "refresh_token"])
        } else {
            json!(["authorization_code"])
        };
        assert_eq!(own.response["grant_types"], names);
        assert_eq!(world.tokens_by(&own).refresh.is_some(), refresh_token);
        let response =
            world.registered(&with(metadata(), "grant_types", vec!["authorization_code"]));
        assert_eq!(
            response["grant_types"],
            json!(["authorization_code"]),
            "grant types are named, so the default does not apply"
        );
    }
}

#[test]
fn client_06_members_that_the_server_sets_cannot_be_chosen() {
    let world = World::open();
    let chosen = json!({
        "foo": 1, "nested": { "client_id": "x" }, "client_id": "app",
        "client_secret": "chosen", "client_secret_expires_at": 99, "client_id_issued_at": 1,
        "registration_access_token": "chosen", "registration_client_uri": "https://evil.example/",
        "status": "deactivated", "trusted": true, "registration": "operator",
        "registration_kind": "operator", "origin": "operator", "owner": "alice", "epoch": 7,
        "created": 1, "expires": 1, "loopback_ports": "Off", "jwks": { "keys": [] },
    });
    for method in ["none", "client_secret_post"] {
        let requested = with(everything(), "token_endpoint_auth_method", method);
        let mut more = requested.clone();
        more.as_object_mut().unwrap().extend(chosen.as_object().unwrap().clone());
        let plain = world.own(&requested);
        let own = world.own(&more);
        let names =
            |response: &Value| response.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&own.response),
            names(&plain.response),
            "the response has no further member"
        );
        let server =
            ["client_id", "client_secret", "registration_access_token", "registration_client_uri"];
        for (member, value) in own.response.as_object().unwrap() {
            let same = plain.response[member] == *value;
            assert_eq!(same, !server.contains(&member.as_str()), "{member}");
            assert!(
                !server.contains(&member.as_str()) || *value != chosen[member],
                "{member} was chosen"
            );
        }
        let client = world.client(&own.id).unwrap();
        assert_eq!((client.registration(), client.is_trusted()), (Registration::Dynamic, false));
        assert_eq!((client.status(), client.owner()), (ClientStatus::Active, None));
        let refused = world
            .token(&Params::refresh("x").set("client_id", &own.id).set("client_secret", "chosen"));
        assert_eq!(refused.status, 401);
    }
    assert_eq!(
        world.client("app").unwrap(),
        crate::support::app(),
        "the operator's client is unchanged"
    );
}
