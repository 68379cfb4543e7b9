//! What happened, a line each: always hashed, printed where somebody wants to read it.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// The hash of a run so far.
#[derive(Debug)]
pub(crate) struct Trace {
    /// With keys that are always the same.
    hash: DefaultHasher,
    prints: bool,
    lines: u64,
}

impl Trace {
    pub(crate) fn new(prints: bool) -> Self {
        Self { hash: DefaultHasher::new(), prints, lines: 0 }
    }

    /// Something happened; `who` is a host, a client, or the world itself.
    pub(crate) fn line(&mut self, at: Duration, who: &str, what: fmt::Arguments<'_>) {
        if self.prints {
            println!("{:>6}.{:06} {who:<5} {what}", at.as_secs(), at.subsec_micros());
        }
        self.lines += 1;
        self.number(at.as_micros() as u64);
        self.hash.write(format!("{who} {what}").as_bytes());
    }

    /// Something that no line shows.
    pub(crate) fn number(&mut self, number: u64) {
        self.hash.write_u64(number);
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }
}

/// The hash of some bytes.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    let mut hash = DefaultHasher::new();
    hash.write(bytes);
    hash.finish()
}
