//! Whether what was seen is good: straight lines through the samples must be nearly flat.

use std::fmt;

use anyhow::Result;

use super::line::Line;
use super::samples::{Column, Samples};

/// Below this many minutes nothing has settled, and lines prove nothing.
const MINUTES_MIN: u64 = 10;

/// A line that must be nearly flat.
struct Rule {
    column: Column,
    what: &'static str,
    /// The part of the time it goes through.
    window: (f64, f64),
    /// How much it may rise in that time, in its own unit or as a share of its height, whichever is more.
    rise_max: f64,
    share_max: f64,
}

const CALM: (f64, f64) = (1.0 / 3.0, 2.0 / 3.0);
const WARM: (f64, f64) = (0.25, 1.0);
const HALF: (f64, f64) = (0.5, 1.0);

const fn rule(
    column: Column,
    what: &'static str,
    window: (f64, f64),
    rise_max: f64,
    share_max: f64,
) -> Rule {
    Rule { column, what, window, rise_max, share_max }
}

/// A journal lies in segments of 64 MiB, which come and go whole.
const RULES: &[Rule] = &[
    rule(Column::DaemonMib, "while nothing is killed", CALM, 8.0, 0.15),
    rule(Column::DaemonMib, "after warm-up", WARM, 12.0, 0.20),
    rule(Column::SupervisorMib, "after warm-up", WARM, 4.0, 0.20),
    rule(Column::DaemonFiles, "after warm-up", WARM, 8.0, 0.10),
    rule(Column::SupervisorFiles, "after warm-up", WARM, 8.0, 0.10),
    rule(Column::Threads, "after warm-up", WARM, 4.0, 0.10),
    rule(Column::JournalMib, "in the second half", HALF, 64.0, 0.10),
    rule(Column::HistoryMib, "in the second half", HALF, 4.0, 0.10),
    rule(Column::OutputMib, "in the second half", HALF, 16.0, 0.10),
    rule(Column::OtherMib, "in the second half", HALF, 2.0, 0.10),
];

/// All findings, good and bad.
pub(super) struct Verdict {
    /// Good, bad, or not judged; and what was found.
    findings: Vec<(Option<bool>, String)>,
}

/// Holds the samples against the rules.
pub(super) fn of(samples: &Samples, minutes: u64) -> Verdict {
    let judged = minutes >= MINUTES_MIN;
    let finding = |rule: &Rule| {
        let (good, text) = rule.hold(samples);
        (judged.then_some(good), text)
    };
    Verdict { findings: RULES.iter().map(finding).collect() }
}

impl Rule {
    fn hold(&self, samples: &Samples) -> (bool, String) {
        let points = samples.of(self.column, self.window.0, self.window.1);
        let line = Line::through(&points);
        let length = match (points.first(), points.last()) {
            (Some(first), Some(last)) => last.0 - first.0,
            _ => 0.0,
        };
        let rise = line.rise(length);
        let most = self.rise_max.max(self.share_max * line.middle());
        let text = format!(
            "{} {}: rises by {rise:.1} over {length:.0} s around {:.1} (at most {most:.1})",
            self.column.name(),
            self.what,
            line.middle(),
        );
        // Where nothing was seen nothing is proved.
        (points.len() > 2 && rise <= most, text)
    }
}

impl Verdict {
    /// Adds what was found at the end.
    pub(super) fn check(&mut self, what: &str, found: Result<String>) {
        self.findings.push(match found {
            Ok(text) => (Some(true), format!("{what}: {text}")),
            Err(error) => (Some(false), format!("{what}: {error:#}")),
        });
    }

    pub(super) fn is_good(&self) -> bool {
        self.findings.iter().all(|(good, _)| *good != Some(false))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (good, text) in &self.findings {
            let word = match good {
                Some(true) => "good",
                Some(false) => "BAD ",
                None => "seen",
            };
            writeln!(f, "{word}  {text}")?;
        }
        let seen = self.findings.iter().any(|(good, _)| good.is_none());
        let (word, why) = match (self.is_good(), seen) {
            (false, _) => ("BAD", ""),
            (true, true) => ("good", ", though too short to judge what rises"),
            (true, false) => ("good", ""),
        };
        writeln!(f, "\nverdict: {word}{why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_in_the_calm_is_bad_and_a_step_at_the_start_is_not() {
        let leak = Samples::made_up(1_800, Column::DaemonMib, |at| 40.0 + at / 30.0);
        let verdict = of(&leak, 30);
        assert!(!verdict.is_good());
        assert!(
            verdict.to_string().contains("BAD   daemon MiB while nothing is killed"),
            "{verdict}"
        );
        let step = |at| if at < 300.0 { 30.0 } else { 70.0 };
        assert!(of(&Samples::made_up(1_800, Column::DaemonMib, step), 30).is_good());
    }

    #[test]
    fn what_is_short_is_seen_and_not_judged() {
        let leak = Samples::made_up(120, Column::OutputMib, |at| at * 10.0);
        let mut verdict = of(&leak, 2);
        assert!(verdict.is_good() && verdict.to_string().contains("too short"));
        verdict.check("runs", Err(anyhow::anyhow!("one is lost")));
        assert!(!verdict.is_good() && verdict.to_string().contains("BAD   runs: one is lost"));
    }

    #[test]
    fn where_nothing_was_seen_nothing_is_proved() {
        let none = Samples::made_up(1_800, Column::SupervisorMib, |_| f64::NAN);
        assert!(!of(&none, 30).is_good());
    }
}
