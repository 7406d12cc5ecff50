//! Tests of CLIENT-12: a client changes its registration, within the rules of registration.

use grantcore::client::ClientStatus;
use grantcore::event::EventKind;
use grantcore::policy::RegistrationRules;
use grantcore::value::Subject;
use grantcore::{Authorization, Choice, Reason, Reply, RequestParts};
use serde_json::{Value, json};

use crate::support::clients::{
    MOVED, Own, ask, confidential, managed, metadata, posting, with, without,
};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::{Answered, CALLBACK, Granted, World, assert_refused, json as body, policy};

#[test]
fn client_12_an_update_replaces_what_was_registered() {
    let (world, own) = managed(&with(confidential(), "contacts", vec!["ada@notes.example"]));
    world.at(60);
    let next = json!({
        "redirect_uris": [MOVED, "http://127.0.0.1/cb"],
        "client_name": "Notes Helper 2",
        "client_uri": "https://notes.example/2",
        "application_type": "native",
        "scope": "read",
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let response = world.updated(&own, next.clone());
    let mut wanted = own.update(next);
    for member in [
        "client_id_issued_at",
        "client_secret_expires_at",
        "registration_access_token",
        "registration_client_uri",
        "response_types",
    ] {
        wanted[member] = own.response[member].clone();
    }
    assert_eq!(
        response, wanted,
        "omitted members are removed, and the secret is not returned again"
    );
    assert_eq!(body(&world.manage("GET", &own.id, &own.token, &Value::Null)), response);
    let event = world.events().into_iter().rev().nth(1).unwrap();
    assert_eq!((event.kind, event.client.unwrap().as_str()), (EventKind::ClientUpdated, &*own.id));
    assert_refused(
        &world,
        &world.token(&own.proven(Params::refresh("x"))),
        401,
        "invalid_client",
        Reason::ClientMethodMismatch,
    );
}

#[test]
fn client_12_the_id_is_required_and_cannot_change() {
    let (world, own) = managed(&metadata());
    let other = world.own(&metadata());
    let ids = [
        json!(other.id),
        json!("app"),
        json!(""),
        json!(own.id.to_uppercase()),
        json!(1),
        json!([own.id]),
        Value::Null,
    ];
    for id in ids.into_iter().map(|id| with(metadata(), "client_id", id)).chain([metadata()]) {
        world.not_managed("PUT", &own, &id, "invalid_client_metadata", Reason::MetadataClientId);
    }
}

#[test]
fn client_12_members_that_only_the_server_sets_are_refused() {
    let (world, own) = managed(&confidential());
    for member in [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ] {
        for value in [own.response[member].clone(), json!("x"), json!(1), json!(""), json!({})] {
            let sent = with(own.update(confidential()), member, value);
            world.not_managed(
                "PUT",
                &own,
                &sent,
                "invalid_client_metadata",
                Reason::MetadataReadOnly,
            );
        }
        assert_eq!(
            world.updated(&own, with(confidential(), member, Value::Null))["client_id"],
            own.id,
            "null counts as absent"
        );
    }
}

#[test]
fn client_12_a_sent_secret_must_be_the_clients_own() {
    let (world, own) = managed(&confidential());
    let public = world.own(&metadata());
    let other = world.own(&confidential());
    let secret = own.secret.as_deref().unwrap();
    let wrong = [
        json!("chosen"),
        json!(""),
        json!(1),
        json!([secret]),
        json!(&secret[1..]),
        json!(own.token),
        json!(other.secret),
    ];
    for wrong in wrong {
        let sent = with(own.update(confidential()), "client_secret", wrong.clone());
        world.not_managed("PUT", &own, &sent, "invalid_client_metadata", Reason::MetadataSecret);
        let sent = with(public.update(metadata()), "client_secret", wrong);
        world.not_managed("PUT", &public, &sent, "invalid_client_metadata", Reason::MetadataSecret);
    }
    for right in [json!(secret), Value::Null] {
        assert_eq!(
            world.updated(&own, with(confidential(), "client_secret", right)).get("client_secret"),
            None
        );
        world.refused(
            &own.proven(Params::refresh("x")),
            400,
            "invalid_grant",
            Reason::RefreshUnknown,
        );
    }
}

#[test]
fn client_12_all_rules_of_registration_hold() {
    let rules = RegistrationRules::default().with_strict_application_type(true);
    let world = World::with(policy().registration(rules).unverified_scope("read write"));
    let own = world.own(&metadata());
    let many: Vec<_> = (0..11).map(|n| format!("https://a.example/{n}")).collect();
    let to = |uris: &[&str]| with(metadata(), "redirect_uris", uris.to_vec());
    for (bad, code, reason) in [
        (without(metadata(), "redirect_uris"), "invalid_redirect_uri", Reason::RedirectUrisMissing),
        (to(&[]), "invalid_redirect_uri", Reason::RedirectUrisMissing),
        (
            to(&[CALLBACK, "javascript:alert(1)"]),
            "invalid_redirect_uri",
            Reason::RegisteredUriForbidden,
        ),
        (to(&["http://a.example/cb"]), "invalid_redirect_uri", Reason::RegisteredUriInsecure),
        (to(&["https://a.example/cb#x"]), "invalid_redirect_uri", Reason::RegisteredUriFragment),
        (
            to(&many.iter().map(String::as_str).collect::<Vec<_>>()),
            "invalid_redirect_uri",
            Reason::RedirectUrisTooMany,
        ),
        (
            with(to(&["http://127.0.0.1/cb"]), "application_type", "web"),
            "invalid_redirect_uri",
            Reason::RegisteredUriLoopback,
        ),
        (
            with(metadata(), "redirect_uris", CALLBACK),
            "invalid_client_metadata",
            Reason::MetadataRedirectUris,
        ),
        (
            with(metadata(), "grant_types", vec!["refresh_token"]),
            "invalid_client_metadata",
            Reason::MetadataGrantTypes,
        ),
        (
            with(metadata(), "response_types", vec!["token"]),
            "invalid_client_metadata",
            Reason::MetadataResponseTypes,
        ),
        (
            with(metadata(), "token_endpoint_auth_method", "private_key_jwt"),
            "invalid_client_metadata",
            Reason::MetadataAuthMethod,
        ),
        (
            with(metadata(), "jwks_uri", "http://10.0.0.1/"),
            "invalid_client_metadata",
            Reason::MetadataKeys,
        ),
        (with(metadata(), "scope", "a\"b"), "invalid_client_metadata", Reason::MetadataScope),
    ] {
        world.not_managed("PUT", &own, &own.update(bad), code, reason);
    }
    world.not_managed("PUT", &own, &json!([]), "invalid_client_metadata", Reason::MetadataNotJson);
    assert_eq!(
        world.updated(&own, with(metadata(), "scope", "read admin"))["scope"],
        "read write",
        "a scope with a dropped token is no cap"
    );
    assert_eq!(world.updated(&own, metadata())["scope"], "read write");
}

/// Sends these bytes as an update.
fn put(world: &World, own: &Own, token: &str, body: &[u8], content_type: Option<&[u8]>) -> Reply {
    let bearer = format!("Bearer {token}");
    let authorization = Authorization::One(bearer.as_bytes());
    let content_type = content_type.into_iter().collect();
    let incoming = RequestParts { method: "PUT", authorization, content_type, ..posting(body) };
    world.server.manage(&own.id, &incoming).answered(world.server.policy())
}

/// Only the holder of the token learns what is wrong with the body.
#[test]
fn client_12_the_body_is_checked_after_the_token() {
    let (world, own) = managed(&metadata());
    let good = own.update(metadata()).to_string();
    let before = world.client(&own.id);
    let json_type = Some(b"application/json".as_slice());
    let large = vec![b' '; 16 * 1024 + 1];
    let twice = good.replacen('{', "{\"scope\":\"read\",\"scope\":\"admin\",", 1);
    for (body, content_type, status, code, reason) in [
        (&b"{"[..], json_type, 400, "invalid_client_metadata", Reason::MetadataNotJson),
        (twice.as_bytes(), json_type, 400, "invalid_client_metadata", Reason::MetadataNotJson),
        (
            good.as_bytes(),
            Some(&b"text/plain"[..]),
            400,
            "invalid_client_metadata",
            Reason::MetadataNotJson,
        ),
        (good.as_bytes(), None, 400, "invalid_client_metadata", Reason::MetadataNotJson),
        (&large, json_type, 413, "invalid_request", Reason::RequestTooLarge),
    ] {
        let wrong = put(&world, &own, "wrong", body, content_type);
        assert_refused(&world, &wrong, 401, "invalid_token", Reason::ManagementTokenWrong);
        assert_refused(
            &world,
            &put(&world, &own, &own.token, body, content_type),
            status,
            code,
            reason,
        );
    }
    assert_eq!(world.client(&own.id), before);
    assert_eq!(
        put(&world, &own, &own.token, good.as_bytes(), Some(b"Application/JSON;charset=utf-8"))
            .status,
        200
    );
}

#[test]
fn client_12_a_removed_redirect_uri_is_refused() {
    let (world, own) = managed(&metadata());
    let ticket = world.page(&ask(&own.id)).ticket();
    let tokens = world.tokens_by(&own);
    world.updated(&own, with(metadata(), "redirect_uris", vec![MOVED]));
    assert_page(
        &world,
        &refused(&world, &ask(&own.id)),
        400,
        "invalid_request",
        Reason::RedirectUriMismatch,
    );
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&ticket, choice).unwrap_err();
        assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    }
    world.page(&ask(&own.id).set("redirect_uri", MOVED));
    assert!(world.works(&tokens.access), "earlier grants stay");
    Granted::of(&world.token(&own.proven(Params::refresh(tokens.refresh()))));
}

#[test]
fn client_12_a_client_that_becomes_confidential_gets_its_secret_once() {
    let (world, public) = managed(&metadata());
    let response = world.updated(&public, confidential());
    assert_eq!(
        (&response["token_endpoint_auth_method"], &response["client_secret_expires_at"]),
        (&json!("client_secret_post"), &json!(0))
    );
    let own = Own { secret: response["client_secret"].as_str().map(str::to_owned), ..public };
    for again in [
        world.updated(&own, confidential()),
        body(&world.manage("GET", &own.id, &own.token, &Value::Null)),
    ] {
        assert_eq!(
            (again.get("client_secret"), &again["client_secret_expires_at"]),
            (None, &json!(0))
        );
    }
    world.refused(
        &Params::refresh("x").set("client_id", &own.id),
        401,
        "invalid_client",
        Reason::ClientSecretMissing,
    );
    assert!(world.works(&world.tokens_by(&own).access));
    // With another method, the secret stays the same.
    let response =
        world.updated(&own, with(metadata(), "token_endpoint_auth_method", "client_secret_basic"));
    assert_eq!(
        (response.get("client_secret"), &response["token_endpoint_auth_method"]),
        (None, &json!("client_secret_basic"))
    );
    world.updated(&own, confidential());
    assert!(world.works(&world.tokens_by(&own).access));
}

#[test]
fn client_12_a_client_that_becomes_public_has_no_secret() {
    let (world, own) = managed(&confidential());
    let tokens = world.tokens_by(&own);
    let response = world.updated(&own, with(metadata(), "client_secret", own.secret.as_deref()));
    assert_eq!(
        ["client_secret", "client_secret_expires_at"].map(|member| response.get(member)),
        [None, None]
    );
    world.refused(
        &own.proven(Params::refresh("x")),
        401,
        "invalid_client",
        Reason::ClientSecretUnexpected,
    );
    Granted::of(&world.token(&Params::refresh(tokens.refresh()).set("client_id", &own.id)));
    // A client that becomes confidential again gets a new secret.
    let response = world.updated(&own, confidential());
    assert_ne!(response["client_secret"], json!(own.secret));
    world.refused(
        &own.proven(Params::refresh("x")),
        401,
        "invalid_client",
        Reason::ClientSecretWrong,
    );
}

#[test]
fn client_12_an_omitted_method_and_omitted_grant_types_stay() {
    for (registered, secret) in [(metadata(), false), (confidential(), true)] {
        for nothing in [
            json!({ "redirect_uris": [CALLBACK] }),
            json!({
                "redirect_uris": [CALLBACK],
                "token_endpoint_auth_method": "",
                "grant_types": null,
            }),
        ] {
            let (world, own) = managed(&registered);
            let response = world.updated(&own, nothing);
            for member in ["token_endpoint_auth_method", "grant_types"] {
                assert_eq!(response[member], own.response[member]);
            }
            assert_eq!(
                (response.get("client_secret"), response.get("client_secret_expires_at").is_some()),
                (None, secret)
            );
            assert!(world.tokens_by(&own).refresh.is_some());
        }
    }
}

#[test]
fn client_12_status_epoch_owner_and_grants_survive() {
    let (world, own) = managed(&confidential());
    let edited = world
        .client(&own.id)
        .unwrap()
        .edit()
        .owner(Subject::new("bob"))
        .build()
        .unwrap()
        .with_grants_ended();
    world.put(edited.clone());
    let tokens = world.tokens_by(&own);
    let before = world.client(&own.id).unwrap();
    world.at(60);
    world.updated(&own, with(confidential(), "client_name", "Other"));
    let after = world.client(&own.id).unwrap();
    assert_eq!(
        (after.epoch(), after.status(), after.owner()),
        (edited.epoch(), ClientStatus::Active, edited.owner())
    );
    assert_eq!(
        (after.created(), after.expires(), after.registration()),
        (before.created(), before.expires(), before.registration())
    );
    assert_eq!((after.is_trusted(), after.description().name.as_deref()), (false, Some("Other")));
    assert!(world.works(&tokens.access));
    Granted::of(&world.token(&own.proven(Params::refresh(tokens.refresh()))));
}

/// Trust in a client includes its redirect URIs.
#[test]
fn client_12_other_redirect_uris_end_trust() {
    let (world, own) = managed(&metadata());
    world.put(world.client(&own.id).unwrap().edit().trusted(true).build().unwrap());
    world.updated(&own, with(metadata(), "client_name", "Renamed"));
    assert!(world.client(&own.id).unwrap().is_trusted(), "another name");
    world.updated(&own, with(metadata(), "redirect_uris", vec![CALLBACK, MOVED]));
    assert!(!world.client(&own.id).unwrap().is_trusted(), "another place");
}
