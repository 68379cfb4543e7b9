//! What went wrong, in words for people, and what the process exits with.
//!
//! A message says what was tried and on what; `hint:` says what to do next.

use std::fmt;

/// Exit codes of Windlass's own; a task's codes pass through `run` and `wait` beside these.
pub(crate) mod exit {
    /// It did not work.
    pub(crate) const FAILED: u8 = 1;
    /// The command line was wrong.
    pub(crate) const USAGE: u8 = 2;
    /// No node answers.
    pub(crate) const UNREACHABLE: u8 = 3;
    /// Any of the above in `run` and `wait`, where 1 to 3 belong to the task.
    pub(crate) const OWN: u8 = 125;
    /// Ended by Ctrl-C, as a shell shows it.
    pub(crate) const INTERRUPTED: u8 = 130;
}

/// Why a command did not work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One of [`exit`].
    pub(crate) exit: u8,
    /// What was tried, on what, and what happened; a second line may be a hint already.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { exit: exit::FAILED, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure { exit: exit::USAGE, ..Failure::new(message) }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// The same failure of a command whose lower exit codes belong to the task.
    pub(crate) fn beside_task_codes(self) -> Failure {
        let exit = if self.exit == exit::USAGE { exit::USAGE } else { exit::OWN };
        Failure { exit, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// An error and everything that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Some libraries repeat their source in their own words.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stands_on_its_own_line() {
        let failure = Failure::new("cannot x").hint("do y");
        assert_eq!(failure.to_string(), "error: cannot x\nhint: do y");
    }

    #[test]
    fn beside_a_tasks_codes_only_wrong_usage_keeps_its_own() {
        assert_eq!(Failure::new("x").beside_task_codes().exit, exit::OWN);
        assert_eq!(Failure::usage("x").beside_task_codes().exit, exit::USAGE);
    }
}
