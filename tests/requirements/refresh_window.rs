//! Tests of REFRESH: the replay window and parallel requests (OAuth 2.1 §4.3.1), by the rules of
//! the decision table.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::Reason;
use grantcore::blocking::Store;
use grantcore::event::EventKind;
use grantcore::policy::{Lifetimes, LifetimesError, PolicyError};
use grantcore::request::TokenRequest;
use grantcore::store::Commit;

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{Granted, World, entropy, json, policy};

/// Returns a world with a replay window of 30 seconds.
fn windowed() -> World {
    World::with(policy().replay_window(Duration::from_secs(30)))
}

#[test]
fn refresh_05_by_default_there_is_no_window() {
    let world = World::new();
    let first = world.tokens();
    world.refreshed(first.refresh());
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
}

#[test]
fn refresh_05_inside_the_window_the_response_is_the_same() {
    let world = windowed();
    let first = world.tokens();
    world.at(100);
    let second = Granted::of(&world.token(&Params::refresh(first.refresh()).set("scope", "read")));
    for (at, left) in [(100, 3600), (101, 3599), (129, 3571)] {
        world.at(at);
        let commits = world.store.commits();
        assert_eq!(
            world.refreshed(first.refresh()),
            Granted { expires_in: left, ..second.clone() }
        );
        let event = world.events().pop().unwrap();
        assert_eq!(
            (event.kind.name(), event.kind),
            ("refresh_replayed_in_window", EventKind::RefreshReplayedInWindow)
        );
        assert_eq!(world.store.commits(), commits);
    }
    assert!(world.works(&second.access));
    let third = world.refreshed(second.refresh());
    assert_eq!(third.scope, "read write");
}

#[test]
fn refresh_05_inside_the_window_a_bad_request_is_only_refused() {
    let world = windowed();
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    let replay = || Params::refresh(first.refresh());
    world.refused(&replay().set("scope", "admin"), 400, "invalid_scope", Reason::ScopeBeyondGrant);
    world.refused(
        &replay().set("resource", "https://x.example"),
        400,
        "invalid_target",
        Reason::ResourceBeyondGrant,
    );
    world.store.suspend("alice", true);
    world.invalid_grant(&replay(), Reason::AccountSuspended);
    world.store.suspend("alice", false);
    assert_eq!(world.refreshed(first.refresh()), second);
}

#[test]
fn refresh_05_after_the_window_a_replay_revokes() {
    let world = windowed();
    let first = world.tokens();
    world.at(100);
    let second = world.refreshed(first.refresh());
    world.at(130);
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
    world.dead(&second.access, Reason::TokenRevoked);
}

#[test]
fn refresh_05_a_successor_that_was_rotated_inside_the_window_supersedes() {
    let world = windowed();
    let first = world.tokens();
    world.at(100);
    let second = world.refreshed(first.refresh());
    world.at(110);
    let third = world.refreshed(second.refresh());
    world.at(129);
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshSuperseded);
    assert_eq!(world.refreshed(second.refresh()).refresh(), third.refresh());
    world.at(130);
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
    world.dead(&third.access, Reason::TokenRevoked);
}

/// A redemption opens a window like a rotation. Within it, only the current token of the family can
/// end the grant.
#[test]
fn refresh_05_a_redemption_opens_a_window_too() {
    let world = windowed();
    let mut tokens = [world.tokens(), world.tokens()];
    world.at(20);
    tokens[1] = world.refreshed(tokens[1].refresh());
    for tokens in tokens {
        let mut bytes = URL_SAFE_NO_PAD.decode(&tokens.refresh()[4..]).unwrap();
        bytes[79] ^= 1;
        let other = Params::refresh(&format!("grt_{}", URL_SAFE_NO_PAD.encode(bytes)));
        world.at(29);
        world.invalid_grant(&other, Reason::RefreshSuperseded);
        assert!(world.works(&tokens.access));
        world.at(30);
        world.invalid_grant(&other, Reason::RefreshReused);
        world.dead(&tokens.access, Reason::TokenRevoked);
    }
}

#[test]
fn refresh_05_a_window_that_is_too_long_does_not_build() {
    let build = |seconds| policy().replay_window(Duration::from_secs(seconds)).build().map(|_| ());
    let seconds = Duration::from_secs;
    let longer = PolicyError::Lifetimes(LifetimesError::ReplayWindow {
        window: seconds(3601),
        access: seconds(3600),
        refresh_idle: seconds(30 * 24 * 60 * 60),
    });
    assert_eq!((build(3600), build(3601)), (Ok(()), Err(longer)));
    let idle = policy()
        .lifetimes(Lifetimes::default().with_refresh_idle(Duration::from_secs(3600)))
        .replay_window(Duration::from_secs(3600));
    let as_long = PolicyError::Lifetimes(LifetimesError::ReplayWindow {
        window: seconds(3600),
        access: seconds(3600),
        refresh_idle: seconds(3600),
    });
    assert_eq!(idle.build().map(|_| ()), Err(as_long));
}

/// The commit is applied and its acknowledgement is lost. The window serves this case.
#[test]
fn refresh_13_after_a_lost_acknowledgement_the_window_repeats_the_response() {
    let world = windowed();
    let token = world.tokens();
    world.unavailable(&Params::refresh(token.refresh()), Fault::Unacknowledged);
    let next = world.refreshed(token.refresh());
    assert!(world.works(&next.access) && world.works(&world.refreshed(next.refresh()).access));
}

#[test]
fn refresh_14_of_concurrent_refreshes_one_rotates() {
    for _ in 0..10 {
        let world = World::new();
        let token = world.tokens();
        let replies = world.race(20, &Params::refresh(token.refresh()));
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
        assert!(won.len() <= 1 && lost.iter().all(|reply| json(reply)["error"] == "invalid_grant"));
        for tokens in won.into_iter().map(Granted::of).chain([token]) {
            world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
            world.dead(&tokens.access, Reason::TokenRevoked);
        }
    }
}

#[test]
fn refresh_14_inside_the_window_all_get_one_successor() {
    for _ in 0..10 {
        let world = windowed();
        let token = world.tokens();
        let replies = world.race(20, &Params::refresh(token.refresh()));
        let won = Granted::of(&replies[0]);
        assert!(replies.iter().all(|reply| Granted::of(reply) == won));
        assert!(world.works(&won.access));
        world.refreshed(won.refresh());
    }
}

/// Parallel refreshes forked a family. Here two requests that read the same record leave one token
/// that can advance it.
#[test]
fn ghsa_392p_2q2v_4372_a_token_read_twice_has_one_successor() {
    for (world, lost) in [(windowed(), None), (World::new(), Some(Reason::RefreshReused))] {
        let body = Params::refresh(world.tokens().refresh()).encode();
        let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
        let moment = |seed| world.moment(entropy(seed));
        let one = world.decision(&request, &moment(1));
        let other = world.decision(&request, &moment(2));
        assert_eq!(world.store.commit(one.write().unwrap()), Ok(Commit::Done));
        assert_eq!(world.store.commit(other.write().unwrap()), Ok(Commit::Conflict));
        assert!(other.settle(Commit::Conflict).is_err());
        let anew = world.decision(&request, &moment(2).retry(world.now()));
        assert_eq!(anew.write().is_some(), lost.is_some());
        let first = one.settle(Commit::Done).unwrap().outcome;
        let second = anew.settle(Commit::Done).unwrap().outcome;
        match lost {
            Some(reason) => assert_eq!(second.unwrap_err().reason(), reason),
            None => assert_eq!(
                Granted::of(&first.unwrap().reply()),
                Granted::of(&second.unwrap().reply())
            ),
        }
    }
}

/// I17: an apparent replay in a second decision may be the request's own delayed commit. A retry
/// resolves it.
#[test]
fn refresh_14_a_request_decided_again_revokes_nothing_under_a_window() {
    let world = windowed();
    let first = world.tokens();
    let body = Params::refresh(first.refresh()).encode();
    let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
    let second = world.refreshed(first.refresh());
    world.at(60);
    let again = world.decision(&request, &world.moment(entropy(3)).retry(world.now()));
    assert!(again.write().is_none());
    assert_eq!(
        again.settle(Commit::Done).unwrap().outcome.unwrap_err().reason(),
        Reason::Contended
    );
    assert!(world.works(&second.access));
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::RefreshReused);
}

/// A commit that was applied and reported as a conflict is recognized by its own salt, with and
/// without a window.
#[test]
fn refresh_14_a_requests_own_commit_does_not_count_as_a_replay() {
    for world in [World::new(), windowed()] {
        let first = world.tokens();
        world.store.fail([Fault::AppliedThenConflict]);
        let second =
            Granted::of(&world.token(&Params::refresh(first.refresh()).set("scope", "read")));
        assert_eq!((second.scope.as_str(), second.expires_in), ("read", 3600));
        assert_eq!(world.events().last().unwrap().kind, EventKind::TokensRefreshed);
        assert!(world.works(&first.access) && world.works(&second.access));
        world.refreshed(second.refresh());
    }
}

/// An access token that has just expired takes no place in the record.
#[test]
fn refresh_16_an_access_token_is_dropped_at_its_expiry() {
    let world = World::new();
    let tokens = world.tokens();
    world.at(tokens.expires_in);
    world.refreshed(tokens.refresh());
    let record = serde_json::to_value(world.only_grant()).unwrap();
    let entries = &record["phase"]["active"]["access_tokens"];
    assert_eq!(entries.as_array().map(Vec::len), Some(1), "{record}");
}
