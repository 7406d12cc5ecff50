//! ASSERT-30 to -35: type, audience, and the client of an identity provider's assertion.

use grantcore::client::{ClientKeys, Registration, StoredSecret};
use grantcore::policy::{DocumentRules, IdJag, KeyRules, Limits, RegistrationRules};
use grantcore::value::{Digest, SecretMethod};
use grantcore::{Client, Reason};
use serde_json::{Value, json};

use crate::support::clients::{
    confidential, document, fetched as fetched_body, with as with_member,
};
use crate::support::params::Params;
use crate::support::toy_issuers::{
    FORGER, Federation, KEY, Signer, exchange, id_jag, id_jag_header, person, program,
    trusting_people, with, without, workload,
};
use crate::support::{CALLBACK, Granted, ISSUER, SECRET, T, World, app, json as body, policy, web};

fn rules() -> IdJag {
    IdJag::new("read write".parse().unwrap())
}

fn by(client: &str, claims: &Value) -> Params {
    exchange(&id_jag(&with(claims.clone(), "client_id", client))).set("client_id", client)
}

#[test]
fn assert_11_credentials_that_are_sent_are_verified() {
    let federation = Federation::new();
    let wrong = exchange(&workload(&program("1"))).by_web().set("client_secret", "wrong");
    federation.refused(&wrong, 401, "invalid_client", Reason::ClientSecretWrong);
    assert_eq!(federation.marks(), 0);
    let other = exchange(&workload(&program("1"))).by_web();
    let detail = federation.refused(&other, 400, "invalid_grant", Reason::AssertionClaim);
    assert_eq!(detail, "claim: 'client_id'.");
}

#[test]
fn assert_30_only_its_own_type_is_accepted() {
    let federation = Federation::new();
    for typ in ["JWT", "at+jwt", "client-authentication+jwt", "", "logout+jwt"] {
        let mut header = id_jag_header();
        header["typ"] = json!(typ);
        let params = exchange(&KEY.sign(&header, &person("1"))).by_web();
        federation.refused(&params, 400, "invalid_grant", Reason::AssertionType);
    }
    // An ID token has no type.
    let header = without(id_jag_header(), "typ");
    let params = exchange(&KEY.sign(&header, &person("1"))).by_web();
    federation.refused(&params, 400, "invalid_grant", Reason::AssertionType);
    for (jti, typ) in ["OAuth-ID-JAG+JWT", "application/oauth-id-jag+jwt"].into_iter().enumerate() {
        let mut header = id_jag_header();
        header["typ"] = json!(typ);
        let params = exchange(&KEY.sign(&header, &person(&jti.to_string()))).by_web();
        Granted::of(&federation.world.token(&params));
    }
}

#[test]
fn assert_31_the_audience_is_this_server_alone() {
    let federation = Federation::new();
    for audience in [
        json!([ISSUER, ISSUER]),
        json!([ISSUER, "https://other.example"]),
        json!("https://auth.example/oauth/token"),
        json!("https://other.example"),
        json!([]),
        json!(null),
    ] {
        federation.faulty(&with(person("1"), "aud", audience), Reason::AssertionAudience);
    }
    federation.person(&with(person("1"), "aud", json!([ISSUER])));
    federation.person(&with(person("2"), "aud", format!("{ISSUER}/")));
}

#[test]
fn assert_32_an_assertion_is_for_its_client() {
    let federation =
        Federation::with(trusting_people(rules().with_client("web").with_client("other")));
    let secret = StoredSecret::Digest(Digest::of(b"other"));
    federation.world.put(
        Client::confidential("other", SecretMethod::Post, secret)
            .redirect_uri(CALLBACK)
            .build()
            .unwrap(),
    );
    let stolen =
        exchange(&id_jag(&person("1"))).set("client_id", "other").set("client_secret", "other");
    let detail = federation.refused(&stolen, 400, "invalid_grant", Reason::AssertionClaim);
    assert_eq!(detail, "claim: 'client_id'.");
    // Whoever catches an assertion cannot use it up.
    assert_eq!(federation.marks(), 0);
    federation.person(&person("1"));
    federation.faulty(&without(person("2"), "client_id"), Reason::AssertionClaim);
    for other in [json!("WEB"), json!(["web"]), json!(null)] {
        federation.faulty(&with(person("2"), "client_id", other), Reason::AssertionClaim);
    }
    // Without a client, there is nobody whom the assertion could be for.
    let nobody = exchange(&id_jag(&person("2")));
    federation.refused(&nobody, 401, "invalid_client", Reason::ClientUnknown);
}

#[test]
fn assert_33_public_clients_are_refused_unless_they_are_named() {
    let federation = Federation::with(trusting_people(rules().with_client("app")));
    let params = by("app", &person("1"));
    federation.refused(&params, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
    assert_eq!(federation.marks(), 0);
    let federation = Federation::with(trusting_people(rules().with_public_client("app")));
    Granted::of(&federation.world.token(&params));
    let other = by("web", &person("2")).set("client_secret", SECRET);
    federation.refused(&other, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
}

#[test]
fn assert_34_a_client_needs_the_right() {
    let federation = Federation::with(trusting_people(rules()));
    let params = exchange(&id_jag(&person("1"))).by_web();
    federation.refused(&params, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
    federation.world.put(web().edit().assertions(true).build().unwrap());
    Granted::of(&federation.world.token(&params));
    // A client with nothing but this right needs no redirect URI.
    let secret = StoredSecret::Digest(Digest::of(b"s"));
    let only = Client::confidential("only", SecretMethod::Basic, secret);
    let only = only.assertions(true).build().unwrap();
    assert!(only.may_use_assertions() && only.redirect_uris().is_empty());
    assert!(app().edit().assertions(true).build().is_err(), "a public client proves nothing");
}

#[test]
fn assert_34_registration_gives_no_right() {
    let registration = |rules: IdJag| {
        let federation =
            Federation::with(trusting_people(rules).registration(RegistrationRules::default()));
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let asked =
            with_member(confidential(), "grant_types", json!(["authorization_code", grant]));
        let own = federation.world.own(&asked);
        assert_eq!(own.response["grant_types"], json!(["authorization_code"]));
        let claims = with(person("1"), "client_id", own.id.clone());
        let reply = federation.world.token(&own.proven(exchange(&id_jag(&claims))));
        (reply.status, body(&reply)["error"].as_str().map(str::to_owned))
    };
    assert_eq!(registration(rules()), (400, Some("unauthorized_client".into())));
    assert_eq!(registration(rules().with_registered_clients(true)), (200, None));
}

const DOCUMENT: &str = crate::support::clients::DOCUMENT;

fn documents(rules: IdJag) -> Federation {
    let federation =
        Federation::with(trusting_people(rules).client_documents(DocumentRules::default()));
    *federation.directory.document.lock().unwrap() = Some(document());
    federation
}

fn fetched(federation: &Federation) -> usize {
    federation.directory.documents.load(std::sync::atomic::Ordering::SeqCst)
}

#[test]
fn assert_35_the_document_of_a_new_client_is_read_after_the_signature() {
    let federation = documents(rules().with_public_client(DOCUMENT));
    let claims = with(person("1"), "client_id", DOCUMENT);
    let forged = exchange(&FORGER.sign(&id_jag_header(), &claims)).set("client_id", DOCUMENT);
    federation.refused(&forged, 401, "invalid_client", Reason::ClientUnknown);
    let for_another = exchange(&id_jag(&person("1"))).set("client_id", DOCUMENT);
    federation.refused(&for_another, 401, "invalid_client", Reason::ClientUnknown);
    assert_eq!(fetched(&federation), 0);

    let params = by(DOCUMENT, &person("1"));
    Granted::of(&federation.world.token(&params));
    assert_eq!(fetched(&federation), 1);
    let client = grantcore::blocking::Store::client(&*federation.world.store, DOCUMENT).unwrap();
    assert_eq!(client.unwrap().record.registration(), Registration::MetadataDocument);
    // It is on record now, and read again once it is stale.
    Granted::of(&federation.world.token(&by(DOCUMENT, &person("2"))));
    assert_eq!(fetched(&federation), 1);
    federation.world.at(60);
    Granted::of(&federation.world.token(&by(DOCUMENT, &person("3"))));
    assert_eq!(fetched(&federation), 2);
}

#[test]
fn assert_35_a_document_that_cannot_be_read_uses_nothing_up() {
    let federation = documents(rules().with_public_client(DOCUMENT));
    *federation.directory.document.lock().unwrap() = None;
    let params = by(DOCUMENT, &person("1"));
    let detail = federation.refused(&params, 401, "invalid_client", Reason::ClientUnknown);
    assert!(detail.starts_with("document: cimd_unreachable."), "{detail}");
    assert_eq!(federation.marks(), 0);
    *federation.directory.document.lock().unwrap() = Some(document());
    Granted::of(&federation.world.token(&params));
    // The right is the operator's: a document gives none.
    let federation = documents(rules().with_client(DOCUMENT));
    federation.refused(&params, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
}

/// The limit of new documents is one for all endpoints.
#[test]
fn assert_35_client_18_documents_that_a_token_request_reads_have_the_same_limit() {
    const SECOND: &str = "https://second.example/client.json";
    let rules = rules().with_public_client(DOCUMENT).with_public_client(SECOND);
    let limits = Limits::default().with_all_documents_per_minute(1);
    let policy = trusting_people(rules).client_documents(DocumentRules::default());
    let federation = Federation::with(policy.limits(limits));
    let serve = |url: &str| {
        let own = with_member(document(), "client_id", url);
        *federation.directory.document.lock().unwrap() = Some(own);
    };
    serve(DOCUMENT);
    Granted::of(&federation.world.token(&by(DOCUMENT, &person("1"))));
    serve(SECOND);
    let params = by(SECOND, &person("2"));
    let marks = federation.marks();
    federation.refused(&params, 503, "temporarily_unavailable", Reason::DocumentsBusy);
    assert!(federation.world.client(SECOND).is_none());
    assert_eq!(federation.marks(), marks, "the same assertion may come again (SEEN-07)");
    // A client on record is not counted.
    Granted::of(&federation.world.token(&by(DOCUMENT, &person("3"))));
    federation.world.at(60);
    Granted::of(&federation.world.token(&params));
    // An authorization request meets the same limit.
    let third = "https://third.example/client.json";
    let body = with_member(document(), "client_id", third).to_string();
    let ask = Params::authorize().set("client_id", third);
    let read = |at| {
        federation.world.at(at);
        federation.world.authorize_with_document(&ask, Some(fetched_body(body.as_bytes())))
    };
    let refusal = read(119).unwrap_err();
    assert_eq!(refusal.reason(), Reason::DocumentsBusy);
    assert!(read(120).is_ok());
}

/// A client that proves itself by an assertion, and presents another one.
#[test]
fn seen_15_the_clients_assertion_is_used_up_before_the_grants() {
    let policy = trusting_people(rules().with_client("keyed")).client_keys(KeyRules::default());
    let federation = Federation::with(policy);
    let keys = Signer::new("own", 3);
    let keyed = Client::with_keys("keyed", ClientKeys::inline(keys.key_set()));
    federation.world.put(keyed.redirect_uri(CALLBACK).build().unwrap());
    let claims = |jti: &str| with(person(jti), "client_id", "keyed");
    let proof = |jti: &str| {
        let header = json!({ "typ": "client-authentication+jwt", "alg": "EdDSA", "kid": "own" });
        let claims = json!({
            "iss": "keyed", "sub": "keyed", "aud": ISSUER, "jti": jti, "exp": T + 60,
        });
        keys.sign(&header, &claims)
    };
    let send = |grant: &str, own: &str| {
        exchange(&id_jag(&claims(grant)))
            .set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .set("client_assertion", &proof(own))
    };
    Granted::of(&federation.world.token(&send("1", "1")));
    assert_eq!(federation.marks(), 2);
    // The client's is used again: nothing of the grant's is used up.
    let replayed = send("2", "1");
    federation.refused(&replayed, 401, "invalid_client", Reason::ClientAssertionReplayed);
    assert_eq!(federation.marks(), 2);
    // The grant's is used again: the client's is used up.
    federation.refused(&send("1", "2"), 400, "invalid_grant", Reason::AssertionReplayed);
    assert_eq!(federation.marks(), 3);
    Granted::of(&federation.world.token(&send("2", "3")));
    assert_eq!(federation.marks(), 5);
    // A key of the client's is none of the issuer's.
    let forged = keys.sign(&with(id_jag_header(), "kid", "own"), &claims("4"));
    let params = send("4", "4").set("assertion", &forged);
    federation.refused(&params, 400, "invalid_grant", Reason::AssertionKey);
}

/// The list of clients of an issuer opens it for those on it.
#[test]
fn assert_34_a_client_that_is_not_on_the_list_has_no_right() {
    let federation = Federation::with(trusting_people(rules().with_client("web")));
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let other = Client::confidential("other", SecretMethod::Post, secret).redirect_uri(CALLBACK);
    federation.world.put(other.build().unwrap());
    let claims = with(person("1"), "client_id", "other");
    let params = exchange(&id_jag(&claims)).set("client_id", "other").set("client_secret", SECRET);
    federation.refused(&params, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
    assert_eq!(federation.marks(), 0);
}

/// A good assertion lets no secret pass that is sent beside it: a program's client has none.
#[test]
fn assert_11_a_program_that_sends_a_secret_is_refused() {
    let federation = Federation::new();
    let params = exchange(&workload(&program("1"))).set("client_id", "bot");
    let reply = federation.world.token(&params.clone().set("client_secret", "wrong"));
    assert_eq!((reply.status, body(&reply)["error"].as_str()), (401, Some("invalid_client")));
    assert_eq!(federation.marks(), 0);
    Granted::of(&federation.world.token(&params));
}

/// With documents off, no assertion makes the server read one.
#[test]
fn assert_35_without_documents_no_url_is_read() {
    let federation = Federation::with(trusting_people(rules().with_public_client(DOCUMENT)));
    let claims = with(person("1"), "client_id", DOCUMENT);
    let params = exchange(&id_jag(&claims)).set("client_id", DOCUMENT);
    federation.refused(&params, 401, "invalid_client", Reason::ClientUnknown);
    assert_eq!(federation.directory.documents.load(std::sync::atomic::Ordering::SeqCst), 0);
}

/// The event of a client that does not exist says who it claimed to be.
#[test]
fn audit_07_the_event_of_an_assertion_has_the_claimed_client() {
    let federation = Federation::with(trusting_people(rules().with_client("web")));
    let params = exchange(&id_jag(&person("1"))).set("client_id", "nobody");
    federation.refused(&params, 401, "invalid_client", Reason::ClientUnknown);
    let event = federation.world.events().pop().unwrap();
    assert_eq!(event.claimed.as_deref(), Some("nobody"));
}

/// A client that registered itself with a secret, that the operator gave rights, and that becomes
/// public: what needs a proof is gone.
#[test]
fn assert_34_a_client_that_gives_up_its_proof_loses_the_right() {
    let world = World::with(policy().registration(RegistrationRules::default()));
    let own = world.own(&confidential());
    world.put(world.client(&own.id).unwrap().edit().assertions(true).build().unwrap());
    let public = with_member(confidential(), "token_endpoint_auth_method", "none");
    world.updated(&own, public);
    assert!(!world.client(&own.id).unwrap().may_use_assertions());
}
