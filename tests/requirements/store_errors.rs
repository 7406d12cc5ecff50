//! Tests of STORE-06: conflicts, and errors of the store.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use grantcore::blocking::{Store, drive};
use grantcore::grant::Grant;
use grantcore::request::TokenRequest;
use grantcore::response::Tokens;
use grantcore::store::{Commit, FailureCause, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{AlwaysActive, Authorization, Choice, Client, FromStore, Reason};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::{Broken, Fault, TestStore};
use crate::support::{Granted, World, assert_refused, entropy, param};

#[test]
fn store_06_a_conflict_is_decided_again_a_few_times() {
    for conflicts in 0..4 {
        let world = World::new();
        let code = world.code(&Params::authorize());
        let before = world.store.commits();
        world.store.fail(vec![Fault::Conflict; conflicts]);
        assert!(world.works(&Granted::of(&world.token(&Params::redeem(&code))).access));
        assert_eq!(world.store.commits() - before, conflicts + 1);
    }
    let world = World::new();
    let code = world.code(&Params::authorize());
    let before = world.store.commits();
    world.store.fail([Fault::Conflict; 4]);
    let reply = world.token(&Params::redeem(&code));
    assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::Contended);
    assert_eq!((reply.header("retry-after"), world.store.commits() - before), (Some("1"), 4));
    Granted::of(&world.token(&Params::redeem(&code)));
}

#[test]
fn store_06_each_decision_is_made_on_fresh_records() {
    let world = World::new();
    let body = Params::redeem(&world.code(&Params::authorize())).encode();
    let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
    let reads = AtomicU64::new(0);
    let before = world.store.commits();
    // The account is suspended between the first attempt and the second.
    let clock = || {
        let earlier = reads.fetch_add(1, Ordering::SeqCst);
        world.store.suspend("alice", earlier > 0);
        world.now()
    };
    world.store.fail([Fault::Conflict]);
    let settled =
        drive(&request, &*world.store, FromStore, world.server.policy(), &clock, entropy(5))
            .unwrap();
    assert_eq!(settled.outcome.unwrap_err().reason(), Reason::AccountSuspended);
    assert_eq!((reads.into_inner(), world.store.commits() - before), (2, 1));
}

#[test]
fn store_06_an_error_reaches_the_host_unchanged_and_is_not_retried() {
    for faults in [vec![Fault::Dropped], vec![Fault::Conflict, Fault::Unacknowledged]] {
        let world = World::new();
        let code = world.code(&Params::authorize());
        let before = world.store.commits();
        let expected = faults.len();
        world.store.fail(faults);
        let failure = world.try_token(&Params::redeem(&code), Authorization::None).unwrap_err();
        let failure = failure.failure().unwrap();
        assert_eq!(
            (failure.store_error(), failure.refusal.reason()),
            (Some(&Broken), Reason::StorageUnavailable)
        );
        assert_eq!(world.store.commits() - before, expected);
    }
    let world = World::new();
    let tokens = world.tokens();
    world.store.break_reads(true);
    let reads = world.store.reads.load(Ordering::SeqCst);
    let refresh =
        world.try_token(&Params::refresh(tokens.refresh()), Authorization::None).unwrap_err();
    let refresh = refresh.failure().unwrap();
    assert!(matches!(refresh.cause, FailureCause::Store(Broken)));
    assert_eq!(refresh.refusal.status(), 503);
    assert_eq!(world.store.reads.load(Ordering::SeqCst) - reads, 1);
}

/// The test store with an async interface.
struct Awaited<'a>(&'a TestStore);

impl grantcore::Store for Awaited<'_> {
    type Error = Broken;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        self.0.client(id)
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        self.0.grant(id)
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        self.0.commit(write)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        self.0.grants_of(subject, after, limit)
    }
}

#[test]
fn store_06_the_async_driver_does_the_same() {
    use Fault::{AppliedThenConflict, Conflict, Dropped, Unacknowledged};
    let faults: [&[Fault]; 6] = [
        &[],
        &[Conflict; 3],
        &[Conflict; 4],
        &[Dropped],
        &[Conflict, Unacknowledged],
        &[AppliedThenConflict],
    ];
    for faults in faults {
        let [waited, awaited] = [false, true].map(|awaits| {
            let world = World::new();
            let body = Params::redeem(&world.code(&Params::authorize())).encode();
            let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
            let policy = world.server.policy();
            let clock = || world.now();
            let before = world.store.commits();
            world.store.fail(faults.iter().copied());
            let result = if awaits {
                let store = Awaited(&world.store);
                let mut future = std::pin::pin!(grantcore::operation::drive(
                    &request,
                    &store,
                    &AlwaysActive,
                    policy,
                    &clock,
                    entropy(5),
                ));
                match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(result) => result,
                    Poll::Pending => panic!("the store answers at once"),
                }
            } else {
                drive(&request, &*world.store, FromStore, policy, &clock, entropy(5))
            };
            let answer = result
                .map_err(|failure| (failure.store_error().copied(), failure.refusal.reason()));
            let answer = answer.map(|settled| {
                settled.outcome.map_or_else(|no| no.reply(policy), Tokens::reply).body
            });
            (answer, world.store.commits() - before, world.grants())
        });
        assert_eq!(waited, awaited, "{faults:?}");
    }
}

/// An applied commit that the store reports otherwise is recognized at every step, and answered as
/// a success.
#[test]
fn store_06_a_requests_own_applied_commit_is_its_success() {
    let world = World::new();
    let applied = || world.store.fail([Fault::AppliedThenConflict]);
    applied();
    let ticket = world.page(&Params::authorize()).ticket();
    applied();
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    applied();
    let tokens = Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap())));
    assert_eq!((tokens.scope.as_str(), tokens.expires_in), ("read write", 3600));
    applied();
    let next = world.refreshed(tokens.refresh());
    assert!(world.works(&tokens.access) && world.works(&next.access));
    assert_eq!(world.grants().len(), 1);
}
