//! Tests of the seed's section on balance: an unpaid call, a low balance, and the account of a
//! balance.

use grantcore::account::Balance;
use grantcore::response::Warning;
use grantcore::value::Subject;
use grantcore::{Client, Reason};

use crate::resource_server_balance::{balance, pay, refused};
use crate::support::params::Params;
use crate::support::{Granted, World, json};

#[test]
fn seed_s45_a_call_is_402_or_comes_with_a_warning() {
    let world = World::new();
    let token = world.tokens().access;
    balance(&world, Balance::Low { left: 1 });
    assert_eq!(
        pay(&world, &token, &[]).unwrap().warnings().collect::<Vec<_>>(),
        [Warning::LowBalance { left: 1 }]
    );
    balance(&world, Balance::Insufficient);
    refused(&world, pay(&world, &token, &[]), 402, Reason::BalanceInsufficient);
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.error(), event.flow),
        (Some("insufficient_balance"), Some(world.grants()[0].record.id()))
    );
}

/// The host charges one account. Calls by OAuth and calls with the host's own keys share its
/// balance.
#[test]
fn seed_s46_s48_all_connections_and_the_hosts_own_calls_share_one_balance() {
    let world = World::new();
    world.put(Client::public("other").redirect_uri("https://app.example/cb").build().unwrap());
    let code = world.code(&Params::authorize().set("client_id", "other"));
    let other = Granted::of(&world.token(&Params::redeem(&code).set("client_id", "other"))).access;
    let own = world.tokens();
    let renewed = world.tokens();
    let renewed = world.refreshed(renewed.refresh()).access;
    let mut left = 3;
    for token in [&own.access, &other, &renewed] {
        balance(&world, Balance::Low { left });
        let access = pay(&world, token, &[]).unwrap();
        assert_eq!(access.warnings().next(), Some(Warning::LowBalance { left }));
        assert_eq!(access.subject().unwrap().as_str(), "alice", "to whom it is billed");
        left -= 1;
    }
    balance(&world, Balance::Insufficient);
    for token in [&own.access, &other, &renewed] {
        refused(&world, pay(&world, token, &[]), 402, Reason::BalanceInsufficient);
    }
    world.store.inner.put_balance(Subject::new("bob"), Balance::Sufficient);
    refused(&world, pay(&world, &other, &[]), 402, Reason::BalanceInsufficient);
}

#[test]
fn seed_s47_after_a_top_up_the_same_call_goes_through() {
    let world = World::new();
    let token = world.tokens().access;
    balance(&world, Balance::Insufficient);
    let reply = pay(&world, &token, &[]).unwrap_err().reply(world.server.policy());
    assert!(json(&reply)["error_description"].as_str().unwrap().contains("Top it up and retry"));
    balance(&world, Balance::Sufficient);
    assert!(pay(&world, &token, &[]).is_ok());
}
