//! Mixed work: what people run, and what goes wrong with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::tally::Tally;
use crate::node::Caller;

/// Threads that submit.
pub(super) const SUBMITTERS: u64 = 3;
/// After each piece of work.
const PAUSE: Duration = Duration::from_millis(120);
/// As long as a name may be.
const NAME_CHARS: usize = 200;

type Kind = fn(&Submitter<'_>) -> Result<()>;

/// The kinds of work, and how often each comes.
const KINDS: &[(Kind, u64)] = &[
    (|s| s.short(), 8),
    (|s| s.attached(), 2),
    (|s| s.array(), 2),
    (|s| s.failing(), 2),
    (|s| s.too_long(), 1),
    (|s| s.canceled(), 2),
    (|s| s.canceled_in_part(), 1),
    (|s| s.loud(), 1),
    (|s| s.long_name(), 1),
];

/// Submits one thing after the other until the time is over.
pub(super) fn submit(caller: &Caller, number: u64, tally: &Tally, over: &AtomicBool) {
    let help = caller.ask(&["run", "--help"]).unwrap_or_default();
    let submitter = Submitter { caller, tally, can_retry: help.contains("--retries") };
    let mut chance = Chance(number + 1);
    while !over.load(Ordering::Relaxed) {
        if let Err(error) = (chance.kind())(&submitter) {
            tally.complain(&error);
        }
        std::thread::sleep(PAUSE);
    }
}

struct Submitter<'a> {
    caller: &'a Caller,
    tally: &'a Tally,
    /// Older binaries know no retries.
    can_retry: bool,
}

impl Submitter<'_> {
    fn short(&self) -> Result<()> {
        self.detach(&["--", "/bin/true"]).map(drop)
    }

    fn attached(&self) -> Result<()> {
        self.caller.ask(&["run", "--", "echo", "hello"]).map(drop)
    }

    /// It is waited for: a queue that only grows is another test.
    fn array(&self) -> Result<()> {
        let run = self.detach(&["--array", "1-50", "--", "sh", "-c", "echo $WINDLASS_INDEX"])?;
        self.caller.ask(&["wait", &run]).map(drop)
    }

    fn failing(&self) -> Result<()> {
        let retries: &[&str] = if self.can_retry { &["--retries", "2"] } else { &[] };
        self.detach(&[retries, &["--", "sh", "-c", "exit 3"]].concat()).map(drop)
    }

    fn too_long(&self) -> Result<()> {
        self.detach(&["--timeout", "1s", "--grace", "1s", "--", "sleep", "30"]).map(drop)
    }

    fn canceled(&self) -> Result<()> {
        let run = self.detach(&["--grace", "1s", "--", "sleep", "30"])?;
        self.caller.ask(&["cancel", &run]).map(drop)
    }

    fn canceled_in_part(&self) -> Result<()> {
        let run = self.detach(&["--array", "1-40%2", "--grace", "1s", "--", "sleep", "0.1"])?;
        self.caller.ask(&["cancel", &format!("{run}/main[5-40]")]).map(drop)
    }

    fn loud(&self) -> Result<()> {
        self.detach(&["--", "sh", "-c", "yes 0123456789abcdef | head -c 2000000"]).map(drop)
    }

    fn long_name(&self) -> Result<()> {
        self.detach(&["--name", &"n".repeat(NAME_CHARS), "--", "/bin/true"]).map(drop)
    }

    /// Submits; the run's number, which is acknowledged with it.
    fn detach(&self, args: &[&str]) -> Result<String> {
        let run = self.caller.ask(&[&["run", "--detach"], args].concat())?;
        let run = run.trim().to_owned();
        let number = run.parse().with_context(|| format!("reading the run number `{run}`"))?;
        self.tally.acknowledge(number);
        Ok(run)
    }
}

/// Numbers without a pattern that matters.
struct Chance(u64);

impl Chance {
    fn kind(&mut self) -> Kind {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let all: u64 = KINDS.iter().map(|(_, often)| often).sum();
        let mut drawn = (self.0 >> 33) % all;
        for (kind, often) in KINDS {
            match drawn.checked_sub(*often) {
                Some(rest) => drawn = rest,
                None => return *kind,
            }
        }
        KINDS[0].0
    }
}
