//! Tests of KEYS-01 to -10 without verification of keys: the authentication method of a client that
//! names several methods, or an unsupported one.

use grantcore::client::{Authentication, ClientKeys};
use grantcore::jws::{Algorithm, Algorithms};
use grantcore::policy::{AuthMethods, DocumentRules, RegistrationRules, RevocationRules};
use grantcore::value::SecretMethod;
use grantcore::{Reason, RequestParts};
use serde_json::{Value, json};

use crate::client_document_contents::not_served_as;
use crate::support::clients::{DOCUMENT, ask, document, managed, metadata, with, without};
use crate::support::keyed::set_of;
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::form;
use crate::support::{Answered, CALLBACK, Granted, World, assert_refused, policy};

const SINGLE: &str = "token_endpoint_auth_method";
const LIST: &str = "token_endpoint_auth_methods_supported";

/// Sets these two members of metadata.
fn offering(metadata: Value, single: impl Into<Value>, list: impl Into<Value>) -> Value {
    with(with(metadata, SINGLE, single), LIST, list)
}

fn registration_only(methods: AuthMethods) -> World {
    World::with(policy().registration(RegistrationRules::default()).auth_methods(methods))
}

/// Registers, and returns the method and whether the response has a secret. The list is not in the
/// response.
#[track_caller]
fn registered(world: &World, metadata: &Value) -> (String, bool) {
    let response = world.registered(metadata);
    assert_eq!(response.get(LIST), None, "the response has no list");
    (response[SINGLE].as_str().unwrap().to_owned(), response.get("client_secret").is_some())
}

#[track_caller]
fn not_registered(world: &World, metadata: &Value) {
    world.not_registered(metadata, "invalid_client_metadata", Reason::MetadataAuthMethod);
}

#[track_caller]
fn not_served(world: &World, document: &Value) {
    not_served_as(world, document, "invalid_client", Reason::DocumentMetadata);
}

#[track_caller]
fn no_common_method(world: &World, document: &Value) {
    not_served_as(world, document, "unauthorized_client", Reason::DocumentNoCommonMethod);
}

#[track_caller]
fn is_public(document: &Value) -> World {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), document);
    assert_eq!(world.client(DOCUMENT).unwrap().authentication(), Authentication::Public);
    world
}

/// Returns the document of a large client, as observed (F02).
fn chatgpt() -> Value {
    let text = include_str!("../fixtures/cimd-private-key-jwt.json");
    with(serde_json::from_str(text).unwrap(), "client_id", DOCUMENT)
}

#[test]
fn keys_01_a_single_method_is_in_the_list() {
    let world = World::open();
    for (single, list) in [
        ("private_key_jwt", json!(["none"])),
        ("none", json!(["private_key_jwt"])),
        ("none", json!(["client_secret_basic", "client_secret_post"])),
        ("x", json!(["y", "none"])),
        ("None", json!(["none"])),
    ] {
        not_registered(&world, &offering(metadata(), single, list.clone()));
        not_served(&world, &offering(document(), single, list));
    }
    let both = offering(metadata(), "none", json!(["client_secret_basic", "none"]));
    assert_eq!(registered(&world, &both), ("none".into(), false));
    is_public(&offering(document(), "none", json!(["private_key_jwt", "none"])));
    is_public(&offering(document(), "private_key_jwt", json!(["private_key_jwt", "none"])));
}

#[test]
fn keys_02_neither_member_is_the_default_of_each() {
    for absent in [without(metadata(), SINGLE), offering(metadata(), Value::Null, Value::Null)] {
        let response = registered(&World::open(), &absent);
        assert_eq!(response, ("client_secret_basic".into(), true));
    }
    is_public(&without(document(), SINGLE));
    is_public(&offering(document(), Value::Null, Value::Null));
}

#[test]
fn keys_03_a_list_without_none_does_not_mean_none() {
    let world = World::open();
    no_common_method(&world, &offering(document(), Value::Null, json!(["private_key_jwt"])));
    no_common_method(&world, &offering(document(), "", json!(["private_key_jwt"])));
    not_registered(&world, &offering(metadata(), Value::Null, json!(["private_key_jwt"])));
}

#[test]
fn keys_04_unknown_entries_are_skipped_and_equal_ones_count_once() {
    let world = World::open();
    for list in [json!(["tls_client_auth", "none"]), json!(["none"]), json!(["none", "none"])] {
        let requested = offering(metadata(), Value::Null, list.clone());
        assert_eq!(registered(&world, &requested), ("none".into(), false), "{list}");
        is_public(&offering(document(), Value::Null, list));
    }
    let different = |n: usize| {
        let others = (1..n).map(|n| format!("x{n}"));
        others.chain(["none".to_owned()]).collect::<Vec<_>>()
    };
    let repeated = [different(16), different(16)].concat();
    for list in [json!(different(16)), json!(repeated)] {
        let requested = offering(metadata(), Value::Null, list.clone());
        assert_eq!(registered(&world, &requested), ("none".into(), false));
        is_public(&offering(document(), Value::Null, list));
    }
    for list in [
        json!([]),
        json!("none"),
        json!([1]),
        json!(["none", 1]),
        json!(["none", null]),
        json!([["none"]]),
        json!({ "none": true }),
        json!(true),
        json!(different(17)),
    ] {
        for single in [Value::Null, json!("none")] {
            not_registered(&world, &offering(metadata(), single.clone(), list.clone()));
            not_served(&world, &offering(document(), single, list.clone()));
        }
    }
}

#[test]
fn keys_05_a_registration_gets_the_strongest_method_that_both_have() {
    let all = AuthMethods::default();
    let no_post = all.with_client_secret_post(false);
    let no_basic = all.with_client_secret_basic(false);
    let only_none =
        AuthMethods::default().with_client_secret_basic(false).with_client_secret_post(false);
    let everything = ["none", "client_secret_post", "client_secret_basic", "private_key_jwt"];
    for (offered, single, list, chosen) in [
        // The single method, if it is offered.
        (all, json!("none"), &everything[..], "none"),
        (all, json!("client_secret_post"), &everything, "client_secret_post"),
        // Otherwise the strongest method of the list.
        (no_post, json!("client_secret_post"), &everything, "client_secret_basic"),
        (no_basic, json!("client_secret_basic"), &everything, "client_secret_post"),
        (only_none, json!("client_secret_basic"), &everything, "none"),
        (all, json!("private_key_jwt"), &everything, "client_secret_basic"),
        (all, json!("private_key_jwt"), &["private_key_jwt", "none"], "none"),
        (
            no_post,
            json!(null),
            &["private_key_jwt", "client_secret_basic", "none"],
            "client_secret_basic",
        ),
        (all, json!(null), &["none", "client_secret_post"], "client_secret_post"),
        (no_post, json!(null), &["none", "client_secret_post"], "none"),
        (all, json!(null), &["none"], "none"),
    ] {
        let world = registration_only(offered);
        let response = registered(&world, &offering(metadata(), single.clone(), list));
        assert_eq!(response, (chosen.into(), chosen != "none"), "{single} of {list:?}");
    }
}

/// An update chooses in the same way.
#[test]
fn keys_05_an_update_gets_the_strongest_method_that_both_have() {
    let (world, own) = managed(&metadata());
    let list = json!(["private_key_jwt", "client_secret_post", "none"]);
    let response = world.updated(&own, offering(metadata(), Value::Null, list));
    assert_eq!(response[SINGLE], "client_secret_post");
    let response = world.updated(&own, without(metadata(), SINGLE));
    assert_eq!(response[SINGLE], "client_secret_post", "an omitted member stays");
    let bad = offering(own.update(metadata()), Value::Null, json!(["tls_client_auth"]));
    let reason = Reason::MetadataAuthMethod;
    world.not_managed("PUT", &own, &bad, "invalid_client_metadata", reason);
}

#[test]
fn keys_06_a_list_with_nothing_in_common_is_refused() {
    let world = World::open();
    for list in [json!(["tls_client_auth"]), json!(["private_key_jwt", "client_secret_jwt"])] {
        not_registered(&world, &offering(metadata(), Value::Null, list));
    }
    let only_none =
        AuthMethods::default().with_client_secret_basic(false).with_client_secret_post(false);
    let secrets = json!(["client_secret_basic", "client_secret_post"]);
    for single in [Value::Null, json!("client_secret_basic")] {
        not_registered(
            &registration_only(only_none),
            &offering(metadata(), single, secrets.clone()),
        );
    }
}

#[test]
fn keys_06_a_single_method_is_negotiated_but_never_from_keys_to_less() {
    let only_none =
        AuthMethods::default().with_client_secret_basic(false).with_client_secret_post(false);
    let world = registration_only(only_none);
    for requested in ["client_secret_post", "client_secret_basic", "none"] {
        let response = registered(&world, &with(metadata(), SINGLE, requested));
        assert_eq!(response, ("none".into(), false), "{requested}");
    }
    for world in [World::open(), world] {
        not_registered(&world, &with(metadata(), SINGLE, "private_key_jwt"));
    }
}

#[test]
fn keys_07_a_document_names_no_shared_secret() {
    let world = World::open();
    for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt"] {
        not_served(&world, &with(document(), SINGLE, method));
        for list in [json!([method]), json!(["none", method]), json!([method, "none"])] {
            not_served(&world, &offering(document(), Value::Null, list.clone()));
            not_served(&world, &offering(document(), method, list));
        }
        let beside = offering(document(), "none", json!(["none", "private_key_jwt", method]));
        not_served(&world, &beside);
    }
    not_served(&world, &with(document(), "client_secret", "s"));
}

#[test]
fn keys_08_a_document_without_a_common_method_ends_the_request() {
    let world = World::open();
    for (single, list) in [
        (Value::Null, json!(["tls_client_auth"])),
        (json!("private_key_jwt"), Value::Null),
        (json!("private_key_jwt"), json!(["private_key_jwt"])),
        (json!("tls_client_auth"), Value::Null),
        (json!("NONE"), Value::Null),
        (json!("x"), json!(["x", "y"])),
    ] {
        // `not_served_as` checks that there is no redirect, no link to one, and no write.
        no_common_method(&world, &offering(document(), single, list));
    }
    assert_eq!(world.client(DOCUMENT), None);
    let event = world.events().pop().unwrap();
    let detail = event.detail.unwrap();
    assert!(detail.contains("'x', 'y'") && detail.contains("none"), "{detail}");
}

/// The known client stays unchanged.
#[test]
fn keys_08_a_changed_document_is_not_stored() {
    let world = is_public(&document());
    world.at(60);
    let keys = with(with(document(), SINGLE, "private_key_jwt"), "client_name", "Renamed");
    no_common_method(&world, &keys);
    world.page_with(&ask(DOCUMENT), &document());
}

/// F02: the client connects as a public client, because `none` is a common method.
#[test]
fn keys_09_none_is_used_if_a_document_offers_it_with_keys() {
    let world = World::open();
    let callback = "https://chat.example.test/connector/oauth/abc";
    let requested = ask(DOCUMENT).set("redirect_uri", callback);
    world.page_with(&requested, &chatgpt());
    assert_eq!(world.client(DOCUMENT).unwrap().authentication(), Authentication::Public);
    let redeem = Params::redeem(&world.code(&requested)).set("redirect_uri", callback);
    let tokens = Granted::of(&world.token(&redeem.set("client_id", DOCUMENT)));
    let refreshed = world.token(&Params::refresh(tokens.refresh()).set("client_id", DOCUMENT));
    assert!(world.works(&Granted::of(&refreshed).access));
    let kept = serde_json::to_string(&world.client(DOCUMENT)).unwrap();
    assert!(!kept.contains("jwks") && !kept.contains("RS256"), "{kept}");
    assert!(world.client(DOCUMENT).unwrap().description().uri.is_some());
}

/// The same metadata as a registration.
#[test]
fn keys_09_a_registration_that_offers_keys_and_none_is_public() {
    let response = registered(&World::open(), &without(chatgpt(), "client_id"));
    assert_eq!(response, ("none".into(), false));
}

/// Without verification of keys, such a client cannot exist, and so it cannot come without
/// authentication: not by a document, not by a registration, at no endpoint.
#[test]
fn keys_10_a_client_with_keys_alone_never_connects_without_authentication() {
    let world = World::with(
        policy()
            .registration(RegistrationRules::default())
            .client_documents(DocumentRules::default())
            .revocation(RevocationRules::default()),
    );
    for (single, list) in [
        (json!("private_key_jwt"), Value::Null),
        (json!("private_key_jwt"), json!(["private_key_jwt"])),
        (Value::Null, json!(["private_key_jwt", "tls_client_auth"])),
    ] {
        no_common_method(&world, &offering(document(), single.clone(), list.clone()));
        not_registered(&world, &offering(metadata(), single, list));
    }
    assert_eq!(world.client(DOCUMENT), None);
    let alone = Params::redeem("gac_x").set("client_id", DOCUMENT).set("redirect_uri", CALLBACK);
    assert_refused(&world, &world.token(&alone), 401, "invalid_client", Reason::ClientUnknown);
    let revoke = alone.without("grant_type").set("token", "gat_x").encode();
    let reply = world
        .server
        .revoke(&RequestParts { source: "192.0.2.1", ..form(&revoke) })
        .answered(world.server.policy());
    assert_refused(&world, &reply, 401, "invalid_client", Reason::ClientUnknown);
}

/// A client to which the operator gave a secret keeps it, whatever its document offers.
#[test]
fn keys_10_a_document_does_not_remove_the_operators_secret() {
    let world = is_public(&document());
    let secret =
        grantcore::client::StoredSecret::Digest(grantcore::value::Digest::of(b"operator's"));
    let demanded = Authentication::by_secret(SecretMethod::Post, secret);
    let edited = world.client(DOCUMENT).unwrap().edit().authentication(demanded.clone());
    world.put(edited.build().unwrap());
    world.at(3600);
    world.page_with(&ask(DOCUMENT), &with(document(), "client_name", "Renamed"));
    let client = world.client(DOCUMENT).unwrap();
    assert_eq!(
        (client.authentication(), client.description().name.as_deref()),
        (demanded, Some("Renamed"))
    );
}

/// A document that is refused leads to no redirect, whatever the redirect URI is.
#[test]
fn keys_08_no_error_goes_to_the_redirect_uri() {
    let world = World::open();
    let keys = with(document(), SINGLE, "private_key_jwt").to_string();
    let requested = ask(DOCUMENT).without("code_challenge");
    let fetched = crate::support::clients::fetched(keys.as_bytes());
    let refusal =
        world.authorize_with_document(&requested, Some(fetched)).expect_err("no common method");
    let reason = Reason::DocumentNoCommonMethod;
    let problem = assert_page(&world, &refusal, 400, "unauthorized_client", reason);
    assert_eq!((problem.continue_url, problem.anchor), (None, "document_no_common_method"));
    let again = refused(&world, &Params::authorize().set("client_id", "nobody"));
    assert_page(&world, &again, 400, "invalid_client", Reason::ClientUnknown);
}

#[test]
fn keys_23_a_client_has_the_algorithms_that_it_was_given() {
    let only = Algorithms::of([Algorithm::EdDsa]).unwrap();
    let keys = ClientKeys::inline(set_of("ed")).with_algorithms(only);
    assert_eq!(keys.algorithms(), only);
    assert_eq!(ClientKeys::inline(set_of("ed")).algorithms(), Algorithms::ALL);
}
