//! Tests of CLIENT-23: the write that renews a client because of a grant.

use std::sync::Arc;
use std::time::Duration;

use grantcore::blocking::Server;
use grantcore::client::ClientStatus;
use grantcore::policy::Lifetimes;
use grantcore::{Authorization, Choice, FromStore, Reason};

use crate::support::clients::ask;
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::{DAY, form};
use crate::support::store::Fault;
use crate::support::{ALICE, Answered, Granted, World, assert_refused, policy, seeded};

use crate::client_life::{
    IDLE, a_document, a_registration, assert_outlived, end, open, refresh, registered,
};

/// The grant is approved at 0. The first renewal is due when a token could outlive the client, and
/// the following ones at least a day apart.
#[test]
fn client_23_renewals_are_rare_writes() {
    for kind in [a_registration, a_document] {
        let world = open(policy());
        let id = kind(&world);
        let before = world.store.commits();
        let mut tokens = world.tokens_of(&id);
        assert_eq!(
            world.store.commits() - before,
            4,
            "a page, a renewal, an approval, a redemption"
        );
        let mut renewals = Vec::new();
        let mut last = end(&world, &id);
        for minute in 1..=10_000 {
            world.at(minute * 60);
            let before = world.store.commits();
            tokens = refresh(&world, &id, &tokens);
            let renewed = end(&world, &id) != last;
            assert_eq!(world.store.commits() - before, 1 + usize::from(renewed));
            if renewed {
                renewals.push(minute * 60);
                last = end(&world, &id);
            }
        }
        let expected: Vec<_> = (0..6).map(|n| 87_060 + n * (DAY + 60)).collect();
        assert_eq!(renewals, expected);
    }
}

/// Returns a world at the time when a refresh must renew the client first.
fn due() -> (World, String, Granted) {
    let (world, id) = registered(
        policy().lifetimes(Lifetimes::default().with_access(Duration::from_secs(3 * DAY))),
    );
    let tokens = world.tokens_of(&id);
    world.at(2 * DAY);
    (world, id, tokens)
}

#[test]
fn client_23_a_failed_renewal_has_no_effect() {
    for fault in [Fault::Dropped, Fault::Unacknowledged] {
        let (world, id, tokens) = due();
        let params = Params::refresh(tokens.refresh()).set("client_id", &id);
        world.store.fail([fault]);
        let failure = world.try_token(&params, Authorization::None).expect_err("the store fails");
        let reply = failure.reply(world.server.policy());
        assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::StorageUnavailable);
        assert!(world.works(&refresh(&world, &id, &tokens).access), "{fault:?}: the same token");
        assert_outlived(&world, &id);
    }
    for faults in [
        [Fault::Conflict, Fault::Conflict],
        [Fault::AppliedThenConflict, Fault::AppliedThenConflict],
    ] {
        let (world, id, tokens) = due();
        world.store.fail(faults);
        assert!(world.works(&refresh(&world, &id, &tokens).access), "{faults:?}");
        assert_outlived(&world, &id);
    }
    let (world, id) = registered(policy());
    let ticket = world.page(&ask(&id)).ticket();
    world.store.fail([Fault::Dropped]);
    let failure = world.server.consent(&ticket, ALICE, Choice::Allow).expect_err("the store fails");
    let location =
        failure.refusal().location(world.server.policy()).expect("an error for the client");
    assert!(
        location.contains("error=temporarily_unavailable") && location.contains("state=xyz"),
        "{location}"
    );
    assert_eq!(end(&world, &id), DAY);
    assert!(world.decide(&ticket, Choice::Allow).is_ok(), "the page can still be approved");
}

/// The administrator writes before the renewal is written, or before the tokens are.
#[test]
fn client_23_no_renewal_undoes_a_deactivation() {
    for commits_before in [0, 1] {
        for approves in [false, true] {
            let (world, id, tokens) = due();
            let ticket = world.page(&ask(&id)).ticket();
            let target = id.clone();
            for _ in 0..commits_before {
                world.store.meanwhile(|_| {});
            }
            world.meanwhile(move |admin| {
                admin.set_client_status(&target, ClientStatus::Deactivated).unwrap();
            });
            let params = Params::refresh(tokens.refresh()).set("client_id", &id);
            if approves {
                drop(world.decide(&ticket, Choice::Allow));
            } else {
                drop(world.token(&params));
            }
            let case = format!("{commits_before} {approves}");
            assert_eq!(world.client(&id).unwrap().status(), ClientStatus::Deactivated, "{case}");
            world.dead(&tokens.access, Reason::ClientDeactivated);
            assert_eq!(world.token(&params).status, 401, "{case}");
            assert_page(
                &world,
                &refused(&world, &ask(&id)),
                400,
                "invalid_client",
                Reason::ClientDeactivated,
            );
        }
    }
}

/// The renewal is written between the read and the write of the administrator.
#[test]
fn client_23_a_deactivation_survives_a_parallel_renewal() {
    let (world, id, tokens) = due();
    let target = id.clone();
    let before = end(&world, &id);
    world.meanwhile(move |other| {
        let body = Params::refresh(tokens.refresh()).set("client_id", &target).encode();
        assert_eq!(other.token(&form(&body)).answered(other.policy()).status, 200);
    });
    world.server.set_client_status(&id, ClientStatus::Deactivated).unwrap();
    assert_eq!(world.client(&id).unwrap().status(), ClientStatus::Deactivated);
    assert!(end(&world, &id) > before, "both are kept");
}

/// The lifetimes of the policy grow while a code waits, so the lifetime at the approval no longer
/// suffices.
#[test]
fn client_23_a_redemption_renews_if_grants_live_longer_by_then() {
    let (world, id) = registered(policy());
    let body = Params::redeem(&world.code(&ask(&id))).set("client_id", &id).encode();
    let before = end(&world, &id);
    let now = world.now();
    let longer = policy()
        .lifetimes(Lifetimes::default().with_refresh_idle(Duration::from_secs(3 * IDLE)))
        .build()
        .unwrap();
    let server =
        Server::with_sources(longer, Arc::clone(&world.store), FromStore, move || now, seeded(2));
    assert_eq!(server.token(&form(&body)).answered(server.policy()).status, 200);
    let grant = world.grants().remove(0).record;
    assert!(
        before < end(&world, &id) && world.client(&id).unwrap().drop_after() >= grant.drop_after()
    );
}
