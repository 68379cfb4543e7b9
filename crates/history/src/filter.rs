//! Which runs are wanted: the same question to runs that have ended and to those that have not.

use model::TaskState;

use crate::fact::{RunHead, States};

/// Which runs are wanted; the default wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// In one of these states; any where there is none.
    pub states: States,
    /// Of this job.
    pub name: Option<String>,
    /// Of this owner.
    pub owner: Option<String>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// With each of these labels.
    pub labels: Vec<(String, String)>,
    /// Submitted at this time or later, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Submitted before this, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// Ended before this, Unix milliseconds.
    pub ended_before_ms: Option<u64>,
    /// Ended with this exit code.
    pub exit_code: Option<i32>,
}

/// What a filter looks at.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// One state for the whole.
    pub state: TaskState,
    /// The job's name; empty for none.
    pub name: &'a str,
    /// Whose it is.
    pub owner: &'a str,
    /// What the job belongs to.
    pub namespace: &'a str,
    /// The job's labels.
    pub labels: &'a [(String, String)],
    /// When it was submitted, Unix milliseconds.
    pub submitted_ms: u64,
    /// When it ended and with which exit code; `None` while it has not.
    pub ended: Option<(u64, i32)>,
}

impl RunFilter {
    /// Whether no run before one that was submitted then is wanted: numbers are given in the order
    /// of time.
    pub fn ends_at(&self, submitted_ms: u64) -> bool {
        self.since_ms.is_some_and(|since| submitted_ms < since)
    }

    /// Whether a run is wanted.
    pub fn wants(&self, run: &RunFacts<'_>) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|w| w == text);
        let ended_ms = run.ended.map(|(ended_ms, _)| ended_ms);
        (self.states.is_empty() || self.states.contains(Some(run.state)))
            && is(&self.name, run.name)
            && is(&self.owner, run.owner)
            && is(&self.namespace, run.namespace)
            && self.labels.iter().all(|label| run.labels.contains(label))
            && self.since_ms.is_none_or(|since| run.submitted_ms >= since)
            && self.until_ms.is_none_or(|until| run.submitted_ms < until)
            && self.ended_before_ms.is_none_or(|before| ended_ms.is_some_and(|at| at < before))
            && self.exit_code.is_none_or(|code| run.ended.is_some_and(|(_, own)| own == code))
    }
}

impl RunHead {
    /// What a filter looks at.
    pub fn facts(&self) -> RunFacts<'_> {
        let profile = &self.profile;
        RunFacts {
            state: profile.state,
            name: &profile.name,
            owner: &profile.owner,
            namespace: &profile.namespace,
            labels: &profile.labels,
            submitted_ms: self.submitted_ms,
            ended: Some((self.ended_ms, profile.exit_code)),
        }
    }
}
