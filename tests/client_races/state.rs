//! The state of the search: the two records, and how far each request is.

use grantcore::client::ClientStatus;
use grantcore::grant::{Grant, GrantState};
use grantcore::store::{Stored, Write};
use grantcore::{Client, Timestamp};

use crate::scenario::{Ask, Decided, Scenario};

/// The attempts of the driver for one request.
const ATTEMPTS: u8 = 4;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) client: Stored<Client>,
    pub(crate) grant: Stored<Grant>,
    pub(crate) actors: Vec<Actor>,
    /// Delayed commits, which may still be applied.
    pub(crate) late: Vec<Write>,
    pub(crate) faults: u8,
    /// The acknowledged outcomes.
    pub(crate) deactivated: bool,
    pub(crate) deleted: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Actor {
    pub(crate) ask: Ask,
    pub(crate) attempt: u8,
    pub(crate) step: Step,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Ready,
    HasGrant(Stored<Grant>),
    Loaded(Stored<Client>, Stored<Grant>),
    Over,
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
    pub(crate) fn check(&self) {
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
    pub(crate) fn next(&self, scenario: &Scenario) -> Vec<Self> {
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
