//! A node as the cluster has agreed on it: what it has and what is placed there.
//!
//! Attempts beyond what fits are placed *ahead*: they wait on the node, so that a short task is
//! followed by the next without a round through the journal. Those that have a seat never reserve
//! more than the node has; the node itself holds to the same limit when it starts them.

use std::collections::BTreeMap;

use imbl::OrdMap;
use model::{Resources, RunId, SupervisorId, TaskPosition};

/// One node.
#[derive(Clone, Debug, Default)]
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

impl Node {
    /// Attempts placed ahead on one node at most.
    pub const AHEAD_MAX: u64 = 4096;

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
