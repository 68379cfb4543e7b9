//! What a task is made of: its array and items, what it reserves, what runs it.

use model::ItemsKind as Kind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The indices of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Array {
    /// The first index.
    pub first: u32,
    /// The last index that may be in it.
    pub last: u32,
    /// The distance between two indices.
    #[serde(default = "one")]
    #[schema(minimum = 1, default = 1)]
    pub step: u32,
    /// How many elements may be placed at once; `null` for any number.
    #[serde(default)]
    pub parallel_max: Option<u32>,
}

fn one() -> u32 {
    1
}

impl From<model::ArraySpec> for Array {
    fn from(array: model::ArraySpec) -> Array {
        let model::ArraySpec { first, last, step, parallel_max } = array;
        Array { first, last, step, parallel_max: (parallel_max > 0).then_some(parallel_max) }
    }
}

impl From<Array> for model::ArraySpec {
    fn from(array: Array) -> model::ArraySpec {
        let Array { first, last, step, parallel_max } = array;
        model::ArraySpec { first, last, step, parallel_max: parallel_max.unwrap_or(0) }
    }
}

/// A list that was uploaded, an item for each element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// The SHA-256 of the list, in hexadecimal digits.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-fA-F]{64}$")]
    pub blob: String,
    /// What an item is.
    pub kind: ItemsKind,
}

/// What an item of a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ItemsKind {
    /// A line.
    Lines,
    /// An item of a JSON array.
    Json,
}

impl From<model::Items> for Items {
    fn from(items: model::Items) -> Items {
        let kind = match items.kind {
            Kind::Lines => ItemsKind::Lines,
            Kind::Json => ItemsKind::Json,
        };
        Items { blob: hex(&items.blob), kind }
    }
}

impl Items {
    /// `None` where `blob` is no SHA-256.
    pub(super) fn into_spec(self) -> Option<model::Items> {
        let kind = match self.kind {
            ItemsKind::Lines => Kind::Lines,
            ItemsKind::Json => Kind::Json,
        };
        let digits = self.blob.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut blob = [0; 32];
        for (byte, two) in blob.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()?;
        }
        Some(model::Items { blob, kind })
    }
}

/// `0af3…`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many elements may fail; one of the two is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxFailed {
    /// So many.
    #[serde(default)]
    pub count: Option<u32>,
    /// So many in a hundred.
    #[serde(default)]
    #[schema(maximum = 100)]
    pub percent: Option<u32>,
}

impl From<model::MaxFailed> for MaxFailed {
    fn from(max: model::MaxFailed) -> MaxFailed {
        match max {
            model::MaxFailed::Count(count) => MaxFailed { count: Some(count), percent: None },
            model::MaxFailed::Percent(percent) => MaxFailed { count: None, percent: Some(percent) },
        }
    }
}

/// What is reserved on a node, or what a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Thousandths of a processor.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Default for Resources {
    fn default() -> Resources {
        model::TaskSpec::new(Vec::new()).resources.into()
    }
}

impl From<model::Resources> for Resources {
    fn from(resources: model::Resources) -> Resources {
        let model::Resources { cpu_milli, memory_bytes } = resources;
        Resources { cpu_milli, memory_bytes }
    }
}

impl From<&proto::job::Resources> for Resources {
    fn from(resources: &proto::job::Resources) -> Resources {
        let proto::job::Resources { cpu_milli, memory_bytes } = *resources;
        Resources { cpu_milli, memory_bytes }
    }
}

impl From<Resources> for model::Resources {
    fn from(resources: Resources) -> model::Resources {
        let Resources { cpu_milli, memory_bytes } = resources;
        model::Resources { cpu_milli, memory_bytes }
    }
}

/// A signal some time before the run timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Warn {
    /// Its number.
    #[schema(minimum = 1, maximum = 64)]
    pub signal: u32,
    /// How long before, in milliseconds.
    pub before_ms: u64,
}

/// What runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// A process of its own.
    Process,
    /// Nothing: an attempt takes its seat and succeeds at once. For measuring.
    Noop,
}

impl From<model::Runner> for Runner {
    fn from(runner: model::Runner) -> Runner {
        match runner {
            model::Runner::Process => Runner::Process,
            model::Runner::Noop => Runner::Noop,
        }
    }
}

impl From<Runner> for model::Runner {
    fn from(runner: Runner) -> model::Runner {
        match runner {
            Runner::Process => model::Runner::Process,
            Runner::Noop => model::Runner::Noop,
        }
    }
}

/// What becomes of an element whose attempt was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLost {
    /// It goes back to the queue.
    Requeue,
    /// It ends as `lost`.
    Fail,
    /// Its node keeps it until it reports or a person says otherwise.
    Wait,
}

impl From<model::OnLost> for OnLost {
    fn from(on_lost: model::OnLost) -> OnLost {
        match on_lost {
            model::OnLost::Requeue => OnLost::Requeue,
            model::OnLost::Fail => OnLost::Fail,
            model::OnLost::Wait => OnLost::Wait,
        }
    }
}

impl From<OnLost> for model::OnLost {
    fn from(on_lost: OnLost) -> model::OnLost {
        match on_lost {
            OnLost::Requeue => model::OnLost::Requeue,
            OnLost::Fail => model::OnLost::Fail,
            OnLost::Wait => model::OnLost::Wait,
        }
    }
}
