//! Explores a registered client and its grant, with every order of the requests that write one of
//! the records.
//!
//! Each request loads, decides by the crate's own functions and commits, and other requests run in
//! between. A commit may be dropped, delayed, applied without an acknowledgement, or applied and
//! reported as a conflict. A request without an outcome is decided again with the same entropy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod scenario;
mod state;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashSet;

use grantcore::grant::GrantState;
use grantcore::store::Write;
use serde_json::Value;

use crate::scenario::{Ask, Scenario};
use crate::state::{Actor, State, Step};
use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::steps::DAY;
use crate::support::{Granted, World};

/// Explores all interleavings of these requests, and returns the number of states and the final
/// states.
#[expect(
    clippy::mutable_key_type,
    reason = "a URI's reading is derived from its text, and not hashed"
)]
fn explore(connected: Option<u64>, asks: &[Ask], faults: u8) -> (usize, Vec<State>) {
    let (scenario, client, grant) = Scenario::new(connected);
    let actors =
        asks.iter().map(|ask| Actor { ask: *ask, attempt: 0, step: Step::Ready }).collect();
    let first = State {
        client,
        grant,
        actors,
        late: Vec::new(),
        faults,
        deactivated: false,
        deleted: false,
    };
    let mut seen = HashSet::from([first.clone()]);
    let mut open = vec![first];
    let mut ends = Vec::new();
    while let Some(state) = open.pop() {
        state.check();
        let next = state.next(&scenario);
        if next.is_empty() {
            ends.push(state);
            continue;
        }
        open.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
    }
    (seen.len(), ends)
}

fn is_renamed(state: &State) -> bool {
    state.client.record.description().name.as_deref() == Some("Renamed")
}

#[test]
fn client_21_a_deactivation_outlasts_every_update_and_renewal_under_way() {
    for (connected, asks) in [
        (None, [Ask::Approve, Ask::Update, Ask::Deactivate]),
        (Some(3 * DAY), [Ask::Refresh, Ask::Update, Ask::Deactivate]),
        (Some(3 * DAY), [Ask::Refresh, Ask::Delete, Ask::Deactivate]),
    ] {
        let (states, ends) = explore(connected, &asks, 1);
        assert!(states > 1_000, "{asks:?} were only {states} states");
        let deactivated = ends.iter().filter(|end| end.deactivated).count();
        assert!(deactivated > 0 && deactivated < ends.len(), "{asks:?}");
        assert!(
            ends.iter().any(|end| end.deactivated && is_renamed(end)) || asks[1] == Ask::Delete,
            "{asks:?}"
        );
    }
}

#[test]
fn client_13_a_deletion_outlasts_every_approval_and_refresh_under_way() {
    for (connected, asks) in [
        (None, [Ask::Approve, Ask::Delete, Ask::Update]),
        (Some(3 * DAY), [Ask::Refresh, Ask::Delete, Ask::Update]),
    ] {
        let (states, ends) = explore(connected, &asks, 1);
        assert!(states > 1_000, "{asks:?} were only {states} states");
        assert!(
            ends.iter().any(|end| end.deleted)
                && ends.iter().any(|end| !end.deleted && is_renamed(end)),
            "{asks:?}"
        );
    }
}

#[test]
fn client_23_no_client_expires_before_its_grant_in_any_order_of_renewals() {
    for (connected, asks) in
        [(None, [Ask::Approve, Ask::Update]), (Some(3 * DAY), [Ask::Refresh, Ask::Update])]
    {
        let (states, ends) = explore(connected, &asks, 2);
        assert!(states > 1_000, "{asks:?} were only {states} states");
        let state_of = |end: &State| end.grant.record.state();
        assert!(
            ends.iter()
                .any(|end| matches!(state_of(end), GrantState::CodeIssued | GrantState::Active)
                    && is_renamed(end))
        );
    }
}

/// No renewal is due at the refresh, so the lifetime that the client got at the consent must
/// suffice.
#[test]
fn client_23_a_client_does_not_expire_between_two_renewals() {
    for age in [1, DAY / 4, DAY / 2, DAY - 1] {
        let (scenario, client, grant) = Scenario::new(Some(age));
        let decided = scenario.decide(
            0,
            &Actor { ask: Ask::Refresh, attempt: 0, step: Step::Ready },
            &client,
            &grant,
        );
        assert!(decided.write.as_ref().is_some_and(|write| write.as_grant().is_some()), "{age}");
        explore(Some(age), &[Ask::Refresh], 1);
    }
}

/// Without a due renewal, the scenarios would prove nothing.
#[test]
fn client_23_each_scenario_begins_with_a_renewal() {
    for (connected, ask) in [(None, Ask::Approve), (Some(3 * DAY), Ask::Refresh)] {
        let (scenario, client, grant) = Scenario::new(connected);
        let actor = Actor { ask, attempt: 0, step: Step::Ready };
        let decided = scenario.decide(0, &actor, &client, &grant);
        let renewed =
            decided.write.as_ref().and_then(Write::as_client).expect("the client is written first");
        assert!(decided.settled.is_none() && renewed.record().expires() > client.record.expires());
        let then = scenario.decide(0, &Actor { attempt: 1, ..actor }, &renewed.stored(), &grant);
        assert!(
            then.write.as_ref().is_some_and(|write| write.as_grant().is_some())
                && then.settled == Some(true)
        );
    }
}

/// The same end to end, with the server of the other tests.
#[test]
fn client_23_one_call_renews_the_client_and_issues_the_tokens() {
    let world = World::open();
    let id = world.registered(&metadata())["client_id"].as_str().unwrap().to_owned();
    let tokens: Granted = world.tokens_of(&id);
    let before = world.client(&id).unwrap();
    world.at(3 * DAY);
    let reply = world.token(&Params::refresh(tokens.refresh()).set("client_id", &id));
    assert_eq!((reply.status, support::json(&reply).get("error")), (200, None::<&Value>));
    assert!(world.client(&id).unwrap().expires() > before.expires());
}
