//! One move as the invariants judge it: what a decision was made on, by the model's history.

use grantcore::grant::GrantState;

use crate::moves::{Decided, Move};
use crate::proof::strongest;
use crate::request::Ask;
use crate::state::{Actor, Answer, Entry, Record, State};
use crate::world::World;

/// One move to judge.
pub struct Seen<'a> {
    pub world: &'a World,
    pub before: &'a State,
    pub taken: &'a Move,
    pub after: &'a State,
}

pub enum Verdict {
    /// The invariant does not apply to this move.
    Silent,
    Holds,
    Broken(String),
}

/// Returns the verdict of an invariant that applies to the move.
pub fn must(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Verdict::Holds } else { Verdict::Broken(what()) }
}

/// The lifetimes of a consent page and of a code, in seconds.
const LIFETIME: i64 = 600;

/// The place of a refresh token in the record that a decision was made on, by the history of that
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not rotated.
    Current,
    /// Rotated last, by this request itself.
    Own,
    /// Rotated last, less than W ago.
    InWindow,
    /// Rotated earlier, and the last but one rotation was less than W ago.
    Crowded,
    /// Any other place: a replay.
    Past,
}

impl Seen<'_> {
    /// Returns the response that just left, and its actor.
    pub fn leaving(&self) -> Option<(&Actor, &Answer)> {
        match self.taken {
            Move::Leave { by, answer, .. } => Some((&self.before.actors[by.actor], answer)),
            _ => None,
        }
    }

    /// Returns whether the move changed nothing that credentials are judged by, and no response
    /// left.
    pub fn changes_nothing(&self) -> bool {
        match self.taken {
            Move::ReadGrant { .. }
            | Move::ReadStanding { .. }
            | Move::ReadMemory { .. }
            | Move::Mark { .. } => true,
            Move::Decide(_) => self.before.record == self.after.record,
            Move::Leave { .. } | Move::Land { .. } | Move::Tick(_) | Move::Raise(_) => false,
        }
    }

    pub fn decided(&self) -> Option<&Decided> {
        match self.taken {
            Move::Decide(decided) => Some(decided),
            _ => None,
        }
    }

    /// Returns the decision of a refresh without a flaw, on a grant that was alive.
    pub fn refresh(&self) -> Option<&Decided> {
        let decided = self.decided().filter(|decided| {
            matches!(decided.ask, Ask::Refresh(..)) && !decided.ask.is_flawed()
        })?;
        let history = self.history(decided);
        let is_client = decided.proof >= strongest(history);
        (is_client && !self.has_ended(decided) && !was_revoked(history)).then_some(decided)
    }

    /// Returns the writes that led to the record that a decision was made on.
    pub fn history(&self, decided: &Decided) -> &[Entry] {
        self.before.history_of(decided.basis.grant.as_ref().map(Record::version))
    }

    /// Returns whether the decision was made on a grant with other epochs than its consent page
    /// had.
    pub fn has_ended(&self, decided: &Decided) -> bool {
        self.history(decided).first().is_some_and(|page| page.epochs != decided.basis.epochs)
    }

    /// Returns the later of the clock and the latest time that the record had seen.
    pub fn record_time(&self, decided: &Decided) -> i64 {
        self.history(decided)
            .last()
            .map_or(decided.basis.now, |last| last.at.max(decided.basis.now))
    }

    /// Returns whether the record was a consent page or a code that had expired unused.
    pub fn has_expired(&self, decided: &Decided) -> bool {
        let waits = |entry: &&Entry| {
            matches!(entry.wrote, GrantState::ConsentPending | GrantState::CodeIssued)
        };
        let last = self.history(decided).last().filter(waits);
        last.is_some_and(|last| self.record_time(decided) >= last.at + LIFETIME)
    }

    pub fn place(&self, decided: &Decided) -> Place {
        let history = self.history(decided);
        let now = self.record_time(decided);
        let within = |entry: &Entry| now < entry.at + self.world.window;
        let mut rotations = history.iter().rev().filter(|entry| entry.issues);
        let last = rotations.next();
        let before = rotations.next();
        let is_ours = |entry: &&Entry| entry.rotated == decided.presented;
        match (last.filter(is_ours), before) {
            _ if !history.iter().any(|entry| entry.rotated == decided.presented) => Place::Current,
            (Some(last), _) if last.by == decided.by => Place::Own,
            (Some(last), _) if within(last) => Place::InWindow,
            (_, Some(before)) if within(before) => Place::Crowded,
            _ => Place::Past,
        }
    }
}

pub fn redeemers(state: &State) -> impl Iterator<Item = &Actor> {
    state.actors.iter().filter(|actor| actor.redeems())
}

pub fn was_revoked(history: &[Entry]) -> bool {
    history.iter().any(|entry| matches!(entry.wrote, GrantState::Revoked(_)))
}
