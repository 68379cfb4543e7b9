//! A seeded world in which the reactors run, fail and must heal.
//!
//! Control parts on a modelled journal and several workers with modelled supervisors run in one
//! thread on virtual time. In the hostile phase everything that can break does, with the promises
//! checked after every step, and some clusters forget what they knew and go on from a snapshot, or
//! from what one control part had; then the world heals, and every element of every run must end, once.
//!
//! The reactors are the real ones; all else is a model that follows the wire contracts. A seed gives
//! the whole run: nothing here may read a clock, draw chance from elsewhere, or iterate in an order
//! that is not given.

mod rng;
mod trace;
mod world;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

/// Which world, and for how long it is hostile.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What gives the whole run.
    pub seed: u64,
    /// Steps of the hostile phase.
    pub steps: u64,
    /// Whether each event is printed.
    pub trace: bool,
}

impl Options {
    /// Steps of the hostile phase where nobody asks for others.
    pub const STEPS: u64 = 1500;

    /// A silent run of the usual length.
    pub fn new(seed: u64) -> Options {
        Options { seed, steps: Self::STEPS, trace: false }
    }
}

/// What a run came to that broke no promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The hash of every event.
    pub trace: u64,
    /// Events until everything had ended.
    pub steps: u64,
    /// Entries of the journal.
    pub entries: u64,
    /// Runs that were made.
    pub runs: u64,
    /// Elements that ended.
    pub elements: u64,
    /// Processes that were started.
    pub processes: u64,
    /// Crashes of the control part, of daemons, of supervisors, and reboots.
    pub crashes: u64,
    /// Times that a node was lost.
    pub lost: u64,
    /// Times that the cluster went on from a snapshot.
    pub restores: u64,
    /// Times that it went on from what one control part had.
    pub recoveries: u64,
}

/// A promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub seed: u64,
    /// The steps of its hostile phase.
    pub steps: u64,
    /// Which promise, and at which step.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { seed, steps, what } = self;
        write!(
            f,
            "seed {seed}: {what}\nhint: `cargo run -p sim -- --seed {seed} --steps {steps} --trace` shows how"
        )
    }
}

impl std::error::Error for Failure {}

/// Runs one world to its end. A panic of a reactor is a failure like any other.
pub fn run(options: Options) -> Result<Summary, Failure> {
    let run = AssertUnwindSafe(|| world::run(options));
    let result = panic::catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        Err(format!("something panicked: {text}"))
    });
    result.map_err(|what| Failure { seed: options.seed, steps: options.steps, what })
}

/// Runs one world twice and compares the traces.
pub fn run_twice(options: Options) -> Result<Summary, Failure> {
    let first = run(options)?;
    let second = run(Options { trace: false, ..options })?;
    if first != second {
        let what = format!("two runs differ: {first:?} and {second:?}");
        return Err(Failure { seed: options.seed, steps: options.steps, what });
    }
    Ok(first)
}
