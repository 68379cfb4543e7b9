//! What must hold between any two batches, each with a name. Tests call it after every step.

use std::collections::{BTreeMap, BTreeSet};

use model::{NodeId, RangeSet, Resources, RunId};

use crate::node::{Assigned, Node};
use crate::queue::Shape;
use crate::run::TaskRun;
use crate::state::{Cluster, State};
use crate::timers::TimerKind;

impl State {
    /// Every invariant that does not hold, by name; empty when all do.
    pub fn check_invariants(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let queue: BTreeSet<_> = self.queue.iter().collect();
        for (run_id, run) in self.runs.iter() {
            let mut fault = |what: &str| broken.push(format!("run {run_id}: {what}"));
            if run_id > self.last_run {
                fault("its number is above the last one given");
            }
            if run.has_ended() {
                fault("it has ended and is still here");
            }
            for (position, task) in run.tasks.iter().enumerate() {
                let array = run.spec.tasks[position].indices();
                let count = u64::from(array.count());
                let waiting = task.queued.len() + task.delayed.len();
                if waiting + task.live.len() as u64 + task.ended_count() != count {
                    fault("an element is counted twice or not at all");
                }
                let waits =
                    |ordinal: u32| task.queued.contains(ordinal) || task.delayed.contains(ordinal);
                if task.live.keys().any(|ordinal| waits(*ordinal)) {
                    fault("an element waits and is placed");
                }
                if task.delayed.iter().any(|ordinal| task.queued.contains(ordinal)) {
                    fault("an element waits for its time and for a node");
                }
                if task.delayed != self.delayed(run_id, position as u32) {
                    fault("its timers disagree with what waits for its time");
                }
                let due = |(ordinal, tries): (&u32, &crate::run::Tries)| {
                    task.delayed.contains(*ordinal) == (tries.due_ms > 0)
                };
                if !task.tries.iter().all(due) {
                    fault("an element has a time to wait for and does not wait for it");
                }
                if !task.tries.keys().all(|ordinal| waits(*ordinal)) {
                    fault("an element that does not wait has tries behind it");
                }
                let most = array.parallel_max as usize;
                if most > 0 && task.live.len() > most {
                    fault("more elements are placed than its limit at once");
                }
                let spec = &run.spec.tasks[position];
                let entry = (Shape::of(spec), run_id, position as u32);
                if queue.contains(&entry) != task.wants_nodes(spec) {
                    fault("the queue disagrees with what is queued");
                }
            }
        }
        self.check_nodes(&mut broken);
        if queue.iter().any(|(_, run, _)| !self.runs.contains(*run)) {
            broken.push("queue: it names a run that is not there".to_owned());
        }
        if self.timers.iter().any(|((_, run, ..), _)| !self.runs.contains(*run)) {
            broken.push("timers: one is for a run that is not there".to_owned());
        }
        let named = self.runs.iter().filter(|(_, run)| !run.spec.name.is_empty());
        if !named
            .map(|(id, run)| (run.spec.name.as_str().into(), id))
            .collect::<BTreeSet<_>>()
            .iter()
            .eq(self.names.iter())
        {
            broken.push("names: they disagree with the runs".to_owned());
        }
        let waiting = self.runs.iter().flat_map(|(_, run)| run.tasks.clone());
        if waiting.map(|task| task.waiting()).sum::<u64>() != self.waiting {
            broken.push("waiting: its sum disagrees with the runs".to_owned());
        }
        if self.owners.values().sum::<u64>() != self.runs.len() as u64 {
            broken.push("owners: they disagree with the runs".to_owned());
        }
        if !self.members.agree() {
            broken.push("members: one was removed, or the join tokens disagree".to_owned());
        }
        if !self.tokens.agree() {
            broken.push("tokens: the tables disagree".to_owned());
        }
        if !self.keys.agree() {
            broken.push("keys: the two tables disagree".to_owned());
        }
        broken
    }

    fn delayed(&self, run: RunId, task: u32) -> RangeSet {
        let mut delayed = RangeSet::new();
        for ((_, of, position, kind), ordinals) in self.timers.iter() {
            if (*of, *position, *kind) == (run, task, TimerKind::Retry) {
                ordinals.ranges().for_each(|range| delayed.insert_range(range));
            }
        }
        delayed
    }

    fn check_nodes(&self, broken: &mut Vec<String>) {
        let mut placed: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (run_id, run) in self.runs.iter() {
            for (position, task) in run.tasks.iter().enumerate() {
                self.check_live(run_id, position as u32, task, &mut placed, broken);
            }
        }
        let drains = self.nodes.iter().filter_map(|(id, node)| {
            let drain = node.drain.as_ref().filter(|drain| !drain.stops)?;
            Some((drain.until_ms?, *id))
        });
        if !drains.collect::<BTreeSet<_>>().iter().eq(self.timers.drains()) {
            broken.push("timers: they disagree with what is drained".to_owned());
        }
        for (id, node) in &self.nodes {
            let mut fault = |what: &str| broken.push(format!("node {id}: {what}"));
            if placed.get(id).copied().unwrap_or_default() != node.assigned.len() as u64 {
                fault("it holds what no run has placed there");
            }
            let mut seated = Resources::default();
            let ahead = node.assigned.values().filter(|assigned| assigned.ahead).count();
            for assigned in node.assigned.values().filter(|assigned| !assigned.ahead) {
                seated.add(assigned.wants);
            }
            if seated != node.seated || ahead as u64 != node.ahead {
                fault("its sums disagree with what it holds");
            }
            if node.assigned.get_max().is_some_and(|(seq, _)| *seq > node.last_seq) {
                fault("an assignment is numbered above the last one");
            }
            let epochs_from = self.cluster.map_or(0, Cluster::epochs_from);
            node.fault(epochs_from).into_iter().chain(self.goes_on(node)).for_each(&mut fault);
            let low = node.assigned.iter().find(|(_, assigned)| assigned.ahead);
            if low.is_some_and(|(seq, _)| *seq < node.ahead_from) {
                fault("something placed ahead lies below its mark");
            }
        }
    }

    /// What is wrong with a drained node where something is not stopped in time.
    pub(crate) fn goes_on(&self, node: &Node) -> Option<&'static str> {
        let stops = |at: &Assigned| {
            let run = self.runs.touched(at.run);
            let live = run.and_then(|run| run.tasks[at.task as usize].live.get(&at.ordinal));
            live.is_some_and(|live| live.stop.is_some())
        };
        let is_over = node.drain.as_ref().is_some_and(|drain| drain.stops);
        (is_over && !node.assigned.values().all(stops))
            .then_some("the time of its drain is over and something is not being stopped")
    }

    fn check_live(
        &self,
        run: RunId,
        position: u32,
        task: &TaskRun,
        placed: &mut BTreeMap<NodeId, u64>,
        broken: &mut Vec<String>,
    ) {
        for (ordinal, live) in &task.live {
            *placed.entry(live.node).or_default() += 1;
            let there = self.node(live.node).and_then(|node| node.assigned.get(&live.seq));
            let same =
                there.is_some_and(|at| (at.run, at.task, at.ordinal) == (run, position, *ordinal));
            if !same {
                broken.push(format!(
                    "run {run}: {position}[{ordinal}] is placed on a node that does not hold it"
                ));
            }
        }
    }
}
