//! Tests of CLIENTPOLICY-01 to -05 and of I59: the lifetimes of a client.

use std::time::Duration;

use grantcore::client::{ClientBuilder, ClientError, Registration};
use grantcore::policy::{
    ClientLifetimes, LifetimeOverrides, Lifetimes, LifetimesError, Limits, PolicyError,
};
use grantcore::{Client, Reason};
use proptest::prelude::*;

use crate::support::clients::{DOCUMENT, ask, code_in, document, metadata};
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::{CALLBACK, Granted, World, app, assert_refused, policy};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn short() -> LifetimeOverrides {
    LifetimeOverrides::default()
}

fn with(lifetimes: LifetimeOverrides) -> ClientBuilder {
    app().edit().lifetimes(lifetimes)
}

fn put(world: &World, lifetimes: LifetimeOverrides) {
    world.put(with(lifetimes).build_under(world.server.policy()).unwrap());
}

#[test]
fn clientpolicy_01_an_access_token_lives_as_long_as_the_lesser_says() {
    let world = World::new();
    assert_eq!(world.tokens().expires_in, 3600);
    put(&world, short().with_access(seconds(600)));
    let tokens = world.tokens();
    assert_eq!(tokens.expires_in, 600);
    assert_eq!(world.refreshed(tokens.refresh()).expires_in, 600);
    // A record of the time before a shorter lifetime of the policy has no effect beyond it.
    world.put(with(short().with_access(seconds(7200))).build().unwrap());
    assert_eq!(world.tokens().expires_in, 3600);
    world.put(with(LifetimeOverrides::default()).build().unwrap());
    assert_eq!(world.client("app").unwrap().lifetimes(), None);
}

#[test]
fn refresh_16_beyond_the_cap_the_token_that_expires_first_makes_room() {
    let world = World::with(policy().limits(Limits::default().with_live_access_tokens(2)));
    let long = world.tokens();
    put(&world, short().with_access(seconds(60)));
    let ends_first = world.refreshed(long.refresh());
    put(&world, LifetimeOverrides::default());
    let last = world.refreshed(ends_first.refresh());
    let alive = [&long, &ends_first, &last].map(|granted| world.works(&granted.access));
    assert_eq!(alive, [true, false, true]);
}

#[test]
fn clientpolicy_01_code_idle_and_absolute_end_to_the_second() {
    let world = World::new();
    let own = short()
        .with_code(seconds(60))
        .with_access(seconds(300))
        .with_refresh_idle(seconds(1000))
        .with_refresh_absolute(seconds(1500));
    put(&world, own);
    let code = world.code(&Params::authorize());
    assert_eq!(world.only_grant().code_expires(), Some(world.server.now().after(seconds(60))));
    world.at(60);
    let reply = world.token(&Params::redeem(&code));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::CodeExpired);

    world.at(0);
    let code = world.code(&Params::authorize());
    world.at(59);
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    world.at(59 + 1000);
    let reply = world.token(&Params::refresh(tokens.refresh()));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshIdleExpired);

    world.at(0);
    let tokens = world.tokens();
    world.at(999);
    let tokens = world.refreshed(tokens.refresh());
    world.at(1499);
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!(tokens.expires_in, 1);
    world.at(1500);
    let reply = world.token(&Params::refresh(tokens.refresh()));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshAbsoluteExpired);
}

#[test]
fn clientpolicy_02_longer_than_the_policy_is_refused() {
    let long = [
        ("code", short().with_code(seconds(601)), seconds(601), seconds(600)),
        ("access", short().with_access(seconds(3601)), seconds(3601), seconds(3600)),
        (
            "refresh_idle",
            short().with_refresh_idle(seconds(30 * 86400 + 1)),
            seconds(30 * 86400 + 1),
            seconds(30 * 86400),
        ),
        (
            "refresh_absolute",
            short().with_refresh_absolute(seconds(180 * 86400 + 1)),
            seconds(180 * 86400 + 1),
            seconds(180 * 86400),
        ),
    ];
    let strict = policy().build().unwrap();
    let lenient = policy().client_lifetimes(ClientLifetimes::OperatorMayExtend).build().unwrap();
    for (lifetime, own, value, limit) in long {
        let refused = Err(ClientError::LifetimeTooLong { lifetime, value, limit });
        assert_eq!(with(own).build_under(&strict), refused);
        // A code lives at most ten minutes whatever the operator says.
        let built = with(own).build_under(&lenient);
        assert_eq!(built.is_ok(), lifetime != "code", "{lifetime}");
        for registration in [Registration::Dynamic, Registration::MetadataDocument] {
            let unverified = with(own).registration(registration);
            assert_eq!(unverified.build_under(&lenient), refused, "{lifetime} {registration:?}");
        }
    }
    for (lifetime, own, value) in [
        ("access", short().with_access(seconds(0)), seconds(0)),
        ("code", short().with_code(Duration::from_millis(1500)), Duration::from_millis(1500)),
    ] {
        assert_eq!(with(own).build(), Err(ClientError::Lifetime { lifetime, value }));
        let refused = policy().unverified_lifetimes(own).build().err();
        assert_eq!(
            refused,
            Some(PolicyError::Lifetimes(LifetimesError::Value { lifetime, value }))
        );
    }
}

#[test]
fn clientpolicy_02_the_operators_clients_may_have_longer_ones_where_the_policy_says_so() {
    let lenient = policy().client_lifetimes(ClientLifetimes::OperatorMayExtend);
    let world = World::with(lenient);
    put(&world, short().with_access(seconds(7200)));
    assert_eq!(world.tokens().expires_in, 7200);
    // The record of a client that nobody vouches for is bounded all the same.
    let dynamic = with(short().with_access(seconds(7200))).registration(Registration::Dynamic);
    world.put(dynamic.build().unwrap());
    assert_eq!(world.tokens().expires_in, 3600);
}

#[test]
fn clientpolicy_04_a_change_counts_from_the_next_token_on() {
    let world = World::new();
    let first = world.tokens();
    let end = first.expires_in;
    put(&world, short().with_access(seconds(60)).with_refresh_absolute(seconds(4000)));
    world.at(90);
    let second = world.refreshed(first.refresh());
    assert_eq!(second.expires_in, 60);
    world.at(end - 1);
    assert!(world.works(&first.access) && !world.works(&second.access));
    let third = world.refreshed(second.refresh());
    // The absolute end was fixed at the consent. A new grant has the shorter one.
    world.at(5000);
    assert_eq!(world.refreshed(third.refresh()).expires_in, 60);
    let tokens = world.tokens();
    world.at(5000 + 3999);
    let tokens = world.refreshed(tokens.refresh());
    world.at(5000 + 4000);
    let reply = world.token(&Params::refresh(tokens.refresh()));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshAbsoluteExpired);
}

#[test]
fn clientpolicy_05_clients_that_nobody_vouches_for_have_shorter_lifetimes_as_a_class() {
    let rules = policy()
        .registration(grantcore::policy::RegistrationRules::default())
        .client_documents(grantcore::policy::DocumentRules::default())
        .unverified_lifetimes(short().with_access(seconds(900)));
    let world = World::with(rules);
    let own = world.own(&metadata());
    assert_eq!(world.tokens_by(&own).expires_in, 900);
    let ticket = world.page_with(&ask(DOCUMENT), &document()).ticket();
    let location = world.decide(&ticket, grantcore::Choice::Allow).unwrap().into_location();
    let redeem = Params::redeem(&code_in(&location)).set("client_id", DOCUMENT);
    assert_eq!(Granted::of(&world.token(&redeem)).expires_in, 900);
    assert_eq!(world.tokens().expires_in, 3600, "the operator vouches for this one");
    // A client of the class can have less, and never more.
    for (access, expected) in [(300, 300), (1800, 900)] {
        let client = world.client(&own.id).unwrap().edit();
        let client = client.lifetimes(short().with_access(seconds(access)));
        world.put(client.build_under(world.server.policy()).unwrap());
        assert_eq!(world.tokens_by(&own).expires_in, expected);
    }
    // An update of the client does not lift it.
    world.updated(&own, metadata());
    assert_eq!(world.client(&own.id).unwrap().lifetimes().unwrap().access(), Some(seconds(1800)));
}

/// A lifetime of a policy or a client.
fn lifetime() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..20, 1_u64..5000]
}

fn overrides() -> impl Strategy<Value = LifetimeOverrides> {
    let one = || prop::option::of(lifetime().prop_map(seconds));
    (one(), one(), one(), one()).prop_map(|(code, access, idle, absolute)| {
        let set = |own: LifetimeOverrides, value: Option<Duration>, with: fn(_, _) -> _| {
            value.map_or(own, |value| with(own, value))
        };
        let own = set(short(), code, LifetimeOverrides::with_code);
        let own = set(own, access, LifetimeOverrides::with_access);
        let own = set(own, idle, LifetimeOverrides::with_refresh_idle);
        set(own, absolute, LifetimeOverrides::with_refresh_absolute)
    })
}

#[test]
fn i59_effective_lifetimes_are_in_order_and_never_above_the_policy() {
    let policies = (lifetime(), lifetime(), prop::option::of(lifetime()), 0_u64..5000);
    let values = (policies, overrides(), overrides(), any::<bool>(), any::<bool>());
    check(&values, |((access, idle, absolute, window), class, own, extends, is_operators)| {
        let idle = idle.max(access);
        let absolute = absolute.map(|absolute| absolute.max(access));
        let lifetimes = Lifetimes::default()
            .with_access(seconds(access))
            .with_refresh_idle(seconds(idle))
            .with_refresh_absolute(absolute.map(seconds));
        let rule =
            if extends { ClientLifetimes::OperatorMayExtend } else { ClientLifetimes::default() };
        let rules = policy()
            .lifetimes(lifetimes)
            .replay_window(seconds(window.min(access).min(idle - 1)))
            .unverified_lifetimes(class)
            .client_lifetimes(rule)
            .build()
            .unwrap();
        let registration =
            if is_operators { Registration::Operator } else { Registration::Dynamic };
        let client = Client::public("any").redirect_uri(CALLBACK).registration(registration);
        let client = client.lifetimes(own).build().unwrap();
        let effective = rules.lifetimes_of(&client);
        prop_assert!(effective.access() <= effective.refresh_idle());
        prop_assert!(
            effective.refresh_absolute().is_none_or(|end| effective.refresh_idle() <= end)
        );
        prop_assert!(effective.replay_window() <= effective.access());
        prop_assert!(effective.replay_window() < effective.refresh_idle());
        prop_assert!(effective.access() >= seconds(1) && effective.code() >= seconds(1));
        if !(extends && is_operators) {
            prop_assert!(effective.access() <= lifetimes.access());
            prop_assert!(effective.refresh_idle() <= lifetimes.refresh_idle());
            prop_assert!(effective.code() <= lifetimes.code());
            let end = lifetimes.refresh_absolute();
            prop_assert!(end.is_none() || effective.refresh_absolute() <= end);
        }
        for value in [own.access(), own.refresh_idle(), own.refresh_absolute()] {
            prop_assert!(value.is_none_or(|value| effective.access() <= value));
        }
        Ok(())
    });
}

#[test]
fn clientpolicy_03_the_replay_window_is_within_the_clients_lifetimes() {
    let world = World::with(policy().replay_window(seconds(30)));
    put(&world, short().with_access(seconds(10)).with_refresh_idle(seconds(20)));
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    world.at(9);
    let again = Granted::of(&world.token(&Params::refresh(first.refresh())));
    assert_eq!((&again.access, again.expires_in), (&second.access, 1));
    world.at(10);
    let reply = world.token(&Params::refresh(first.refresh()));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshReused);
}
