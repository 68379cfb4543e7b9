//! What the allocator is told: a node stays small after a burst of work.
//!
//! Nothing else may depend on it; where there is another allocator nothing is told.

/// Pools the allocator may have. It makes eight for each processor, and what a burst needed stays
/// in all of them: a million ended elements left 45 MiB behind, with two pools 15 MiB, at the same
/// speed.
#[cfg(target_env = "gnu")]
const POOLS_MAX: i32 = 2;

/// Keeps the allocator's pools few. To be called once, before threads are many.
pub(crate) fn keep_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes two numbers and changes how many pools are made from now on.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, POOLS_MAX);
    }
}

/// Bytes that the allocator has given out, and that it holds free; zeros where nothing tells.
pub(crate) fn allocated() -> (u64, u64) {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it takes nothing and returns numbers.
        let info = unsafe { libc::mallinfo2() };
        ((info.uordblks + info.hblkhd) as u64, info.fordblks as u64)
    }
    #[cfg(not(target_env = "gnu"))]
    (0, 0)
}

/// Nothing happens just now: what a burst of work needed goes back to the system.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointers and only returns pages that the allocator holds free.
    unsafe {
        libc::malloc_trim(0);
    }
}
