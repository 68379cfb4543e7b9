//! One line on stderr that is written over, where a terminal looks on.

use std::io::{IsTerminal, Write};

/// How far a long wait has come.
pub(crate) struct Progress {
    shown: bool,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { shown: false, terminal: std::io::stderr().is_terminal() }
    }

    /// Shows `3 of 100 ended`.
    pub(crate) fn update(&mut self, what: &str, done: u64, total: u64) {
        if self.terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{done} of {total} {what}");
            self.shown = true;
        }
    }

    /// Leaves the line empty again.
    pub(crate) fn clear(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
            self.shown = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
