//! Chance that one seed gives whole, and the end of all other chance in this process.
//!
//! Hash maps, `tokio`'s choice between branches of a `select!` and the lives that journals draw all come, in the end,
//! from the C library's `getrandom`. This module has one of its own, which the seed feeds, so that one seed is one run;
//! it is why there is one seed a process, and why nothing of this crate may be a library.
//! What was not taken: `--cfg tokio_unstable` with a seeded runtime builds every dependency anew, and leaves maps to chance.

use std::ffi::{c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the process's own chance is.
static STATE: AtomicU64 = AtomicU64::new(0);

/// Gives the process all its chance. Threads and maps from before keep theirs, which are the same in each run.
pub(crate) fn seed_process(seed: u64) {
    STATE.store(mix(seed ^ 0x5eed), Ordering::SeqCst);
}

/// Takes the place of the C library's function of this name in this process.
///
/// # Safety
///
/// `buffer` has to have room for `len` bytes, as the C library demands.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, len: usize, _flags: c_uint) -> isize {
    for at in 0..len {
        let drawn = mix(STATE.fetch_add(1, Ordering::SeqCst)) as u8;
        // SAFETY: `at` is below `len`, and the caller has room for so many bytes.
        unsafe { buffer.cast::<u8>().add(at).write(drawn) };
    }
    len as isize
}

/// A small generator (the counter of SplitMix64, and its finalizer).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// What is drawn for one purpose says nothing of what is drawn for another.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed ^ mix(purpose)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them, if there are any.
    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        match from.len() {
            0 => None,
            len => Some(from[self.below(len as u64) as usize].clone()),
        }
    }
}

/// Spreads a number over all of 64 bits.
pub(crate) fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_purpose_says_nothing_of_another() {
        let (mut a, mut b) = (Chance::new(7, 1), Chance::new(7, 1));
        assert!((0..100).all(|_| a.within(3, 9) == b.within(3, 9)));
        assert_ne!(Chance::new(7, 1).next(), Chance::new(7, 2).next());
    }
}
