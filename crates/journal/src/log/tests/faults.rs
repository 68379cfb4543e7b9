//! A disk that fails on demand, and remembers what was synced.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::simulated::{Durable, Operation};

/// What is to fail.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) write: AtomicBool,
    pub(crate) sync: AtomicBool,
    pub(crate) allocate: AtomicBool,
    /// No file can be created any more, until one is removed.
    pub(crate) full: AtomicBool,
    /// After so many operations one fails, and then none.
    pub(crate) once: AtomicI64,
    /// Operations hang as long as this is held.
    pub(crate) stall: Mutex<()>,
    /// How many operations succeed before all of them fail.
    pub(crate) operations: AtomicI64,
    /// How long a sync takes, in microseconds.
    pub(crate) sync_micros: AtomicU64,
    /// Says that a sync has been done without doing it, where a test is not about that.
    pub(crate) pretend_sync: AtomicBool,
    /// Not errors but bugs: of the writer's thread, and of whoever appends.
    pub(crate) panic: AtomicBool,
    pub(crate) panic_append: AtomicBool,
    pub(crate) durable: Mutex<Durable>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            write: false.into(),
            sync: false.into(),
            allocate: false.into(),
            full: false.into(),
            once: i64::MAX.into(),
            stall: Mutex::new(()),
            operations: i64::MAX.into(),
            sync_micros: 0.into(),
            pretend_sync: false.into(),
            panic: false.into(),
            panic_append: false.into(),
            durable: Mutex::default(),
        }
    }
}

impl Faults {
    pub(crate) fn inject(&self, operation: Operation<'_>) -> io::Result<()> {
        assert!(!self.panic.load(SeqCst), "an injected panic");
        if self.operations.fetch_sub(1, SeqCst) <= 0 {
            return Err(rustix::io::Errno::IO.into());
        }
        if self.once.fetch_sub(1, SeqCst) == 0 {
            return Err(rustix::io::Errno::IO.into());
        }
        drop(self.stall.lock().unwrap());
        let slow = Duration::from_micros(self.sync_micros.load(SeqCst));
        if matches!(operation, Operation::Sync(_)) && !slow.is_zero() {
            std::thread::sleep(slow);
            // The power can have gone meanwhile.
            if self.operations.load(SeqCst) <= 0 {
                return Err(rustix::io::Errno::IO.into());
            }
        }
        if matches!(operation, Operation::Remove) {
            self.full.store(false, SeqCst);
        }
        let (fails, error) = match operation {
            Operation::Create => (&self.full, rustix::io::Errno::NOSPC),
            Operation::Write | Operation::Remove => (&self.write, rustix::io::Errno::IO),
            Operation::Sync(_) | Operation::SyncDir(_) => (&self.sync, rustix::io::Errno::IO),
            Operation::Allocate => (&self.allocate, rustix::io::Errno::NOSPC),
        };
        if fails.load(SeqCst) {
            return Err(error.into());
        }
        if self.pretend_sync.load(SeqCst) {
            self.durable.lock().unwrap().note(operation)?;
        }
        Ok(())
    }
}

/// Chance that can be repeated.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// A number from 0 on, below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
