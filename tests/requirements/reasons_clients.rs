//! Requests that cause the reasons of registration, management, documents and revocation.
//! `reasons_reached.rs` uses them.

use grantcore::policy::{
    DocumentRules, DomainRules, Limits, PolicyBuilder, RegistrationRules, RevocationRules,
};
use grantcore::reason::Endpoint;
use grantcore::request::Fetch;
use grantcore::value::{Digest, Subject};
use grantcore::{Authorization, Client, Reason, RequestParts};
use serde_json::Value;

use crate::reasons_reached::{Provoke, Refused};
use crate::support::clients::{DOCUMENT, ask, document, fetched, metadata, with, without};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{ALICE, CALLBACK, Outcome, SECRET, World, policy};

/// A change of valid metadata that adds one fault.
type Misdescribed = fn(Value) -> Value;

/// Registrations with one fault each.
pub(crate) const REGISTER: &[(Reason, Misdescribed)] = &[
    (Reason::RedirectUrisMissing, |metadata| without(metadata, "redirect_uris")),
    (Reason::RedirectUrisTooMany, |metadata| {
        with(
            metadata,
            "redirect_uris",
            (0..11).map(|n| format!("{CALLBACK}/{n}")).collect::<Vec<_>>(),
        )
    }),
    (Reason::RegisteredUriLong, |metadata| {
        redirecting(metadata, &format!("{CALLBACK}?{}", "x".repeat(2048)))
    }),
    (Reason::RegisteredUriCharacter, |metadata| redirecting(metadata, "https://a.example/ cb")),
    (Reason::RegisteredUriRelative, |metadata| redirecting(metadata, "/cb")),
    (Reason::RegisteredUriFragment, |metadata| redirecting(metadata, "https://a.example/cb#")),
    (Reason::RegisteredUriUserinfo, |metadata| redirecting(metadata, "https://a@b.example/cb")),
    (Reason::RegisteredUriForbidden, |metadata| redirecting(metadata, "javascript:alert(1)")),
    (Reason::RegisteredUriPrivateUse, |metadata| redirecting(metadata, "myapp:/cb")),
    (Reason::RegisteredUriInsecure, |metadata| redirecting(metadata, "http://a.example/cb")),
    (Reason::RegisteredUriHost, |metadata| redirecting(metadata, "https://127.1/cb")),
    (Reason::RegisteredUriWildcard, |metadata| redirecting(metadata, "https://*.a.example/cb")),
    (Reason::RegisteredUriReserved, |metadata| {
        redirecting(metadata, "https://a.example/cb?code=1")
    }),
    (Reason::RegisteredUriPort, |metadata| redirecting(metadata, "https://a.example:0/cb")),
    (Reason::MetadataRedirectUris, |metadata| with(metadata, "redirect_uris", CALLBACK)),
    (Reason::MetadataAuthMethod, |metadata| {
        with(metadata, "token_endpoint_auth_method", "private_key_jwt")
    }),
    (Reason::MetadataGrantTypes, |metadata| with(metadata, "grant_types", vec!["password"])),
    (Reason::MetadataResponseTypes, |metadata| with(metadata, "response_types", vec!["token"])),
    (Reason::MetadataScope, |metadata| with(metadata, "scope", "a\"b")),
    (Reason::MetadataDescription, |metadata| with(metadata, "client_name", 1)),
    (Reason::MetadataKeys, |metadata| with(metadata, "jwks_uri", "http://127.0.0.1/keys")),
];

fn redirecting(metadata: Value, uri: &str) -> Value {
    with(metadata, "redirect_uris", vec![uri])
}

/// Requests about clients of registration and documents, each in its own world.
pub(crate) const CLIENTS: &[(Reason, Provoke)] = &[
    (Reason::RegistrationOff, || {
        let world = World::new();
        drop(world.register(&metadata()));
        (world, Refused::At(Endpoint::Registration))
    }),
    (Reason::MetadataNotJson, || {
        let world = World::open();
        drop(world.register(&Value::Array(vec![])));
        (world, Refused::At(Endpoint::Registration))
    }),
    (Reason::InitialTokenMissing, || closed(Authorization::None)),
    (Reason::InitialTokenWrong, || closed(Authorization::One(b"Bearer wrong"))),
    (Reason::RegistrationLimited, || {
        let world = World::with(
            policy()
                .registration(RegistrationRules::default())
                .limits(Limits::default().with_registrations_per_minute(1)),
        );
        drop([world.register(&metadata()), world.register(&metadata())]);
        (world, Refused::At(Endpoint::Registration))
    }),
    (Reason::RegisteredUriLoopback, || {
        let rules = RegistrationRules::default().with_strict_application_type(true);
        let world = World::with(policy().registration(rules));
        drop(world.register(&redirecting(
            with(metadata(), "application_type", "web"),
            "http://127.0.0.1/cb",
        )));
        (world, Refused::At(Endpoint::Registration))
    }),
    (Reason::RedirectHostDenied, || {
        let rules = RegistrationRules::default().with_redirect_hosts(["other.example"]);
        let world = World::with(policy().registration(rules));
        drop(world.register(&metadata()));
        (world, Refused::At(Endpoint::Registration))
    }),
    (Reason::CimdDenied, || {
        let rules = DomainRules::default().with_denied(["client.example"]);
        let documents = policy().client_documents(DocumentRules::default());
        let world = World::with(documents.document_domains(rules));
        let refusal = world.authorize(&ask(DOCUMENT)).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::ResourceTenantsMixed, || {
        let template = "https://{org}.tenants.example/mcp";
        let world = World::with(policy().resource(template, "read"));
        let request = Params::authorize().and("resource", "https://a.tenants.example/mcp");
        let request = request.and("resource", "https://b.tenants.example/mcp");
        let refusal = world.authorize(&request).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::ManagementTokenMissing, || {
        let world = World::open();
        drop(
            world.server.manage("app", &RequestParts { method: "GET", ..RequestParts::default() }),
        );
        (world, Refused::At(Endpoint::Management))
    }),
    (Reason::ManagementTokenWrong, || managed(|_, token| (format!("{token}x"), metadata()))),
    (Reason::MetadataClientId, || managed(|_, token| (token.into(), metadata()))),
    (Reason::MetadataReadOnly, || {
        managed(|id, token| {
            (token.into(), with(with(metadata(), "client_id", id), "client_id_issued_at", 1))
        })
    }),
    (Reason::MetadataSecret, || {
        managed(|id, token| {
            (token.into(), with(with(metadata(), "client_id", id), "client_secret", "chosen"))
        })
    }),
    (Reason::DocumentUrl, || documented("https://client.example", None)),
    (Reason::DocumentUnreachable, || documented(DOCUMENT, None)),
    (Reason::ConsentPagesLimited, || {
        let world =
            World::with(policy().limits(Limits::default().with_consent_pages_per_minute(1)));
        drop(world.page(&Params::authorize()));
        let refusal = world.authorize(&Params::authorize()).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::DocumentsBusy, || {
        let world = World::open();
        let query = ask(DOCUMENT).encode();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let refusal = world
            .server
            .authorize_with_document(&incoming, Some(ALICE), Fetch::Busy)
            .outcome()
            .unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::DocumentInvalid, || documented(DOCUMENT, Some(&metadata()))),
    (Reason::DocumentMetadata, || documented(DOCUMENT, Some(&without(document(), "client_name")))),
    (Reason::DocumentNoCommonMethod, || {
        let keys = with(document(), "token_endpoint_auth_method", "private_key_jwt");
        documented(DOCUMENT, Some(&keys))
    }),
    (Reason::RevocationOff, || revoked(|revoke| revoke, policy())),
    (Reason::RevocationTokenMissing, || {
        revoked(|revoke| revoke.without("token"), policy().revocation(RevocationRules::default()))
    }),
    (Reason::RevocationClientMismatch, || {
        let by_web = |revoke: Params| revoke.set("client_id", "web").and("client_secret", SECRET);
        revoked(by_web, policy().revocation(RevocationRules::default()))
    }),
    (Reason::OwnerSuspended, || {
        let world = World::new();
        world.put(
            Client::public("app")
                .redirect_uri(CALLBACK)
                .owner(Subject::new("mallory"))
                .build()
                .unwrap(),
        );
        world.store.suspend("mallory", true);
        let refusal = world.authorize(&Params::authorize()).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::MetadataKeysAtUrl, || {
        let world = crate::keys_entrances::world();
        world.not_registered(
            &crate::keys_entrances::keyed_at_url(),
            "invalid_client_metadata",
            Reason::MetadataKeysAtUrl,
        );
        (world, Refused::At(Endpoint::Registration))
    }),
];

fn revoked(by: fn(Params) -> Params, policy: PolicyBuilder) -> (World, Refused) {
    let world = World::with(policy);
    let revoke = Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .and("token", &world.tokens().access);
    let body = by(revoke).encode();
    drop(world.server.revoke(&form(&body)));
    (world, Refused::At(Endpoint::Revocation))
}

fn closed(authorization: Authorization<'_>) -> (World, Refused) {
    let world = World::with(policy().registration(
        RegistrationRules::default().with_initial_access_tokens([Digest::of(b"right")]),
    ));
    drop(world.register_bytes(metadata().to_string().as_bytes(), authorization));
    (world, Refused::At(Endpoint::Registration))
}

/// Updates a registration, with a body and a token made from its `client_id` and token.
pub(crate) fn managed(update: fn(&str, &str) -> (String, Value)) -> (World, Refused) {
    let world = World::open();
    let client = world.registered(&metadata());
    let id = client["client_id"].as_str().unwrap();
    let token = client["registration_access_token"].as_str().unwrap();
    let (token, body) = update(id, token);
    drop(world.manage("PUT", id, &token, &body));
    (world, Refused::At(Endpoint::Management))
}

fn documented(url: &str, document: Option<&Value>) -> (World, Refused) {
    let world = World::open();
    let body = document.map(Value::to_string);
    let refusal = world
        .authorize_with_document(&ask(url), body.as_ref().map(|body| fetched(body.as_bytes())))
        .unwrap_err();
    (world, Refused::By(refusal))
}
