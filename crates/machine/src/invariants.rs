//! What must hold between any two batches, each with a name. Tests call it after every step.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::{NodeId, Resources, RunId};

use crate::run::TaskRun;
use crate::state::State;

impl State {
    /// Every invariant that does not hold, by name; empty when all do.
    pub fn check_invariants(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (&run_id, run) in &self.runs {
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
                if task.queued.len() + task.live.len() as u64 + task.ended_count() != count {
                    fault("an element is counted twice or not at all");
                }
                if task.live.keys().any(|ordinal| task.queued.contains(*ordinal)) {
                    fault("an element is queued and placed");
                }
                if !task.tries.keys().all(|ordinal| task.queued.contains(*ordinal)) {
                    fault("an element that does not wait has tries behind it");
                }
                let most = array.parallel_max as usize;
                if most > 0 && task.live.len() > most {
                    fault("more elements are placed than its limit at once");
                }
                let entry = (Reverse(run.spec.tasks[position].priority), run_id, position as u32);
                if self.queue.contains(&entry) == task.queued.is_empty() {
                    fault("the queue disagrees with what is queued");
                }
            }
        }
        self.check_nodes(&mut broken);
        if self.queue.iter().any(|(_, run, _)| !self.runs.contains_key(run)) {
            broken.push("queue: it names a run that is not there".to_owned());
        }
        if !self.keys.agree() {
            broken.push("keys: the two tables disagree".to_owned());
        }
        broken
    }

    fn check_nodes(&self, broken: &mut Vec<String>) {
        let mut placed: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (&run_id, run) in &self.runs {
            for (position, task) in run.tasks.iter().enumerate() {
                self.check_live(run_id, position as u32, task, &mut placed, broken);
            }
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
            let low = node.assigned.iter().find(|(_, assigned)| assigned.ahead);
            if low.is_some_and(|(seq, _)| *seq < node.ahead_from) {
                fault("something placed ahead lies below its mark");
            }
        }
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
