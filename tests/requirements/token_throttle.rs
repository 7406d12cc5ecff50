//! Tests of TOKEN-15: the limit of failed authentications.

use grantcore::Reason;
use grantcore::policy::Limits;

use crate::support::refused::wire;
use crate::support::{SECRET, World, assert_refused, policy};

use crate::token_clients::{authenticated, basic, probe, probes, unauthenticated, world};

/// A deactivated public client that is sent a secret looks as unknown as any other, and is
/// throttled as soon.
#[test]
fn token_14_the_throttle_does_not_reveal_a_deactivated_public_client() {
    let world = World::new();
    probes(&world);
    let sent = |client: &str| {
        let params = probe(client).set("client_secret", SECRET);
        (0..13).map(|_| wire(&world.token(&params))).collect::<Vec<_>>()
    };
    assert!(sent("public gone with") == sent("unknown"), "one is throttled and the other is not");
}

#[test]
fn token_15_after_ten_failures_even_the_right_secret_waits() {
    let world = world();
    let right = probe("web").set("client_secret", SECRET);
    for second in 0..10 {
        world.at(second);
        authenticated(&world, &world.token(&right));
        unauthenticated(
            &world,
            &world.token(&probe("web").set("client_secret", "wrong")),
            Reason::ClientSecretWrong,
        );
    }
    for (at, wait) in [(9, "51"), (30, "30"), (59, "1")] {
        world.at(at);
        let reply = world.token(&right);
        assert_refused(&world, &reply, 429, "too_many_requests", Reason::AuthenticationsThrottled);
        assert_eq!(reply.header("retry-after"), Some(wait));
    }
    authenticated(&world, &world.token_with(&probe("basic"), &basic("basic", SECRET)));
    authenticated(&world, &world.token(&probe("app")));
    world.at(60);
    authenticated(&world, &world.token(&right));
}

#[test]
fn token_15_the_policy_sets_the_number_of_failures() {
    let world =
        World::with(policy().limits(Limits::default().with_failed_authentications_per_minute(1)));
    let wrong = probe("web").set("client_secret", "wrong");
    unauthenticated(&world, &world.token(&wrong), Reason::ClientSecretWrong);
    let reply = world.token(&probe("web").set("client_secret", SECRET));
    assert_refused(&world, &reply, 429, "too_many_requests", Reason::AuthenticationsThrottled);
}

/// Sends failed requests under this many unknown names, as one sender could.
fn flood(world: &World, names: usize) {
    for name in 0..names {
        let stranger = probe(&format!("stranger {name}")).set("client_secret", "x");
        assert!(matches!(world.token(&stranger).status, 401 | 429));
    }
}

#[test]
fn token_15_a_flood_of_names_does_not_end_the_throttle() {
    for (before, after) in [(10_000, 0), (0, 20_000)] {
        let world = World::new();
        flood(&world, before);
        for _ in 0..10 {
            unauthenticated(
                &world,
                &world.token(&probe("web").set("client_secret", "wrong")),
                Reason::ClientSecretWrong,
            );
        }
        flood(&world, after);
        let reply = world.token(&probe("web").set("client_secret", SECRET));
        assert_refused(&world, &reply, 429, "too_many_requests", Reason::AuthenticationsThrottled);
    }
}
