//! The breadth-first search. It visits every reachable state once. The first trace that breaks an
//! invariant is therefore one of the shortest.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::broken::Rule;
use crate::host_invariants::OF_HOST;
use crate::invariants::INVARIANTS;
use crate::judge::{Seen, Verdict};
use crate::moves::Move;
use crate::request::Ask;
use crate::scenario::Scenario;
use crate::state::{Answer, State, Step};
use crate::step::{steps_of, successors};
use crate::world::World;

pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;
type Set<T> = HashSet<T, BuildHasherDefault<Quick>>;

/// The result of one exploration.
pub struct Report {
    pub scenario: &'static Scenario,
    /// The replay window, in seconds.
    pub window: u64,
    /// The smallest number of states that is expected.
    pub floor: usize,
    /// The number of different states that were reached.
    pub states: usize,
    /// The number of moves that were tried from all states.
    pub moves: usize,
    /// For each invariant: how often it applied and held.
    pub judged: BTreeMap<&'static str, usize>,
    /// For each broken invariant: the first trace that breaks it.
    pub broken: BTreeMap<&'static str, String>,
    /// All results that were met: the reasons of refusals, `ok` for a success, and the outcomes of
    /// commits.
    pub outcomes: HashSet<String>,
}

/// A state, by how it was first reached.
struct Node {
    /// The index of the state before.
    parent: usize,
    /// The move from there; `None` for the start.
    taken: Option<Move>,
}

/// Explores a scenario, and checks every invariant at every move.
pub fn explore(scenario: &'static Scenario, window: u64, floor: usize) -> Report {
    explore_without(None, scenario, window, floor)
}

/// Explores a scenario without one of the rules that protect it.
pub fn explore_without(
    rule: Option<Rule>,
    scenario: &'static Scenario,
    window: u64,
    floor: usize,
) -> Report {
    let is_host_active = scenario.racers.iter().any(|ask| ask.is_of_host());
    let mut asks = scenario.before.iter().chain(scenario.racers);
    let remembers = asks.any(|ask| matches!(ask, Ask::AuthorizeAgain(_)));
    let mut world = World::new(window, scenario, is_host_active, remembers);
    world.without = rule;
    let start = Arc::new(prepare(&world, scenario));
    let mut report = Report {
        scenario,
        window,
        floor,
        states: 1,
        moves: 0,
        judged: BTreeMap::new(),
        broken: BTreeMap::new(),
        outcomes: HashSet::new(),
    };
    let mut nodes = vec![Node { parent: 0, taken: None }];
    let mut visited = Set::with_capacity_and_hasher(2 * floor, BuildHasherDefault::default());
    visited.insert(Arc::clone(&start));
    let mut open = VecDeque::from([(0, start)]);
    while let Some((index, before)) = open.pop_front() {
        for (taken, after) in successors(&world, &before) {
            report.moves += 1;
            report.note_outcome(&taken);
            let seen = Seen { world: &world, before: &before, taken: &taken, after: &after };
            for (name, judge) in INVARIANTS.into_iter().chain(OF_HOST) {
                match judge(&seen) {
                    Verdict::Silent => {}
                    Verdict::Holds => *report.judged.entry(name).or_default() += 1,
                    Verdict::Broken(what) => {
                        let describe = || trace(&nodes, index, &taken, &what);
                        report.broken.entry(name).or_insert_with(describe);
                    }
                }
            }
            let after = Arc::new(after);
            if visited.insert(Arc::clone(&after)) {
                open.push_back((nodes.len(), after));
                nodes.push(Node { parent: index, taken: Some(taken) });
            }
        }
    }
    report.states = visited.len();
    report
}

/// Returns the state in which the race begins, after the preparation.
fn prepare(world: &World, scenario: &Scenario) -> State {
    let asks: Vec<_> = scenario.before.iter().chain(scenario.racers).copied().collect();
    let mut state = State::new(&asks, &scenario.proofs, 0, 0);
    for index in 0..scenario.before.len() {
        while state.actors[index].step != Step::Over {
            state = steps_of(world, &state, index).remove(0).1;
        }
        assert!(
            state.actors[index].answers().all(|answer| matches!(answer, Answer::Yes(_))),
            "the preparation succeeds"
        );
    }
    State { faults: scenario.faults, ticks: scenario.clock.1, ..state }
}

impl Report {
    /// Adds the result of a move to the outcomes.
    fn note_outcome(&mut self, taken: &Move) {
        if let Move::Leave { answer, .. } = taken {
            self.outcomes.insert(match answer {
                Answer::Yes(_) => "ok".to_owned(),
                Answer::No(reason) => reason.name().to_owned(),
            });
        }
        if let Move::Decide(decided) = taken {
            self.outcomes.insert(format!("{:?}", decided.outcome));
        }
    }
}

/// Returns the moves from the start to this node, the last move, and what it breaks, as lines.
fn trace(nodes: &[Node], mut index: usize, last: &Move, what: &str) -> String {
    let mut moves = vec![last];
    while let Some(taken) = &nodes[index].taken {
        moves.push(taken);
        index = nodes[index].parent;
    }
    let mut text = String::new();
    for (number, taken) in moves.iter().rev().enumerate() {
        let _ = writeln!(text, "    {:2}. {taken}", number + 1);
    }
    text + "    so " + what
}

/// A cheap hash function. In a build without optimization, the standard one takes most of the time
/// of the search.
#[derive(Default)]
pub struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
