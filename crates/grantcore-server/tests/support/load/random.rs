//! Random choices from a seed, so that a failed run can be repeated. The seed does not determine
//! the order in which the processes serve requests.

/// A generator of type SplitMix64.
pub struct Random(u64);

impl Random {
    /// Returns the generator of one flow of a run.
    pub fn of(seed: u64, flow: usize) -> Self {
        Self(seed ^ (flow as u64 + 1).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number from 0 to `limit`, `limit` excluded.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
