//! Waiting: for something that is looked for again and again, with a deadline; and, between blows
//! that are to fall at any moment, for nothing at all.

use std::time::{Duration, Instant};

/// Whatever must happen happens sooner, also on a machine that is busy.
const WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Looks until something is found; an error says what is there instead.
pub(crate) fn find<T>(look: impl FnMut() -> Result<T, String>) -> T {
    find_within(WITHIN, look)
}

/// The same for what takes longer, or must not take as long.
pub(crate) fn find_within<T>(within: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "after {within:?} still {instead}"),
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Looks until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    find(|| if holds() { Ok(()) } else { Err(format!("not: {what}")) });
}

/// Lets time pass, so that what comes next comes at a moment that nothing in the test decides.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}
