//! Tests of RATE-06: the key of a token request's limit, and its name; and of the error code of a
//! refusal (AMB-14).

use std::sync::Arc;

use grantcore::policy::{
    Limits, PolicyBuilder, PolicyError, RateKey, RateRules, RegistrationRules,
};
use grantcore::request::TokenRequest;
use grantcore::{Client, Policy, Reason, Reply, RequestParts};
use proptest::prelude::*;

use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::steps::form;
use crate::support::{Answered, CALLBACK, Granted, World, json, policy};

/// Sends this many requests of this client without a usable token. None exceeds a limit.
fn spent(world: &World, client: &str, count: usize) {
    for _ in 0..count {
        assert_eq!(world.token(&Params::refresh("x").set("client_id", client)).status, 400);
    }
}

fn limited(rules: RateRules) -> World {
    World::with(
        policy()
            .rate_rules(rules)
            .limits(Limits::default().with_failed_authentications_per_minute(1000)),
    )
}

/// Sends a request from this source, and returns the reply.
fn from(world: &World, source: &str, params: &Params) -> Reply {
    let body = params.encode();
    world.server.token(&RequestParts { source, ..form(&body) }).answered(world.server.policy())
}

#[test]
fn rate_06_the_key_can_be_the_claimed_client_alone() {
    let world = limited(RateRules::default().with_key(RateKey::Client));
    for number in 0..60 {
        assert_eq!(from(&world, &format!("192.0.2.{number}"), &Params::refresh("x")).status, 400);
    }
    assert_eq!(from(&world, "192.0.2.99", &Params::refresh("x")).status, 429);
}

#[test]
fn rate_06_by_default_each_source_of_a_client_has_its_own_limit() {
    let world = World::new();
    for _ in 0..60 {
        assert_eq!(from(&world, "192.0.2.1", &Params::refresh("x")).status, 400);
    }
    assert_eq!(from(&world, "192.0.2.1", &Params::refresh("x")).status, 429);
    assert_eq!(from(&world, "192.0.2.2", &Params::refresh("x")).status, 400);
}

#[test]
fn rate_06_two_users_of_one_client_can_have_a_limit_each() {
    let world = limited(RateRules::default().with_key(RateKey::ClientAndGrant));
    let one = world.tokens();
    let two = world.tokens();
    let spoilt = |tokens: &Granted| Params::refresh(tokens.refresh()).and("scope", "admin");
    // With the redemption of its code, these are sixty.
    for _ in 0..59 {
        assert_eq!(world.token(&spoilt(&one)).status, 400);
    }
    assert_eq!(world.token(&Params::refresh(one.refresh())).status, 429);
    world.refreshed(two.refresh());
    spent(&world, "app", 60);
    assert_eq!(
        world.token(&Params::refresh("x")).status,
        429,
        "requests without a grant share the limit of the client"
    );
}

#[test]
fn rate_06_the_host_can_make_the_key() {
    // The key has state of the host's.
    let networks = [("192.", "a"), ("198.", "b")].map(|(start, name)| (start, name.to_owned()));
    let key = RateKey::Custom(Arc::new(move |hit| {
        let network = networks.iter().find(|(start, _)| hit.source.starts_with(start));
        network.unwrap().1.clone()
    }));
    assert_eq!(format!("{key:?}"), "Custom(redacted)");
    let world = limited(RateRules::default().with_key(key));
    for number in 0..60 {
        assert_eq!(from(&world, &format!("192.{number}"), &Params::refresh("x")).status, 400);
    }
    assert_eq!(
        from(&world, "192.0.2.1", &Params::refresh("x").by_web()).status,
        429,
        "one limit for all of 192"
    );
    assert_eq!(from(&world, "198.51.100.1", &Params::refresh("x")).status, 400);
}

#[test]
fn rate_06_with_authenticated_only_others_cannot_use_up_a_clients_limit() {
    let wrong = Params::refresh("x").by_web().set("client_secret", "wrong");
    for (authenticated_only, status) in [(true, 400), (false, 429)] {
        let world = limited(RateRules::default().with_authenticated_only(authenticated_only));
        for _ in 0..60 {
            assert!([401, 429].contains(&world.token(&wrong).status));
        }
        assert_eq!(world.token(&Params::refresh("x").by_web()).status, status);
    }
    let world = limited(RateRules::default().with_authenticated_only(true));
    for _ in 0..60 {
        assert_eq!(
            world.token(&Params::refresh("x").by_web()).status,
            400,
            "the client's own requests count"
        );
    }
    assert_eq!(world.token(&Params::refresh("x").by_web()).status, 429);
}

#[test]
fn rate_06_without_a_source_the_key_is_the_client() {
    let world = World::new();
    world.put(Client::public("other").redirect_uri(CALLBACK).build().unwrap());
    spent(&world, "app", 60);
    assert_eq!(from(&world, "", &Params::refresh("x")).status, 429);
    assert_eq!(from(&world, "192.0.2.1", &Params::refresh("x")).status, 400);
    // Another client has a limit of its own, and uses up no more than that.
    spent(&world, "other", 60);
    assert_eq!(from(&world, "", &Params::refresh("x").set("client_id", "other")).status, 429);
    assert_eq!(from(&world, "", &Params::refresh("x").by_web()).status, 400);
    // A minute after the first of them, each has its sixty again.
    world.at(60);
    spent(&world, "app", 60);
    spent(&world, "other", 60);
}

/// Neither throttled nor failed requests use up the limit of an honest client.
#[test]
fn rate_06_strangers_leave_an_authenticated_client_its_sixty() {
    let world =
        World::with(policy().rate_rules(RateRules::default().with_authenticated_only(true)));
    let wrong = Params::refresh("x").by_web().set("client_secret", "wrong");
    let count = |status| (0..30).filter(|_| world.token(&wrong).status == status).count();
    assert_eq!(count(401), 10);
    world.at(30);
    assert_eq!(count(429), 30);
    world.at(60);
    for _ in 0..60 {
        assert_eq!(world.token(&Params::refresh("x").by_web()).status, 400);
    }
    assert_eq!(
        (world.token(&Params::refresh("x").by_web()).status, world.reason()),
        (429, Some(Reason::RateLimited))
    );
}

/// A client without a secret has no counted failures, so its failed requests count here.
#[test]
fn rate_06_a_failure_that_counts_nowhere_else_keeps_its_place() {
    let world =
        World::with(policy().rate_rules(RateRules::default().with_authenticated_only(true)));
    let odd = Params::refresh("x").set("client_secret", "uncalled for");
    let statuses: Vec<_> = (0..70).map(|_| world.token(&odd).status).collect();
    assert_eq!(
        (statuses[..60].iter().all(|status| *status == 401), &statuses[60..]),
        (true, &[429; 10][..])
    );
}

fn by_source() -> World {
    let limits = policy().limits(Limits::default().with_failed_authentications_per_minute(2));
    World::with(
        limits
            .revocation(grantcore::policy::RevocationRules::default())
            .rate_rules(RateRules::default().with_failures_by_source(true)),
    )
}

#[test]
fn token_15_failures_can_count_by_source() {
    let world = by_source();
    let right = Params::refresh("x").by_web();
    let wrong = Params::refresh("x").by_web().set("client_secret", "wrong");
    let failed = |source: &str| [(); 3].map(|()| from(&world, source, &wrong).status);
    assert_eq!(failed("192.0.2.1"), [401, 401, 429]);
    assert_eq!(
        (from(&world, "192.0.2.1", &right).status, from(&world, "192.0.2.2", &right).status),
        (429, 400)
    );
    assert_eq!(
        failed("192.0.2.3"),
        [401, 401, 429],
        "a sender with many addresses gets the guesses of each"
    );
    let world =
        World::with(policy().limits(Limits::default().with_failed_authentications_per_minute(1)));
    assert_eq!(
        (from(&world, "192.0.2.1", &wrong).status, from(&world, "192.0.2.2", &right).status),
        (401, 429),
        "not by default"
    );
}

#[test]
fn token_15_failures_by_source_are_the_same_at_the_other_endpoints() {
    let world = by_source();
    let body = Params(Vec::new())
        .set("client_id", "web")
        .set("client_secret", "wrong")
        .set("token", "x")
        .encode();
    let revoke = |source| {
        world
            .server
            .revoke(&RequestParts { source, ..form(&body) })
            .answered(world.server.policy())
            .status
    };
    assert_eq!([(); 3].map(|()| revoke("192.0.2.1")), [401, 401, 429]);
    let right = Params::refresh("x").by_web();
    assert_eq!(
        (from(&world, "192.0.2.1", &right).status, from(&world, "192.0.2.2", &right).status),
        (429, 400)
    );
}

#[test]
fn token_15_where_the_clock_steps_back_nobody_is_kept_out_for_longer() {
    let world =
        World::with(policy().limits(Limits::default().with_failed_authentications_per_minute(1)));
    world.at(100);
    assert_eq!(
        world.token(&Params::refresh("x").by_web().set("client_secret", "wrong")).status,
        401
    );
    world.at(90);
    assert_eq!(world.token(&Params::refresh("x").by_web()).header("retry-after"), Some("60"));
    world.at(150);
    assert_eq!(world.token(&Params::refresh("x").by_web()).status, 400);
}

/// Returns the bucket of a refresh by this client from this source.
fn bucket(policy: &Policy, client: &str, source: &str) -> (String, u32) {
    let body = Params::refresh("x").set("client_id", client).encode();
    let request =
        TokenRequest::parse(&form(&body), policy).map_err(|refusal| refusal.reason()).unwrap();
    let bucket = policy.rate_bucket(&request.rate_hit(source));
    (bucket.key.into_owned(), bucket.limit)
}

#[test]
fn rate_06_a_bucket_has_a_name_that_any_database_can_keep() {
    let echo = RateKey::Custom(Arc::new(|hit| format!("{}{}", hit.client, hit.source)));
    for key in [RateKey::Client, RateKey::ClientAndGrant, RateKey::ClientAndSource, echo] {
        let policy = policy().rate_rules(RateRules::default().with_key(key)).build().unwrap();
        check(&("\\PC{1,200}|.{1,5}\0", ".{0,200}"), |(client, source)| {
            let (key, _) = bucket(&policy, &client, &source);
            prop_assert!(
                key.len() <= 128 && key.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)),
                "{:?}",
                key
            );
            Ok(())
        });
    }
    let policy =
        policy().rate_rules(RateRules::default().with_key(RateKey::Client)).build().unwrap();
    assert_eq!(bucket(&policy, "app", "192.0.2.1"), ("app".into(), 60));
    let plain = |bytes: usize| bucket(&policy, &"x".repeat(bytes), "").0.len();
    assert!(plain(128) == 128 && plain(129) < 128, "a longer value is replaced by its digest");
}

#[test]
fn rate_06_no_two_share_a_bucket_by_its_name() {
    let policy = policy()
        .rate_rules(RateRules::default().with_key(RateKey::ClientAndSource))
        .build()
        .unwrap();
    let long = |end: &str| format!("https://client.example/{}/{end}", "x".repeat(2000));
    let first = long("a");
    let second = long("b");
    let pairs = [
        ("app", "a"),
        ("app", "b"),
        ("app a", ""),
        ("appa", ""),
        ("app", ""),
        (&first, "a"),
        (&second, "a"),
        (&first, "b"),
    ];
    let names: std::collections::BTreeSet<_> =
        pairs.iter().map(|(client, source)| bucket(&policy, client, source).0).collect();
    assert_eq!(names.len(), pairs.len());
}

/// All users of a product share a client that is known by a document. Each connection has its own
/// limit.
#[test]
fn rate_06_users_of_one_product_do_not_use_up_each_others() {
    let world = World::with(
        policy()
            .rate_rules(RateRules::default().with_key(RateKey::ClientAndGrant))
            .limits(Limits::default().with_token_requests_per_minute(2)),
    );
    let product = "https://product.example/client.json";
    world.put(Client::public(product).redirect_uri(CALLBACK).build().unwrap());
    for _ in 0..5 {
        let tokens = world.tokens_of(product);
        let refresh = Params::refresh(tokens.refresh()).set("client_id", product);
        assert_eq!(
            [(); 2].map(|()| world.token(&refresh).status),
            [200, 429],
            "the redemption was the first request"
        );
    }
}

#[test]
fn rate_06_a_key_equals_itself_and_no_other() {
    let custom = || RateKey::Custom(Arc::new(|hit| hit.source.to_owned()));
    let keys =
        [RateKey::Client, RateKey::ClientAndGrant, RateKey::ClientAndSource, custom(), custom()];
    for (one, key) in keys.iter().enumerate() {
        for (other, another) in keys.iter().enumerate() {
            assert_eq!(key == another, one == other, "{key:?} {another:?}");
        }
        assert_eq!(*key, key.clone());
    }
}

fn named(code: &'static str) -> PolicyBuilder {
    policy().rate_rules(RateRules::default().with_error_code(code))
}

#[test]
fn rate_02_the_host_can_name_the_code_of_a_429() {
    let world = World::with(named("slow_down").registration(RegistrationRules::default()).limits(
        Limits::default().with_token_requests_per_minute(1).with_registrations_per_minute(1),
    ));
    spent(&world, "app", 1);
    let registrations = [world.register(&metadata()), world.register(&metadata())];
    let [_, registration] = registrations;
    for reply in [world.token(&Params::refresh("x")), registration] {
        assert_eq!((reply.status, json(&reply)["error"].as_str()), (429, Some("slow_down")));
    }
    let sent: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| event.sent)
        .filter(|sent| sent.status == 429)
        .collect();
    assert!(sent.len() == 2 && sent.iter().all(|sent| sent.error == Some("slow_down")), "{sent:?}");
}

#[test]
fn rate_02_an_invalid_or_terminal_error_code_is_refused() {
    for bad in [
        "",
        "too\"many",
        "back\\slash",
        "übervoll",
        "a\nb",
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "invalid_token",
    ] {
        assert_eq!(named(bad).build().err(), Some(PolicyError::RateErrorCode { code: bad }));
    }
    for good in
        ["slow_down", "temporarily_unavailable", "Too many [requests]!", "too_many_requests"]
    {
        assert!(named(good).build().is_ok(), "{good}");
    }
}
