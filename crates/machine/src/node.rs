//! A node as the cluster has agreed on it: what it has and what is placed there.
//!
//! Attempts beyond what fits are placed *ahead*: they wait on the node, so that a short task is
//! followed by the next without a round through the journal. Those that have a seat never reserve
//! more than the node has; the node itself holds to the same limit when it starts them.

use std::collections::BTreeMap;

use imbl::OrdMap;
use model::{Because, Resources, RunId, SupervisorId, TaskPosition};

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name, for people.
    pub name: String,
    /// What it has.
    pub capacity: Resources,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The version of its binary.
    pub version: String,
    /// How a task's whole tree is known and ended there.
    pub containment: String,
    /// The life of its supervisor that the epoch stands for.
    pub supervisor: SupervisorId,
    /// The number of the hello it was registered by.
    pub hello: u64,
    /// Rises when everything placed there before is void.
    pub epoch: u64,
    /// How long its supervisor keeps tasks without a word from a leader, in milliseconds; 0: for
    /// ever, and the node is never lost.
    pub lease_ms: u64,
    /// Its lease has run out, and it has not come back since.
    pub is_lost: bool,
    /// It is drained: nothing is placed there.
    pub drain: Option<Drain>,
    /// The number of the last assignment.
    pub last_seq: u64,
    /// Assignments up to this number are of an epoch before: the node was lost while it ran them,
    /// and their jobs wait for it.
    pub kept_seq: u64,
    /// What is placed there, by the number of its assignment.
    pub assigned: OrdMap<u64, Assigned>,
    /// The sum of what those with a seat reserve.
    pub seated: Resources,
    /// How many are placed ahead.
    pub ahead: u64,
    /// No assignment placed ahead has a lower number than this.
    pub ahead_from: u64,
}

/// A placed element, seen from its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// Its run.
    pub run: RunId,
    /// Its task.
    pub task: TaskPosition,
    /// Its ordinal in the task.
    pub ordinal: u32,
    /// What it reserves.
    pub wants: Resources,
    /// Whether it was placed ahead and has no seat yet.
    pub ahead: bool,
}

/// The drain of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Who wants it, and why.
    pub because: Because,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// Until when what runs there may go on, Unix milliseconds; `None`: as long as it takes.
    pub until_ms: Option<u64>,
    /// That time is over: what ran is being stopped.
    pub stops: bool,
}

impl Drain {
    /// Who or what ends the attempts, as each of them remembers it.
    pub(crate) fn because(&self, node: &str) -> Because {
        let Because { actor, reason } = &self.because;
        let colon = if reason.is_empty() { "" } else { ": " };
        Because::new("drain", format!("node {node} is drained by {actor}{colon}{reason}"))
    }
}

impl Node {
    /// Attempts placed ahead on one node at most.
    pub const AHEAD_MAX: u64 = 4096;

    /// Whether anything may be placed there, if it is connected and has room.
    pub fn takes_work(&self) -> bool {
        !self.is_lost && self.drain.is_none()
    }

    /// What is wrong with it, looked at alone. `epochs_from` is where the epochs of the cluster's
    /// incarnation begin.
    pub(crate) fn fault(&self, epochs_from: u64) -> Option<&'static str> {
        // Only a recovery gives up a node without a lease: for all it knows, that is gone.
        let kept_for_ever = self.lease_ms == 0 && epochs_from == 0;
        if self.kept_seq > self.last_seq || (self.is_lost && kept_for_ever) {
            return Some("it is lost and cannot be");
        }
        if self.epoch < epochs_from {
            return Some("its epoch is one of a former incarnation");
        }
        let last = self.assigned.get_max().map_or(0, |(seq, _)| *seq);
        (self.is_lost && last > self.kept_seq).then_some("it is lost and something is placed there")
    }

    pub(crate) fn assign(&mut self, assigned: Assigned) -> u64 {
        self.last_seq += 1;
        if assigned.ahead {
            if self.ahead == 0 {
                self.ahead_from = self.last_seq;
            }
            self.ahead += 1;
        } else {
            self.seated.add(assigned.wants);
        }
        self.assigned.insert(self.last_seq, assigned);
        self.last_seq
    }

    /// Puts an assignment back under the number it had.
    pub(crate) fn restore(&mut self, seq: u64, assigned: Assigned) {
        if assigned.ahead {
            self.ahead_from = if self.ahead == 0 { seq } else { self.ahead_from.min(seq) };
            self.ahead += 1;
        } else {
            self.seated.add(assigned.wants);
        }
        self.assigned.insert(seq, assigned);
    }

    /// Takes an assignment away and gives seats to those placed ahead, in their order.
    pub(crate) fn release(&mut self, seq: u64) {
        let Some(gone) = self.assigned.remove(&seq) else { return };
        if gone.ahead {
            self.ahead -= 1;
        } else {
            self.seated.sub(gone.wants);
        }
        self.seat();
    }

    fn seat(&mut self) {
        while self.ahead > 0 {
            let mut ahead =
                self.assigned.range(self.ahead_from..).filter(|(_, assigned)| assigned.ahead);
            let Some((&first, _)) = ahead.next() else { return };
            self.ahead_from = first;
            // What the node can never hold, since it has become smaller, keeps nobody waiting.
            let may_sit = |wants| self.capacity.has_room(Resources::default(), wants);
            let next = self.assigned.range(first..);
            let mut next = next.filter(|(_, assigned)| assigned.ahead && may_sit(assigned.wants));
            let Some((&seq, assigned)) = next.next() else { return };
            if !self.capacity.has_room(self.seated, assigned.wants) {
                return;
            }
            self.seated.add(assigned.wants);
            self.ahead -= 1;
            if let Some(assigned) = self.assigned.get_mut(&seq) {
                assigned.ahead = false;
            }
        }
    }
}
