//! What happened, one line an event: always hashed, printed where somebody wants to read it.

use std::fmt::{self, Write};

/// The hash of a run so far.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Fnv,
    print: bool,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Trace {
        Trace { hash: Fnv(0xcbf2_9ce4_8422_2325), print }
    }

    pub(crate) fn line(&mut self, at_us: u64, step: u64, what: fmt::Arguments<'_>) {
        if self.print {
            println!("{step:>6} {:>6}.{:06} {what}", at_us / 1_000_000, at_us % 1_000_000);
        }
        self.number(at_us);
        let _ = self.hash.write_fmt(what);
    }

    /// Something of the state that the lines may not show.
    pub(crate) fn number(&mut self, number: u64) {
        self.hash.bytes(&number.to_le_bytes());
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }
}

/// FNV-1a: short, and good enough to see that two runs differ.
#[derive(Debug)]
struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
