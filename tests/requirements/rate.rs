//! Tests of RATE-01 to -05, -07 and -08 at the endpoint: the number of requests, the contents and
//! the cost of a refusal, and a limit shared by servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use grantcore::blocking::Server;
use grantcore::event::EventKind;
use grantcore::policy::{Limits, PolicyError, RateRules};
use grantcore::rate::RateWindow;
use grantcore::request::TokenRequest;
use grantcore::{Event, FromStore, Policy, Reason, Refusal, Reply};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{Answered, T, World, json, policy, seeded};

/// Sends a cheap token request of this client, which is refused for its grant.
fn spend(world: &World, client: &str) -> Reply {
    world.token(&Params::refresh("x").set("client_id", client))
}

/// Sends this many requests, all of which are admitted.
fn spent(world: &World, count: usize) {
    for _ in 0..count {
        assert_eq!(spend(world, "app").status, 400);
    }
}

#[test]
fn rate_01_sixty_in_any_sixty_seconds() {
    let world = World::new();
    spent(&world, 60);
    assert_eq!(spend(&world, "app").status, 429);
    world.at(59);
    assert_eq!(spend(&world, "app").status, 429);
    world.at(60);
    spent(&world, 60);
    assert_eq!(spend(&world, "app").status, 429);
}

#[test]
fn rate_01_the_window_slides() {
    let world = World::new();
    for second in 0..60 {
        world.at(second);
        spent(&world, 1);
    }
    for second in 60..200 {
        world.at(second);
        spent(&world, 1);
        assert_eq!(spend(&world, "app").status, 429, "one place becomes free each second");
    }
}

#[test]
fn rate_01_the_policy_sets_the_limit_and_a_client_can_have_its_own() {
    let world = World::with(
        policy()
            .limits(Limits::default().with_token_requests_per_minute(3))
            .rate_rules(RateRules::default().with_client_limit("web", 5)),
    );
    spent(&world, 3);
    assert_eq!(spend(&world, "app").status, 429);
    let web = Params::refresh("x").by_web();
    for _ in 0..5 {
        assert_eq!(world.token(&web).status, 400);
    }
    assert_eq!(world.token(&web).status, 429);
    let zero = policy().rate_rules(RateRules::default().with_client_limit("app", 0));
    let client_id = "app".to_owned();
    assert_eq!(zero.build().unwrap_err(), PolicyError::ClientLimit { client_id });
}

#[test]
fn rate_02_the_refusal_has_the_time_to_wait() {
    let world = World::new();
    spent(&world, 30);
    world.at(20);
    spent(&world, 30);
    for (second, wait) in [(20, "40"), (21, "39"), (59, "1")] {
        world.at(second);
        let reply = spend(&world, "app");
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some(wait)));
        assert_eq!(
            (json(&reply)["error"].as_str(), reply.header("cache-control")),
            (Some("too_many_requests"), Some("no-store"))
        );
        assert_eq!(json(&reply)["error_description"], Reason::RateLimited.description());
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[test]
fn rate_03_a_thousand_refusals_do_not_extend_the_wait() {
    let world = World::new();
    spent(&world, 60);
    for second in 0..50 {
        world.at(second);
        for _ in 0..20 {
            assert_eq!(spend(&world, "app").status, 429);
        }
    }
    world.at(60);
    spent(&world, 60);
}

/// Sends a revocation by `web` with this secret.
fn revoke(world: &World, secret: &str) -> u16 {
    let body = Params(Vec::new())
        .set("client_id", "web")
        .set("client_secret", secret)
        .set("token", "x")
        .encode();
    world.server.revoke(&form(&body)).answered(world.server.policy()).status
}

/// Limits of token requests and of failed authentications.
fn two_limits(requests: u32, failures: u32) -> Limits {
    Limits::default()
        .with_token_requests_per_minute(requests)
        .with_failed_authentications_per_minute(failures)
}

#[test]
fn rate_03_with_two_limits_the_longer_wait_is_sent() {
    let right = Params::refresh("x").by_web();
    let wait_at = |world: &World, second| {
        world.at(second);
        let reply = world.token(&right);
        (reply.status, reply.header("retry-after").map(str::to_owned))
    };
    let limits = |requests, failures| {
        let policy = policy().revocation(grantcore::policy::RevocationRules::default());
        World::with(policy.limits(two_limits(requests, failures)))
    };
    let world = limits(1, 1);
    assert_eq!(wait_at(&world, 0), (400, None));
    world.at(30);
    assert_eq!(revoke(&world, "wrong"), 401);
    assert_eq!(
        wait_at(&world, 40),
        (429, Some("50".into())),
        "the wait of the failures, not the 20 s of the requests"
    );
    assert_eq!(wait_at(&world, 90), (400, None));

    let world = limits(1, 2);
    assert_eq!(revoke(&world, "wrong"), 401);
    assert_eq!(wait_at(&world, 10), (400, None));
    world.at(20);
    assert_eq!(revoke(&world, "wrong"), 401);
    assert_eq!(
        wait_at(&world, 30),
        (429, Some("40".into())),
        "the wait of the requests, not the 30 s of the failures"
    );
    assert_eq!(wait_at(&world, 70), (400, None));
}

/// A request that the other limit refuses takes no place.
#[test]
fn rate_03_a_throttled_request_takes_no_place() {
    let world = World::with(policy().limits(two_limits(3, 1)));
    let right = Params::refresh("x").by_web();
    assert_eq!(world.token(&right.clone().set("client_secret", "wrong")).status, 401);
    for second in 1..60 {
        world.at(second);
        assert_eq!(
            (world.token(&right).status, world.reason()),
            (429, Some(Reason::AuthenticationsThrottled))
        );
    }
    world.at(60);
    assert_eq!([(); 4].map(|()| world.token(&right).status), [400, 400, 400, 429]);
}

#[test]
fn rate_04_a_refused_request_changes_nothing_and_does_not_call_the_store() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let tokens = world.tokens();
    spent(&world, 59);
    let redeem = Params::redeem(&code);
    let refresh = Params::refresh(tokens.refresh());
    world.store.calls();
    for params in [&redeem, &refresh] {
        assert_eq!(world.token(params).status, 429);
    }
    assert_eq!(world.store.calls(), [""; 0]);
    world.at(60);
    assert_eq!(world.token(&redeem).status, 200);
    world.refreshed(tokens.refresh());
}

#[test]
fn rate_05_clients_do_not_share_a_limit() {
    let world = World::new();
    spent(&world, 60);
    assert_eq!(spend(&world, "app").status, 429);
    assert_eq!(world.token(&Params::refresh("x").by_web()).status, 400);
    // Many other client ids do not reset the limit of a client.
    for number in 0..3000 {
        assert_eq!(spend(&world, &format!("nobody-{number}")).status, 401);
    }
    assert_eq!(spend(&world, "app").status, 429);
}

#[test]
fn rate_07_a_clock_step_back_does_not_extend_a_wait() {
    let world = World::new();
    world.at(100);
    spent(&world, 60);
    world.at(90);
    let reply = spend(&world, "app");
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("60")));
    world.at(149);
    assert_eq!(spend(&world, "app").header("retry-after"), Some("1"));
    world.at(150);
    spent(&world, 60);
    // A server whose clock was a day ahead has filled the window.
    let world = World::new();
    world.at(24 * 60 * 60);
    spent(&world, 60);
    world.at(0);
    assert_eq!(spend(&world, "app").header("retry-after"), Some("60"));
    world.at(60);
    spent(&world, 60);
}

/// Two servers of one host, which stores the windows for both.
#[test]
fn rate_07_servers_can_share_a_limit() {
    let world = World::new();
    let now = world.now();
    let refused = Arc::new(Mutex::new(Vec::new()));
    let servers = [1, 2].map(|seed| {
        let policy: Policy = world.server.policy().clone();
        let log = Arc::clone(&refused);
        let observer = move |event: &Event| {
            log.lock()
                .unwrap()
                .extend((event.reason == Some(Reason::RateLimited)).then(|| event.clone()));
        };
        Server::with_sources(policy, &world.store.inner, FromStore, move || now, seeded(seed))
            .without_rate_limit()
            .with_observer(observer)
    });
    let mut shared: BTreeMap<String, RateWindow> = BTreeMap::new();
    let mut send = |server: usize| {
        let server = &servers[server];
        let body = Params::refresh("x").encode();
        let policy = server.policy();
        let incoming = form(&body);
        let request = TokenRequest::parse(&incoming, policy).unwrap();
        let bucket = policy.rate_bucket(&request.rate_hit(""));
        match shared.entry(bucket.key.into_owned()).or_default().admit(bucket.limit, now) {
            Ok(()) => server.token(&incoming).answered(policy),
            Err(wait) => server.rate_limited(&request, wait).reply(policy),
        }
    };
    for number in 0..60 {
        assert_eq!(send(number % 2).status, 400);
    }
    for server in [0, 1] {
        let reply = send(server);
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("60")));
        let event = refused.lock().unwrap().pop().unwrap();
        assert_eq!(
            (event.client_id(), event.sent.as_ref().map(|sent| sent.status)),
            (Some("app"), Some(429))
        );
        assert_eq!(reply.header("x-correlation-id"), Some(&*event.correlation.to_string()));
    }
    assert!(refused.lock().unwrap().is_empty(), "one event each");
}

#[test]
fn rate_02_a_wait_of_zero_is_sent_as_one_second() {
    let world = World::new();
    assert_eq!(
        Refusal::rate_limited(0).reply(world.server.policy()).header("retry-after"),
        Some("1")
    );
    let body = Params::refresh("x").encode();
    let request = TokenRequest::parse(&form(&body), world.server.policy())
        .map_err(|refusal| refusal.reason())
        .unwrap();
    let reply = world.server.rate_limited(&request, 0).reply(world.server.policy());
    assert_eq!(reply.header("retry-after"), Some("1"));
}

/// Returns how often each client was refused in each minute for one of these reasons, as a query of
/// the audit log would.
fn per_minute(world: &World, reasons: &[Reason]) -> BTreeMap<(String, u64), usize> {
    let mut counts = BTreeMap::new();
    for event in world
        .events()
        .into_iter()
        .filter(|event| event.reason.is_some_and(|reason| reasons.contains(&reason)))
    {
        assert_eq!(event.kind, EventKind::Refused);
        let client = event.client_id().unwrap().to_owned();
        *counts.entry((client, (event.at.unix_seconds() - T) / 60)).or_default() += 1;
    }
    counts
}

#[test]
fn rate_08_a_retry_storm_is_visible_in_the_audit_log() {
    let world = World::new();
    let tokens = world.tokens();
    let storm = Params::refresh(tokens.refresh()).set("scope", "admin");
    for second in [60, 61, 62, 120, 121] {
        world.at(second);
        for _ in 0..40 {
            assert!([400, 429].contains(&world.token(&storm).status));
        }
        assert_eq!(
            world.token(&storm.clone().by_web()).status,
            400,
            "another client, once each second"
        );
    }
    let of = |client: &str, minute, count| ((client.to_owned(), minute), count);
    let limited = [of("app", 1, 60), of("app", 2, 20)];
    assert_eq!(
        per_minute(&world, &[Reason::RateLimited]),
        BTreeMap::from(limited),
        "one event for each refusal"
    );
    // At 120 the 40 places of the last but one second became free, and at 121 the 20 of the last
    // second.
    assert_eq!(
        per_minute(&world, &[Reason::ScopeBeyondGrant]),
        BTreeMap::from([of("app", 1, 60), of("app", 2, 60)])
    );
    assert_eq!(
        per_minute(&world, &[Reason::RefreshClientMismatch]),
        BTreeMap::from([of("web", 1, 3), of("web", 2, 2)])
    );
    for event in
        world.events().iter().filter(|event| event.reason == Some(Reason::ScopeBeyondGrant))
    {
        assert!(
            event.flow.is_some() && event.subject.is_some(),
            "the event has the flow and the subject"
        );
    }
}
