//! One request as a step machine, and all possible next moves of a state.
//!
//! A request reads the clock and the grant, then client and account, decides and commits, and its
//! response leaves. Between any two of these steps, other requests, a delayed commit or the clock
//! can move. This module does not judge.

use grantcore::Reason;
use grantcore::grant::{Grant, GrantState};
use grantcore::store::Change;

use crate::broken::Rule;
use crate::moves::{CommitOutcome, Decided, Move};
use crate::request::{Ask, Credential, Judgment};
use crate::state::{Actor, Answer, Basis, Entry, Late, Record, State, Step};
use crate::world::{Decision, Question, World};

/// The attempts of the library's driver for one request.
const ATTEMPTS: u8 = 4;

/// Returns every possible move of this state, with its next state.
pub fn successors(world: &World, state: &State) -> Vec<(Move, State)> {
    let mut next: Vec<_> =
        (0..state.actors.len()).flat_map(|index| steps_of(world, state, index)).collect();
    for Late(write, entry) in &state.pending {
        let mut after = state.clone();
        if after.apply(write, entry.clone()) {
            next.push((Move::Land { by: entry.by }, after));
        }
    }
    if state.ticks > 0 && state.actors.iter().any(|actor| actor.step != Step::Over) {
        next.extend(world.ticks.iter().map(|seconds| {
            let after =
                State { clock: state.clock + seconds, ticks: state.ticks - 1, ..state.clone() };
            (Move::Tick(*seconds), after)
        }));
    }
    next
}

/// Returns every move of this actor. The first one is without a fault.
pub fn steps_of(world: &World, state: &State, index: usize) -> Vec<(Move, State)> {
    let actor = &state.actors[index];
    match &actor.step {
        Step::Ready if actor.ask.is_of_host() => vec![raise(state, index)],
        Step::Ready => read_grant(world, state, index).into_iter().collect(),
        Step::HasGrant { .. } => vec![read_epochs(world, state, index)],
        Step::HasStanding { .. } => vec![read_memory(world, state, index)],
        Step::Loaded(basis) => decide(world, state, index, basis),
        Step::Answering(answer) => leave(state, index, answer),
        Step::Over => Vec::new(),
    }
}

fn raise(state: &State, index: usize) -> (Move, State) {
    let mut after = state.clone();
    let ask = after.actors[index].ask;
    match ask {
        Ask::RaiseClient => after.epochs.client += 1,
        Ask::EndMemory => after.is_memory_ended = true,
        Ask::Judge(judgment) => after.judgment = judgment,
        _ => after.epochs.account += 1,
    }
    after.actors[index].step = Step::Over;
    (Move::Raise(ask), after)
}

/// Begins an attempt. Returns `None` if the clients do not hold the credential of the request yet.
fn read_grant(world: &World, state: &State, index: usize) -> Option<(Move, State)> {
    let by = state.name(index);
    let now = state.clock;
    let mut after = state.clone();
    let actor = &mut after.actors[index];
    let ask = actor.ask;
    if ask.presents().is_some() && actor.presented.is_none() {
        actor.presented = Some(state.pick(ask)?);
    }
    if actor.attempt == 0 {
        actor.began_revoked = ask == Ask::Check && state.is_revocation_acknowledged();
        actor.began_outside |= world.window > 0 && is_outside(state, actor.presented, world.window);
    }
    let judgment = state.judgment;
    let nothing = Basis { grant: None, now, epochs: state.epochs, judgment, memory: None };
    let Actor { presented, attempt, proof, marked, .. } = *actor;
    let question = Question { ask, presented, by, attempt, basis: nothing, proof, marked };
    let grant = world.load_grant(&question, state.record.as_ref());
    let read = Move::ReadGrant {
        by,
        ask,
        presented: actor.presented,
        now,
        version: grant.as_ref().map(Record::version),
    };
    // If the host changes nothing, the time at which client and account are read does not matter.
    actor.step = if world.is_host_active {
        Step::HasGrant { grant, now }
    } else {
        let basis = Basis { grant, ..question.basis };
        let question = Question { basis, ..question };
        let memory = world.load_memory(&question, state);
        Step::Loaded(Basis { memory, ..question.basis })
    };
    Some((read, after))
}

/// Returns whether W has passed, by record time, since the first use of this refresh token.
fn is_outside(state: &State, presented: Option<Credential>, window: i64) -> bool {
    let first_use =
        state.history.iter().find(|entry| entry.rotated.is_some() && entry.rotated == presented);
    let record_time = state.history.last().map_or(state.clock, |last| last.at.max(state.clock));
    first_use.is_some_and(|first| record_time >= first.at + window)
}

fn read_epochs(world: &World, state: &State, index: usize) -> (Move, State) {
    let mut after = state.clone();
    let actor = &mut after.actors[index];
    if let Step::HasGrant { grant, now } = actor.step.clone() {
        let (epochs, judgment) = (state.epochs, state.judgment);
        actor.step = if world.remembers() {
            Step::HasStanding { grant, now, epochs }
        } else {
            Step::Loaded(Basis { grant, now, epochs, judgment, memory: None })
        };
    }
    (Move::ReadStanding { by: state.name(index) }, after)
}

/// Reads the earlier grant, as the driver does after everything else.
fn read_memory(world: &World, state: &State, index: usize) -> (Move, State) {
    let mut after = state.clone();
    let by = state.name(index);
    let Actor { ask, presented, attempt, ref step, proof, marked, .. } = state.actors[index];
    if let Step::HasStanding { grant, now, epochs } = step.clone() {
        let judgment = state.judgment;
        let basis = Basis { grant, now, epochs, judgment, memory: None };
        let question = Question { ask, presented, by, attempt, basis, proof, marked };
        let memory = world.load_memory(&question, state);
        after.actors[index].step = Step::Loaded(Basis { memory, ..question.basis });
    }
    (Move::ReadMemory { by }, after)
}

/// Decides the request, and commits with every possible outcome.
fn decide(world: &World, state: &State, index: usize, basis: &Basis) -> Vec<(Move, State)> {
    let actor = &state.actors[index];
    let by = state.name(index);
    let Actor { ask, presented, attempt, proof, marked, .. } = *actor;
    let basis_of = basis.clone();
    let question = Question { ask, presented, by, attempt, basis: basis_of, proof, marked };
    let decision = world.decide(question);
    if decision.marks {
        let mut after = state.clone();
        after.actors[index].marked = Some(state.clock);
        return vec![(Move::Mark { by }, after)];
    }
    let wrote = decision.write.as_ref().map(|write| write.record().state());
    let is_checked = world.without != Some(Rule::VersionCheck);
    let outcomes = match &decision.write {
        Some(_) if !is_checked => vec![CommitOutcome::Done],
        pending => commit_outcomes(state, pending.as_ref()),
    };
    let each = outcomes.into_iter().map(|outcome| {
        let mut after = state.clone();
        if let Some(write) = &decision.write {
            let entry = entry(state, index, basis, &decision, write);
            if is_checked {
                settle_write(&mut after, outcome, write, entry);
            } else {
                after.overwrite(write, entry);
            }
        }
        let answer = match outcome {
            CommitOutcome::Unwritten | CommitOutcome::Done => Some(decision.done.clone()),
            CommitOutcome::AppliedError | CommitOutcome::Dropped | CommitOutcome::LateError => {
                Some(decision.unknown.clone())
            }
            CommitOutcome::Conflict
            | CommitOutcome::AppliedConflict
            | CommitOutcome::LateConflict => {
                (attempt + 1 >= ATTEMPTS).then_some(Answer::No(Reason::Contended))
            }
        };
        (after.actors[index].step, after.actors[index].attempt) = match &answer {
            Some(answer) => (Step::Answering(answer.clone()), 0),
            None => (Step::Ready, attempt + 1),
        };
        let decided = Decided {
            by,
            ask,
            presented,
            basis: basis.clone(),
            attempt,
            is_retry: attempt > 0,
            proof,
            raises: decision.raises,
            wrote,
            outcome,
            answer,
        };
        (Move::Decide(Box::new(decided)), after)
    });
    each.collect()
}

/// Returns the possible outcomes of this commit. A store never reports a conflict without a cause
/// (LAW 2).
fn commit_outcomes(state: &State, write: Option<&Change<Grant>>) -> Vec<CommitOutcome> {
    let version = state.record.as_ref().map(Record::version);
    let (sound, faulty): (CommitOutcome, &[CommitOutcome]) = match write {
        None => (CommitOutcome::Unwritten, &[]),
        Some(write) if write.seen() != version => {
            (CommitOutcome::Conflict, &[CommitOutcome::Dropped])
        }
        Some(_) => (
            CommitOutcome::Done,
            &[
                CommitOutcome::AppliedConflict,
                CommitOutcome::AppliedError,
                CommitOutcome::Dropped,
                CommitOutcome::LateError,
                CommitOutcome::LateConflict,
            ],
        ),
    };
    let faulty = if state.faults > 0 { faulty } else { &[] };
    [sound].iter().chain(faulty).copied().collect()
}

fn settle_write(after: &mut State, outcome: CommitOutcome, write: &Change<Grant>, entry: Entry) {
    match outcome {
        CommitOutcome::Unwritten | CommitOutcome::Done | CommitOutcome::Conflict => {}
        _ => after.faults -= 1,
    }
    match outcome {
        CommitOutcome::Done | CommitOutcome::AppliedConflict | CommitOutcome::AppliedError => {
            assert!(after.apply(write, entry), "the version matched");
        }
        CommitOutcome::LateError | CommitOutcome::LateConflict => {
            after.pending.push(Late(write.clone(), entry));
        }
        CommitOutcome::Unwritten | CommitOutcome::Conflict | CommitOutcome::Dropped => {}
    }
}

/// Returns the entry of the history for this write.
fn entry(
    state: &State,
    index: usize,
    basis: &Basis,
    decision: &Decision,
    write: &Change<Grant>,
) -> Entry {
    let actor = &state.actors[index];
    let reached = write.record().state();
    let rotated = actor
        .presented
        .filter(|_| matches!(actor.ask, Ask::Refresh(..)) && reached == GrantState::Active)
        .filter(|_| !decision.raises);
    let is_active = reached == GrantState::Active;
    let refreshes = matches!(actor.ask, Ask::Refresh(..));
    let narrows = actor.ask == Ask::Narrow || refreshes && basis.judgment == Judgment::Read;
    let before = state.history_of(write.seen()).last();
    let at = before.map_or(basis.now, |before| before.at.max(basis.now));
    Entry {
        by: state.name(index),
        at,
        wrote: reached,
        rotated,
        narrows: is_active && narrows,
        issues: is_active && !decision.raises && (refreshes || actor.redeems()),
        proof: actor.proof,
        epochs: basis.epochs,
    }
}

/// The response leaves, and arrives or is lost. A client without a response may send the same
/// request once more.
fn leave(state: &State, index: usize, answer: &Answer) -> Vec<(Move, State)> {
    let mut next = Vec::new();
    let by = state.name(index);
    let is_check = matches!(state.actors[index].ask, Ask::Check | Ask::CheckWrite);
    let can_be_lost = state.faults > 0 && !is_check;
    for arrives in [true, false].into_iter().filter(|arrives| *arrives || can_be_lost) {
        let mut after = state.clone();
        let actor = &mut after.actors[index];
        actor.left[usize::from(by.retried)] = Some(answer.clone());
        actor.step = Step::Over;
        if !by.retried && (!arrives || answer.is_retryable()) {
            actor.step = Step::Ready;
            actor.retried = true;
            // With an assertion of its own.
            actor.marked = None;
        }
        if arrives {
            let new =
                answer.disclosed().iter().filter(|credential| !state.hand.contains(credential));
            after.hand.extend(new);
        } else {
            after.faults -= 1;
        }
        next.push((Move::Leave { by, answer: answer.clone(), arrives }, after));
    }
    next
}
