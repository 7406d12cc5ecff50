//! Tests of CLIENT-05: grant types, response types and methods of authentication.

use grantcore::Reason;
use serde_json::json;

use crate::client_metadata::{GRANTS, METHODS, RESPONSES};
use crate::support::World;
use crate::support::clients::{DOCUMENT, ask, confidential, document, managed, metadata, with};

/// Requested grant types, and the supported ones of them.
const NARROWED_GRANTS: [(&[&str], &[&str]); 7] = [
    (&["authorization_code"], &["authorization_code"]),
    (&["authorization_code", "authorization_code"], &["authorization_code"]),
    (&["refresh_token", "authorization_code"], &["authorization_code", "refresh_token"]),
    (
        &["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        &["authorization_code", "refresh_token"],
    ),
    (
        &["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        &["authorization_code", "refresh_token"],
    ),
    (&["authorization_code", "implicit"], &["authorization_code"]),
    (&["", "client_credentials", "authorization_code"], &["authorization_code"]),
];

#[test]
fn client_05_grant_types_and_response_types_agree() {
    let world = World::open();
    for grants in GRANTS {
        world.not_registered(
            &with(metadata(), "grant_types", grants),
            "invalid_client_metadata",
            Reason::MetadataGrantTypes,
        );
    }
    for responses in RESPONSES {
        let bad = with(metadata(), "response_types", responses);
        world.not_registered(&bad, "invalid_client_metadata", Reason::MetadataResponseTypes);
    }
}

/// Claude's registration, and those of other clients. Unsupported types are dropped.
#[test]
fn client_05_unsupported_types_are_dropped_from_a_registration() {
    let responses: [&[&str]; 5] =
        [&["code"], &["code", "code"], &["code", "id_token"], &["none", "code"], &[]];
    for (grants, response) in NARROWED_GRANTS {
        for responses in responses {
            let world = World::open();
            let requested =
                with(with(metadata(), "grant_types", grants), "response_types", responses);
            let answer = world.registered(&requested);
            assert_eq!(
                (&answer["grant_types"], &answer["response_types"]),
                (&json!(response), &json!(["code"])),
                "{requested}"
            );
            let event = world.events().pop().unwrap();
            let dropped = event.dropped.join("; ");
            for name in grants.iter().chain(responses) {
                let is_served = ["authorization_code", "refresh_token", "code"].contains(name);
                assert!(is_served || dropped.contains(*name), "{name} in {dropped}");
            }
        }
    }
}

/// A document is written for every server, so unsupported types are dropped from it too.
#[test]
fn client_05_unsupported_types_are_dropped_from_a_document() {
    for (grants, response) in NARROWED_GRANTS {
        let world = World::open();
        let document = with(
            with(document(), "grant_types", grants),
            "response_types",
            vec!["code", "id_token"],
        );
        world.page_with(&ask(DOCUMENT), &document);
        let registered = world.client(DOCUMENT).unwrap().grant_types();
        assert!(registered.authorization_code);
        assert_eq!(registered.refresh_token, response.contains(&"refresh_token"));
        let dropped = world.events().pop().unwrap().dropped;
        assert!(dropped.contains(&"response_types 'id_token'".into()), "{dropped:?}");
    }
}

#[test]
fn client_24_a_method_that_does_not_exist_is_replaced() {
    let basic = "client_secret_basic";
    for method in METHODS {
        let world = World::open();
        let response = world.registered(&with(metadata(), "token_endpoint_auth_method", method));
        assert_eq!(response["token_endpoint_auth_method"], basic, "{method}");
        let dropped = format!("token_endpoint_auth_method '{method}'");
        assert_eq!(world.events().pop().unwrap().dropped, [dropped.into()]);
        // At an update it leaves the method as it is: a client is not given less proof.
        let (world, own) = managed(&confidential());
        let update = with(metadata(), "token_endpoint_auth_method", method);
        let response = world.updated(&own, update);
        assert_eq!(response["token_endpoint_auth_method"], "client_secret_post", "{method}");
    }
}

/// KEYS-06: keys are not answered with less.
#[test]
fn keys_06_keys_without_keys_are_refused() {
    let bad = with(metadata(), "token_endpoint_auth_method", "private_key_jwt");
    let reason = Reason::MetadataAuthMethod;
    World::open().not_registered(&bad, "invalid_client_metadata", reason);
}
