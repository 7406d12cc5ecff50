//! Tests of KEYS-05 to KEYS-18 with keys on: how keys come into a client's record, by a
//! registration, an update, a document and the operator's builder.

use grantcore::client::{Authentication, ClientKeys, KeySource};
use grantcore::jws::{Algorithms, KeySet, KeySetError, KeysUrl};
use grantcore::policy::{
    AuthMethods, DocumentMethod, DocumentRules, KeyRules, PolicyBuilder, RegistrationRules,
};
use grantcore::{AuthorizationStep, Client, Reason};
use serde_json::{Value, json};

use crate::client_document_contents::not_served_as;
use crate::key_sets;
use crate::support::assertions::{key_set, merged, signer};
use crate::support::clients::{DOCUMENT, Own, ask, document, metadata, with, without};
use crate::support::keyed::{prove, sign};
use crate::support::params::Params;
use crate::support::{CALLBACK, Granted, ISSUER, T, World, assert_refused, json as body, policy};

const SINGLE: &str = "token_endpoint_auth_method";
const LIST: &str = "token_endpoint_auth_methods_supported";
const ALG: &str = "token_endpoint_auth_signing_alg";
const URL: &str = "https://client.example/oauth/jwks.json";

fn world_with(rules: KeyRules, change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> World {
    let open = policy()
        .registration(RegistrationRules::default())
        .client_documents(DocumentRules::default())
        .client_keys(rules)
        .verifier(crate::support::keyed::verifier());
    World::with(change(open))
}

pub(crate) fn world() -> World {
    world_with(KeyRules::default(), |policy| policy)
}

fn jwks(kind: &str) -> Value {
    let text = key_set(&[merged(signer(kind).jwk(), json!({"kid": "1"}))]);
    serde_json::from_str(&text).unwrap()
}

/// Returns metadata of a client that names keys as its only method.
fn keyed(metadata: Value) -> Value {
    with(with(metadata, SINGLE, "private_key_jwt"), "jwks", jwks("ed"))
}

/// Returns a registration with keys at a URL.
pub(crate) fn keyed_at_url() -> Value {
    with(without(keyed(metadata()), "jwks"), "jwks_uri", URL)
}

fn chatgpt() -> Value {
    let text = include_str!("../fixtures/cimd-private-key-jwt.json");
    with(serde_json::from_str(text).unwrap(), "client_id", DOCUMENT)
}

/// Returns an authorization request of that client.
fn chatgpts() -> Params {
    ask(DOCUMENT).set("redirect_uri", "https://chat.example.test/connector/oauth/abc")
}

#[track_caller]
fn bad_keys(world: &World, metadata: &Value) {
    world.not_registered(metadata, "invalid_client_metadata", Reason::MetadataKeys);
}

/// Returns an assertion of this client, signed by this key.
fn assertion(client: &str, kind: &str, jti: &str) -> String {
    let claims = json!({
        "iss": client, "sub": client, "aud": ISSUER, "jti": jti, "exp": T + 600,
    });
    sign(&signer(kind), &json!({}), &claims)
}

fn authentication(world: &World, id: &str) -> Authentication {
    world.client(id).unwrap().authentication()
}

fn source_of(world: &World, id: &str) -> KeySource {
    world.client(id).unwrap().keys().unwrap().source().clone()
}

#[test]
fn keys_05_a_registration_with_keys_proves_itself_with_them() {
    let world = world();
    let strongest = with(
        with(metadata(), LIST, json!(["client_secret_basic", "private_key_jwt", "none"])),
        "jwks",
        jwks("ed"),
    );
    let list_alone = without(strongest, SINGLE);
    for metadata in [keyed(metadata()), list_alone.clone()] {
        let response = world.registered(&metadata);
        assert_eq!(response[SINGLE], "private_key_jwt");
        for absent in ["client_secret", "client_secret_expires_at", LIST] {
            assert_eq!(response.get(absent), None, "{absent}");
        }
        let id = response["client_id"].as_str().unwrap();
        let code = world.code(&ask(id));
        let redeem = prove(Params::redeem(&code).set("client_id", id), &assertion(id, "ed", id));
        assert!(Granted::of(&world.token(&redeem)).refresh.is_some());
        assert_eq!(world.token(&Params::refresh("x").set("client_id", id)).status, 401);
    }
    // Without keys the method is not in the offer.
    let response = world.registered(&without(list_alone, "jwks"));
    assert_eq!(response[SINGLE], "client_secret_basic");
}

#[test]
fn keys_06_keys_are_never_answered_with_less() {
    let off = World::open();
    let reason = Reason::MetadataAuthMethod;
    off.not_registered(&keyed(metadata()), "invalid_client_metadata", reason);
    // Nor does another method become keys.
    let keys_alone = AuthMethods::default()
        .with_client_secret_basic(false)
        .with_client_secret_post(false)
        .with_public_clients(false);
    let world = world_with(KeyRules::default(), |policy| policy.auth_methods(keys_alone));
    world.not_registered(&metadata(), "invalid_client_metadata", reason);
    world.not_registered(&without(metadata(), SINGLE), "invalid_client_metadata", reason);
    assert_eq!(world.registered(&keyed(metadata()))[SINGLE], "private_key_jwt");
}

#[test]
fn keys_09_a_document_that_offers_both_may_do_either() {
    for (method, is_either) in [(DocumentMethod::Either, true), (DocumentMethod::Strongest, false)]
    {
        let world = world_with(KeyRules::default().with_documents(method), |policy| policy);
        world.page_with(&chatgpts(), &chatgpt());
        let keys = ClientKeys::at(
            KeysUrl::parse("https://chat.example.test/oauth/jwks.json", false).unwrap(),
        );
        let rs256 = Algorithms::of([grantcore::jws::Algorithm::Rs256]).unwrap();
        let keys = keys.with_algorithms(rs256);
        let expected =
            if is_either { Authentication::KeysOrNone(keys) } else { Authentication::Keys(keys) };
        assert_eq!(authentication(&world, DOCUMENT), expected);
        let reply = world.token(&Params::refresh("x").set("client_id", DOCUMENT));
        assert_eq!(reply.status, if is_either { 400 } else { 401 }, "{}", reply.body);
    }
}

#[test]
fn keys_10_a_document_with_keys_alone_always_proves_itself() {
    for list in [None, Some(json!(["private_key_jwt"]))] {
        let world = world();
        let document = keyed(document());
        let document = list.map_or(document.clone(), |list| with(document, LIST, list));
        world.page_with(&ask(DOCUMENT), &document);
        assert!(matches!(authentication(&world, DOCUMENT), Authentication::Keys(_)));
        let code = world.code(&ask(DOCUMENT));
        let redeem = Params::redeem(&code).set("client_id", DOCUMENT);
        let reply = world.token(&redeem);
        assert_refused(&world, &reply, 401, "invalid_client", Reason::ClientAssertionMissing);
        let tokens = Granted::of(&world.token(&prove(redeem, &assertion(DOCUMENT, "ed", "1"))));
        assert!(world.works(&tokens.access));
    }
}

#[test]
fn keys_13_exactly_one_place_of_keys() {
    let world = world();
    bad_keys(&world, &with(keyed(metadata()), "jwks_uri", URL));
    bad_keys(&world, &with(with(metadata(), "jwks", jwks("ed")), "jwks_uri", URL));
    bad_keys(&world, &without(keyed(metadata()), "jwks"));
    let both = with(with(metadata(), LIST, json!(["none", "private_key_jwt"])), SINGLE, "none");
    assert_eq!(world.registered(&both)[SINGLE], "none");
    let document = without(keyed(document()), "jwks");
    not_served_as(&world, &document, "invalid_client", Reason::DocumentMetadata);
    let public = with(with(chatgpt(), SINGLE, "private_key_jwt"), "jwks_uri", Value::Null);
    world.page_with(&chatgpts(), &public);
    assert_eq!(authentication(&world, DOCUMENT), Authentication::Public);
}

/// The author of a client that does not use keys must hear of a secret as well.
#[test]
fn keys_21_a_private_key_is_refused_whatever_the_method() {
    let worlds = [world(), World::with(policy().registration(RegistrationRules::default()))];
    for world in &worlds {
        for case in key_sets::cases() {
            let set = serde_json::from_str::<Value>(&case.set).unwrap_or(Value::Null);
            if !set.is_object() {
                continue;
            }
            let is_private = KeySet::parse(case.set.as_bytes(), Algorithms::ALL, None)
                == Err(KeySetError::Private);
            for method in ["none", "client_secret_basic"] {
                let client = with(with(metadata(), "jwks", set.clone()), SINGLE, method);
                if is_private {
                    bad_keys(world, &client);
                } else {
                    assert!(world.registered(&client)["jwks"].is_null(), "{}", case.name);
                }
            }
        }
    }
}

#[test]
fn keys_14_the_signing_algorithm_is_one_of_the_servers() {
    let world = world();
    for alg in [json!("HS256"), json!("none"), json!("RS384"), json!(1)] {
        bad_keys(&world, &with(keyed(metadata()), ALG, alg));
    }
    let list = "token_endpoint_auth_signing_alg_values_supported";
    for algs in [json!(["RS384"]), json!(["EdDSA", "HS512"]), json!([]), json!("EdDSA")] {
        bad_keys(&world, &with(keyed(metadata()), list, algs));
    }
    bad_keys(&world, &with(with(keyed(metadata()), ALG, "EdDSA"), list, json!(["ES256"])));
    let rsa = with(with(keyed(metadata()), "jwks", jwks("rsa")), ALG, "PS256");
    let id = world.registered(&rsa)["client_id"].as_str().unwrap().to_owned();
    let ask = |algorithm, jti: &str| {
        let claims = json!({"iss": id, "sub": id, "aud": ISSUER, "jti": jti, "exp": T + 60});
        let signed = sign(&signer("rsa").with(algorithm), &json!({}), &claims);
        world.token(&prove(Params::refresh("x").set("client_id", &id), &signed)).status
    };
    assert_eq!(ask(jsonwebtoken::Algorithm::PS256, "1"), 400);
    assert_eq!(ask(jsonwebtoken::Algorithm::RS256, "2"), 401);
    assert_eq!(world.reason(), Some(Reason::ClientAssertionAlgorithm));
}

/// One corpus, four entrances, equal verdicts.
#[test]
fn keys_15_keys_are_judged_alike_wherever_they_arrive() {
    let world = world_with(KeyRules::default(), |policy| {
        let limits = grantcore::policy::Limits::default()
            .with_registration_bytes(1 << 20)
            .with_registrations_per_minute(100_000)
            .with_all_registrations_per_minute(100_000)
            .with_all_documents_per_minute(100_000)
            .with_consent_pages_per_minute(100_000);
        policy.limits(limits)
    });
    let own = world.own(&keyed(metadata()));
    for (number, case) in key_sets::cases().into_iter().enumerate() {
        let key_sets::Case { name, set, inline, .. } = case;
        let built = KeySet::parse(set.as_bytes(), Algorithms::ALL, None).ok();
        assert_eq!(built.as_ref().map(|keys| keys.iter().count()), inline, "{name}");
        // The text is sent as it is, also if it is no JSON.
        let spliced = |metadata: &Value| {
            let marked = with(metadata.clone(), "jwks", "MARK").to_string();
            marked.replace("\"MARK\"", &set)
        };
        let reply = world
            .register_bytes(spliced(&keyed(metadata())).as_bytes(), grantcore::Authorization::None);
        assert_eq!(reply.status == 201, inline.is_some(), "{name}: {}", reply.body);
        let update = spliced(&own.update(keyed(metadata())));
        let header = format!("Bearer {}", own.token);
        let parts = grantcore::RequestParts {
            method: "PUT",
            authorization: grantcore::Authorization::One(header.as_bytes()),
            ..crate::support::clients::posting(update.as_bytes())
        };
        let reply = world.reply(world.server.manage(&own.id, &parts));
        assert_eq!(reply.status == 200, inline.is_some(), "{name}: {}", reply.body);
        let url = format!("https://client.example/{number}");
        let document = spliced(&keyed(with(document(), "client_id", &*url)));
        let response = crate::support::clients::fetched(document.as_bytes());
        let step = world.authorize_with_document(&ask(&url), Some(response));
        // An entry of 64 KiB makes the document too long.
        let is_short = document.len() < 5 * 1024;
        let is_served = matches!(step, Ok(AuthorizationStep::NeedsConsent(_)));
        assert_eq!(is_served, inline.is_some() && is_short, "{name}");
        if let (Some(keys), true) = (built, is_served) {
            for id in [&*own.id, &*url] {
                assert_eq!(source_of(&world, id), KeySource::Inline(keys.clone()), "{name}");
            }
        }
    }
}

#[test]
fn keys_16_a_stranger_names_no_url_of_keys() {
    let at_url = keyed_at_url();
    let closed = world();
    closed.not_registered(&at_url, "invalid_client_metadata", Reason::MetadataKeysAtUrl);
    let detail = closed.events().pop().unwrap().sent.unwrap().description.unwrap();
    assert!(detail.starts_with("A registration brings its keys inline, as jwks;"), "{detail}");
    let allowed = world_with(KeyRules::default().with_registered_key_urls(true), |policy| policy);
    let response = allowed.registered(&at_url);
    let id = response["client_id"].as_str().unwrap();
    assert_eq!(source_of(&allowed, id), KeySource::At(KeysUrl::parse(URL, false).unwrap()));
    let world = world();
    world.page_with(&ask(DOCUMENT), &with(without(keyed(document()), "jwks"), "jwks_uri", URL));
    assert_eq!(source_of(&world, DOCUMENT), KeySource::At(KeysUrl::parse(URL, false).unwrap()));
}

#[test]
fn keys_31_a_url_of_keys_leads_to_no_address_of_this_network() {
    let allowed = world_with(KeyRules::default().with_registered_key_urls(true), |policy| policy);
    for url in [
        "http://client.example/k",
        "file:///etc/passwd",
        "https://u@client.example/k",
        "https://client.example/k#f",
        "https://127.0.0.1/k",
        "https://[::1]/k",
        "https://169.254.169.254/latest",
        "https://localhost/k",
        "https://0x7f000001/k",
    ] {
        let at_url = |metadata| with(without(keyed(metadata), "jwks"), "jwks_uri", url);
        bad_keys(&allowed, &at_url(metadata()));
        not_served_as(&allowed, &at_url(document()), "invalid_client", Reason::DocumentMetadata);
    }
}

fn updated(world: &World, own: &Own, metadata: Value) {
    let reply = world.manage("PUT", &own.id, &own.token, &own.update(metadata));
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[test]
fn keys_17_an_update_replaces_the_keys_at_once_and_grants_go_on() {
    for ends in [false, true] {
        let rules = KeyRules::default().with_end_grants_on_key_change(ends);
        let world = world_with(rules, |policy| policy);
        let own = world.own(&keyed(metadata()));
        let code = world.code(&ask(&own.id));
        let redeem = Params::redeem(&code).set("client_id", &own.id);
        let tokens = Granted::of(&world.token(&prove(redeem, &assertion(&own.id, "ed", "1"))));
        updated(&world, &own, with(keyed(metadata()), "jwks", jwks("other-ed")));
        let refresh = Params::refresh(tokens.refresh()).set("client_id", &own.id);
        let old = world.token(&prove(refresh.clone(), &assertion(&own.id, "ed", "2")));
        let reason = Reason::ClientAssertionSignature;
        assert_refused(&world, &old, 401, "invalid_client", reason);
        let new = world.token(&prove(refresh, &assertion(&own.id, "other-ed", "3")));
        if ends {
            assert_refused(&world, &new, 400, "invalid_grant", Reason::GrantEnded);
        } else {
            assert_eq!(new.status, 200, "{}", new.body);
        }
        // The same keys again change nothing.
        let epoch = world.client(&own.id).unwrap().epoch();
        updated(&world, &own, with(keyed(metadata()), "jwks", jwks("other-ed")));
        assert_eq!(world.client(&own.id).unwrap().epoch(), epoch);
    }
}

#[test]
fn keys_17_a_changed_document_replaces_the_keys() {
    let world = world();
    world.page_with(&ask(DOCUMENT), &keyed(document()));
    world.at(3600 * 25);
    let changed = with(keyed(document()), "jwks", jwks("other-ed"));
    world.page_with(&ask(DOCUMENT), &changed);
    let keys = KeySet::parse(jwks("other-ed").to_string().as_bytes(), Algorithms::ALL, None);
    assert_eq!(source_of(&world, DOCUMENT), KeySource::Inline(keys.unwrap()));
    world.at(3600 * 50);
    world.page_with(&ask(DOCUMENT), &document());
    assert_eq!(authentication(&world, DOCUMENT), Authentication::Public);
}

#[test]
fn keys_18_a_client_that_moves_to_keys_has_no_secret_left() {
    let world = world();
    let own = world.own(&with(metadata(), SINGLE, "client_secret_post"));
    let secret = own.secret.clone().unwrap();
    updated(&world, &own, keyed(metadata()));
    assert!(world.client(&own.id).unwrap().secrets().is_none());
    let by_secret = Params::refresh("x").set("client_id", &own.id).set("client_secret", &secret);
    assert_eq!(world.token(&by_secret).status, 401);
    let reply = world.manage(
        "PUT",
        &own.id,
        &own.token,
        &own.update(with(metadata(), SINGLE, "client_secret_post")),
    );
    let fresh = body(&reply)["client_secret"].as_str().unwrap().to_owned();
    assert_ne!(fresh, secret);
    assert!(world.client(&own.id).unwrap().keys().is_none());
    let by_key =
        prove(Params::refresh("x").set("client_id", &own.id), &assertion(&own.id, "ed", "1"));
    assert_eq!(world.token(&by_key).status, 401);
    assert_eq!(world.token(&by_secret.set("client_secret", &fresh)).status, 400);
}

#[test]
fn keys_18_only_a_document_has_keys_or_none() {
    let keys = ClientKeys::inline(crate::support::keyed::set_of("ed"));
    let either = Client::public("app").redirect_uri(CALLBACK);
    let built = either.authentication(Authentication::KeysOrNone(keys)).build();
    assert_eq!(built.unwrap_err(), grantcore::client::ClientError::KeysOrNone);
}
