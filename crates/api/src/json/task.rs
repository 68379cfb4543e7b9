//! One task of a job.

use std::collections::BTreeMap;

use model::TaskSpec;
use model::job::Fault;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::placement::Placement;
use super::retries::Retries;
use super::shape::{Array, Items, MaxFailed, OnLost, Resources, Runner, Warn};
use super::text;

/// One task of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Task {
    /// Its name, unique in the job; `main` where it is left out.
    pub name: String,
    /// The program and its arguments; the program is looked up in the task's `PATH`.
    #[schema(example = json!(["./crunch", "--day", "3"]))]
    pub command: Vec<String>,
    /// Variables added to its environment.
    pub env: BTreeMap<String, String>,
    /// Variables that only the task may see. Their values are taken, and never shown.
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    #[serde(deserialize_with = "secrets")]
    pub secrets: BTreeMap<String, Hidden>,
    /// The working directory, absolute; `null` for `/`.
    pub cwd: Option<String>,
    /// An element for each index, where it is an array.
    pub array: Option<Array>,
    /// What each element of the array is given, where that is more than its index.
    pub items: Option<Items>,
    /// How many elements may fail before the rest of the task is given up.
    pub max_failed: Option<MaxFailed>,
    /// What runs it.
    pub runner: Runner,
    /// What an element reserves on its node while it runs.
    pub resources: Resources,
    /// 0 to 100; higher is placed first.
    #[schema(maximum = 100)]
    pub priority: u32,
    /// Which node an element gets, and what becomes of it where none has room.
    pub placement: Placement,
    /// How long an element may wait for its first node, in milliseconds; `null` for ever.
    pub pending_timeout_ms: Option<u64>,
    /// How long an attempt may take from its seat on the node to its program, in milliseconds.
    pub start_timeout_ms: Option<u64>,
    /// How long an attempt may run, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How long an element may take from its submission to its end, in milliseconds.
    pub total_timeout_ms: Option<u64>,
    /// A signal before the run timeout.
    pub warn: Option<Warn>,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub grace_ms: u64,
    /// Exit codes that count as success beside 0.
    pub success_codes: Vec<u8>,
    /// Whether and when what has failed is tried again.
    pub retries: Retries,
    /// How often an element may lose its attempt before it ends.
    pub losses_max: u32,
    /// What becomes of an element whose attempt was lost with its node.
    pub on_lost: OnLost,
    /// Whether an attempt with an unknown outcome ends the element as `lost`.
    pub at_most_once: bool,
}

/// Reads secrets; what is wrong with them is said without what stands there.
fn secrets<'de, D: Deserializer<'de>>(read: D) -> Result<BTreeMap<String, Hidden>, D::Error> {
    let problem = "must be an object with a text for each name";
    BTreeMap::deserialize(read).map_err(|_| serde::de::Error::custom(problem))
}

/// The value of a secret: it can be read from what a caller sends, and is shown as `null`.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(Option<String>);

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

impl Default for Task {
    fn default() -> Task {
        Task::from(&TaskSpec::new(Vec::new()))
    }
}

impl From<&TaskSpec> for Task {
    fn from(task: &TaskSpec) -> Task {
        let time = |ms: u64| (ms > 0).then_some(ms);
        Task {
            name: task.name.clone(),
            command: task.command.clone(),
            env: task.env.iter().cloned().collect(),
            secrets: task.secrets.iter().map(|s| (s.name.clone(), Hidden::default())).collect(),
            cwd: text(&task.cwd),
            array: task.array.map(Array::from),
            items: task.items.map(Items::from),
            max_failed: task.max_failed.map(MaxFailed::from),
            runner: task.runner.into(),
            resources: task.resources.into(),
            priority: task.priority,
            placement: task.placement.into(),
            pending_timeout_ms: time(task.pending_timeout_ms),
            start_timeout_ms: time(task.start_timeout_ms),
            timeout_ms: time(task.timeout_ms),
            total_timeout_ms: time(task.total_timeout_ms),
            warn: task
                .warn
                .map(|warn| Warn { signal: warn.signal.unsigned_abs(), before_ms: warn.before_ms }),
            grace_ms: task.grace_ms,
            success_codes: task.success_codes.clone(),
            retries: Retries::from(&task.retries),
            losses_max: task.losses_max,
            on_lost: task.on_lost.into(),
            at_most_once: task.at_most_once,
        }
    }
}

impl Task {
    /// The task of the house; what cannot be said in it goes to `faults`.
    pub(super) fn into_spec(self, at: &str, faults: &mut Vec<Fault>) -> TaskSpec {
        let mut fault = |field: &str, problem: &str| {
            faults.push(Fault { field: format!("{at}.{field}"), problem: problem.to_owned() });
        };
        TaskSpec {
            name: self.name,
            command: self.command,
            env: self.env.into_iter().collect(),
            secrets: (self.secrets.into_iter())
                .filter_map(|(name, Hidden(value))| match value {
                    Some(value) => Some(model::Secret { name, key: 0, value: value.into() }),
                    None => {
                        fault("secrets", &format!("`{name}` has no value"));
                        None
                    }
                })
                .collect(),
            cwd: self.cwd.unwrap_or_default(),
            array: self.array.map(model::ArraySpec::from),
            items: self.items.and_then(|items| {
                let items = items.into_spec();
                if items.is_none() {
                    fault("items.blob", "must be 64 hexadecimal digits, as an upload answers");
                }
                items
            }),
            max_failed: self.max_failed.and_then(|max| match (max.count, max.percent) {
                (Some(count), None) => Some(model::MaxFailed::Count(count)),
                (None, Some(percent)) => Some(model::MaxFailed::Percent(percent)),
                _ => {
                    fault("max_failed", "must have one of `count` and `percent`");
                    None
                }
            }),
            runner: self.runner.into(),
            resources: self.resources.into(),
            priority: self.priority,
            placement: self.placement.into(),
            pending_timeout_ms: self.pending_timeout_ms.unwrap_or_default(),
            start_timeout_ms: self.start_timeout_ms.unwrap_or_default(),
            timeout_ms: self.timeout_ms.unwrap_or_default(),
            total_timeout_ms: self.total_timeout_ms.unwrap_or_default(),
            warn: self.warn.map(|warn| model::Warn {
                // What is too large for a number of a signal is none, and refused as that.
                signal: i32::try_from(warn.signal).unwrap_or(0),
                before_ms: warn.before_ms,
            }),
            grace_ms: self.grace_ms,
            success_codes: self.success_codes,
            retries: self.retries.into_spec(&mut fault),
            losses_max: self.losses_max,
            on_lost: self.on_lost.into(),
            at_most_once: self.at_most_once,
        }
    }
}
