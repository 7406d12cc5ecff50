//! Random choices from a seed (SplitMix64). The same seed generates the same request.

pub struct Random {
    state: u64,
    /// The choices of a fuzzer, in place of random ones.
    chosen: Option<std::vec::IntoIter<u8>>,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { state: seed, chosen: None }
    }

    /// Makes choices from these bytes, one byte for each. After the last byte every number is 0.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { state: 0, chosen: Some(Vec::from(bytes).into_iter()) }
    }

    /// Returns whether the bytes are used up.
    pub fn is_exhausted(&self) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.len() == 0)
    }

    pub fn next(&mut self) -> u64 {
        if let Some(chosen) = &mut self.chosen {
            return chosen.next().unwrap_or_default().into();
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, which must not be zero.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Returns a small number below `end`, which must not be zero.
    pub fn small(&mut self, end: u8) -> u8 {
        u8::try_from(self.next() % u64::from(end)).unwrap()
    }

    /// Returns `true` in one of `n` cases.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn word(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    /// Returns one of the last few items of a list, because recent credentials are more likely to
    /// be valid.
    pub fn recent<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let reach = from.len().min(4);
        (reach > 0).then(|| &from[from.len() - 1 - self.below(reach)])
    }

    pub fn bytes(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit + 1)).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}
