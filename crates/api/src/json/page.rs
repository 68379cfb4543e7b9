//! The forms that REST has of its own: pages, one run in full, what was uploaded, the cluster.

use std::collections::BTreeMap;

use proto::api;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::element::{Because, Element};
use super::job::Job;
use super::run::{Ended, Run};
use super::shape::ItemsKind;
use super::task::Task;

/// A page of the list of runs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunList {
    /// The runs, latest first. With a filter there may be fewer than were asked for, or none, and
    /// more pages all the same.
    pub runs: Vec<Run>,
    /// What to give as `cursor` for the next page; `null` where there is none.
    pub next_cursor: Option<String>,
    /// Runs that would perhaps be listed, were history not damaged where they are.
    pub damaged: u64,
}

/// One run: how it stands and what was submitted.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunDetail {
    /// How it stands.
    pub run: Run,
    /// What was submitted.
    pub job: Job,
    /// Who canceled the whole of it.
    pub canceled: Option<Because>,
    /// The run that this one repeats a part of, and whose results it takes over for the rest.
    pub rerun_of: Option<u64>,
}

impl From<&api::GetRunResponse> for RunDetail {
    fn from(answer: &api::GetRunResponse) -> RunDetail {
        RunDetail {
            run: Run::from(&answer.run.clone().unwrap_or_default()),
            job: Job::from(&answer.job.clone().unwrap_or_default()),
            canceled: answer.canceled.as_ref().map(Because::from),
            rerun_of: (answer.rerun_of > 0).then_some(answer.rerun_of),
        }
    }
}

/// A page of the elements of a run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ElementList {
    /// The elements, by task and index. With a filter there may be fewer than were asked for, or
    /// none, and more pages all the same.
    pub elements: Vec<Element>,
    /// What to give as `cursor` for the next page; `null` where there is none.
    pub next_cursor: Option<String>,
}

/// The tasks of a run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TaskList {
    /// In the order of the job.
    pub tasks: Vec<TaskOfRun>,
}

/// A task of a run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TaskOfRun {
    /// How many elements it has.
    pub elements: u64,
    /// Elements by state; only states that occur.
    pub counts: BTreeMap<String, u64>,
    /// What was submitted.
    pub task: Task,
}

/// How far a run, or a part of it, has come, and how it ended if it has.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Waited {
    /// How it ended; `null` where it did not within the time.
    pub ended: Option<Ended>,
    /// Elements that have ended.
    pub elements_ended: u64,
    /// Elements that were waited for.
    pub elements: u64,
}

/// What to cancel, and why. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cancel {
    /// Only these: `main[3-7]`.
    #[schema(example = "main[3-7]")]
    pub select: Option<String>,
    /// Why, for people.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}

/// What to repeat. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rerun {
    /// Only these: `main[3-7]`.
    pub select: Option<String>,
    /// Of these only what did not succeed.
    pub failed: bool,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}

/// Which runs to forget: ended ones for which all holds that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Purge {
    /// Only count what would go.
    pub dry_run: bool,
    /// All ended runs; must be said where nothing else is.
    pub all: bool,
    /// In one of these states.
    pub states: Vec<String>,
    /// Of the job of this name.
    pub name: Option<String>,
    /// Of this owner.
    pub owner: Option<String>,
    /// With all of these labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Ended before this instant.
    #[schema(format = "date-time")]
    pub ended_before: Option<String>,
    /// Submitted at this instant or before.
    #[schema(format = "date-time")]
    pub until: Option<String>,
    /// Ended with this code.
    pub exit_code: Option<i32>,
    /// Why, for people.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}

/// Why a node goes down. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Down {
    /// Why, for people.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// Who asks, `user:NAME`; counts only with the token of the data directory.
    pub actor: Option<String>,
}

/// A list of items that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct List {
    /// What a job names it by: the `blob` of its `items`.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub blob: String,
    /// What its items are.
    pub kind: ItemsKind,
    /// How many it has.
    pub items: u32,
    /// Its bytes.
    pub bytes: u64,
}

/// The cluster, as the node that answers sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cluster {
    /// Its id.
    #[schema(format = "uuid")]
    pub cluster_id: String,
    /// Raised by a restore or a recovery.
    pub incarnation: u32,
    /// How many nodes vote. With one, what is acknowledged survives any crash of its machine, but
    /// not the loss of its disk.
    pub voters: u32,
    /// The node that answers.
    #[schema(format = "uuid")]
    pub node_id: String,
    /// Its name.
    pub node_name: String,
    /// Its version.
    pub version: String,
    /// The journal's index up to which it has seen all.
    pub applied_index: u64,
    /// Attempts that run on it.
    pub tasks_running: u64,
    /// Elements that wait in the cluster.
    pub tasks_queued: u64,
}

impl From<&api::GetServerResponse> for Cluster {
    fn from(server: &api::GetServerResponse) -> Cluster {
        Cluster {
            cluster_id: server.cluster_id.clone(),
            incarnation: server.incarnation,
            voters: server.voters,
            node_id: server.node_id.clone(),
            node_name: server.node_name.clone(),
            version: server.version.clone(),
            applied_index: server.applied_index,
            tasks_running: server.tasks_running,
            tasks_queued: server.tasks_queued,
        }
    }
}

/// Whom clients believe every node of the cluster by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClusterAuthority {
    /// Its certificate, a PEM. It has no secret.
    pub certificate: String,
    /// The SHA-256 of the certificate in DER, in hexadecimal digits.
    #[schema(min_length = 64, max_length = 64)]
    pub sha256: String,
}

impl From<api::GetAuthorityResponse> for ClusterAuthority {
    fn from(answer: api::GetAuthorityResponse) -> ClusterAuthority {
        ClusterAuthority { certificate: answer.certificate, sha256: answer.sha256 }
    }
}

/// A node that goes down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GoingDown {
    /// Tasks that are being stopped.
    pub tasks_left: u64,
}
