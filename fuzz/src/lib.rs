//! The functions that are fuzzed are those of `tests/hostile`, whose test replays the corpora.

#[path = "../../tests/hostile/cast.rs"]
mod cast;
#[path = "../../tests/hostile/errors.rs"]
mod errors;
#[path = "../../tests/hostile/model.rs"]
mod model;
#[path = "../../tests/hostile/random.rs"]
mod random;
#[path = "../../tests/hostile/targets.rs"]
mod targets;
#[path = "../../tests/hostile/wire.rs"]
mod wire;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = targets::TARGETS.iter().find(|(own, _)| *own == name).expect("a target");
    target(data);
}
