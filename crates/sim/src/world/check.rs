//! The promises that concern what runs, what was answered, and the end of it all.

use std::collections::{BTreeMap, BTreeSet};

use machine::{Answer, State};
use model::{Attempt, Fence, Outcome, Resources};
use reactor::control::{RequestId, Unavailable};

use super::World;
use super::snapshot::told;

/// States are compared at every index that this divides.
const COMPARED_EVERY: u64 = 31;
/// So many are remembered.
const COMPARED_MAX: usize = 64;

impl World {
    /// A process is about to start: its attempt is committed, for this node, and has not ended.
    pub(super) fn check_start(&mut self, node: usize, attempt: Attempt, fence: Fence) {
        let element = attempt.element;
        let state = &self.truth_of(fence).state;
        let placed = state.run(element.run).and_then(|run| {
            let ordinal = run.spec.tasks[element.task as usize].indices().ordinal(element.index)?;
            run.tasks[element.task as usize].live.get(&ordinal).cloned()
        });
        let id = self.nodes[node].id;
        let holds = placed.as_ref().is_some_and(|live| {
            (live.number, live.node, live.fence) == (attempt.number, id, fence)
        });
        if !holds {
            self.broken(format!("{attempt} starts on node {node}, but committed is {placed:?}"));
        }
        if fence.incarnation() != self.nodes[node].incarnation {
            self.broken(format!("{attempt} with fence {fence} starts in another incarnation"));
        }
        if self.processes.past(attempt, fence.incarnation()).is_some() {
            self.broken(format!("{attempt} starts a second time"));
        }
        let before = self.processes.note_fence(element, fence);
        if before.is_some_and(|before| before >= fence) {
            self.broken(format!("{attempt} starts with fence {fence} after {before:?}"));
        }
    }

    /// What holds for all processes at any moment, those without a supervisor included.
    pub(super) fn check_processes(&mut self) {
        let mut elements = BTreeSet::new();
        let mut used: BTreeMap<usize, Resources> = BTreeMap::new();
        let mut of_task: BTreeMap<_, u32> = BTreeMap::new();
        let mut broken = None;
        for process in self.processes.live() {
            let element = process.attempt.element;
            let counts = !self.outlives_its_lease(process);
            if counts && !elements.insert(element) {
                broken = Some(format!("two processes of {element:?} live at once"));
            }
            let used = used.entry(process.node).or_default();
            used.add(process.wants);
            if !self.nodes[process.node].capacity.has_room(Resources::default(), *used) {
                broken = Some(format!("node {} runs more than it has", process.node));
            }
            let count = of_task.entry((element.run, element.task)).or_default();
            *count += u32::from(counts);
            let run = self.truth.state.run(element.run);
            let most =
                run.map_or(0, |run| run.spec.tasks[element.task as usize].indices().parallel_max);
            if most > 0 && *count > most {
                broken = Some(format!("more than {most} processes of {element:?}'s task live"));
            }
        }
        broken.into_iter().for_each(|what| self.broken(what));
    }

    /// Control parts are equal at an equal index: now and then one is compared with the others.
    pub(super) fn compare(&mut self, host: usize, state: &State) {
        let index = state.applied();
        if self.hosts.len() == 1 || !index.is_multiple_of(COMPARED_EVERY) {
            return;
        }
        let is = told(state);
        let was = self.compared.entry(index).or_insert_with(|| is.clone());
        if *was != is {
            self.broken(format!("host {host} has another state at {index} than another host"));
        }
        while self.compared.len() > COMPARED_MAX {
            self.compared.pop_first();
        }
    }

    /// The control part answers a client: what it says must be durable, or not be at all.
    pub(super) fn check_answer(&mut self, id: RequestId, answer: &Result<Answer, Unavailable>) {
        let applied = self.truth.is_applied(id);
        match answer {
            Ok(answer) => {
                let made = match answer {
                    Answer::Submitted { run, .. } => self.truth.has_run(*run),
                    _ => true,
                };
                if !applied || !made {
                    self.broken(format!("request {id} is answered {answer:?} and not durable"));
                }
            }
            Err(Unavailable::OutcomeUnknown) => {}
            Err(why) => {
                self.truth.disowned.insert(id);
                if applied {
                    self.broken(format!("request {id} is done, but answered {why:?}"));
                }
            }
        }
    }

    /// A supervisor is told to forget an end: it is recorded by then, as it was.
    pub(super) fn check_forgotten(
        &mut self,
        attempt: Attempt,
        fence: Fence,
        outcome: Option<&Outcome>,
    ) {
        let truth = self.truth_of(fence);
        let recorded = truth.outcome(attempt);
        let lost = truth.lost_with_node.contains(&attempt);
        if outcome.is_none() || (recorded != outcome && !lost) {
            let what = format!("{attempt} is forgotten as {outcome:?}, recorded is {recorded:?}");
            self.broken(what);
        }
    }

    /// After everything has ended.
    pub(super) fn check_end(&mut self) -> Result<(), String> {
        let unfinished = self.truth.unfinished();
        if !unfinished.is_empty() {
            return Err(format!("at the end: runs {unfinished:?} have elements without an end"));
        }
        for host in &self.hosts {
            let control = host.control.as_ref().ok_or("at the end: a control part is dead")?;
            if told(control.state()) != told(&self.truth.state) {
                return Err(
                    "at the end: a control part's state is not what the journal makes".into()
                );
            }
        }
        let assigned = self.truth.state.nodes().values().map(|node| node.assigned.len()).sum();
        match assigned {
            0usize => Ok(()),
            count => Err(format!("at the end: {count} attempts are still placed")),
        }
    }
}
