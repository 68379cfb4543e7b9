//! Chance that one seed gives whole: xoshiro256** by Blackman and Vigna, seeded by splitmix64, both
//! in the public domain (<https://prng.di.unimi.it>).
//!
//! Nothing in the world may draw from anywhere else, or a seed would not replay.

/// A small deterministic generator.
#[derive(Clone, Debug)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        let mut state = seed;
        Rng([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `n`, which is not 0. The bias is far below what a simulation could notice.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// Mostly near `low`, seldom near `high`: the shape of real delays.
    pub(crate) fn skewed(&mut self, low: u64, high: u64) -> u64 {
        let part = self.below(1 << 16);
        let part = (((part * part) >> 16) * part) >> 16;
        low + (((high - low) as u128 * part as u128) >> 16) as u64
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.below(from.len() as u64) as usize) }
    }

    /// The state in one number, for the trace.
    pub(crate) fn print(&self) -> u64 {
        self.0[0] ^ self.0[2].rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_within_its_bounds() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        for _ in 0..1000 {
            let n = a.skewed(10, 1000);
            assert_eq!(n, b.skewed(10, 1000));
            assert!((10..=1000).contains(&n));
            assert!((3..=5).contains(&a.within(3, 5)) && (3..=5).contains(&b.within(3, 5)));
        }
        assert_ne!(Rng::new(8).next(), Rng::new(7).next());
    }
}
