//! Tests that a record does not grow with use.

use std::time::Duration;

use grantcore::policy::{Lifetimes, Limits, PolicyBuilder};

use crate::Record;
use crate::grants::{only, windowed};
use crate::support::params::Params;
use crate::support::{World, policy};

const OFTEN: u64 = 1_000;

/// Returns the size of the record, in text and in binary, after each of `times` refreshes, one
/// every `every` seconds.
fn sizes(policy: PolicyBuilder, every: u64, times: u64) -> Vec<(usize, usize)> {
    let world =
        World::with(policy.limits(Limits::default().with_token_requests_per_minute(u32::MAX)));
    let first = world.tokens().refresh.unwrap();
    let steps = (1..=times).scan(first, |token, step| {
        world.at(step * every);
        *token = world.refreshed(token).refresh.unwrap();
        let record = Record::from(only(&world));
        Some((record.write().len(), record.write_binary().len()))
    });
    steps.collect()
}

fn for_ever(policy: PolicyBuilder) -> PolicyBuilder {
    policy.lifetimes(Lifetimes::default().with_refresh_absolute(None))
}

#[test]
fn i31_a_record_refreshed_a_thousand_times_is_as_small_as_one_refreshed_once() {
    for policy in [for_ever(policy()), for_ever(windowed())] {
        let sizes = sizes(policy, 50 * 60, OFTEN);
        assert_eq!(sizes, vec![sizes[0]; sizes.len()]);
    }
}

/// By default a family ends after 180 days.
#[test]
fn i31_a_record_is_as_small_at_the_end_of_its_life() {
    for policy in [policy(), windowed()] {
        let sizes = sizes(policy, 50 * 60, 180 * 24 * 60 / 50 - 1);
        assert_eq!(sizes, vec![sizes[0]; sizes.len()]);
    }
}

/// A record holds the valid access tokens, at most 32. Then each new token replaces the oldest.
#[test]
fn i31_a_record_refreshed_every_second_is_as_small_as_its_access_tokens_alive() {
    for policy in [policy(), windowed()] {
        let sizes = sizes(policy, 1, OFTEN);
        let (begun, full) = sizes.split_at(31);
        assert!(begun.is_sorted_by(|one, next| one < next), "{begun:?}");
        assert_eq!(full, vec![full[0]; full.len()]);
        assert!(full[0].0 < 5_100, "{full:?}");
    }
}

/// If a new access token ends the previous one, the record holds only one.
#[test]
fn i31_a_record_that_keeps_one_access_token_is_small_however_often_it_is_refreshed() {
    for policy in [policy(), windowed()] {
        let policy = policy.revoke_previous_access(true);
        let sizes = sizes(policy, 1, OFTEN);
        assert_eq!(sizes, vec![sizes[0]; sizes.len()]);
    }
}

/// A replay inside the window writes nothing.
#[test]
fn i31_a_replay_in_the_window_does_not_change_the_record() {
    let world = World::with(windowed().replay_window(Duration::from_secs(3600)));
    let first = world.tokens();
    world.refreshed(first.refresh());
    let before = only(&world);
    for second in 0..50 {
        world.at(second);
        assert_eq!(world.token(&Params::refresh(first.refresh())).status, 200);
        assert_eq!(only(&world), before);
    }
}
