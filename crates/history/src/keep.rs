//! How long runs are kept.
//!
//! A run may go once it is both older than its days and behind so many later runs of its job. Runs
//! without a name are one job for each owner in a namespace. What the disk may take comes before
//! all of that: past it, the oldest go.

use std::collections::{BTreeMap, HashMap};

use model::{Keep, Retention, TaskState};

use crate::block::hash_of;
use crate::fact::RunHead;

/// What history is told when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long runs are kept of which neither their job nor their namespace says more.
    pub retention: Retention,
    /// The same for namespaces.
    pub namespaces: BTreeMap<String, Retention>,
    /// Bytes that history may take of the disk.
    pub disk_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            retention: Retention::default(),
            namespaces: BTreeMap::new(),
            disk_bytes_max: 10 << 30,
        }
    }
}

/// Jobs whose runs are counted in one pass; the runs of further ones are left for the limit of the
/// disk.
const JOBS_MAX: usize = 500_000;
const DAY_MS: u64 = 86_400_000;

impl Settings {
    /// What holds for a run.
    fn keep(&self, head: &RunHead) -> Keep {
        let profile = &head.profile;
        let kept = profile.retention;
        let kept = kept.or_else(|| self.namespaces.get(&profile.namespace).copied());
        let kept = kept.unwrap_or(self.retention);
        if profile.state == TaskState::Succeeded { kept.success } else { kept.failure }
    }
}

/// Counts runs, the latest first, and says which may go.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Later runs of each job that succeeded, and that did not.
    jobs: HashMap<u64, [u32; 2]>,
}

impl Counted {
    /// Whether this run may go. To be asked for every run, the latest first.
    pub(crate) fn may_go(&mut self, settings: &Settings, head: &RunHead, now_ms: u64) -> bool {
        let profile = &head.profile;
        let job = match profile.name.as_str() {
            "" => hash_of(&format!("{}\0{}\0", profile.namespace, profile.owner)),
            name => hash_of(&format!("{}\0{name}", profile.namespace)),
        };
        if self.jobs.len() >= JOBS_MAX && !self.jobs.contains_key(&job) {
            return false;
        }
        let keep = settings.keep(head);
        let later = self.jobs.entry(job).or_default();
        let later = &mut later[usize::from(profile.state == TaskState::Succeeded)];
        let among_the_latest = *later < keep.runs;
        *later = later.saturating_add(1);
        let age_ms = now_ms.saturating_sub(head.ended_ms);
        !among_the_latest && age_ms > u64::from(keep.days) * DAY_MS
    }
}
