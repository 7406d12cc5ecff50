//! Tests of HOST-35 and HOST-36: the end that a consent gives to its grant.

use std::time::Duration;

use grantcore::account::GrantChanges;
use grantcore::grant::GrantState;
use grantcore::policy::Lifetimes;
use grantcore::request::ConsentDecision;
use grantcore::{Choice, Reason, Timestamp};
use proptest::prelude::*;

use crate::support::host::{allow, at};
use crate::support::params::Params;
use crate::support::refused::assert_page;
use crate::support::steps::DAY;
use crate::support::{ALICE, Granted, Outcome, World, policy, property};

#[test]
fn host_35_a_grant_ends_at_the_date_of_its_consent() {
    let world = World::new();
    let tokens = world.tokens_bound(|decision| decision.until(at(10_000)));
    assert_eq!(world.only_grant().expires(), at(10_000));
    world.at(9_999);
    let tokens = world.refreshed(tokens.refresh());
    assert_eq!(tokens.expires_in, 1);
    assert!(world.works(&tokens.access));
    world.at(10_000);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::RefreshAbsoluteExpired);
    world.dead(&tokens.access, Reason::TokenExpired);
    // A clock that steps back revives nothing that a write has seen expired, and no write moves the
    // end.
    assert_eq!(world.only_grant().expires(), at(10_000));
}

#[test]
fn host_35_a_date_that_is_not_in_the_future_is_refused_and_the_page_stays_open() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    world.at(50);
    let commits = world.store.commits();
    for end in [at(0), at(49), at(50)] {
        let refusal = world.server.run(allow(&ticket).until(end)).outcome().unwrap_err();
        assert_page(&world, &refusal, 400, "invalid_request", Reason::ConsentEndPassed);
    }
    assert_eq!(world.store.commits(), commits);
    let code = world.approved(allow(&ticket).until(at(51)));
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    assert_eq!(tokens.expires_in, 1);
}

#[test]
fn host_35_the_earlier_end_counts() {
    let end_of_policy = 180 * DAY;
    for (until, expected) in [
        (at(end_of_policy - 1), at(end_of_policy - 1)),
        (at(end_of_policy), at(end_of_policy)),
        (at(end_of_policy + 1), at(end_of_policy)),
        (Timestamp::NEVER, at(end_of_policy)),
    ] {
        let world = World::new();
        world.tokens_bound(|decision| decision.until(until));
        assert_eq!(world.only_grant().expires(), expected);
    }
    let for_ever = policy().lifetimes(Lifetimes::default().with_refresh_absolute(None));
    let world = World::with(for_ever);
    world.tokens_bound(|decision| decision.until(at(5)));
    assert_eq!(world.only_grant().expires(), at(5));
}

/// A code that is redeemed at the date gives no tokens.
#[test]
fn host_35_a_code_is_not_redeemed_at_the_date() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let code = world.approved(allow(&ticket).until(at(30)));
    world.at(30);
    world.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);
}

#[test]
fn host_35_a_denial_ignores_the_date() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let denial = ConsentDecision::new(&ticket, ALICE, Choice::Deny).unwrap().until(at(0));
    let refusal = world.server.run(denial).outcome().unwrap_err();
    assert_eq!(refusal.reason(), Reason::AccessDenied);
    assert!(matches!(world.only_grant().state(), GrantState::Revoked(_)));
}

#[test]
fn host_36_the_user_sees_the_date() {
    let world = World::new();
    let expires =
        |world: &World| world.server.connections("alice", None, 10).unwrap().entries[0].expires();
    world.tokens_bound(|decision| decision.until(at(40 * DAY)));
    // The idle time of 30 days ends earlier.
    assert_eq!(expires(&world), at(30 * DAY));
    let world = World::new();
    let tokens = world.tokens_bound(|decision| decision.until(at(40 * DAY)));
    world.at(20 * DAY);
    world.refreshed(tokens.refresh());
    assert_eq!(expires(&world), at(40 * DAY));
}

/// Whatever is refreshed, judged or configured later, nothing of the grant validates at the date.
#[test]
fn i57_nothing_validates_at_or_after_the_date_of_the_consent() {
    let steps =
        proptest::collection::vec((0..5_000_u64, proptest::option::of(0..20_000_u64)), 1..6);
    property::check(&(1..10_000_u64, steps), |(until, steps)| {
        // The lifetimes of today reach far beyond the date.
        let long = Duration::from_secs(365 * DAY);
        let lifetimes = Lifetimes::default().with_access(long).with_refresh_idle(long);
        let lifetimes = lifetimes.with_refresh_absolute(None);
        let rules = policy().lifetimes(lifetimes).replay_window(Duration::from_secs(60));
        let world = World::with(rules);
        let first = world.tokens_bound(|decision| decision.until(at(until)));
        let mut known = vec![first];
        let mut now = 0;
        for (step, judged) in steps {
            now += step;
            world.at(now);
            if let Some(end) = judged {
                world.store.judge(GrantChanges::default().until(at(end)));
            }
            let newest = known.last().unwrap().refresh().to_owned();
            let reply = world.token(&Params::refresh(&newest));
            prop_assert!(now < until || reply.status == 400);
            if reply.status == 200 {
                known.push(Granted::of(&reply));
            }
            let works = known.iter().any(|tokens| world.works(&tokens.access));
            prop_assert!(now < until || !works);
        }
        world.at(until);
        for tokens in &known {
            prop_assert!(!world.works(&tokens.access));
            prop_assert_eq!(world.token(&Params::refresh(tokens.refresh())).status, 400);
        }
        Ok(())
    });
}
