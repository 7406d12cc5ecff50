//! Tests of STORE: the writes, their retries, and the contents of records.

use std::sync::Barrier;
use std::time::Duration;

use grantcore::blocking::{Server, Store};
use grantcore::grant::GrantState;
use grantcore::moment::EntropyError;
use grantcore::operation::{Decision, Operation};
use grantcore::policy::Limits;
use grantcore::request::{AuthorizationRequest, ConsentDecision, TokenRequest};
use grantcore::response::Tokens;
use grantcore::store::{Commit, Write};
use grantcore::{
    Authorization, Choice, Error, FromStore, MemoryStore, Reason, RequestParts, Timestamp,
};

use crate::support::params::Params;
use crate::support::steps::{DAY, form};
use crate::support::store::{Broken, Fault};
use crate::support::{ALICE, Answered, Granted, T, World, entropy, json, policy};

/// Returns the writes that these requests would make now, each with its own entropy.
fn writes<O: Operation>(world: &World, operation: &O, number: u64) -> Vec<Write> {
    let decide = |seed| world.decision(operation, &world.moment(entropy(seed)));
    (0..number).map(|seed| decide(seed).write().expect("it writes").clone()).collect()
}

#[test]
fn store_01_of_many_commits_on_one_version_one_is_done() {
    let one_wins = |store: &MemoryStore, writes: &[Write]| {
        let barrier = Barrier::new(writes.len());
        let commit = |write| {
            barrier.wait();
            Store::commit(&*store, write).unwrap()
        };
        let commits: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                writes.iter().map(|write| scope.spawn(move || commit(write))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let done: Vec<_> = (0..writes.len()).filter(|at| commits[*at] == Commit::Done).collect();
        assert_eq!(done.len(), 1, "{commits:?}");
        let write = &writes[done[0]];
        let change = write.as_grant().unwrap();
        let stored = Store::grant(&store, change.id()).unwrap().unwrap();
        assert_eq!(stored, change.stored());
    };
    for _ in 0..10 {
        let world = World::new();
        let query = Params::authorize().encode();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let authorize =
            AuthorizationRequest::parse(&incoming, Some(ALICE), world.server.policy()).unwrap();
        // The same record is created by all requests, then one consent is decided by all, then one
        // refresh is made by all.
        one_wins(&world.store.inner, &vec![writes(&world, &authorize, 1).remove(0); 20]);
        let ticket = world.page(&Params::authorize()).ticket();
        one_wins(
            &world.store.inner,
            &writes(&world, &ConsentDecision::new(&ticket, ALICE, Choice::Allow).unwrap(), 20),
        );
        let body = Params::refresh(world.tokens().refresh()).encode();
        let refresh = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
        one_wins(&world.store.inner, &writes(&world, &refresh, 20));
    }
}

#[test]
fn store_02_a_crash_leaves_either_the_old_token_live_or_the_new() {
    for committed in [false, true] {
        let crashed = || {
            let world = World::new();
            let old = world.tokens();
            let body = Params::refresh(old.refresh()).encode();
            let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
            let decide = || world.decision(&request, &world.moment(entropy(9)));
            // The tokens of the response that the crash prevented.
            let new = Granted::of(&decide().settle(Commit::Done).unwrap().outcome.unwrap().reply());
            if committed {
                assert_eq!(world.store.commit(decide().write().unwrap()), Ok(Commit::Done));
            }
            (world, old, new)
        };
        let (world, old, new) = crashed();
        assert_eq!((world.works(&old.access), world.works(&new.access)), (true, committed));
        assert_eq!(
            world.token(&Params::refresh(old.refresh())).status,
            if committed { 400 } else { 200 }
        );
        let (world, _, new) = crashed();
        assert_eq!(
            world.token(&Params::refresh(new.refresh())).status,
            if committed { 200 } else { 400 }
        );
    }
}

/// A token request in steps: it decides, commits, and begins again after a conflict.
struct Stepwise<'a> {
    request: TokenRequest<'a>,
    seed: u64,
    is_retry: bool,
    decided: Option<Decision<Tokens>>,
    outcome: Option<Result<Granted, Reason>>,
}

impl Stepwise<'_> {
    fn step(&mut self, world: &World) {
        if self.outcome.is_some() {
            return;
        }
        let Some(decision) = self.decided.take() else {
            let moment = world.moment(entropy(self.seed));
            let moment = if self.is_retry { moment.retry(world.now()) } else { moment };
            self.decided = Some(world.decision(&self.request, &moment));
            return;
        };
        let commit =
            decision.write().map_or(Commit::Done, |write| world.store.commit(write).unwrap());
        self.is_retry = true;
        let settled = decision.settle(commit).ok();
        self.outcome = settled.map(|settled| {
            settled.outcome.map(|tokens| Granted::of(&tokens.reply())).map_err(|no| no.reason())
        });
    }
}

#[test]
fn store_03_once_a_family_is_revoked_no_order_of_steps_leaves_a_live_token() {
    for (window, replays_code) in [(0, false), (0, true), (30, true)] {
        for order in 0..=u8::MAX {
            let world = World::with(policy().replay_window(Duration::from_secs(window)));
            let code = world.code(&Params::authorize());
            let first = Granted::of(&world.token(&Params::redeem(&code)));
            let second = world.refreshed(first.refresh());
            world.at(60);
            let replay =
                if replays_code { Params::redeem(&code) } else { Params::refresh(first.refresh()) };
            let bodies = [Params::refresh(second.refresh()).encode(), replay.encode()];
            let mut actors = [0, 1].map(|at: usize| Stepwise {
                request: TokenRequest::parse(&form(&bodies[at]), world.server.policy()).unwrap(),
                seed: 70 + u64::try_from(at).unwrap(),
                is_retry: false,
                decided: None,
                outcome: None,
            });
            (0..8).for_each(|bit| actors[usize::from(order >> bit & 1)].step(&world));
            (0..8).for_each(|at| actors[at % 2].step(&world));
            let [refreshed, replayed] = actors.map(|actor| actor.outcome.expect("it ended"));
            assert!(
                matches!(replayed, Err(Reason::RefreshReused | Reason::CodeReused)),
                "{order:b}: {replayed:?}"
            );
            for tokens in [first, second].iter().chain(refreshed.as_ref().ok()) {
                world.dead(&tokens.access, Reason::TokenRevoked);
                world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
            }
        }
    }
}

/// Returns the error of each step whose write fails.
fn failures(world: &World, fault: Fault) -> [Error<Broken>; 4] {
    let fail = || world.store.fail([fault]);
    let page = || world.page(&Params::authorize()).ticket();
    let token = |params: Params| {
        fail();
        world.try_token(&params, Authorization::None).unwrap_err()
    };
    let authorize = || {
        fail();
        world.try_authorize(&Params::authorize(), Some(ALICE)).unwrap_err()
    };
    let approve = |ticket: String| {
        fail();
        world.server.consent(&ticket, ALICE, Choice::Allow).unwrap_err()
    };
    let redeem = world.code(&Params::authorize());
    let refresh = world.tokens();
    [
        authorize(),
        approve(page()),
        token(Params::redeem(&redeem)),
        token(Params::refresh(refresh.refresh())),
    ]
}

#[test]
fn store_05_no_response_leaves_before_its_write_is_durable() {
    for fault in [Fault::Dropped, Fault::Unacknowledged] {
        let world = World::new();
        for failure in failures(&world, fault) {
            let reply = failure.reply(world.server.policy());
            let out =
                format!("{failure:?} {} {:?} {}", failure.refusal(), reply.headers, reply.body);
            assert!(
                matches!(reply.status, 503 | 303) && out.contains("temporarily_unavailable"),
                "{out}"
            );
            assert!(
                !["gct_", "gac_", "gat_", "grt_"].iter().any(|prefix| out.contains(prefix)),
                "{out}"
            );
        }
    }
}

#[test]
fn store_05_without_randomness_nothing_is_written() {
    let world = World::new();
    let token = world.tokens();
    let dry = Server::with_sources(
        policy().build().unwrap(),
        &*world.store,
        FromStore,
        || Timestamp::from_unix_seconds(T),
        || Err(EntropyError),
    );
    let commits = world.store.commits();
    let body = Params::refresh(token.refresh()).encode();
    let reply = dry.token(&form(&body)).answered(dry.policy());
    assert_eq!((reply.status, &json(&reply)["error"]), (503, &"temporarily_unavailable".into()));
    assert_eq!(world.store.commits(), commits);
    world.refreshed(token.refresh());
}

#[test]
fn store_07_every_write_says_when_it_may_be_dropped_and_a_sweep_is_bounded() {
    let world = World::with(policy().limits(Limits::default().with_consent_pages_per_minute(1000)));
    let pages: Vec<_> = (0..150).map(|_| world.page(&Params::authorize())).collect();
    // Opening a link is enough to make a page, so its record is kept for only an hour more. Other
    // records are kept for a day.
    let kept = 600 + 3600;
    let end = Timestamp::from_unix_seconds(T + kept);
    assert!(world.grants().iter().all(|stored| stored.record.drop_after() == end));
    let sweep = |seconds| world.store.inner.sweep(Timestamp::from_unix_seconds(T + seconds), 100);
    assert_eq!((sweep(kept - 1), world.store.inner.counts().grants), (0, 150));
    assert_eq!((sweep(kept), world.grants().len()), (100, 50));
    assert_eq!((sweep(kept), sweep(kept), world.grants().len()), (50, 0, 0));
    drop(pages);
}

#[test]
fn store_08_a_replay_is_recognized_until_the_last_expiry_after_any_sweep() {
    let old = |replay_at: u64| {
        let world = World::new();
        let code = world.code(&Params::authorize());
        let first = Granted::of(&world.token(&Params::redeem(&code)));
        let second = world.refreshed(first.refresh());
        world.at(replay_at);
        for seconds in (0..=replay_at).step_by(usize::try_from(DAY / 2).unwrap()).chain([replay_at])
        {
            world.store.inner.sweep(Timestamp::from_unix_seconds(T + seconds), usize::MAX);
        }
        (world, code, first, second)
    };
    for replay_at in [0, 1, 3600, DAY, 30 * DAY - 1] {
        let (world, _, first, second) = old(replay_at);
        world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
        world.invalid_grant(&Params::refresh(second.refresh()), Reason::GrantRevoked);
        world.store.inner.sweep(world.now(), usize::MAX);
        assert_eq!(
            world.grants()[0].record.state(),
            GrantState::Revoked(grantcore::grant::RevocationCause::Replay)
        );
        let (world, code, ..) = old(replay_at);
        world.invalid_grant(&Params::redeem(&code), Reason::CodeReused);
    }
    let (world, _, first, second) = old(0);
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
    world.at(30 * DAY - 1);
    world.store.inner.sweep(world.now(), usize::MAX);
    world.invalid_grant(&Params::refresh(second.refresh()), Reason::GrantRevoked);
    let (world, code, first, second) = old(31 * DAY);
    assert!(world.grants().is_empty());
    for token in [first.refresh(), second.refresh()] {
        world.invalid_grant(&Params::refresh(token), Reason::RefreshUnknown);
    }
    world.invalid_grant(&Params::redeem(&code), Reason::CodeUnknown);
    assert!(world.store.client("app").unwrap().is_some(), "no client is swept");
}

#[test]
fn store_08_a_record_dropped_early_fails_closed() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let code = world.code(&Params::authorize());
    let tokens = world.tokens();
    assert_eq!(world.store.inner.sweep(Timestamp::NEVER, usize::MAX), 3);
    world.invalid_grant(&Params::redeem(&code), Reason::CodeUnknown);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::RefreshUnknown);
    world.dead(&tokens.access, Reason::TokenUnknown);
    assert_eq!(world.decide(&ticket, Choice::Allow).unwrap_err().reason(), Reason::TicketUnknown);
    assert!(world.grants().is_empty());
}
