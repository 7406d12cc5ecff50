//! RATE-01 to -08 and the seed's section on 429: how many requests, what a refusal says, and whose limit it is.

use std::collections::BTreeMap;

use grantcore::{
    Authorization, EventKind, Incoming, Policy, RateKey, RateRules, RateWindow, Reason, Refusal, Reply, Server, Timestamp,
    TokenRequest,
};
use proptest::prelude::*;

use crate::support::params::Params;
use crate::support::property::check;
use crate::support::steps::form;
use crate::support::{Granted, SECRET, T, World, app, json, policy, seeded};

/// A token request that is cheap and refused for its grant, by this client.
fn spend(world: &World, client: &str) -> Reply {
    world.token(&Params::refresh("x").set("client_id", client))
}

/// Sends so many, all of which are looked at.
fn spent(world: &World, count: usize) {
    for _ in 0..count {
        assert_eq!(spend(world, "app").status, 400);
    }
}

fn limited(rules: impl FnOnce(&mut RateRules)) -> World {
    World::with(policy().rates(rules).limits(|limits| limits.failed_authentications_per_minute = 1000))
}

/// A request from this source; the reply.
fn from(world: &World, source: &str, params: &Params) -> Reply {
    let body = params.encode();
    world.server.token(&Incoming { source, ..form(&body) }).unwrap()
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
        assert_eq!(spend(&world, "app").status, 429, "one comes free each second");
    }
}

#[test]
fn rate_01_the_limit_is_the_policys_and_a_client_can_have_its_own() {
    let world = World::with(policy().limits(|limits| limits.token_requests_per_minute = 3).rates(|rules| {
        rules.clients.insert("web".into(), 5);
    }));
    spent(&world, 3);
    assert_eq!(spend(&world, "app").status, 429);
    let web = Params::refresh("x").by_web();
    for _ in 0..5 {
        assert_eq!(world.token(&web).status, 400);
    }
    assert_eq!(world.token(&web).status, 429);
    let zero = policy().rates(|rules| rules.clients = BTreeMap::from([("app".into(), 0)]));
    assert_eq!(zero.build().unwrap_err(), grantcore::PolicyError::Limit);
}

#[test]
fn rate_02_the_refusal_says_how_long_to_wait() {
    let world = World::new();
    spent(&world, 30);
    world.at(20);
    spent(&world, 30);
    for (second, wait) in [(20, "40"), (21, "39"), (59, "1")] {
        world.at(second);
        let reply = spend(&world, "app");
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some(wait)));
        assert_eq!((json(&reply)["error"].as_str(), reply.header("cache-control")), (Some("too_many_requests"), Some("no-store")));
        assert_eq!(json(&reply)["error_description"], Reason::RateLimited.description());
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

/// Requests, each so many seconds after the one before.
fn traffic() -> impl Strategy<Value = (u32, Vec<(u64, u8)>)> {
    (1..8u32, prop::collection::vec((0..40u64, 1..6u8), 1..40))
}

#[test]
fn rate_03_after_the_time_that_was_told_the_next_one_is_admitted() {
    check(&traffic(), |(limit, traffic)| {
        let (mut window, mut now) = (RateWindow::default(), T);
        for (pause, count) in traffic {
            now += pause;
            for _ in 0..count {
                if let Err(wait) = window.admit(limit, Timestamp::from_unix_seconds(now)) {
                    prop_assert!((1..=60).contains(&wait));
                    let until = now + u64::from(wait);
                    let before = Timestamp::from_unix_seconds(until - 1);
                    prop_assert!(window.clone().admit(limit, before).is_err(), "not a second too long");
                    prop_assert_eq!(window.clone().admit(limit, Timestamp::from_unix_seconds(until)), Ok(()));
                }
            }
        }
        Ok(())
    });
}

/// The window against a list of every request that was let through.
#[test]
fn rate_03_no_more_than_the_limit_are_ever_let_through_and_no_fewer() {
    check(&traffic(), |(limit, traffic)| {
        let (mut window, mut now, mut through) = (RateWindow::default(), T, Vec::new());
        for (pause, count) in traffic {
            now += pause;
            for _ in 0..count {
                let recent = through.iter().filter(|at| now < **at + 60).count();
                let admitted = window.admit(limit, Timestamp::from_unix_seconds(now)).is_ok();
                prop_assert_eq!(admitted, recent < limit as usize);
                through.extend(admitted.then_some(now));
            }
        }
        Ok(())
    });
}

#[test]
fn rate_03_a_thousand_refusals_push_nothing_back() {
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

#[test]
fn rate_04_a_refused_request_changes_nothing_and_asks_the_store_nothing() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let tokens = world.tokens();
    spent(&world, 59);
    let (redeem, refresh) = (Params::redeem(&code), Params::refresh(tokens.refresh()));
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
fn rate_05_one_clients_limit_is_no_others() {
    let world = World::new();
    spent(&world, 60);
    assert_eq!(spend(&world, "app").status, 429);
    assert_eq!(world.token(&Params::refresh("x").by_web()).status, 400);
    // Nor do strangers' names, however many, bring a client's requests back.
    for number in 0..3000 {
        assert_eq!(spend(&world, &format!("nobody-{number}")).status, 401);
    }
    assert_eq!(spend(&world, "app").status, 429);
}

#[test]
fn rate_06_by_default_the_key_is_the_claimed_client() {
    let world = World::new();
    for number in 0..60 {
        assert_eq!(from(&world, &format!("192.0.2.{number}"), &Params::refresh("x")).status, 400);
    }
    assert_eq!(from(&world, "192.0.2.99", &Params::refresh("x")).status, 429);
}

#[test]
fn rate_06_two_sources_of_one_client_can_have_a_limit_each() {
    let world = limited(|rules| rules.key = RateKey::ClientAndSource);
    for _ in 0..60 {
        assert_eq!(from(&world, "192.0.2.1", &Params::refresh("x")).status, 400);
    }
    assert_eq!(from(&world, "192.0.2.1", &Params::refresh("x")).status, 429);
    assert_eq!(from(&world, "192.0.2.2", &Params::refresh("x")).status, 400);
}

#[test]
fn rate_06_two_users_of_one_client_can_have_a_limit_each() {
    let world = limited(|rules| rules.key = RateKey::ClientAndGrant);
    let (one, two) = (world.tokens(), world.tokens());
    let spoilt = |tokens: &Granted| Params::refresh(tokens.refresh()).and("scope", "admin");
    // With the redemption of its code, that makes sixty.
    for _ in 0..59 {
        assert_eq!(world.token(&spoilt(&one)).status, 400);
    }
    assert_eq!(world.token(&Params::refresh(one.refresh())).status, 429);
    world.refreshed(two.refresh());
    spent(&world, 60);
    assert_eq!(spend(&world, "app").status, 429, "those that name no grant share the client's");
}

#[test]
fn rate_06_the_host_can_make_the_key() {
    let world = limited(|rules| rules.key = RateKey::Custom(|hit| hit.source.split('.').next().unwrap_or_default().to_owned()));
    for number in 0..60 {
        assert_eq!(from(&world, &format!("192.{number}"), &Params::refresh("x")).status, 400);
    }
    assert_eq!(from(&world, "192.0.2.1", &Params::refresh("x").by_web()).status, 429, "one limit for all of 192");
    assert_eq!(from(&world, "198.51.100.1", &Params::refresh("x")).status, 400);
}

#[test]
fn rate_06_strangers_cannot_use_up_the_limit_of_a_client_with_a_secret_if_only_it_counts() {
    let wrong = Params::refresh("x").by_web().set("client_secret", "wrong");
    for (authenticated_only, status) in [(true, 400), (false, 429)] {
        let world = limited(|rules| rules.authenticated_only = authenticated_only);
        for _ in 0..60 {
            assert!([401, 429].contains(&world.token(&wrong).status));
        }
        assert_eq!(world.token(&Params::refresh("x").by_web()).status, status);
    }
    let world = limited(|rules| rules.authenticated_only = true);
    for _ in 0..60 {
        assert_eq!(world.token(&Params::refresh("x").by_web()).status, 400, "its own count, failed or not");
    }
    assert_eq!(world.token(&Params::refresh("x").by_web()).status, 429);
}

#[test]
fn rate_07_equal_inputs_give_equal_outputs_and_the_state_is_plain_data() {
    check(&traffic(), |(limit, traffic)| {
        let replay = || {
            let (mut window, mut now) = (RateWindow::default(), T);
            let mut told = Vec::new();
            for (pause, count) in &traffic {
                now += pause;
                for _ in 0..*count {
                    told.push(window.admit(limit, Timestamp::from_unix_seconds(now)));
                    // Through storage and back at every step.
                    window = serde_json::from_str(&serde_json::to_string(&window).unwrap()).unwrap();
                }
            }
            (told, window)
        };
        prop_assert_eq!(replay(), replay());
        prop_assert!(serde_json::to_string(&replay().1).unwrap().len() < 60 * 20, "however much came");
        Ok(())
    });
}

#[test]
fn rate_07_a_clock_that_steps_back_neither_panics_nor_makes_anybody_wait_for_longer() {
    check(&(1..4u32, prop::collection::vec(any::<u64>(), 1..60)), |(limit, times)| {
        let mut window = RateWindow::default();
        for now in times {
            if let Err(wait) = window.admit(limit, Timestamp::from_unix_seconds(now)) {
                prop_assert!((1..=60).contains(&wait));
            }
            window.give_back();
            window.count(Timestamp::from_unix_seconds(now));
        }
        Ok(())
    });
    let world = World::new();
    world.at(100);
    spent(&world, 60);
    world.at(90);
    let reply = spend(&world, "app");
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("60")));
}

/// Two servers of one host, which keeps the windows for both.
#[test]
fn rate_07_servers_can_share_a_limit() {
    let world = World::new();
    let now = world.now();
    let servers = [1, 2].map(|seed| {
        let policy: Policy = world.server.policy().clone();
        Server::with(policy, &world.store.inner, move || now, seeded(seed)).without_rate_limit()
    });
    let mut shared: BTreeMap<String, RateWindow> = BTreeMap::new();
    let mut send = |server: usize| {
        let (body, policy) = (Params::refresh("x").encode(), servers[server].policy());
        let incoming = form(&body);
        let request = TokenRequest::parse(&incoming, policy).unwrap();
        let bucket = policy.rate_bucket(&request.rate_hit(""));
        match shared.entry(bucket.key.into_owned()).or_default().admit(bucket.limit, now) {
            Ok(()) => servers[server].token(&incoming).unwrap(),
            Err(wait) => servers[server].refuse(Refusal::rate_limited(wait), None).reply(policy),
        }
    };
    for number in 0..60 {
        assert_eq!(send(number % 2).status, 400);
    }
    for server in [0, 1] {
        let reply = send(server);
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("60")));
    }
}

#[test]
fn rate_08_a_retry_storm_is_seen_in_the_trail() {
    let world = World::new();
    let tokens = world.tokens();
    for second in 0..3 {
        world.at(60 + second);
        for _ in 0..40 {
            let _ = world.token(&Params::refresh(tokens.refresh()).and("scope", "admin"));
        }
    }
    let count = |reason: Reason| {
        let own = world.events().into_iter().filter(|event| event.client_id() == Some(app().id().as_str()));
        own.filter(|event| event.kind == EventKind::Refused && event.reason == Some(reason) && event.at.unix_seconds() >= T + 60)
            .count()
    };
    assert_eq!((count(Reason::ScopeBeyondGrant), count(Reason::RateLimited)), (60, 60), "one event each");
}

#[test]
fn seed_s31_sixty_per_minute_and_client() {
    let world = World::new();
    spent(&world, 60);
    let reply = spend(&world, "app");
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("60")));
    assert_eq!(world.try_token(&Params::refresh("x").by_web(), Authorization::None).unwrap().status, 400);
}

#[test]
fn seed_s33_who_waits_as_long_as_was_said_goes_on_where_they_were() {
    let world = World::new();
    let tokens = world.tokens();
    spent(&world, 59);
    let refused = world.token(&Params::refresh(tokens.refresh()));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    world.at(wait);
    world.refreshed(tokens.refresh());
}

/// A client that retries at every 5xx: it keeps its tokens, is slowed down, and is recognized.
#[test]
fn seed_s34_a_refresh_loop_on_a_failing_store_loses_nothing_and_shows() {
    let world = World::new();
    let tokens = world.tokens();
    world.store.break_reads(true);
    let mut statuses = Vec::new();
    for _ in 0..100 {
        match world.try_token(&Params::refresh(tokens.refresh()), Authorization::None) {
            Ok(reply) => statuses.push(reply.status),
            Err(failure) => statuses.push(failure.refusal.status()),
        }
    }
    assert_eq!((statuses.iter().filter(|status| **status == 503).count(), statuses.last()), (59, Some(&429)));
    world.store.break_reads(false);
    world.at(60);
    world.refreshed(tokens.refresh());
    let web = Params::refresh("x").by_web().set("client_secret", SECRET);
    assert_eq!(world.token(&web).status, 400);
}
