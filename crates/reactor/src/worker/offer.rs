//! When the node asks for work: after a delay that grows with what it has to do already.
//!
//! So among equal nodes the one with least to do is heard first. An offer stands until the node is
//! given something; a full node asks too, late, for what it is given then waits there for room. How
//! much it may be given is not said: that the cluster knows from its state.

use std::collections::{BTreeMap, BTreeSet};

use model::{Attempt, Resources};

/// How long a full node waits before it asks again, in milliseconds; a free one does not wait.
const DELAY_MS_MAX: u64 = 20;

#[derive(Debug)]
pub(super) struct Offers {
    capacity: Resources,
    /// What was given and has not ended, with what each reserves. What a daemon finds running counts
    /// for nothing: of it the supervisor tells no more than the names.
    given: BTreeMap<Attempt, Resources>,
    reserved: Resources,
    /// Since when the node wants to ask; `None` while its offer stands, or nobody would hear it.
    wants_since_ms: Option<u64>,
}

impl Offers {
    pub(super) fn new(capacity: Resources) -> Offers {
        let (given, reserved) = (BTreeMap::new(), Resources::default());
        Offers { capacity, given, reserved, wants_since_ms: None }
    }

    /// Nobody has an offer of this node: it is welcome, or was just given work.
    pub(super) fn wanted(&mut self, now_ms: u64) {
        self.wants_since_ms = Some(now_ms);
    }

    /// Nobody would hear an offer.
    pub(super) fn unwelcome(&mut self) {
        self.wants_since_ms = None;
    }

    pub(super) fn given(&mut self, attempt: Attempt, wants: Resources) {
        if self.given.insert(attempt, wants).is_none() {
            self.reserved.add(wants);
        }
    }

    pub(super) fn ended(&mut self, attempt: Attempt) {
        if let Some(wants) = self.given.remove(&attempt) {
            self.reserved.sub(wants);
        }
    }

    /// A supervisor is there that holds these and nothing else.
    pub(super) fn held(&mut self, held: &BTreeSet<Attempt>) {
        self.given.retain(|attempt, _| held.contains(attempt));
        self.reserved = Resources::default();
        self.given.values().for_each(|wants| self.reserved.add(*wants));
    }

    /// Whether the node asks now.
    pub(super) fn ask(&mut self, now_ms: u64) -> bool {
        let due = self.due_ms().is_some_and(|due_ms| due_ms <= now_ms);
        if due {
            self.wants_since_ms = None;
        }
        due
    }

    /// When it asks, if nothing changes.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let since_ms = self.wants_since_ms?;
        Some(since_ms + DELAY_MS_MAX * self.load_milli() / 1000)
    }

    /// The share of what is reserved, of the resource of which it is most, in thousandths.
    fn load_milli(&self) -> u64 {
        let share = |used: u64, all: u64| match used {
            0 => 0,
            _ => (u128::from(used) * 1000 / u128::from(all.max(1))).min(1000) as u64,
        };
        let cpu_milli = share(self.reserved.cpu_milli, self.capacity.cpu_milli);
        cpu_milli.max(share(self.reserved.memory_bytes, self.capacity.memory_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Element, RunId};

    fn attempt(index: u32) -> Attempt {
        Attempt { element: Element { run: RunId(1), task: 0, index }, number: 1 }
    }

    #[test]
    fn the_delay_grows_with_the_load_and_stops_where_the_node_is_full() {
        let each = Resources { cpu_milli: 1_000, memory_bytes: 0 };
        let mut offers = Offers::new(each.times(4));
        assert_eq!(offers.due_ms(), None, "nobody would hear it");
        offers.wanted(100);
        for (given, due_ms) in [(0, 100), (1, 105), (2, 110), (4, 120), (9, 120)] {
            (0..given).for_each(|index| offers.given(attempt(index), each));
            assert_eq!(offers.due_ms(), Some(due_ms), "{given} given");
        }
        assert!(!offers.ask(119) && offers.ask(120));
        assert!(!offers.ask(500), "its offer stands");
        offers.wanted(500);
        (1..9).for_each(|index| offers.ended(attempt(index)));
        assert_eq!(offers.due_ms(), Some(505), "what has ended counts for nothing");
        offers.held(&BTreeSet::new());
        assert!(offers.ask(500));
    }

    #[test]
    fn the_scarcest_resource_counts() {
        let mut offers = Offers::new(Resources { cpu_milli: 4_000, memory_bytes: 1 << 60 });
        offers.wanted(0);
        offers.given(attempt(1), Resources { cpu_milli: 0, memory_bytes: 1 << 59 });
        assert_eq!(offers.due_ms(), Some(10));
    }
}
