//! Tests of CLIENTPOLICY-11, -12 and -15: where clients that nobody vouches for may redirect to, and
//! the grant and response types that they may name.

use grantcore::policy::{DocumentRedirects, DocumentRules, PolicyError, RegistrationRules};
use grantcore::{Choice, Reason};
use serde_json::{Value, json};

use crate::support::clients::{
    DOCUMENT, ask, code_in, document, fetched, managed, metadata, with, without,
};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::{CALLBACK, Granted, World, policy};

const LOOPBACK: &str = "http://127.0.0.1/cb";
const PRIVATE: &str = "com.example.app:/cb";

fn to(metadata: Value, uris: &[&str]) -> Value {
    with(metadata, "redirect_uris", uris.to_vec())
}

fn registering(rules: RegistrationRules) -> World {
    World::with(policy().registration(rules))
}

fn hosts() -> RegistrationRules {
    RegistrationRules::default().with_redirect_hosts(["app.example", "*.apps.example"])
}

#[test]
fn clientpolicy_11_registrations_are_held_to_redirect_hosts() {
    let world = registering(hosts());
    for uri in
        [CALLBACK, "https://a.apps.example/cb", "https://APP.example:443/cb", LOOPBACK, PRIVATE]
    {
        let registered = world.register(&to(metadata(), &[uri]));
        let is_spelled_otherwise = uri.contains(":443");
        assert!(registered.status == 201 || is_spelled_otherwise, "{uri}: {}", registered.body);
    }
    for uri in [
        "https://other.example/cb",
        "https://apps.example/cb",
        "https://app.example.evil/cb",
        "https://app.example:8443/cb",
    ] {
        let refused = to(metadata(), &[uri]);
        world.not_registered(&refused, "invalid_redirect_uri", Reason::RedirectHostDenied);
    }
    // What is not admitted is left out if something else is.
    let registered = world.registered(&to(metadata(), &["https://other.example/cb", CALLBACK]));
    assert_eq!(registered["redirect_uris"], json!([CALLBACK]));
}

#[test]
fn clientpolicy_11_loopback_and_private_use_schemes_have_switches() {
    let rules = RegistrationRules::default;
    for (rules, refused, admitted) in [
        (rules().with_loopback_redirects(false), LOOPBACK, [CALLBACK, PRIVATE]),
        (rules().with_private_use_redirects(false), PRIVATE, [CALLBACK, LOOPBACK]),
        (hosts().with_loopback_redirects(false), "http://[::1]/cb", [CALLBACK, PRIVATE]),
    ] {
        let world = registering(rules);
        let refused = to(metadata(), &[refused]);
        world.not_registered(&refused, "invalid_redirect_uri", Reason::RedirectHostDenied);
        for uri in admitted {
            world.registered(&to(metadata(), &[uri]));
        }
    }
    let wrong = RegistrationRules::default().with_redirect_hosts(["*.com"]);
    let pattern = "*.com".to_owned();
    assert_eq!(
        policy().registration(wrong).build().err(),
        Some(PolicyError::HostPattern { setting: "with_redirect_hosts", pattern })
    );
}

#[test]
fn clientpolicy_11_a_client_of_the_time_before_is_refused_on_a_page() {
    let (before, own) = managed(&metadata());
    let ticket = before.page(&ask(&own.id)).ticket();
    let rules = RegistrationRules::default().with_redirect_hosts(["other.example"]);
    let after = before.beside(policy().registration(rules).build().unwrap(), 2);
    let refusal = refused(&after, &ask(&own.id));
    assert_page(&after, &refusal, 400, "invalid_request", Reason::RedirectHostDenied);
    let refusal = after.decide(&ticket, Choice::Allow).unwrap_err();
    assert_page(&after, &refusal, 400, "invalid_request", Reason::RedirectHostDenied);
    // Clients of the operator go where the operator says.
    drop(after.page(&Params::authorize()));
}

fn reading(rules: DocumentRules) -> World {
    World::with(policy().client_documents(rules))
}

#[track_caller]
fn not_read(world: &World, document: &Value) {
    let body = document.to_string();
    let fetched = fetched(body.as_bytes());
    let refusal = world.authorize_with_document(&ask(DOCUMENT), Some(fetched)).unwrap_err();
    assert_page(world, &refusal, 400, "invalid_client", Reason::DocumentMetadata);
    assert!(world.client(DOCUMENT).is_none());
}

#[test]
fn clientpolicy_12_the_redirects_of_a_document_are_held_to_its_origin() {
    let same = || DocumentRules::default().with_redirects(DocumentRedirects::SameOrigin);
    not_read(&reading(same()), &document());
    for uri in ["https://client.example.evil/cb", "https://client.example:8443/cb"] {
        not_read(&reading(same()), &to(document(), &[uri]));
    }
    for uri in ["https://client.example/cb", LOOPBACK, PRIVATE] {
        let request = ask(DOCUMENT).set("redirect_uri", uri);
        drop(reading(same()).page_with(&request, &to(document(), &[uri])));
    }
    let request = ask(DOCUMENT).set("redirect_uri", LOOPBACK);
    let without_loopback = || same().with_loopback_redirects(false);
    not_read(&reading(without_loopback()), &to(document(), &[LOOPBACK]));
    let any = DocumentRules::default().with_loopback_redirects(false);
    not_read(&reading(any), &to(document(), &[LOOPBACK]));
    drop(reading(DocumentRules::default()).page_with(&request, &to(document(), &[LOOPBACK])));
    // By default any https URI will do.
    drop(reading(DocumentRules::default()).page_with(&ask(DOCUMENT), &document()));
}

#[test]
fn clientpolicy_12_a_document_that_is_still_fresh_is_held_to_it_too() {
    let before = reading(DocumentRules::default());
    drop(before.page_with(&ask(DOCUMENT), &document()));
    let same = DocumentRules::default().with_redirects(DocumentRedirects::SameOrigin);
    let after = before.beside(policy().client_documents(same).build().unwrap(), 2);
    let refusal = refused(&after, &ask(DOCUMENT));
    assert_page(&after, &refusal, 400, "invalid_request", Reason::RedirectHostDenied);
}

#[test]
fn clientpolicy_15_unsupported_grant_and_response_types_are_dropped() {
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let world = World::open();
    for (grants, responses, kept) in [
        (json!(["authorization_code", "refresh_token", device]), json!(["code"]), 2),
        (json!(["authorization_code", "x", "implicit"]), json!(["code", "id_token"]), 1),
    ] {
        let described = |metadata| {
            with(with(metadata, "grant_types", grants.clone()), "response_types", responses.clone())
        };
        let registered = world.registered(&described(metadata()));
        let expected = &["authorization_code", "refresh_token"][..kept];
        assert_eq!(registered["grant_types"], json!(expected));
        assert_eq!(registered["response_types"], json!(["code"]));

        let world = World::open();
        let ticket = world.page_with(&ask(DOCUMENT), &described(document())).ticket();
        let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
        let redeem = Params::redeem(&code_in(&location)).set("client_id", DOCUMENT);
        assert_eq!(Granted::of(&world.token(&redeem)).refresh.is_some(), kept == 2);
    }
}

#[test]
fn clientpolicy_15_metadata_without_a_served_type_are_refused() {
    let code = "invalid_client_metadata";
    let world = World::open();
    for grants in [json!(["implicit"]), json!(["refresh_token"]), json!(["password", "x"])] {
        let refused = with(metadata(), "grant_types", grants.clone());
        world.not_registered(&refused, code, Reason::MetadataGrantTypes);
        not_read(&World::open(), &with(document(), "grant_types", grants));
    }
    for responses in [json!(["token"]), json!(["none", "id_token"])] {
        let refused = with(metadata(), "response_types", responses.clone());
        world.not_registered(&refused, code, Reason::MetadataResponseTypes);
        not_read(&World::open(), &with(document(), "response_types", responses));
    }
    world.registered(&without(metadata(), "response_types"));
}
