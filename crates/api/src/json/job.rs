//! What is submitted.

use std::collections::BTreeMap;

use model::job::Fault;
use model::{JobSpec, TaskSpec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::task::Task;
use super::text;

/// A job: tasks that make one run when it is submitted.
///
/// What is left out has the value that it has here where a job with nothing but a command is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Job {
    /// What the job belongs to.
    pub namespace: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// The user its processes get; `null` for the node's own.
    pub run_as: Option<String>,
    /// Who submitted it.
    pub actor: Option<String>,
    /// Where it came from: `cli`, `api`, …
    pub origin: Option<String>,
    /// Its name, to find its runs by.
    pub name: Option<String>,
    /// Labels to find its runs by.
    pub labels: BTreeMap<String, String>,
    /// How long history keeps its runs; `null`: as the cluster says.
    pub retention: Option<Retention>,
    /// Its tasks, at least one.
    pub tasks: Vec<Task>,
}

impl Default for Job {
    fn default() -> Job {
        Job {
            namespace: "default".to_owned(),
            owner: None,
            run_as: None,
            actor: None,
            origin: None,
            name: None,
            labels: BTreeMap::new(),
            retention: None,
            tasks: Vec::new(),
        }
    }
}

impl From<&proto::job::Job> for Job {
    fn from(job: &proto::job::Job) -> Job {
        // A node fills in what a caller left out, so only another version's job cannot be read.
        Job::from(&JobSpec::try_from(job.clone()).unwrap_or_default())
    }
}

impl From<&JobSpec> for Job {
    fn from(spec: &JobSpec) -> Job {
        Job {
            namespace: spec.namespace.clone(),
            owner: text(&spec.owner),
            run_as: text(&spec.run_as),
            actor: text(&spec.actor),
            origin: text(&spec.origin),
            name: text(&spec.name),
            labels: spec.labels.iter().cloned().collect(),
            retention: spec.retention.map(Retention::from),
            tasks: spec.tasks.iter().map(Task::from).collect(),
        }
    }
}

impl Job {
    /// The job of the house, or everything that cannot be said in it. Whether it is a good one,
    /// [`JobSpec::faults`] tells.
    pub fn into_spec(self) -> Result<JobSpec, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut tasks: Vec<TaskSpec> = Vec::new();
        for (at, task) in self.tasks.into_iter().enumerate() {
            tasks.push(task.into_spec(&format!("tasks[{at}]"), &mut faults));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(JobSpec {
            namespace: self.namespace,
            owner: self.owner.unwrap_or_default(),
            run_as: self.run_as.unwrap_or_default(),
            actor: self.actor.unwrap_or_default(),
            origin: self.origin.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            labels: self.labels.into_iter().collect(),
            retention: self.retention.map(model::Retention::from),
            tasks,
        })
    }
}

/// How long history keeps runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Those that succeeded.
    pub success: Keep,
    /// The others.
    pub failure: Keep,
}

/// A run is kept as long as one of the two says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// For so many days.
    pub days: u32,
    /// While it is among so many latest of its job.
    pub runs: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        model::Retention::default().into()
    }
}

impl Default for Keep {
    fn default() -> Keep {
        model::Keep::default().into()
    }
}

impl From<model::Retention> for Retention {
    fn from(retention: model::Retention) -> Retention {
        Retention { success: retention.success.into(), failure: retention.failure.into() }
    }
}

impl From<Retention> for model::Retention {
    fn from(retention: Retention) -> model::Retention {
        let keep = |keep: Keep| model::Keep { days: keep.days, runs: keep.runs };
        model::Retention { success: keep(retention.success), failure: keep(retention.failure) }
    }
}

impl From<model::Keep> for Keep {
    fn from(keep: model::Keep) -> Keep {
        Keep { days: keep.days, runs: keep.runs }
    }
}
