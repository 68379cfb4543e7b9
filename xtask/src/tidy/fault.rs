//! A broken rule, told so that an editor can jump to it and the reader knows what to do.

use std::fmt;

/// One fault: where it is, what is wrong, and the way out.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Fault {
    /// `line` counts from 1.
    pub(crate) fn new(
        path: &str,
        line: usize,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_place_wrong_and_way_out() {
        let fault = Fault::new("a/b.rs", 3, "too long", "split it");
        assert_eq!(fault.to_string(), "a/b.rs:3: too long; split it");
    }
}
