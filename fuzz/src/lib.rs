//! The functions that are fuzzed are those of `tests/hostile`, whose test replays the corpora.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/hostile"]
mod hostile {
    pub mod cast;
    pub mod errors;
    pub mod model;
    pub mod random;
    pub mod targets;
    pub mod wire;
}

// Under the names that they have in the test.
use hostile::{cast, errors, model, random, targets, wire};

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = targets::TARGETS.iter().find(|(own, _)| *own == name).expect("a target");
    target(data);
}
