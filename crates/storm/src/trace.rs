//! What happened, a line each: always hashed, printed where somebody wants to read it.

use std::fmt::{self, Write};
use std::time::Duration;

/// The hash of a run so far.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Fnv,
    prints: bool,
    lines: u64,
}

impl Trace {
    pub(crate) fn new(prints: bool) -> Self {
        Self { hash: Fnv(0xcbf2_9ce4_8422_2325), prints, lines: 0 }
    }

    /// Something happened; `who` is a host, a client, or the world itself.
    pub(crate) fn line(&mut self, at: Duration, who: &str, what: fmt::Arguments<'_>) {
        if self.prints {
            println!("{:>6}.{:06} {who:<5} {what}", at.as_secs(), at.subsec_micros());
        }
        self.lines += 1;
        self.number(at.as_micros() as u64);
        let _ = write!(self.hash, "{who} {what}");
    }

    /// Something that no line shows.
    pub(crate) fn number(&mut self, number: u64) {
        self.hash.bytes(&number.to_le_bytes());
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }
}

/// The hash of some bytes.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.bytes(bytes);
    hash.0
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
