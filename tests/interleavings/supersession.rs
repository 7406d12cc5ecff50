//! A model of its own: several grants of one user at one place, whose codes are redeemed at any
//! time, each with the run that ends the older ones.
//!
//! A run reads the list, then for each other grant reads both records and decides, by the library's
//! real operation. Other runs and the clock move between any two of these steps. Commits are
//! reported as wrong as in the main model.

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use grantcore::grant::{Grant, GrantState, RevocationCause};
use grantcore::moment::Moment;
use grantcore::operation::{Loaded, Operation};
use grantcore::request::{GrantSupersession, TokenRequest};
use grantcore::store::{Commit, Stored, Version, Write};
use grantcore::{Account, Policy, Timestamp};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{T, World, app, entropy, policy};

/// The attempts of the library's driver for one request.
const ATTEMPTS: u8 = 4;

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    grants: Vec<Held>,
    runs: Vec<Run>,
    clock: u64,
    /// How many seconds the clock can still move.
    ticks: u8,
    faults: u8,
}

/// A record with what the model knows of it. Everything else in the record follows from that, so
/// that states compare and hash these two alone.
#[derive(Clone)]
struct Held {
    stored: Stored<Grant>,
    redeemed: Option<u64>,
    is_superseded: bool,
}

impl Held {
    fn key(&self) -> (Option<u64>, bool) {
        (self.redeemed, self.is_superseded)
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Held {}

impl Hash for Held {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

/// How far the redemption of a code and its run have come.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Run {
    Unredeemed,
    Redeemed,
    /// The grants that are still to be compared with the own one, what was read of the pair at this
    /// attempt, and the number of earlier attempts.
    Comparing {
        open: Vec<usize>,
        read: Vec<Held>,
        attempt: u8,
    },
    /// Whether the run could not make a write, or does not know it.
    Over {
        failed: bool,
    },
}

struct Model {
    policy: Policy,
    codes: Vec<String>,
}

impl Model {
    /// Returns the model of this many grants, and the state in which each waits for its code.
    fn new(grants: usize, ticks: u8, faults: u8) -> (Self, State) {
        let world = World::new();
        let codes: Vec<_> = (0..grants).map(|_| world.code(&Params::authorize())).collect();
        let state = State {
            grants: world.grants().into_iter().map(unredeemed).collect(),
            runs: vec![Run::Unredeemed; grants],
            clock: 0,
            ticks,
            faults,
        };
        // The records are listed by their ids, and the codes name them.
        let model = Self { policy: policy().build().expect("a policy"), codes };
        (model, state)
    }

    fn moment(state: &State, seed: usize, attempt: u8) -> Moment {
        let now = Timestamp::from_unix_seconds(T + state.clock);
        let moment = Moment::new(now, entropy(1000 + seed as u64));
        (0..attempt).fold(moment, |moment, _| moment.retry(now))
    }

    fn loaded(Held { stored, .. }: &Held) -> Loaded {
        let client = Stored { record: Arc::new(app()), version: Version::FIRST };
        Loaded {
            grant: Some(stored.clone()),
            client: Some(client),
            account: Some(Account::ACTIVE),
            ..Loaded::default()
        }
    }

    fn successors(&self, state: &State) -> Vec<State> {
        let mut next: Vec<_> =
            (0..state.runs.len()).flat_map(|run| self.steps_of(state, run)).collect();
        let is_under_way = state.runs.iter().any(|run| !matches!(run, Run::Over { .. }));
        if state.ticks > 0 && is_under_way {
            let ticks = state.ticks - 1;
            next.push(State { clock: state.clock + 1, ticks, ..state.clone() });
        }
        next
    }

    fn steps_of(&self, state: &State, run: usize) -> Vec<State> {
        match &state.runs[run] {
            Run::Unredeemed => vec![self.redeem(state, run)],
            Run::Redeemed => vec![Self::list(state, run)],
            Run::Comparing { open, read, attempt } if read.len() < 2 => {
                let mut after = state.clone();
                let next = if read.is_empty() { run } else { open[0] };
                let mut read = read.clone();
                read.push(state.grants[next].clone());
                after.runs[run] = Run::Comparing { open: open.clone(), read, attempt: *attempt };
                vec![after]
            }
            Run::Comparing { open, read, attempt } => {
                self.compare(state, run, open, read, *attempt)
            }
            Run::Over { .. } => Vec::new(),
        }
    }

    fn redeem(&self, state: &State, run: usize) -> State {
        let own = |code: &&String| {
            let body = Params::redeem(code).encode();
            let request = TokenRequest::parse(&form(&body), &self.policy).expect("a form");
            let moment = Self::moment(state, run, 0);
            request.keys(&self.policy, &moment).grant == Some(state.grants[run].stored.record.id())
        };
        let code = self.codes.iter().find(own).expect("a code of the grant");
        let body = Params::redeem(code).encode();
        let request = TokenRequest::parse(&form(&body), &self.policy).expect("a form");
        let loaded = Self::loaded(&state.grants[run]);
        let moment = Self::moment(state, run, 0);
        let decision = request.decide(&loaded, &self.policy, &moment);
        let mut after = state.clone();
        assert!(apply(&mut after, decision.write().expect("a redemption writes")));
        after.runs[run] = Run::Redeemed;
        after
    }

    fn list(state: &State, run: usize) -> State {
        let now = Timestamp::from_unix_seconds(T + state.clock);
        let own = &state.grants[run].stored.record;
        let is_at_place = |other: &usize| {
            GrantSupersession::older(own, &state.grants[*other].stored.record, now).is_some()
        };
        let open: Vec<_> = (0..state.grants.len()).filter(is_at_place).collect();
        let mut after = state.clone();
        after.runs[run] = begin(open);
        after
    }

    fn compare(
        &self,
        state: &State,
        run: usize,
        open: &[usize],
        read: &[Held],
        attempt: u8,
    ) -> Vec<State> {
        let operation =
            GrantSupersession::between(read[0].stored.record.id(), read[1].stored.record.id());
        let list = read.iter().map(|own| (own.stored.record.id(), Self::loaded(own))).collect();
        let loaded = Loaded { list, ..Loaded::default() };
        let decide = || {
            let moment = Self::moment(state, run, attempt);
            operation.decide(&loaded, &self.policy, &moment)
        };
        let done = decide();
        let goes_on = |ended: Option<_>| {
            if ended == Some(read[0].stored.record.id()) {
                Run::Over { failed: false }
            } else {
                begin(open[1..].to_vec())
            }
        };
        let again = |state: &State| {
            let mut after = state.clone();
            after.runs[run] = if attempt + 1 < ATTEMPTS {
                Run::Comparing { open: open.to_vec(), read: Vec::new(), attempt: attempt + 1 }
            } else {
                Run::Over { failed: true }
            };
            after
        };
        let failed = |state: &State| {
            let mut after = state.clone();
            after.runs[run] = Run::Over { failed: true };
            after
        };
        let Some(write) = done.write().cloned() else {
            let mut after = state.clone();
            after.runs[run] = goes_on(done.settle(Commit::Done).unwrap().outcome.unwrap());
            return vec![after];
        };
        let mut written = state.clone();
        if !apply(&mut written, &write) {
            return vec![again(state)];
        }
        let mut after = written.clone();
        after.runs[run] = goes_on(done.settle(Commit::Done).unwrap().outcome.unwrap());
        let mut next = vec![after];
        if state.faults > 0 {
            // The acknowledgement is lost, the write is lost, or it is applied and called a
            // conflict.
            next.extend(
                [failed(&written), failed(state), again(&written)]
                    .map(|after| State { faults: after.faults - 1, ..after }),
            );
        }
        next
    }
}

fn begin(open: Vec<usize>) -> Run {
    if open.is_empty() {
        Run::Over { failed: false }
    } else {
        Run::Comparing { open, read: Vec::new(), attempt: 0 }
    }
}

/// Applies a write if the version still matches, and returns whether it did.
fn apply(state: &mut State, write: &Write) -> bool {
    let change = write.as_grant().expect("only grants are written");
    let own = state.grants.iter_mut().find(|own| own.stored.record.id() == change.id());
    let own = own.expect("a known grant");
    let fits = Some(own.stored.version) == change.seen();
    if fits {
        own.stored = change.stored();
        match own.stored.record.state() {
            GrantState::Active => own.redeemed = Some(state.clock),
            other => {
                assert_eq!(other, GrantState::Revoked(RevocationCause::Superseded));
                own.is_superseded = true;
            }
        }
    }
    fits
}

/// Explores all orders, and returns the number of states.
fn explore(grants: usize, ticks: u8, faults: u8, judge: impl Fn(&State, bool)) -> usize {
    let (model, start) = Model::new(grants, ticks, faults);
    let mut visited = HashSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    while let Some(state) = open.pop_front() {
        let next = model.successors(&state);
        judge(&state, next.is_empty());
        open.extend(next.into_iter().filter(|after| visited.insert(after.clone())));
    }
    visited.len()
}

fn unredeemed(stored: Stored<Grant>) -> Held {
    Held { stored, redeemed: None, is_superseded: false }
}

/// I58: superseding ends older grants only, and only if the newer one has tokens. Of racing ones
/// exactly the newest lives when every run is over. A run that fails leaves older ones alive, and
/// never ends the newest.
#[test]
fn i58_of_racing_grants_exactly_the_newest_lives() {
    for (grants, ticks, faults, floor) in [(2, 1, 2, 600), (3, 0, 0, 4_900)] {
        let states = explore(grants, ticks, faults, |state, is_end| {
            // By the model's own clock: of one second, the greater id is the newer.
            let redeemed = state.grants.iter().filter(|own| own.redeemed.is_some());
            let newest = redeemed.max_by_key(|own| (own.redeemed, own.stored.record.id()));
            assert!(newest.is_none_or(|newest| !newest.is_superseded), "the newest was ended");
            if !is_end {
                return;
            }
            let failed = state.runs.contains(&Run::Over { failed: true });
            let alive = state.grants.iter().filter(|own| !own.is_superseded).count();
            assert!(alive == 1 || failed && alive > 0, "{alive} of {grants} are alive");
        });
        println!("{grants} grants, {faults} faults: {states} states");
        assert!(states >= floor, "fewer states than before");
    }
}
