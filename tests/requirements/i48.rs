//! Tests of I48: the verdict of a limit on one name depends on the requests of that name alone, and
//! nobody can lock out a client that has no secret to guess.

use std::collections::BTreeMap;

use grantcore::client::StoredSecret;
use grantcore::policy::{IntrospectionRules, Limits, RateKey, RateRules};
use grantcore::rate::RateWindow;
use grantcore::request::TokenRequest;
use grantcore::value::{Digest, SecretMethod};
use grantcore::{Client, Reason, Reply, RequestParts, Timestamp};
use proptest::prelude::*;

use crate::support::params::Params;
use crate::support::property::check;
use crate::support::steps::form;
use crate::support::{Answered, CALLBACK, Granted, MCP, SECRET, T, World, assert_refused, policy};

/// Sends a cheap request of this client.
fn spend(world: &World, client: &str) -> u16 {
    world.token(&Params::refresh("x").set("client_id", client)).status
}

/// Sends so many requests, each under another name, that every place for a window is tried.
fn flood(world: &World, wave: usize) {
    for number in 0..10_000 {
        let name = format!("https://stranger.example/{wave}/{number}");
        assert!(matches!(spend(world, &name), 401 | 429));
    }
}

/// Guesses at clients that do not exist do not limit clients that exist.
#[test]
fn i48_guesses_at_unknown_names_do_not_throttle_existing_clients() {
    let world = World::new();
    let revoke = |id: &str, secret: &str| {
        let requested = Params::refresh("x").without("grant_type").without("refresh_token");
        let requested =
            requested.set("client_id", id).set("client_secret", secret).set("token", "x");
        world.server.revoke(&form(&requested.encode())).answered(world.server.policy()).status
    };
    for number in 0..45_000 {
        assert_eq!(revoke(&format!("https://stranger.example/{number}"), "guess"), 401);
    }
    for number in 0..50 {
        let id = format!("web-{number}");
        let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
        let client = Client::confidential(&*id, SecretMethod::Post, secret).redirect_uri(CALLBACK);
        world.put(client.build().unwrap());
        assert_ne!(revoke(&id, SECRET), 429, "{id}");
    }
}

#[test]
fn i48_unknown_names_do_not_raise_the_limit_of_requests() {
    let world = World::new();
    let mut admitted = 0;
    for wave in 0..4 {
        for _ in 0..30 {
            admitted += usize::from(spend(&world, "app") == 400);
        }
        flood(&world, wave);
        world.at(u64::try_from(wave).unwrap());
    }
    assert_eq!(admitted, 60);
}

#[test]
fn i48_made_up_names_give_nobody_more_guesses_than_the_limit() {
    let world = World::with(policy().rate_rules(
        RateRules::default().with_failures_by_source(true).with_key(RateKey::ClientAndSource),
    ));
    let guess = |source: &str| {
        let wrong = Params::refresh("x").by_web().set("client_secret", "guess");
        from(&world, source, &wrong).status
    };
    let mut guesses = 0;
    for wave in 0..4 {
        guesses += (0..5).filter(|_| guess("192.0.2.1") == 401).count();
        for number in 0..10_000 {
            assert!(matches!(guess(&format!("2001:db8::{wave}:{number:x}")), 401 | 429));
        }
    }
    assert_eq!(guesses, 10);
}

/// In a flood, new names share the remaining capacity, which is far more than a client needs. A
/// client that was unknown to the limits is served, and is counted separately from then on.
#[test]
fn i48_in_a_flood_a_new_client_is_served_and_counted_separately() {
    let world = World::new();
    flood(&world, 0);
    flood(&world, 1);
    let admitted = (0..100).filter(|_| spend(&world, "app") == 400).count();
    assert_eq!(admitted, 60);
}

/// With arbitrary requests of a few names in a flood of others, each name gets the same responses
/// as if it was alone.
#[test]
fn i48_each_name_is_limited_as_if_it_was_alone() {
    let traffic = prop::collection::vec((0..4_usize, 0..25_u64, 1..40_usize), 1..12);
    let flooded = std::cell::Cell::new(0_usize);
    check(&(traffic, any::<bool>()), |(traffic, is_flooded)| {
        let world = World::new();
        let mut is_flooded = is_flooded && flooded.get() < 6;
        let names = ["app", "other", "https://client.example/a", &"x".repeat(300)];
        for name in &names[1..] {
            world.put(Client::public(*name).redirect_uri(CALLBACK).build().unwrap());
        }
        let mut alone: BTreeMap<&str, RateWindow> = BTreeMap::new();
        let mut second = 0;
        for (name, pause, requests) in traffic {
            second += pause;
            world.at(second);
            for _ in 0..requests {
                let now = Timestamp::from_unix_seconds(T + second);
                let own = alone.entry(names[name]).or_default().admit(60, now);
                let status = spend(&world, names[name]);
                prop_assert_eq!(status == 400, own.is_ok(), "{} {}", names[name], status);
            }
            if std::mem::take(&mut is_flooded) {
                flooded.set(flooded.get() + 1);
                flood(&world, 0);
            }
        }
        Ok(())
    });
}

/// Returns the name of a bucket.
fn bucket(world: &World, client: &str, source: &str) -> String {
    let body = Params::refresh("x").set("client_id", client).encode();
    let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
    world.server.policy().rate_bucket(&request.rate_hit(source)).key.into_owned()
}

#[test]
fn i48_no_client_id_collides_with_the_bucket_of_another() {
    for key in [RateKey::Client, RateKey::ClientAndSource, RateKey::ClientAndGrant] {
        let world = World::with(policy().rate_rules(RateRules::default().with_key(key.clone())));
        let url = format!("https://client.example/{}", "x".repeat(200));
        world.put(Client::public(&*url).redirect_uri(CALLBACK).build().unwrap());
        let victims = ["app", &*url].map(|client| (client, bucket(&world, client, "192.0.2.1")));
        for (client, own) in &victims {
            // A client claims the name of the bucket, or a part of it, as its id.
            let names = [
                own.clone(),
                format!("\n{own}"),
                format!("{client}\n192.0.2.1"),
                format!("{own}\n"),
            ];
            for name in names.iter().filter(|name| name != client) {
                for source in ["", "192.0.2.1", "192.0.2.2"] {
                    assert_ne!(bucket(&world, name, source), *own, "{key:?} {name:?} {source:?}");
                }
            }
        }
    }
}

fn from(world: &World, source: &str, params: &Params) -> Reply {
    let body = params.encode();
    world.server.token(&RequestParts { source, ..form(&body) }).answered(world.server.policy())
}

#[test]
fn i48_a_client_without_a_secret_is_not_locked_out_by_secrets() {
    let world = World::new();
    let late = "https://client.example/oauth";
    for name in ["app", late] {
        let guess = Params::refresh("x").set("client_id", name).set("client_secret", "guess");
        for _ in 0..30 {
            assert!(matches!(world.token(&guess).status, 401 | 429));
        }
    }
    // The same holds for a client that was unknown when the guesses were made.
    world.put(Client::public(late).redirect_uri(CALLBACK).build().unwrap());
    for name in ["app", late] {
        assert_eq!(spend(&world, name), 400, "{name}");
    }
}

/// The id of a public client is no secret. Requests that claim it count at their own source.
#[test]
fn i48_requests_from_elsewhere_do_not_use_up_the_limit_of_a_public_client() {
    let world = World::new();
    let statuses: Vec<_> =
        (0..100).map(|_| from(&world, "192.0.2.66", &Params::refresh("x")).status).collect();
    assert_eq!((&statuses[..60], &statuses[60..]), (&[400; 60][..], &[429; 40][..]));
    let code = world.code(&Params::authorize());
    let redeemed = from(&world, "192.0.2.1", &Params::redeem(&code));
    let mut refresh = Granted::of(&redeemed).refresh().to_owned();
    for _ in 0..59 {
        let reply = from(&world, "192.0.2.1", &Params::refresh(&refresh));
        refresh = Granted::of(&reply).refresh().to_owned();
    }
    assert_eq!(from(&world, "192.0.2.1", &Params::refresh(&refresh)).status, 429);
}

#[test]
fn i48_a_request_without_a_secret_is_no_guess() {
    let rules = IntrospectionRules::default().with_resource_server("rs", MCP);
    let world = World::with(policy().introspection(rules));
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let server = Client::confidential("rs", SecretMethod::Post, secret);
    world.put(server.redirect_uri(CALLBACK).build().unwrap());
    let token = world.tokens().access;
    let ask = |secret: Option<&str>| {
        let body = Params(Vec::new()).set("client_id", "rs").set("token", &token);
        let body = secret.map_or(body.clone(), |secret| body.set("client_secret", secret)).encode();
        world.server.introspect(&form(&body)).answered(world.server.policy())
    };
    for _ in 0..20 {
        assert_refused(&world, &ask(None), 401, "invalid_client", Reason::ClientSecretMissing);
    }
    assert_eq!(ask(Some(SECRET)).status, 200);
    // The right secret by the wrong method is not a guess either.
    for _ in 0..20 {
        let body = Params(Vec::new()).set("token", &token).encode();
        let header = basic("rs", SECRET);
        let incoming = RequestParts {
            authorization: grantcore::Authorization::One(header.as_bytes()),
            ..form(&body)
        };
        assert_eq!(world.server.introspect(&incoming).answered(world.server.policy()).status, 401);
        assert_eq!(world.reason(), Some(Reason::ClientMethodMismatch));
    }
    assert_eq!(ask(Some(SECRET)).status, 200);
    for _ in 0..10 {
        assert_eq!(ask(Some("guess")).status, 401);
    }
    assert_eq!(ask(Some(SECRET)).status, 429);
}

fn basic(id: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

#[test]
fn i48_a_request_gives_back_only_its_own_place() {
    let world = World::with(
        policy()
            .rate_rules(
                RateRules::default()
                    .with_authenticated_only(true)
                    .with_key(RateKey::ClientAndSource),
            )
            .limits(Limits::default().with_failed_authentications_per_minute(1_000)),
    );
    let right = Params::refresh("x").by_web();
    for _ in 0..60 {
        assert_eq!(from(&world, "192.0.2.1", &right).status, 400);
        let wrong = right.clone().set("client_secret", "guess");
        assert!(matches!(from(&world, "192.0.2.2", &wrong).status, 401 | 429));
    }
    assert_eq!(from(&world, "192.0.2.1", &right).status, 429);
    assert_eq!(from(&world, "192.0.2.2", &right).status, 400);
}
