//! When an attempt that failed is followed by another.
//!
//! Whether and when is decided in the machine, from the specification and the outcome alone; the
//! jitter is a hash, so that every control node finds the same instant.

use crate::ids::Attempt;
use crate::outcome::{Ending, Outcome, StopCause};

/// How often and when an element that failed is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts beyond the first; 0 for none.
    pub attempts: u32,
    /// What is waited before the first of them, in milliseconds.
    pub base_ms: u64,
    /// What the wait is multiplied with each time, in thousandths.
    pub factor_milli: u32,
    /// The longest wait, in milliseconds.
    pub max_ms: u64,
    /// By how much a wait may be shorter or longer, in percent.
    pub jitter_percent: u32,
    /// Only these failures are tried again; empty for all but a command that cannot be started.
    pub on: Conditions,
    /// These are not, whatever `on` says.
    pub not_on: Conditions,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            attempts: 0,
            base_ms: 10_000,
            factor_milli: 2_000,
            max_ms: 300_000,
            jitter_percent: 25,
            on: Conditions::default(),
            not_on: Conditions::default(),
        }
    }
}

/// A set of ways to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// These exit codes.
    pub codes: Vec<u8>,
    /// These signals.
    pub signals: Vec<u8>,
    /// Whole classes.
    pub reasons: Vec<Reason>,
}

/// A class of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Any exit code that is no success.
    Exit,
    /// Any signal.
    Signal,
    /// It ran, or took to start, longer than it may.
    Timeout,
    /// Its command is not there or cannot be executed, or the node refused it for good.
    Start,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 4] = [Reason::Exit, Reason::Signal, Reason::Timeout, Reason::Start];

    /// Its name in job files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Exit => "exit",
            Reason::Signal => "signal",
            Reason::Timeout => "timeout",
            Reason::Start => "start",
        }
    }
}

impl Conditions {
    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.signals.is_empty() && self.reasons.is_empty()
    }

    /// Whether `outcome` is one of them.
    pub fn hold(&self, outcome: &Outcome) -> bool {
        let class = |reason| self.reasons.contains(&reason);
        if outcome.stopped == Some(StopCause::Timeout) {
            return class(Reason::Timeout);
        }
        let named = |numbers: &[u8], number: i32| {
            u8::try_from(number).is_ok_and(|number| numbers.contains(&number))
        };
        match &outcome.ending {
            Ending::Exited { code } => class(Reason::Exit) || named(&self.codes, *code),
            Ending::Signaled { signal } => class(Reason::Signal) || named(&self.signals, *signal),
            Ending::NotStarted(_) => class(Reason::Start),
            Ending::Gone => false,
        }
    }

    /// Reads `1,75,SIGKILL,timeout`: exit codes, signals by name, and the names of reasons.
    pub fn parse(text: &str) -> Result<Conditions, crate::text::NotAnAmount> {
        let fault = |word: &str| crate::text::NotAnAmount {
            text: word.to_owned(),
            expected: "an exit code (`75`), a signal (`SIGKILL`), `exit`, `signal`, `timeout` or `start`",
        };
        let mut found = Conditions::default();
        for word in text.split(',').map(str::trim) {
            if let Ok(code) = word.parse() {
                found.codes.push(code);
            } else if let Some(reason) = Reason::ALL.into_iter().find(|r| r.name() == word) {
                found.reasons.push(reason);
            } else if let Some(signal) = crate::text::parse_signal(word) {
                found.signals.push(signal);
            } else {
                return Err(fault(word));
            }
        }
        Ok(found)
    }
}

impl Retries {
    /// Whether a failure with this outcome is one that is tried again, the number of attempts left
    /// aside.
    pub fn cover(&self, outcome: &Outcome) -> bool {
        let started = !matches!(outcome.ending, Ending::NotStarted(_))
            || outcome.stopped == Some(StopCause::Timeout);
        let wanted = if self.on.is_empty() { started } else { self.on.hold(outcome) };
        wanted && !self.not_on.hold(outcome)
    }

    /// How long is waited after the failed attempt `after`, the `failures`th of its element, in
    /// milliseconds.
    pub fn wait_ms(&self, after: Attempt, failures: u32) -> u64 {
        let mut wait = self.base_ms.min(self.max_ms);
        for _ in 1..failures {
            let next = u128::from(wait) * u128::from(self.factor_milli) / 1000;
            wait = u64::try_from(next).unwrap_or(u64::MAX).min(self.max_ms);
            if wait == self.max_ms || self.factor_milli == 1000 {
                break;
            }
        }
        let spread = u128::from(wait) * u128::from(self.jitter_percent.min(100)) / 100;
        let spread = u64::try_from(spread).unwrap_or(u64::MAX);
        match spread.saturating_mul(2) {
            0 => wait,
            width => (wait - spread).saturating_add(hash(after) % width),
        }
    }
}

/// Mixes an attempt into 64 bits, by the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn hash(attempt: Attempt) -> u64 {
    let element = attempt.element;
    let mut mixed = 0;
    for word in [
        element.run.0,
        u64::from(element.task) << 32 | u64::from(element.index),
        u64::from(attempt.number),
    ] {
        mixed = word.wrapping_add(mixed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Element, RunId};
    use crate::outcome::NotStarted;

    fn attempt(index: u32) -> Attempt {
        Attempt { element: Element { run: RunId(7), task: 0, index }, number: 1 }
    }

    #[test]
    fn waits_grow_to_the_longest() {
        let retries = Retries { jitter_percent: 0, ..Retries::default() };
        let waits: Vec<u64> = (1..8).map(|n| retries.wait_ms(attempt(1), n)).collect();
        assert_eq!(waits, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
        let constant = Retries { factor_milli: 1000, ..retries.clone() };
        assert_eq!(constant.wait_ms(attempt(1), u32::MAX), 10_000);
        let shrinking = Retries { factor_milli: 0, ..retries };
        assert_eq!(shrinking.wait_ms(attempt(1), 3), 0);
    }

    #[test]
    fn jitter_stays_within_its_share_and_spreads() {
        let retries = Retries::default();
        let waits: Vec<u64> = (0..1000).map(|i| retries.wait_ms(attempt(i), 1)).collect();
        assert!(waits.iter().all(|wait| (7_500..12_500).contains(wait)));
        let mean = waits.iter().sum::<u64>() / 1000;
        assert!((9_800..10_200).contains(&mean), "{mean}");
        let extreme = Retries { max_ms: u64::MAX, base_ms: u64::MAX, ..Retries::default() };
        extreme.wait_ms(attempt(1), 9);
    }

    #[test]
    fn conditions_choose_what_is_tried_again() {
        let outcome = |ending| Outcome::bare(ending);
        let code = |code| outcome(Ending::Exited { code });
        let kill = outcome(Ending::Signaled { signal: 9 });
        let missing = outcome(Ending::NotStarted(NotStarted::NotFound(String::new())));
        let mut late = kill.clone();
        late.stopped = Some(StopCause::Timeout);
        let covered = |on: &str, not_on: &str| {
            let read = |text: &str| match text {
                "" => Conditions::default(),
                text => Conditions::parse(text).unwrap(),
            };
            let retries = Retries { on: read(on), not_on: read(not_on), ..Retries::default() };
            [&code(1), &code(75), &kill, &late, &missing].map(|outcome| retries.cover(outcome))
        };
        assert_eq!(covered("", ""), [true, true, true, true, false]);
        assert_eq!(covered("75,SIGKILL", ""), [false, true, true, false, false]);
        assert_eq!(covered("exit,timeout", "75"), [true, false, false, true, false]);
        assert_eq!(covered("start", ""), [false, false, false, false, true]);
        assert!(Conditions::parse("300").is_err() && Conditions::parse("soon").is_err());
    }
}
