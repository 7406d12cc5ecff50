//! Tests of REFRESH-03 and -04: the replay of a refresh token revokes its family for good.

use grantcore::blocking::Server;
use grantcore::{FromStore, Reason, Timestamp};

use crate::support::params::Params;
use crate::support::steps::{DAY, form};
use crate::support::{Answered, Granted, T, World, policy, seeded};

use crate::refresh::windowed;

#[test]
fn refresh_03_a_rotated_token_revokes_the_family() {
    for generations in [1, 2, 5] {
        let world = World::new();
        let first = world.tokens();
        let mut family = vec![first.clone()];
        for _ in 0..generations {
            family.push(world.refreshed(family.last().unwrap().refresh()));
        }
        world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
        for tokens in &family {
            world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
            world.dead(&tokens.access, Reason::TokenRevoked);
        }
    }
}

/// Scope, resource, status and idle time are checked for the current token only. Otherwise a bad
/// scope would shield a thief.
#[test]
fn refresh_03_a_replay_with_further_faults_is_a_replay() {
    type Spoil = fn(&World, Params) -> Params;
    let spoilt: [Spoil; 4] = [
        |_, params| params.set("scope", "admin"),
        |_, params| params.set("resource", "https://other.example"),
        |world, params| {
            world.store.suspend("alice", true);
            params
        },
        |world, params| {
            world.at(31 * DAY);
            params
        },
    ];
    for spoil in spoilt {
        for world in [World::new(), windowed()] {
            let first = world.tokens();
            let second = world.refreshed(first.refresh());
            world.at(60);
            let params = spoil(&world, Params::refresh(first.refresh()));
            world.invalid_grant(&params, Reason::RefreshReused);
            world.store.suspend("alice", false);
            world.dead(&second.access, Reason::TokenRevoked);
        }
    }
}

#[test]
fn refresh_04_a_revoked_family_stays_revoked() {
    let world = windowed();
    let code = world.code(&Params::authorize());
    let first = Granted::of(&world.token(&Params::redeem(&code)));
    let second = world.refreshed(first.refresh());
    world.at(30);
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
    for at in [30, 31, 0, 60, 3600, 40 * DAY, 10] {
        world.at(at);
        for params in [
            Params::redeem(&code),
            Params::refresh(first.refresh()),
            Params::refresh(second.refresh()),
        ] {
            world.invalid_grant(&params, Reason::GrantRevoked);
        }
        world.dead(&first.access, Reason::TokenRevoked);
        world.dead(&second.access, Reason::TokenRevoked);
    }
    let old = world.grants()[0].record.id();
    let fresh = world.tokens();
    assert_ne!(world.access(&fresh.access).grant_id(), old);
    assert_eq!(world.grants().len(), 2);
}

/// A restart reset the times of revocation, and revoked refresh tokens worked again. Here the
/// record alone decides.
#[test]
fn cve_2026_9802_a_revocation_survives_a_restart() {
    let world = World::new();
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
    for seconds in [T, T - 7200] {
        let clock = move || Timestamp::from_unix_seconds(seconds);
        let again = Server::with_sources(
            policy().build().unwrap(),
            &world.store.inner,
            FromStore,
            clock,
            seeded(5),
        );
        for token in [first.refresh(), second.refresh()] {
            assert_eq!(
                again
                    .token(&form(&Params::refresh(token).encode()))
                    .answered(again.policy())
                    .status,
                400
            );
        }
    }
}
