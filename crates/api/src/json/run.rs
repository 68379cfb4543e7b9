//! Runs, as lists show them and each in full.

use std::collections::BTreeMap;

use proto::api;
use serde::Serialize;
use utoipa::ToSchema;

use super::element::{Because, Element};
use super::job::Job;
use super::{at_ms, at_us, text};

/// A run in short.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Run {
    /// Its number.
    #[schema(example = 812)]
    pub run: u64,
    /// The job's name.
    #[schema(example = "nightly")]
    pub name: Option<String>,
    /// The job's labels.
    pub labels: BTreeMap<String, String>,
    /// Whose it is.
    pub owner: Option<String>,
    /// One word for the whole run: while it lives the first of `running`, `stopping`, `unknown`,
    /// `scheduled`, `queued` that occurs; when it has ended the first of `failed`, `timed_out`,
    /// `lost`, `dead`, `canceled`, `succeeded`.
    #[schema(example = "running")]
    pub state: String,
    /// How many elements it has.
    pub elements: u64,
    /// How many elements are in which state; only states that occur.
    pub counts: BTreeMap<String, u64>,
    /// The beginning of the first task's command, for people.
    pub command: String,
    /// When it was submitted.
    #[schema(format = "date-time")]
    pub submitted_at: Option<String>,
    /// When its first attempt started.
    #[schema(format = "date-time")]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = "date-time")]
    pub ended_at: Option<String>,
    /// What `run` and `wait` exit with; `null` while it has not ended.
    pub exit_code: Option<i32>,
}

impl From<&api::RunSummary> for Run {
    fn from(run: &api::RunSummary) -> Run {
        Run {
            run: run.run,
            name: text(&run.name),
            labels: (run.labels.iter())
                .map(|label| (label.name.clone(), label.value.clone()))
                .collect(),
            owner: text(&run.owner),
            state: run.state.clone(),
            elements: run.elements,
            counts: counts(&run.counts),
            command: run.command.clone(),
            submitted_at: at_ms(run.submitted_ms),
            started_at: at_us(run.started_us),
            ended_at: at_ms(run.ended_ms),
            exit_code: run.exit_code,
        }
    }
}

/// Elements by state.
pub(crate) fn counts(counts: &[api::StateCount]) -> BTreeMap<String, u64> {
    counts.iter().map(|count| (count.state.clone(), count.count)).collect()
}

/// A stretch of the list of runs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunPage {
    /// The runs, latest first.
    pub runs: Vec<Run>,
    /// Where the next page begins: `--before` of the command line; `null` where there is none.
    pub next_before: Option<u64>,
}

impl RunPage {
    /// A page; `next_before` is 0 on the last.
    pub fn new(runs: &[api::RunSummary], next_before: u64) -> RunPage {
        let next_before = (next_before > 0).then_some(next_before);
        RunPage { runs: runs.iter().map(Run::from).collect(), next_before }
    }
}

/// A run in full, with what was selected of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunStatus {
    /// In short.
    pub run: Option<Run>,
    /// What was submitted.
    pub job: Option<Job>,
    /// The elements selected, at most as many as were asked for.
    pub elements: Vec<Element>,
    /// How many are selected.
    pub elements_total: u64,
    /// Who canceled the whole of it.
    pub canceled: Option<Because>,
    /// The run that this one repeats a part of, and whose results it takes over for the rest.
    pub rerun_of: Option<u64>,
}

impl From<&api::GetRunResponse> for RunStatus {
    fn from(answer: &api::GetRunResponse) -> RunStatus {
        RunStatus {
            run: answer.run.as_ref().map(Run::from),
            job: answer.job.as_ref().map(Job::from),
            elements: answer.elements.iter().map(Element::from).collect(),
            elements_total: answer.elements_total,
            canceled: answer.canceled.as_ref().map(Because::from),
            rerun_of: (answer.rerun_of > 0).then_some(answer.rerun_of),
        }
    }
}

/// How a run, or a part of one, ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Ended {
    /// What `run` and `wait` exit with.
    pub exit_code: i32,
    /// In words, for people: `failed: exit code 4`.
    pub summary: String,
    /// The whole run.
    pub run: Option<Run>,
}

impl From<&api::RunEnd> for Ended {
    fn from(end: &api::RunEnd) -> Ended {
        Ended {
            exit_code: end.exit_code,
            summary: end.summary.clone(),
            run: end.run.as_ref().map(Run::from),
        }
    }
}

/// How each of several ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Ends {
    /// In the order in which they were named.
    pub ended: Vec<EndedOf>,
}

/// How what an id points at ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EndedOf {
    /// The id; names and `last` are replaced by the number of their run.
    #[schema(example = "812")]
    pub id: String,
    /// How it ended.
    #[serde(flatten)]
    pub end: Ended,
}
