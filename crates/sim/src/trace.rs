//! What happened, one line an event: always hashed, printed where somebody wants to read it.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

/// The hash of a run so far.
#[derive(Debug)]
pub(crate) struct Trace {
    /// With keys that are always the same.
    hash: DefaultHasher,
    print: bool,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Trace {
        Trace { hash: DefaultHasher::new(), print }
    }

    pub(crate) fn line(&mut self, at_us: u64, step: u64, what: fmt::Arguments<'_>) {
        if self.print {
            println!("{step:>6} {:>6}.{:06} {what}", at_us / 1_000_000, at_us % 1_000_000);
        }
        self.number(at_us);
        self.hash.write(what.to_string().as_bytes());
    }

    /// Something of the state that the lines may not show.
    pub(crate) fn number(&mut self, number: u64) {
        self.hash.write_u64(number);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }
}
