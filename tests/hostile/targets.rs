//! The functions that are fuzzed (`fuzz/`). Each takes any bytes, and panics if an invariant does
//! not hold. A test replays the corpora of `tests/corpus` with them, so that what a fuzzer has found
//! stays found without one.

pub mod assertions;
pub mod parsers;
pub mod registered;
pub mod stored;

use crate::model::play::Play;
use crate::random::Random;

/// A function that is fuzzed.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 10] = [
    ("forms", parsers::forms),
    ("headers", parsers::headers),
    ("scopes", parsers::scopes),
    ("uris", registered::uris),
    ("registrations", registered::registrations),
    ("documents", registered::documents),
    ("records", stored::records),
    ("assertions", assertions::assertions),
    ("keys", assertions::keys),
    ("programs", programs),
];

/// Plays the program of the model whose choices are these bytes.
pub fn programs(data: &[u8]) {
    let mut play = Play::new(Random::from_bytes(data));
    for _ in 0..200 {
        if play.random.is_exhausted() {
            break;
        }
        if let Err(fault) = play.step() {
            panic!("{fault}");
        }
    }
    play.random = Random::new(1);
    if let Err(fault) = play.end() {
        panic!("{fault}");
    }
}

/// Divides the bytes at each zero byte into this many parts. A missing part is empty.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
