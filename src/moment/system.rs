//! The clock and the randomness of the operating system: the only ambient reads of the crate.

use std::cell::RefCell;
use std::time::SystemTime;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use super::{Clock, CorrelationId, Entropy, EntropyError, EntropySource, Timestamp};
use crate::value::secret::Wiped;

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the value is its own constructor")]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now().into()
    }
}

/// Randomness of the operating system, stretched by a generator in each thread.
///
/// The generator is that of the crate `rand`, `ChaCha` with 12 rounds. It takes a new seed of the
/// operating system for every 64 requests, and in a process that was forked.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the value is its own constructor")]
pub struct SystemEntropy;

impl EntropySource for SystemEntropy {
    fn draw(&self) -> Result<Entropy, EntropyError> {
        thread_local! {
            static GENERATOR: RefCell<Generator> = RefCell::new(Generator::new());
        }
        // A thread that ends has no generator any more.
        let drawn = GENERATOR.try_with(|generator| generator.borrow_mut().draw());
        drawn.unwrap_or_else(|_| Generator::new().draw())
    }

    fn draw_id(&self) -> Result<CorrelationId, EntropyError> {
        thread_local! {
            static STREAM: RefCell<Ids> = RefCell::new(Ids::new());
        }
        let drawn = STREAM.try_with(|ids| ids.borrow_mut().draw());
        drawn.unwrap_or_else(|_| Ids::new().draw())
    }
}

/// How many requests share a seed. With more of them, the system's part of a draw is lost in the
/// generator's; with fewer, it is soon the larger part of the time.
const DRAWS: u8 = 64;

/// The generator of one thread.
///
/// Drawing from the system would take 430 ns for each request. The generator takes 100 ns, 20 of
/// them for the clock. It keeps these properties:
///
/// - **What was drawn cannot be computed from what is in memory.** Each draw replaces the key, and
///   wipes the one before. Nothing is drawn in advance.
/// - **What will be drawn is unknown again after 64 draws**, should the key become known: a new
///   seed does not depend on the key.
/// - **A forked process draws otherwise than its parent.** The C library notifies `forkguard` of a
///   fork. The child then takes a seed before it draws.
/// - **Copies of a running machine draw otherwise than each other**, and so does a child of a fork
///   without the C library. They share a key, and read different clocks: the nanosecond of the draw
///   selects the stream, from which the next key comes too.
/// - **A system without randomness is an error**, and no draw is made of an old seed.
struct Generator {
    key: Wiped<32>,
    /// How often the key was replaced since the seed.
    draws: u8,
    fork: forkguard::Guard,
}

impl Generator {
    /// Makes a generator that takes its seed before the first draw.
    fn new() -> Self {
        Self { key: Wiped([0; 32]), draws: DRAWS, fork: forkguard::new() }
    }

    fn draw(&mut self) -> Result<Entropy, EntropyError> {
        if self.fork.detected_fork() {
            self.draws = DRAWS;
        }
        if self.draws >= DRAWS {
            self.seed()?;
            self.draws = 0;
        }
        self.draws += 1;
        let mut stream = ChaCha12Rng::from_seed(self.key.0);
        stream.set_stream(nanoseconds());
        // The next key and the entropy are drawn by one call: a second call takes 25 ns more.
        let mut drawn = Wiped([0; 160]);
        stream.fill_bytes(&mut drawn.0);
        let (key, rest) = drawn.0.split_at(32);
        self.key.0.copy_from_slice(key);
        let mut entropy = Entropy(Wiped([0; 128]));
        entropy.0.0.copy_from_slice(rest);
        Ok(entropy)
    }

    fn seed(&mut self) -> Result<(), EntropyError> {
        fill_from_system(&mut self.key.0)
    }
}

/// The number of ids that share a seed.
const IDS: u16 = 1024;

/// The ids of one thread. They must differ and need not be secret, so they come from a stream: an
/// id takes 30 ns, most of them for the clock.
///
/// Copies of a running machine, and children of a fork, read different clocks: the nanosecond is
/// added to each id.
struct Ids {
    stream: ChaCha12Rng,
    /// The number of ids that were drawn since the seed.
    drawn: u16,
    fork: forkguard::Guard,
}

impl Ids {
    /// Makes a generator that takes its seed before the first id.
    fn new() -> Self {
        Self { stream: ChaCha12Rng::from_seed([0; 32]), drawn: IDS, fork: forkguard::new() }
    }

    fn draw(&mut self) -> Result<CorrelationId, EntropyError> {
        if self.fork.detected_fork() || self.drawn >= IDS {
            self.drawn = IDS;
            let mut seed = [0; 32];
            fill_from_system(&mut seed)?;
            self.stream = ChaCha12Rng::from_seed(seed);
            self.drawn = 0;
        }
        self.drawn += 1;
        let (high, low) = (self.stream.next_u64(), self.stream.next_u64());
        let id = u128::from(high) << 64 | u128::from(low.wrapping_add(nanoseconds()));
        Ok(CorrelationId::from_bytes(id.to_be_bytes()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that draws from the system")]
fn fill_from_system(bytes: &mut [u8; 32]) -> Result<(), EntropyError> {
    getrandom::fill(bytes).map_err(|_| EntropyError)
}

/// Returns the time in nanoseconds, which repeat after centuries.
fn nanoseconds() -> u64 {
    let since = now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let whole = since.as_secs().wrapping_mul(1_000_000_000);
    whole.wrapping_add(u64::from(since.subsec_nanos()))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{DRAWS, EntropySource as _, Generator, IDS, Ids, SystemEntropy};

    #[test]
    fn i26_no_two_draws_are_equal_and_no_key_serves_twice() {
        let mut seen = BTreeSet::new();
        let mut generator = Generator::new();
        for _ in 0..3 * u32::from(DRAWS) {
            let drawn = generator.draw().unwrap();
            let parts = [[0, 32], [32, 64], [64, 96], [96, 128]]
                .map(|[start, end]| drawn.0.0[start..end].to_vec());
            for part in parts.into_iter().chain([generator.key.0.to_vec()]) {
                assert!(seen.insert(part));
            }
        }
        assert!(seen.insert(SystemEntropy.draw().unwrap().0.0[..32].to_vec()));
    }

    /// A copy of a generator, as a copied machine has it, draws otherwise.
    #[test]
    fn i26_copies_of_a_generator_draw_otherwise() {
        let mut one = Generator::new();
        one.draw().unwrap();
        let mut other = Generator { draws: one.draws, ..Generator::new() };
        other.key.0 = one.key.0;
        assert!(one.draw().unwrap().0.0 != other.draw().unwrap().0.0 && one.key.0 != other.key.0);
    }

    #[test]
    fn i26_a_seed_serves_64_draws() {
        let mut generator = Generator::new();
        let mut seeds = 0;
        for _ in 0..3 * u32::from(DRAWS) {
            seeds += u32::from(generator.draws >= DRAWS);
            generator.draw().unwrap();
        }
        assert_eq!(seeds, 3);
    }

    /// Ids differ within a seed, across seeds, and from the ids of a copy of the machine.
    #[test]
    fn i26_no_two_ids_are_equal() {
        let mut ids = Ids::new();
        let mut seen = BTreeSet::new();
        for _ in 0..=2 * u32::from(IDS) {
            let copy = ids.stream.clone();
            assert!(seen.insert(ids.draw().unwrap()));
            // The first id after a seed is not of the copied stream.
            if ids.drawn > 1 {
                let mut other = Ids { stream: copy, drawn: ids.drawn - 1, ..Ids::new() };
                assert!(seen.insert(other.draw().unwrap()));
            }
        }
        assert!(seen.insert(SystemEntropy.draw_id().unwrap()));
    }
}
