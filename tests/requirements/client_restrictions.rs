//! Tests of I47: no act of a client (registration, update, document) lifts a restriction of its
//! operator.

use grantcore::client::{Authentication, ClientBuilder, Registration, StoredSecret};
use grantcore::policy::RegistrationRules;
use grantcore::value::{Digest, GrantTypes, Scope, SecretMethod, Subject};
use grantcore::{Client, Reason};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, ask, confidential, document, fetched, metadata, with};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::DAY;
use crate::support::{CALLBACK, Granted, SECRET, World, json as body, policy};

pub(crate) fn scope(tokens: &str) -> Scope {
    Scope::parse(tokens).unwrap()
}

pub(crate) fn secret(method: SecretMethod) -> Authentication {
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    Authentication::by_secret(method, secret)
}

fn method(client: &Client) -> &'static str {
    match client.authentication() {
        Authentication::Public => "none",
        Authentication::Confidential { method: SecretMethod::Basic, .. } => "client_secret_basic",
        Authentication::Confidential { method: SecretMethod::Post, .. } => "client_secret_post",
        other => panic!("{other:?}"),
    }
}

/// A scope ceiling of a self-registered client.
#[test]
fn i47_a_ceiling_survives_an_update_and_only_the_operator_lifts_it() {
    let world = World::open();
    let own = world.own(&with(metadata(), "scope", "read write"));
    world.put(world.client(&own.id).unwrap().edit().scope(scope("read")).build().unwrap());
    for described in [metadata(), with(metadata(), "scope", "read write admin")] {
        let response = world.updated(&own, described);
        assert_eq!(response["scope"], "read", "the response has the effective scope");
        let refusal = refused(&world, &ask(&own.id).set("scope", "write"));
        assert_eq!(refusal.reason(), Reason::ScopeForbidden);
    }
    world.updated(&own, with(metadata(), "scope", "write"));
    assert_eq!(
        refused(&world, &ask(&own.id).set("scope", "read")).reason(),
        Reason::ScopeForbidden
    );
    world.updated(&own, with(metadata(), "scope", "read write"));
    let lifted = world.client(&own.id).unwrap().edit().without_restrictions().build().unwrap();
    assert!(lifted.restrictions().is_empty());
    world.put(lifted);
    world.page(&ask(&own.id).set("scope", "read write"));
    let response = body(&world.manage("GET", &own.id, &own.token, &Value::Null));
    assert_eq!(response["scope"], "read write", "the registered scope applies again");
}

#[test]
fn i47_an_update_does_not_restore_the_refresh_grant() {
    let world = World::open();
    let own = world.own(&metadata());
    let only_codes = GrantTypes { authorization_code: true, refresh_token: false };
    let refresh = world.tokens_by(&own).refresh().to_owned();
    world.put(world.client(&own.id).unwrap().edit().grant_types(only_codes).build().unwrap());
    let response = world.updated(&own, metadata());
    assert_eq!(response["grant_types"], json!(["authorization_code"]));
    assert_eq!(world.tokens_by(&own).refresh, None);
    world.refused(
        &own.proven(Params::refresh(&refresh)),
        400,
        "unauthorized_client",
        Reason::GrantTypeUnauthorized,
    );
}

#[test]
fn i47_a_confidential_client_cannot_become_public() {
    let world = World::open();
    let own = world.own(&confidential());
    let demanded = world.client(&own.id).unwrap().edit();
    world.put(demanded.authentication(secret(SecretMethod::Basic)).build().unwrap());
    for requested in ["none", "client_secret_post", "client_secret_basic"] {
        let response =
            world.updated(&own, with(metadata(), "token_endpoint_auth_method", requested));
        assert_eq!(response["token_endpoint_auth_method"], "client_secret_basic", "{requested}");
        let client = world.client(&own.id).unwrap();
        assert_eq!(client.authentication(), secret(SecretMethod::Basic), "{requested}");
        assert_eq!(client.restrictions().auth_method(), Some("client_secret_basic"));
    }
    world.refused(
        &Params::refresh("x").set("client_id", &own.id),
        401,
        "invalid_client",
        Reason::ClientSecretMissing,
    );
}

/// If the record was dropped, the document would create the client again without its ceiling.
#[test]
fn i47_the_record_of_a_restricted_document_is_kept() {
    let restrict: [fn(ClientBuilder) -> ClientBuilder; 4] = [
        |client| client.scope(scope("read")),
        |client| client.grant_types(GrantTypes { authorization_code: true, refresh_token: false }),
        |client| client.authentication(secret(SecretMethod::Post)),
        |client| client.owner(Subject::new("bob")),
    ];
    for restrict in restrict {
        let world = World::open();
        world.page_with(&ask(DOCUMENT), &document());
        world.put(restrict(world.client(DOCUMENT).unwrap().edit()).build().unwrap());
        let before = world.client(DOCUMENT).unwrap();
        world.at(400 * DAY);
        world.store.inner.sweep(world.now(), usize::MAX);
        assert!(world.client(DOCUMENT).is_some());
        let body = document().to_string();
        let requested = ask(DOCUMENT).set("scope", "read");
        let _ = world.authorize_with_document(&requested, Some(fetched(body.as_bytes())));
        let after = world.client(DOCUMENT).unwrap();
        assert_eq!(after.restrictions(), before.restrictions());
        assert_eq!((after.owner(), method(&after)), (before.owner(), method(&before)));
    }
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    world.at(400 * DAY);
    world.store.inner.sweep(world.now(), usize::MAX);
    assert_eq!(world.client(DOCUMENT), None, "another record is dropped");
}

/// The operator's own client has no registration beside the operator's settings.
#[test]
fn i47_the_operators_settings_of_its_own_client_are_its_registration() {
    let client = Client::public("own").redirect_uri(CALLBACK).scope(scope("read")).build().unwrap();
    assert_eq!((client.scope(), client.restrictions().is_empty()), (Some(&scope("read")), true));
    let client = client.edit().scope(scope("read write")).build().unwrap();
    assert_eq!(client.scope(), Some(&scope("read write")));
    // After the handover to a document, they are a ceiling.
    let handed = client.edit().registration(Registration::MetadataDocument).build().unwrap();
    assert_eq!(handed.restrictions().scope(), Some(&scope("read write")));
    // If the operator adopts a client and sets another scope, the client has no ceiling beside it.
    let adopted = handed.edit().registration(Registration::Operator).scope(scope("admin"));
    let adopted = adopted.build().unwrap();
    assert_eq!((adopted.scope(), adopted.restrictions().is_empty()), (Some(&scope("admin")), true));
}

/// A client that the operator hands over to a document keeps its secret and its grant types.
#[test]
fn i47_a_document_does_not_widen_a_client_that_was_handed_over() {
    let world = World::open();
    let code_only = GrantTypes { authorization_code: true, refresh_token: false };
    let proof = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let handed = Client::confidential(DOCUMENT, SecretMethod::Basic, proof)
        .redirect_uri(CALLBACK)
        .grant_types(code_only)
        .registration(Registration::MetadataDocument)
        .build()
        .unwrap();
    world.put(handed);
    let body = document().to_string();
    let _ = world.authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())));
    let after = world.client(DOCUMENT).unwrap();
    assert_eq!((method(&after), after.grant_types()), ("client_secret_basic", code_only));
}

#[test]
fn i47_a_deactivated_client_cannot_reactivate_itself() {
    let world = World::open();
    let own = world.own(&metadata());
    world.put(world.client(&own.id).unwrap().deactivated());
    assert_eq!(world.manage("PUT", &own.id, &own.token, &own.update(metadata())).status, 401);
    let refusal = refused(&world, &ask(&own.id));
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientDeactivated);
    assert_eq!(
        world.registered(&metadata())["client_name"],
        "Notes Helper",
        "another client can be created"
    );
}

/// The restriction applies to tokens, and not only to the page.
#[test]
fn i47_tokens_stay_under_the_ceiling() {
    let registration = RegistrationRules::default();
    let world = World::with(policy().default_scope("read write").registration(registration));
    let own = world.own(&metadata());
    world.put(world.client(&own.id).unwrap().edit().scope(scope("read")).build().unwrap());
    world.updated(&own, with(metadata(), "scope", "read write admin"));
    let code = world.code(&ask(&own.id).without("scope"));
    let tokens = Granted::of(&world.token(&own.proven(Params::redeem(&code))));
    assert_eq!(tokens.scope, "read");
}

/// A client of the operator that manages its own registration from now on gets no more than the
/// operator registered it for.
#[test]
fn i47_a_client_that_the_operator_opens_keeps_its_grant_types() {
    let client = Client::public("own").redirect_uri(CALLBACK);
    let whole = client.build().unwrap().edit().registration(Registration::Dynamic);
    assert_eq!(whole.build().unwrap().restrictions().grant_types(), None);
    let own = GrantTypes { authorization_code: true, refresh_token: false };
    let client = Client::public("own").redirect_uri(CALLBACK).grant_types(own);
    let dynamic = client.build().unwrap().edit().registration(Registration::Dynamic);
    assert_eq!(dynamic.build().unwrap().restrictions().grant_types(), Some(own));
}
