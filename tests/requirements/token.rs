//! Tests of TOKEN: the mechanics of the token endpoint (OAuth 2.1 §3.2). The authentication of
//! clients is in `token_clients.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::policy::Limits;
use grantcore::value::GrantTypes;
use grantcore::{Authorization, Client, ContentType, Reason, Reply, RequestParts};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::params::Params;
use crate::support::property;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{
    Answered, CALLBACK, Granted, MCP, Outcome, World, assert_refused, json, needs, policy,
};

fn send(world: &World, incoming: &RequestParts<'_>) -> Reply {
    world.server.token(incoming).answered(world.server.policy())
}

#[test]
fn token_01_only_post_is_accepted() {
    let world = World::new();
    let body = Params::redeem(&world.code(&Params::authorize())).encode();
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", ""] {
        let reply = send(&world, &RequestParts { method, ..form(&body) });
        assert_refused(&world, &reply, 405, "invalid_request", Reason::MethodNotAllowed);
        assert_eq!((reply.header("allow"), json(&reply).get("access_token")), (Some("POST"), None));
        let query = RequestParts {
            method,
            query: b"grant_type=authorization_code",
            ..RequestParts::default()
        };
        assert_eq!(send(&world, &query).status, 405);
    }
    Granted::of(&send(&world, &form(&body)));
}

#[test]
fn token_02_the_body_is_a_form() {
    let world = World::new();
    let body = Params::redeem(&world.code(&Params::authorize())).encode();
    for media in
        [Some("application/json"), Some("text/plain"), Some("multipart/form-data"), Some(""), None]
    {
        let reply = send(
            &world,
            &RequestParts {
                content_type: media.map(str::as_bytes).into_iter().collect(),
                ..form(&body)
            },
        );
        assert_refused(&world, &reply, 400, "invalid_request", Reason::ContentType);
    }
    for bad in ["%", "%Z1", "%4", "x=%ff", "%C3=1", "grant_type=%80"]
        .map(|bad| format!("{body}&{bad}").into_bytes())
    {
        let reply = send(&world, &RequestParts { body: &bad, ..form(&body) });
        assert_refused(&world, &reply, 400, "invalid_request", Reason::RequestUndecodable);
    }
    let raw = [body.as_bytes(), b"&x=\xFF"].concat();
    let reply = send(&world, &RequestParts { body: &raw, ..form(&body) });
    assert_refused(&world, &reply, 400, "invalid_request", Reason::RequestUndecodable);
    let mut tokens = Granted::of(&send(&world, &form(&body)));
    for media in [
        "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
        " application/x-www-form-urlencoded ;boundary=x",
    ] {
        let refresh = Params::refresh(tokens.refresh()).encode();
        tokens = Granted::of(&send(
            &world,
            &RequestParts { content_type: ContentType::One(media.as_bytes()), ..form(&refresh) },
        ));
    }
}

#[test]
fn token_03_empty_is_absent_unknown_is_ignored_repeated_is_an_error() {
    let world = World::new();
    let redeem = Params::redeem(&world.code(&Params::authorize()));
    for (name, value) in redeem.0.clone() {
        let twice = redeem.clone().and(&name, &value);
        world.refused(&twice, 400, "invalid_request", Reason::ParameterRepeated);
    }
    for name in ["client_secret", "scope", "refresh_token"] {
        let twice = redeem.clone().and(name, "x").and(name, "y");
        world.refused(&twice, 400, "invalid_request", Reason::ParameterRepeated);
    }
    let more = redeem.and("foo", "1").and("resource", MCP).and("resource", MCP);
    let more = ["client_secret", "code", "code_verifier", "scope"]
        .iter()
        .fold(more, |more, name| more.and(name, ""));
    Granted::of(&world.token(&more));
}

#[test]
fn token_04_secrets_in_the_url_are_refused_and_not_read() {
    let world = World::new();
    let redeem = Params::redeem(&world.code(&Params::authorize()));
    let body = redeem.encode();
    for query in ["client_secret=x", "code=x", "a=b&refresh_token=x", "code_verifier=x", "c%6Fde=x"]
    {
        let reply = send(&world, &RequestParts { query: query.as_bytes(), ..form(&body) });
        assert_refused(&world, &reply, 400, "invalid_request", Reason::SecretInUrl);
        assert!(!reply.body.contains("=x"));
    }
    let secret = "client_secret=a-secret-of-a-confidential-client-0123456789";
    let unauthenticated = Params::refresh("x").by_web().without("client_secret").encode();
    let reply = send(&world, &RequestParts { query: secret.as_bytes(), ..form(&unauthenticated) });
    assert_refused(&world, &reply, 400, "invalid_request", Reason::SecretInUrl);
    let without = redeem.clone().without("client_id").encode();
    let reply = send(&world, &RequestParts { query: b"client_id=app", ..form(&without) });
    assert_refused(&world, &reply, 400, "invalid_request", Reason::ClientIdMissing);
    Granted::of(&send(
        &world,
        &RequestParts { query: b"client_id=other&grant_type=x&tenant=1", ..form(&body) },
    ));
}

#[test]
fn token_05_bodies_parameters_and_values_are_capped() {
    let world = World::new();
    let many = |own: Params, number: usize| {
        (own.0.len()..number).fold(own, |own, _| own.and("p", "x")).encode()
    };
    let long = |own: Params, bytes: usize| own.and("p", &"x".repeat(bytes)).encode();
    let large = |own: Params, bytes: usize| {
        let body = own.encode() + &format!("&p={}", "x".repeat(4000)).repeat(4);
        let room = bytes - body.len() - "&p=".len();
        format!("{body}&p={}", "x".repeat(room))
    };
    let mut tokens = world.tokens();
    let refresh = |tokens: &Granted| Params::refresh(tokens.refresh());
    let over = [
        many(refresh(&tokens), 65),
        long(refresh(&tokens), 4097),
        large(refresh(&tokens), 16 * 1024 + 1),
    ];
    for body in &over {
        assert_refused(
            &world,
            &send(&world, &form(body)),
            413,
            "invalid_request",
            Reason::RequestTooLarge,
        );
    }
    let at_the_cap: [&dyn Fn(Params) -> String; 3] =
        [&|own| many(own, 64), &|own| long(own, 4096), &|own| large(own, 16 * 1024)];
    for body in at_the_cap {
        tokens = Granted::of(&send(&world, &form(&body(refresh(&tokens)))));
    }
}

#[test]
fn token_06_the_checks_run_in_a_fixed_order() {
    let world = World::new();
    let bad = || Params::refresh("bad").by_web().set("client_secret", "wrong");
    world.refused(&bad(), 401, "invalid_client", Reason::ClientSecretWrong);
    world.refused(
        &Params::redeem("bad").by_web().set("client_secret", "wrong"),
        401,
        "invalid_client",
        Reason::ClientSecretWrong,
    );
    world.refused(
        &bad().set("grant_type", "unknown"),
        401,
        "invalid_client",
        Reason::ClientSecretWrong,
    );
    world.refused(&bad().without("grant_type"), 401, "invalid_client", Reason::ClientSecretWrong);
    let undecodable = format!("{}&%", bad().encode());
    let reply = send(&world, &form(&undecodable));
    assert_refused(&world, &reply, 400, "invalid_request", Reason::RequestUndecodable);
    for _ in 4..60 {
        world.refused(
            &Params::refresh("bad").by_web(),
            400,
            "invalid_grant",
            Reason::RefreshUnknown,
        );
    }
    world.refused(&bad(), 429, "too_many_requests", Reason::RateLimited);
    assert_refused(
        &world,
        &send(&world, &form(&undecodable)),
        400,
        "invalid_request",
        Reason::RequestUndecodable,
    );
}

#[test]
fn token_07_missing_unsupported_and_unregistered_grant_types_have_their_codes() {
    let world = World::new();
    let redeem = Params::redeem(&world.code(&Params::authorize()));
    for params in [redeem.clone().without("grant_type"), redeem.clone().set("grant_type", "")] {
        world.refused(&params, 400, "invalid_request", Reason::GrantTypeMissing);
    }
    for grant_type in ["password", "implicit", "Authorization_Code", "authorization_code ", "x"] {
        let params = redeem.clone().set("grant_type", grant_type);
        world.refused(&params, 400, "unsupported_grant_type", Reason::GrantTypeUnsupported);
    }
    let none = GrantTypes { authorization_code: false, refresh_token: false };
    world.put(Client::public("app").redirect_uri(CALLBACK).grant_types(none).build().unwrap());
    for params in [redeem, Params::refresh("x"), Params::redeem("x")] {
        world.refused(&params, 400, "unauthorized_client", Reason::GrantTypeUnauthorized);
    }
}

#[test]
fn token_16_a_success_has_these_members_and_no_others() {
    let world = World::new();
    let reply = world.token(&Params::redeem(&world.code(&Params::authorize())));
    let body = json(&reply);
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&"Bearer".into(), &3600.into(), &"read write".into())
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(world.tokens().scope, "read write");
    let narrowed = world.token(&Params::refresh(world.tokens().refresh()).set("scope", "write"));
    assert_eq!(json(&narrowed)["scope"], "write");
    let default = world.code(&Params::authorize().without("scope"));
    assert_eq!(
        Granted::of(&world.token(&Params::redeem(&default))).scope,
        "read",
        "the scope is named although it was not requested"
    );
}

#[test]
fn token_17_no_response_may_be_cached() {
    let world = World::new();
    let tokens = world.tokens();
    let refresh = Params::refresh(tokens.refresh());
    let body = refresh.encode();
    let mut replies = vec![
        world.token(&refresh),
        world.token(&Params::refresh("x")),
        world.token(&refresh.clone().set("client_id", "unknown")),
        send(&world, &RequestParts { method: "GET", ..form(&body) }),
        send(&world, &form(&"p=x&".repeat(100))),
    ];
    world.store.break_reads(true);
    replies.push(
        world.try_token(&refresh, Authorization::None).unwrap_err().reply(world.server.policy()),
    );
    world.store.break_reads(false);
    replies.extend((0..60).map(|_| world.token(&Params::refresh("x"))));
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses[..6], [200, 400, 401, 405, 413, 503]);
    assert_eq!(statuses.last(), Some(&429));
    for reply in &replies {
        let headers = (reply.header("cache-control"), reply.header("pragma"));
        assert_eq!(headers, (Some("no-store"), Some("no-cache")), "{}", reply.status);
    }
}

#[test]
fn token_18_whatever_is_sent_errors_keep_to_their_characters_and_echo_nothing() {
    let world = World::with(
        policy().limits(
            Limits::default()
                .with_token_requests_per_minute(u32::MAX)
                .with_failed_authentications_per_minute(u32::MAX),
        ),
    );
    let names = [
        "client_id",
        "client_secret",
        "grant_type",
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
        "scope",
        "resource",
    ];
    let values = prop_oneof![
        "authorization_code",
        "refresh_token",
        "app",
        "web",
        "\\PC{0,20}".prop_map(|text| format!("canary{text}"))
    ];
    let pairs = vec((proptest::sample::select(names.to_vec()), values), 0..10);
    let bodies = prop_oneof![
        3 => pairs.prop_map(|pairs| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs).finish().into_bytes()
        }),
        1 => vec(any::<u8>(), 0..60),
    ];
    let headers =
        proptest::option::of(prop_oneof!["Basic [A-Za-z0-9+/]{0,24}={0,2}", "\\PC{0,20}"]);
    property::check(&(bodies, headers), |(body, header)| {
        let authorization = header
            .as_ref()
            .map_or(Authorization::None, |header| Authorization::One(header.as_bytes()));
        let reply = send(&world, &RequestParts { body: &body, authorization, ..form("") });
        let response = json(&reply);
        prop_assert!((400..=401).contains(&reply.status), "{} {}", reply.status, reply.body);
        for member in ["error", "error_description"] {
            let text = response[member].as_str().unwrap();
            prop_assert!(
                !text.is_empty()
                    && text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
                "{text}"
            );
        }
        prop_assert!(!reply.body.contains("canary") && response.as_object().unwrap().len() == 2);
        Ok(())
    });
}

#[test]
fn token_19_grant_errors_have_their_stable_sentences() {
    let sentences = [
        (Reason::CodeUnknown, "The authorization code is not valid. Restart the flow."),
        (Reason::CodeExpired, "The authorization code has expired. Restart the flow."),
        (
            Reason::CodeReused,
            "The authorization code was already redeemed. All tokens issued from it are revoked. \
             Restart the flow.",
        ),
        (Reason::CodeClientMismatch, "The authorization code was issued to another client."),
        (
            Reason::TokenRedirectUriMissing,
            "The redirect_uri of the authorization request must be sent again.",
        ),
        (
            Reason::TokenRedirectUriMismatch,
            "The redirect_uri does not match the one of the authorization request.",
        ),
        (Reason::VerifierMismatch, "The code_verifier does not match the code_challenge."),
        (Reason::RefreshUnknown, "The refresh token is not valid. Authorize again."),
        (
            Reason::RefreshReused,
            "The refresh token was already rotated. All tokens of this connection are revoked. \
             Authorize again.",
        ),
        (
            Reason::RefreshIdleExpired,
            "The refresh token was not used for too long. Authorize again.",
        ),
        (Reason::GrantRevoked, "The connection was revoked. Authorize again."),
    ];
    for (reason, sentence) in sentences {
        assert_eq!(reason.description(), sentence);
    }
}

#[test]
fn token_19_terse_errors_leave_the_description_out() {
    let world = World::with(policy().terse_errors(true));
    let reply = world.token(&Params::refresh("x"));
    assert_eq!(
        (reply.body.as_str(), world.reason()),
        (r#"{"error":"invalid_grant"}"#, Some(Reason::RefreshUnknown))
    );
}

#[test]
fn token_20_an_access_token_is_opaque_and_lives_3600_seconds() {
    let world = World::new();
    let one = world.tokens();
    let other = world.tokens();
    let secret = |text: &str| {
        URL_SAFE_NO_PAD.decode(text.strip_prefix("gat_").unwrap()).unwrap().split_off(16)
    };
    assert_eq!((secret(&one.access).len(), one.expires_in), (32, 3600));
    assert_ne!(secret(&one.access), secret(&other.access));
    world.at(3599);
    assert!(world.works(&one.access));
    world.at(3600);
    world.dead(&one.access, Reason::TokenExpired);
}

/// Access tokens were accepted at every resource. Here a token is for the resources of the consent
/// only.
#[test]
fn ghsa_p2fr_6hmx_4528_a_token_for_one_resource_is_refused_at_another() {
    let world = World::with(policy().resource("https://mcp.example/other", "read"));
    let tokens = Granted::of(
        &world.token(&Params::redeem(&world.code(&Params::authorize().and("resource", MCP)))),
    );
    let header = format!("Bearer {}", tokens.access);
    let outcomes = [0, 1].map(|at: usize| {
        let needs = needs(world.server.policy(), at, "");
        world
            .server
            .check(&Authorization::One(header.as_bytes()), &needs)
            .outcome()
            .map(|_| ())
            .map_err(|refusal| {
                let reply = refusal.reply(world.server.policy());
                (reply.status, json(&reply)["error"].clone(), refusal.reason())
            })
    });
    assert_eq!(outcomes, [Ok(()), Err((401, "invalid_token".into(), Reason::AudienceMismatch))]);
}

#[test]
fn token_21_a_storage_failure_is_retryable_and_changes_nothing() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let before = world.grants();
    world.unavailable(&Params::redeem(&code), Fault::Dropped);
    world.store.break_reads(true);
    let failure = world.try_token(&Params::redeem(&code), Authorization::None).unwrap_err();
    assert_refused(
        &world,
        &failure.reply(world.server.policy()),
        503,
        "temporarily_unavailable",
        Reason::StorageUnavailable,
    );
    world.store.break_reads(false);
    assert_eq!(world.grants(), before);
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    world.unavailable(&Params::refresh(tokens.refresh()), Fault::Dropped);
    assert!(world.works(&tokens.access) && world.works(&world.refreshed(tokens.refresh()).access));
}

#[test]
fn token_22_client_credentials_are_not_offered() {
    let world = World::new();
    let params = Params::refresh("x")
        .by_web()
        .set("grant_type", "client_credentials")
        .without("refresh_token");
    world.refused(&params, 400, "unsupported_grant_type", Reason::GrantTypeUnsupported);
    let device = params.set("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    world.refused(&device, 400, "unsupported_grant_type", Reason::GrantTypeUnsupported);
    let metadata = json(&world.server.policy().server_metadata());
    assert_eq!(
        metadata["grant_types_supported"],
        serde_json::json!(["authorization_code", "refresh_token"])
    );
}
