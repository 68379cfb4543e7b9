//! Elements of a run and their attempts.

use proto::{api, job};
use serde::Serialize;
use utoipa::ToSchema;

use super::{at_ms, at_us, text};

/// An element: one unit of execution, the whole of a task or an index of its array.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Element {
    /// How people name it.
    #[schema(example = "812/main[37]")]
    pub id: String,
    /// The same as a UUID, computed from run, task and index.
    #[schema(format = "uuid")]
    pub uuid: String,
    /// Its task's name.
    pub task: String,
    /// Its index in the task's array; 0 where the task is none.
    pub index: u32,
    /// Its state.
    #[schema(example = "failed")]
    pub state: String,
    /// Its attempts, first to last.
    pub attempts: Vec<Attempt>,
    /// Who ended it, where it ended without an attempt.
    pub because: Option<Because>,
}

impl From<&api::ElementStatus> for Element {
    fn from(element: &api::ElementStatus) -> Element {
        Element {
            id: element.id.clone(),
            uuid: element.uuid.clone(),
            task: element.task.clone(),
            index: element.index,
            state: element.state.clone(),
            attempts: element.attempts.iter().map(Attempt::from).collect(),
            because: element.because.as_ref().map(Because::from),
        }
    }
}

/// One execution of an element on one node.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Its state; of a lost attempt whose element went on: `lost`.
    pub state: String,
    /// Its node's name.
    pub node: String,
    /// Grows with every attempt; outside systems can compare it.
    pub fence: u64,
    /// When it was placed on its node.
    #[schema(format = "date-time")]
    pub placed_at: Option<String>,
    /// When its process started.
    #[schema(format = "date-time")]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = "date-time")]
    pub ended_at: Option<String>,
    /// How it ended, for people: `exit code 4`.
    pub summary: Option<String>,
    /// Who or what ended it, where that was not its process itself.
    pub because: Option<Because>,
    /// How it ended; `null` while it has not.
    pub outcome: Option<Outcome>,
}

impl From<&api::AttemptStatus> for Attempt {
    fn from(attempt: &api::AttemptStatus) -> Attempt {
        Attempt {
            number: attempt.number,
            state: attempt.state.clone(),
            node: attempt.node.clone(),
            fence: attempt.fence,
            placed_at: at_ms(attempt.placed_ms),
            started_at: at_us(attempt.started_us),
            ended_at: at_us(attempt.ended_us),
            summary: text(&attempt.summary),
            because: attempt.because.as_ref().map(Because::from),
            outcome: attempt.outcome.as_ref().map(Outcome::from),
        }
    }
}

/// How an attempt ended. Of `exit_code`, `signal` and `not_started` at most one is set.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Outcome {
    /// Its process exited with this code.
    pub exit_code: Option<u32>,
    /// Its process was ended by this signal.
    pub signal: Option<u32>,
    /// It did not start, for this reason.
    pub not_started: Option<String>,
    /// The process is proved gone and nobody saw how it ended.
    pub gone: bool,
    /// Why it was stopped: `cancel`, `timeout` (start or run), `deadline` (total), `down`, `lease` or
    /// `drain`.
    #[schema(example = "timeout")]
    pub stopped: Option<&'static str>,
    /// Processor time of all of its processes, in microseconds.
    pub cpu_us: u64,
    /// What the largest of its processes had at its peak, in bytes.
    pub memory_peak_bytes: u64,
    /// What it wrote, in bytes.
    pub output_bytes: u64,
    /// What of that was dropped, in bytes.
    pub output_dropped_bytes: u64,
    /// Whether the end of its output is missing.
    pub output_truncated: bool,
}

impl From<&job::Outcome> for Outcome {
    fn from(outcome: &job::Outcome) -> Outcome {
        use job::outcome::Ending;
        let ending = outcome.ending.as_ref();
        Outcome {
            exit_code: ending.and_then(|ending| match ending {
                Ending::Exited(code) => Some(*code),
                _ => None,
            }),
            signal: ending.and_then(|ending| match ending {
                Ending::Signaled(signal) => Some(*signal),
                _ => None,
            }),
            not_started: ending.and_then(|ending| match ending {
                Ending::NotStarted(not) => Some(not.why.clone()),
                _ => None,
            }),
            gone: matches!(ending, Some(Ending::Gone(_))),
            stopped: match outcome.stopped() {
                job::StopCause::None => None,
                job::StopCause::Cancel => Some("cancel"),
                job::StopCause::Timeout => Some("timeout"),
                job::StopCause::Down => Some("down"),
                job::StopCause::Deadline => Some("deadline"),
                job::StopCause::Lease => Some("lease"),
                job::StopCause::Drain => Some("drain"),
            },
            cpu_us: outcome.cpu_us,
            memory_peak_bytes: outcome.memory_peak_bytes,
            output_bytes: outcome.output_bytes,
            output_dropped_bytes: outcome.output_dropped_bytes,
            output_truncated: outcome.output_truncated,
        }
    }
}

/// Who or what brought something about, and why.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Because {
    /// Such as `user:ann`, `timeout` or `max_failed`.
    #[schema(example = "user:ann")]
    pub actor: String,
    /// In words.
    #[schema(example = "wrong day")]
    pub reason: Option<String>,
}

impl From<&job::Because> for Because {
    fn from(because: &job::Because) -> Because {
        Because { actor: because.actor.clone(), reason: text(&because.reason) }
    }
}
