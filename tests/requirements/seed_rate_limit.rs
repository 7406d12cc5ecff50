//! Tests of the seed's section on an exceeded rate limit, one for each sentence: the texts for
//! client and operator, and that the named fix works. Each test quotes its sentence.

use grantcore::{Authorization, Reason, Reply};

use crate::support::params::Params;
use crate::support::{Granted, World, assert_refused, json};

/// Returns a refresh without a usable token. It is cheap, and refused with 400 unless a limit
/// refuses it first.
fn cheap() -> Params {
    Params::refresh("x")
}

/// Sends this many requests within the limit.
#[track_caller]
fn within(world: &World, count: usize) {
    for number in 0..count {
        assert_eq!(world.token(&cheap()).status, 400, "{number}");
    }
}

/// Asserts the whole symptom, with this time to wait.
#[track_caller]
fn too_many(world: &World, reply: &Reply, wait: &str) {
    assert_refused(world, reply, 429, "too_many_requests", Reason::RateLimited);
    assert_eq!(reply.header("retry-after"), Some(wait));
}

// "Symptom: /oauth/token returns 429 with Retry-After."
#[test]
fn seed_s30_the_token_endpoint_answers_429_with_retry_after() {
    let world = World::new();
    within(&world, 60);
    world.at(13);
    let reply = world.token(&cheap());
    too_many(&world, &reply, "47");
    assert_eq!(
        json(&reply)["error_description"],
        "Too many requests by this client. Wait for the time in Retry-After."
    );
    let event = world.events().pop().unwrap();
    let reason = event.reason.unwrap();
    assert_eq!(
        (reason.name(), reason.cause(), reason.fix(), event.client_id()),
        (
            "rate_limited",
            "The client sent more token requests in a minute than the policy allows.",
            "Look for a retry storm in the client: usually a refresh loop without backoff.",
            Some("app")
        )
    );
    assert_eq!(
        reply.header("x-correlation-id"),
        Some(&*event.correlation.to_string()),
        "what to quote to support"
    );
}

// "DataLikers throttles the token endpoint to 60 requests per minute per client_id."
#[test]
fn seed_s31_sixty_requests_per_minute_and_client_id() {
    let world = World::new();
    within(&world, 60);
    too_many(&world, &world.token(&cheap()), "60");
    assert_eq!(world.token(&cheap().by_web()).status, 400, "another client has its own sixty");
    world.at(60);
    within(&world, 60);
}

// "If you cross that threshold:"
#[test]
fn seed_s32_the_threshold_is_crossed_by_the_sixty_first() {
    let world = World::new();
    for second in 0..60 {
        world.at(second);
        within(&world, 1);
    }
    too_many(&world, &world.token(&cheap()), "1");
    // Whatever it asks for, and whether it would have been good.
    let tokens = world.server.policy().limits().token_requests_per_minute();
    assert_eq!(tokens, 60);
    world.at(60);
    within(&world, 1);
    too_many(&world, &world.token(&cheap().set("grant_type", "authorization_code")), "1");
}

// "Wait the number of seconds in Retry-After before retrying."
#[test]
fn seed_s33_after_the_wait_the_client_continues() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let tokens = world.tokens();
    world.at(20);
    within(&world, 59);
    for good in [Params::refresh(tokens.refresh()), Params::redeem(&code)] {
        too_many(&world, &world.token(&good), "40");
    }
    world.at(59);
    too_many(&world, &world.token(&Params::refresh(tokens.refresh())), "1");
    world.at(60);
    let next = world.refreshed(tokens.refresh());
    assert!(world.works(&next.access), "the same token, unharmed");
    too_many(&world, &world.token(&Params::redeem(&code)), "20");
    world.at(80);
    assert!(
        world.works(&Granted::of(&world.token(&Params::redeem(&code))).access),
        "and the same code"
    );
}

// "Audit your client for retry storms — most often this is a refresh-token loop that retries on
// every 5xx without backoff."
#[test]
fn seed_s34_a_refresh_loop_on_every_5xx_loses_nothing_and_is_visible() {
    let world = World::new();
    let tokens = world.tokens();
    world.at(60);
    world.store.break_reads(true);
    let mut statuses = Vec::new();
    for _ in 0..100 {
        statuses.push(
            match world.try_token(&Params::refresh(tokens.refresh()), Authorization::None) {
                Ok(reply) => reply.status,
                Err(failure) => failure.reply(world.server.policy()).status,
            },
        );
    }
    assert_eq!(
        (statuses[..60].iter().all(|status| *status == 503), &statuses[60..]),
        (true, &[429; 40][..])
    );
    // The audit counts the events by client and reason.
    let count = |reason| {
        let events = world.events();
        events
            .iter()
            .filter(|event| event.reason == Some(reason) && event.client_id() == Some("app"))
            .count()
    };
    assert_eq!((count(Reason::StorageUnavailable), count(Reason::RateLimited)), (60, 40));
    world.store.break_reads(false);
    world.at(120);
    assert!(world.works(&world.refreshed(tokens.refresh()).access), "no retry ended the grant");
}
