//! Random moments and sizes from a seed that a failed test names.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of chance; the same seed gives the same.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// From `WINDLASS_TEST_SEED`, else from the clock. A failed test shows what it prints.
    pub(crate) fn new() -> Chance {
        let named = std::env::var("WINDLASS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = named.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        });
        println!("WINDLASS_TEST_SEED={seed}");
        // Spread, for seeds that differ in one bit begin alike.
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Another source, for another thread.
    pub(crate) fn fork(&mut self) -> Chance {
        Chance(self.next() | 1)
    }

    /// From `low` to below `high`.
    pub(crate) fn from(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    /// A duration from `low` to below `high` milliseconds, to the microsecond.
    pub(crate) fn ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.from(low * 1000, high * 1000))
    }

    // xorshift64*
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
}
