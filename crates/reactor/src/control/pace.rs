//! How far ahead a node may be given work: about what it ended in the last tenth of a second.
//!
//! So short tasks follow each other without a round through the journal, and long ones are not
//! bound to a node before it has room. It starts at nothing and grows as ends come in.

/// The window over which ends are counted, in milliseconds.
const WINDOW_MS: u64 = 100;
/// Attempts ahead at most, far below what the machine allows.
const AHEAD_MAX: u64 = 1024;

/// The recent ends of one node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    window: u64,
    ends: u64,
    ends_before: u64,
}

impl Pace {
    pub(super) fn ended(&mut self, steady_ms: u64) {
        self.turn(steady_ms);
        self.ends += 1;
    }

    pub(super) fn ahead(&mut self, steady_ms: u64) -> u64 {
        self.turn(steady_ms);
        self.ends.max(self.ends_before).min(AHEAD_MAX)
    }

    fn turn(&mut self, steady_ms: u64) {
        let window = window(steady_ms);
        if window != self.window {
            self.ends_before = if window == self.window + 1 { self.ends } else { 0 };
            self.ends = 0;
            self.window = window;
        }
    }
}

/// The window of a time: within one, a pace changes only where something ends.
pub(super) fn window(steady_ms: u64) -> u64 {
    steady_ms / WINDOW_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_node_is_given_a_tenth_of_a_second_ahead_and_an_idle_one_nothing() {
        let mut pace = Pace::default();
        assert_eq!(pace.ahead(0), 0);
        (0..200).for_each(|ms| pace.ended(ms));
        assert_eq!(pace.ahead(199), 100);
        assert_eq!(pace.ahead(299), 100, "the window before counts");
        assert_eq!(pace.ahead(399), 0);
    }
}
