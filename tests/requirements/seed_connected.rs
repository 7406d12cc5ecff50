//! Tests of the seed's section on connected apps, one for each sentence.

use grantcore::Reason;
use grantcore::response::ConnectionState;

use crate::connected::{is_over, listed, only, world};
use crate::support::params::Params;
use crate::support::{Answered, World, policy};

#[test]
fn seed_s49_an_app_that_does_not_refresh_leaves_the_active_list_after_an_hour() {
    let world = world();
    world.tokens();
    let active = |world: &World| {
        listed(world, "alice").iter().filter(|own| own.state() == ConnectionState::Active).count()
    };
    assert_eq!(active(&world), 1);
    world.at(3600);
    assert_eq!(active(&world), 0);
    assert_eq!(listed(&world, "alice").len(), 1, "it can still be seen, and revoked");
}

#[test]
fn seed_s50_an_app_that_refreshes_before_each_expiry_stays() {
    let world = world();
    let mut token = world.tokens();
    for hour in 1..50u64 {
        world.at(hour * 3600 - 60);
        token = world.refreshed(token.refresh());
        let own = only(&world);
        assert_eq!((own.state(), own.last_refreshed_at()), (ConnectionState::Active, world.now()));
    }
}

#[test]
fn seed_s51_a_failed_refresh_is_logged_before_the_expiry_that_it_causes() {
    let world = world();
    let tokens = world.tokens();
    world.at(3000);
    world.refused(
        &Params::refresh(tokens.refresh()).and("scope", "admin"),
        400,
        "invalid_scope",
        Reason::ScopeBeyondGrant,
    );
    let own = only(&world);
    assert_eq!(
        (own.last_refreshed_at(), own.access_expires_at().unwrap().seconds_from(world.now())),
        (own.first_used(), 600)
    );
    world.at(3600);
    assert_eq!(only(&world).state(), ConnectionState::Dormant);
    world.dead(&tokens.access, Reason::TokenExpired);
}

#[test]
fn seed_s52_a_connector_that_the_client_disabled_is_noticed_at_the_next_use() {
    let world = World::with(policy().revocation(grantcore::policy::RevocationRules::default()));
    let tokens = world.tokens();
    // The client deletes its tokens and does not revoke them, so the server does not know.
    assert_eq!(only(&world).state(), ConnectionState::Active);
    // The client revokes them: the next use fails, and the app is no longer listed.
    let body = Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .and("token", tokens.refresh())
        .encode();
    assert_eq!(
        world
            .server
            .revoke(&crate::support::steps::form(&body))
            .answered(world.server.policy())
            .status,
        200
    );
    assert!(listed(&world, "alice").is_empty());
    is_over(&world, &tokens, Reason::GrantRevoked);
}
