//! Tests of TOKEN: the mechanics of the token endpoint (OAuth 2.1 §3.2). The authentication of
//! clients is in `token_clients.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::value::GrantTypes;
use grantcore::{Authorization, Client, ContentType, Reason, Reply, RequestParts};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{
    Answered, CALLBACK, Granted, MCP, Outcome, World, assert_refused, json, needs, policy,
};

pub(crate) fn send(world: &World, incoming: &RequestParts<'_>) -> Reply {
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

/// Only pairs that the sender can leave out are counted. Empty pairs are not.
#[test]
fn token_05_the_detail_of_too_many_parameters_counts_them() {
    let world = World::new();
    let limits = grantcore::policy::Limits::default().with_parameters(3);
    let world = world.beside(policy().limits(limits).build().unwrap(), 2);
    let text = "&&a=1&b=2&&c=3&d=4&e=5&";
    let reply = world.server.token(&form(text)).answered(world.server.policy());
    assert_eq!(reply.status, 413);
    let description = json(&reply)["error_description"].as_str().unwrap().to_owned();
    assert!(description.contains("Received: 5 parameters. At most 3"), "{description}");
}
