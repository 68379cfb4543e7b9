//! Why elements are where they are: everything that keeps what waits from running, where what is
//! placed is and how long it waited for what, who or what ended the rest.
//!
//! Elements with the same answer are one group, so that an array of a million answers in
//! milliseconds. No answer is a state alone: each has a reason in words and what would change it.
//! It must never plan on its own: that an element is about to be placed is what placement says.

mod before;
mod ended;
mod homes;
mod line;
mod placed;
#[cfg(test)]
mod tests;
mod usual;

use std::fmt;
use std::str::FromStr;

use history::History;
use model::{RangeSet, Resources, RunId, TaskPosition, TaskSpec, TaskState};

use super::resolve::Resolved;
use super::{AttemptStatus, Wanted, selected};
use crate::view::View;
pub use usual::Usual;

/// Groups of one answer at most.
pub const GROUPS_MAX: usize = 200;
/// Ranges of elements that a group names at most.
pub(super) const RANGES_MAX: usize = 256;

/// Why some elements are where they are.
#[derive(Clone, Debug)]
pub struct Why {
    /// Which, as people write it: `812/main[3-9]`.
    pub id: String,
    /// Their task.
    pub task: String,
    /// The elements, as ranges of indices: those of the array's own that lie in them. At most
    /// 256.
    pub elements: Vec<(u32, u32)>,
    /// How many they are.
    pub count: u64,
    /// The state all of them are in.
    pub state: TaskState,
    /// Since when, Unix milliseconds; of several the earliest. 0 where nobody knows.
    pub since_ms: u64,
    /// Every reason, at least one.
    pub reasons: Vec<Reason>,
    /// What is usual, as far as history tells; for what has not ended.
    pub usual: Option<Usual>,
    /// The attempts so far, where it is one element.
    pub attempts: Vec<AttemptStatus>,
}

/// One reason.
#[derive(Clone, Debug)]
pub struct Reason {
    /// What kind of reason it is.
    pub code: ReasonCode,
    /// In words.
    pub text: String,
    /// What would change it, in words.
    pub change: String,
    /// The node it is about; empty for none.
    pub node: String,
    /// When it is over, Unix milliseconds; 0 where nobody knows.
    pub until_ms: u64,
    /// Who holds what is missing, or gets it first; the biggest first.
    pub holders: Vec<Holder>,
}

/// Who holds room on a node, or waits there for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// Its job's name; empty for none.
    pub name: String,
    /// How many of its elements do.
    pub elements: u64,
    /// What they reserve together.
    pub reserved: Resources,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of reason it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ReasonCode {
            $($(#[$doc])* $name,)*
        }

        impl ReasonCode {
            /// Every kind.
            pub const ALL: &[ReasonCode] = &[$(ReasonCode::$name,)*];

            /// Its one name, as everywhere.
            pub fn name(self) -> &'static str {
                match self {
                    $(ReasonCode::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// A node is being chosen for it just now.
    BeingPlaced = "being_placed",
    /// There is no node at all.
    NoNode = "no_node",
    /// A node has too little free.
    NoRoom = "no_room",
    /// A node can never hold it.
    NodeTooSmall = "node_too_small",
    /// A node has room, but has to keep more than that free.
    Headroom = "headroom",
    /// A node does not answer, or its supervisor is not ready.
    NodeNotReady = "node_not_ready",
    /// A node is drained.
    NodeDrained = "node_drained",
    /// A node's room is kept for something else that has waited long.
    KeptFree = "kept_free",
    /// Others stand before it.
    Behind = "behind",
    /// The array's own limit is reached.
    ArrayLimit = "array_limit",
    /// It waits out the time before its next attempt.
    Backoff = "backoff",
    /// Nothing is placed, for the disk is nearly full.
    DiskReserve = "disk_reserve",
    /// Nothing is placed, for the node goes down.
    GoingDown = "going_down",
    /// Nothing is placed, for the cluster was recovered and what ran before may still run.
    Recovering = "recovering",
    /// It is placed ahead and waits on its node for room.
    WaitsForSeat = "waits_for_seat",
    /// It was sent to its node and has not started yet.
    Starting = "starting",
    /// It runs.
    Runs = "runs",
    /// It is being stopped.
    Stopping = "stopping",
    /// Its node has stopped answering.
    NodeSilent = "node_silent",
    /// It has ended.
    Ended = "ended",
    /// Its facts are damaged on disk.
    Damaged = "damaged",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ReasonCode {
    type Err = ();

    fn from_str(name: &str) -> Result<ReasonCode, ()> {
        ReasonCode::ALL.iter().copied().find(|code| code.name() == name).ok_or(())
    }
}

/// What a node knows beside its view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Situation {
    /// The disk that has no room for more work.
    pub(crate) full_disk: Option<String>,
    /// The node goes down.
    pub(crate) closing: bool,
    /// The time, Unix milliseconds.
    pub(crate) now_ms: u64,
}

/// Everything an answer is made of.
struct Asked<'a> {
    view: &'a View,
    history: &'a History,
    resolved: &'a Resolved,
    situation: &'a Situation,
}

/// Why what is selected is where it is: what has not ended first.
pub(crate) fn why(
    view: &View,
    history: &History,
    resolved: &Resolved,
    situation: &Situation,
) -> Vec<Why> {
    let asked = Asked { view, history, resolved, situation };
    let mut answers = Vec::new();
    if let Some(run) = view.state.run(resolved.run).filter(|_| resolved.ended.is_none()) {
        let mut plan = None;
        for (task, ordinals) in &resolved.tasks {
            placed::groups(&asked, &run, *task, ordinals, &mut answers);
            before::groups(&asked, &run, *task, ordinals, &mut plan, &mut answers);
        }
    }
    for (task, ordinals) in &resolved.tasks {
        ended::groups(&asked, *task, ordinals, &mut answers);
    }
    answers.truncate(GROUPS_MAX);
    answers
}

impl Asked<'_> {
    fn spec(&self, task: TaskPosition) -> &TaskSpec {
        &self.resolved.spec.tasks[task as usize]
    }

    /// An answer for some elements of a task, without its reasons.
    fn group(&self, task: TaskPosition, ordinals: &RangeSet, state: TaskState) -> Why {
        let spec = self.spec(task);
        let array = spec.indices();
        let index = |ordinal: u32| array.index(ordinal);
        let range =
            |range: std::ops::RangeInclusive<u32>| (index(*range.start()), index(*range.end()));
        let elements: Vec<(u32, u32)> = ordinals.ranges().take(RANGES_MAX).map(range).collect();
        let mut id = format!("{}/{}", self.resolved.run, spec.name);
        if spec.array.is_some() {
            let text = |(first, last): &(u32, u32)| match first == last {
                true => first.to_string(),
                false => format!("{first}-{last}"),
            };
            let ranges: Vec<String> = elements.iter().map(text).collect();
            id.push_str(&format!("[{}]", ranges.join(",")));
        }
        let mut group = Why {
            id,
            task: spec.name.clone(),
            elements,
            count: ordinals.len(),
            state,
            since_ms: 0,
            reasons: Vec::new(),
            usual: None,
            attempts: Vec::new(),
        };
        if group.count == 1 {
            let resolved =
                Resolved { tasks: vec![(task, ordinals.clone())], ..self.resolved.clone() };
            let one = selected(self.view, self.history, &resolved, &Wanted::new(&[]), 1);
            group.attempts = one.elements.into_iter().flat_map(|status| status.attempts).collect();
        }
        group
    }
}

impl Reason {
    fn new(code: ReasonCode, text: impl Into<String>, change: impl Into<String>) -> Reason {
        Reason {
            code,
            text: text.into(),
            change: change.into(),
            node: String::new(),
            until_ms: 0,
            holders: Vec::new(),
        }
    }
}

/// `1 element`, `12 elements`.
fn count_of(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
