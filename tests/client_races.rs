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

mod support;

use std::collections::HashSet;

use grantcore::blocking::Store;
use grantcore::client::ClientStatus;
use grantcore::grant::{Grant, GrantState};
use grantcore::moment::Moment;
use grantcore::operation::{Loaded, Operation};
use grantcore::request::{ClientStatusChange, ConsentDecision, ManagementRequest, TokenRequest};
use grantcore::store::{Commit, Stored, Write};
use grantcore::{
    Account, Authorization, Choice, Client, ContentType, Policy, RequestParts, Timestamp,
};
use serde_json::Value;
use support::clients::{ask, metadata, with};
use support::params::Params;
use support::steps::{DAY, form};
use support::{ALICE, Granted, World, entropy};

/// The attempts of the driver for one request.
const ATTEMPTS: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ask {
    Approve,
    Refresh,
    Update,
    Delete,
    Deactivate,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    client: Stored<Client>,
    grant: Stored<Grant>,
    actors: Vec<Actor>,
    /// Delayed commits, which may still be applied.
    late: Vec<Write>,
    faults: u8,
    /// The acknowledged outcomes.
    deactivated: bool,
    deleted: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Actor {
    ask: Ask,
    attempt: u8,
    step: Step,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Step {
    Ready,
    HasGrant(Stored<Grant>),
    Loaded(Stored<Client>, Stored<Grant>),
    Over,
}

/// The write of a request, and its outcome after the write. `None` if it is decided again.
struct Decided {
    write: Option<Write>,
    settled: Option<bool>,
}

/// The requests of one scenario, and their world.
struct Scenario {
    policy: Policy,
    now: Timestamp,
    ticket: String,
    refresh: String,
    client_id: String,
    token: String,
}

impl Scenario {
    /// Creates a registered client with a grant: a consent page, or tokens that are `connected`
    /// seconds old.
    fn new(connected: Option<u64>) -> (Self, Stored<Client>, Stored<Grant>) {
        let world = World::open();
        let registration = world.registered(&metadata());
        let text = |member: &str| registration[member].as_str().unwrap().to_owned();
        let client_id = text("client_id");
        let token = text("registration_access_token");
        let mut ticket = String::new();
        let mut refresh = String::new();
        if let Some(age) = connected {
            world.tokens_of(&client_id).refresh().clone_into(&mut refresh);
            world.at(age);
        } else {
            ticket = world.page(&ask(&client_id)).ticket();
        }
        let client = world.store.inner.client(&client_id).unwrap().unwrap();
        let policy = world.server.policy().clone();
        let now = world.now();
        let grant = world.grants().remove(0);
        (Self { policy, now, ticket, refresh, client_id, token }, client, grant)
    }

    fn decide(
        &self,
        index: usize,
        actor: &Actor,
        client: &Stored<Client>,
        grant: &Stored<Grant>,
    ) -> Decided {
        let account = Some(Account::ACTIVE);
        let loaded = Loaded {
            grant: Some(grant.clone()),
            client: Some(client.clone()),
            account,
            ..Loaded::default()
        };
        let moment = Moment::new(self.now, entropy(1000 + index as u64));
        let moment = (0..actor.attempt).fold(moment, |moment, _| moment.retry(self.now));
        let bearer = format!("Bearer {}", self.token);
        let changed =
            with(with(metadata(), "client_id", self.client_id.as_str()), "client_name", "Renamed")
                .to_string();
        let managing = |method: &'static str| RequestParts {
            method,
            content_type: ContentType::JSON,
            authorization: Authorization::One(bearer.as_bytes()),
            body: changed.as_bytes(),
            ..RequestParts::default()
        };
        let refresh = Params::refresh(&self.refresh).set("client_id", &self.client_id).encode();
        match actor.ask {
            Ask::Approve => self.run(
                &ConsentDecision::new(&self.ticket, ALICE, Choice::Allow).unwrap(),
                &loaded,
                &moment,
            ),
            Ask::Refresh => self.run(
                &TokenRequest::parse(&form(&refresh), &self.policy).unwrap(),
                &loaded,
                &moment,
            ),
            Ask::Update => self.manage(&managing("PUT"), &loaded, &moment),
            Ask::Delete => self.manage(&managing("DELETE"), &loaded, &moment),
            Ask::Deactivate => self.run(
                &ClientStatusChange::new(&self.client_id, ClientStatus::Deactivated),
                &loaded,
                &moment,
            ),
        }
    }

    fn manage(&self, incoming: &RequestParts<'_>, loaded: &Loaded, moment: &Moment) -> Decided {
        self.run(
            &ManagementRequest::parse(&self.client_id, incoming, &self.policy).unwrap(),
            loaded,
            moment,
        )
    }

    fn run<O: Operation>(&self, operation: &O, loaded: &Loaded, moment: &Moment) -> Decided {
        let decision = operation.decide(loaded, &self.policy, moment);
        let write = decision.write().cloned();
        Decided {
            write,
            settled: decision.settle(Commit::Done).ok().map(|settled| settled.outcome.is_ok()),
        }
    }
}

impl State {
    /// Applies a commit if the version still matches, and returns whether it did.
    fn apply(&mut self, write: &Write) -> bool {
        match write {
            Write::Client(change) if change.seen() == Some(self.client.version) => {
                let before = &self.client.record;
                let after = change.record();
                assert!(
                    [0, 1].contains(&after.epoch().wrapping_sub(before.epoch())),
                    "an epoch never decreases"
                );
                self.client = change.stored();
            }
            Write::Grant(change) if change.seen() == Some(self.grant.version) => {
                self.grant = change.stored();
            }
            Write::Client(_) | Write::Grant(_) | Write::Seen(_) => return false,
        }
        true
    }

    /// Checks the conditions that hold in every state.
    fn check(&self) {
        let client = &self.client.record;
        assert!(
            !self.deactivated || client.status() == ClientStatus::Deactivated,
            "a deactivation is permanent"
        );
        let is_over = client.is_expired(Timestamp::from_unix_seconds(1));
        assert!(!self.deleted || is_over, "a deletion is permanent at every time");
        let is_live =
            matches!(self.grant.record.state(), GrantState::CodeIssued | GrantState::Active);
        let outlives = client.drop_after() >= self.grant.record.drop_after();
        assert!(
            !is_live || is_over || outlives,
            "no client is dropped before its grant: {:?}",
            self.grant.record.state()
        );
    }

    /// Returns every possible next state.
    fn next(&self, scenario: &Scenario) -> Vec<Self> {
        let late = (0..self.late.len()).map(|index| {
            let mut after = self.clone();
            let write = after.late.remove(index);
            after.apply(&write);
            after
        });
        late.chain((0..self.actors.len()).flat_map(|index| self.step(scenario, index))).collect()
    }

    fn step(&self, scenario: &Scenario, index: usize) -> Vec<Self> {
        let actor = &self.actors[index];
        let to = |step: Step| {
            let mut after = self.clone();
            after.actors[index].step = step;
            after
        };
        match &actor.step {
            Step::Over => Vec::new(),
            // The grant is read before its client, as `Store::load` does. If there is only one
            // record to read, nothing can happen in between.
            Step::Ready if matches!(actor.ask, Ask::Approve | Ask::Refresh) => {
                vec![to(Step::HasGrant(self.grant.clone()))]
            }
            Step::Ready => vec![to(Step::Loaded(self.client.clone(), self.grant.clone()))],
            Step::HasGrant(grant) => vec![to(Step::Loaded(self.client.clone(), grant.clone()))],
            Step::Loaded(client, grant) => {
                self.commit(index, scenario.decide(index, actor, client, grant))
            }
        }
    }

    /// Commits with every possible outcome.
    fn commit(&self, index: usize, decided: Decided) -> Vec<Self> {
        let Some(write) = decided.write else { return vec![self.settled(index, decided.settled)] };
        let mut applied = self.clone();
        let matched = applied.apply(&write);
        let mut after = vec![if matched {
            applied.settled(index, decided.settled)
        } else {
            self.settled(index, None)
        }];
        if matched && self.faults > 0 {
            let mut lost = applied;
            let mut dropped = self.clone();
            (lost.faults, dropped.faults) = (self.faults - 1, self.faults - 1);
            let mut late = dropped.clone();
            late.late.push(write);
            // Applied and reported as an error or a conflict; not applied and reported as an error;
            // delayed and reported as an error or a conflict.
            after.extend([lost.unknown(index), lost.settled(index, None), dropped.unknown(index)]);
            after.extend([late.unknown(index), late.settled(index, None)]);
        }
        after
    }

    /// Ends the request, or lets it be decided again.
    fn settled(&self, index: usize, outcome: Option<bool>) -> Self {
        let mut after = self.clone();
        let actor = &mut after.actors[index];
        actor.attempt += 1;
        actor.step =
            if outcome.is_some() || actor.attempt >= ATTEMPTS { Step::Over } else { Step::Ready };
        match (outcome, actor.ask) {
            (Some(true), Ask::Deactivate) => after.deactivated = true,
            (Some(true), Ask::Delete) => after.deleted = true,
            _ => {}
        }
        after
    }

    /// Ends the request with the store's error. Whether its write is durable is unknown.
    fn unknown(&self, index: usize) -> Self {
        let mut after = self.clone();
        after.actors[index].step = Step::Over;
        after
    }
}

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
