//! Colors, where a terminal looks on and nobody said no.
//!
//! They only repeat what the words say: meaning must never depend on them.

use std::io::IsTerminal;
use std::sync::OnceLock;

/// What `--color` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum When {
    /// Where a terminal looks on.
    #[default]
    Auto,
    Always,
    Never,
}

/// What a word is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Busy,
    /// Somebody may want to look at it.
    Odd,
    Quiet,
    Plain,
}

static WHEN: OnceLock<When> = OnceLock::new();

/// Remembers what the command line says; only the first time counts.
pub(crate) fn set(when: When) {
    let _ = WHEN.set(when);
}

/// Whether what is written to stdout is colored.
pub(crate) fn on_stdout() -> bool {
    decide(
        WHEN.get().copied().unwrap_or_default(),
        |name| std::env::var(name).unwrap_or_default(),
        std::io::stdout().is_terminal(),
    )
}

/// The flag wins over `NO_COLOR`, which wins over `CLICOLOR_FORCE`, which wins over what looks on.
fn decide(when: When, variable: impl Fn(&str) -> String, terminal: bool) -> bool {
    let force = variable("CLICOLOR_FORCE");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if !variable("NO_COLOR").is_empty() => false,
        When::Auto if !force.is_empty() && force != "0" => true,
        When::Auto => terminal && variable("TERM") != "dumb",
    }
}

/// The tone of a task's, a run's or a node's state.
pub(crate) fn of_state(state: &str) -> Tone {
    match state {
        "succeeded" | "ready" => Tone::Good,
        "failed" | "timed_out" | "lost" | "dead" | "disconnected" => Tone::Bad,
        "running" => Tone::Busy,
        "stopping" | "unknown" | "degraded" | "draining" | "drained" | "canceled" => Tone::Odd,
        "queued" | "scheduled" | "blocked" => Tone::Quiet,
        _ => Tone::Plain,
    }
}

/// `text` in its tone for a terminal.
pub(crate) fn paint(text: &str, tone: Tone) -> String {
    match tone {
        Tone::Good => format!("\x1b[32m{text}\x1b[0m"),
        Tone::Bad => format!("\x1b[31m{text}\x1b[0m"),
        Tone::Busy => format!("\x1b[36m{text}\x1b[0m"),
        Tone::Odd => format!("\x1b[33m{text}\x1b[0m"),
        Tone::Quiet => format!("\x1b[2m{text}\x1b[0m"),
        Tone::Plain => text.to_owned(),
    }
}

/// A state, in its tone where stdout is colored.
pub(crate) fn state(state: &str) -> String {
    if on_stdout() { paint(state, of_state(state)) } else { state.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_then_no_color_then_force_then_the_terminal() {
        let check = |when, variables: &[(&str, &str)], terminal, expected| {
            let variable = |name: &str| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
            };
            assert_eq!(decide(when, variable, terminal), expected, "{when:?} {variables:?}");
        };
        check(When::Auto, &[], true, true);
        check(When::Auto, &[], false, false);
        check(When::Auto, &[("TERM", "dumb")], true, false);
        check(When::Auto, &[("NO_COLOR", "1")], true, false);
        check(When::Auto, &[("NO_COLOR", "")], true, true);
        check(When::Auto, &[("CLICOLOR_FORCE", "1")], false, true);
        check(When::Auto, &[("CLICOLOR_FORCE", "0")], false, false);
        check(When::Auto, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false);
        check(When::Always, &[("NO_COLOR", "1")], false, true);
        check(When::Never, &[("CLICOLOR_FORCE", "1")], true, false);
    }

    #[test]
    fn every_state_of_a_task_has_a_tone() {
        for state in model::TaskState::ALL {
            assert_ne!(of_state(&state.to_string()), Tone::Plain, "{state}");
        }
    }
}
