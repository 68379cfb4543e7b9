//! What is true once an entry is durable: a machine of its own that applies each entry at that
//! moment, and the promises that concern what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::{Answer, AttemptEnded, Event, State};
use model::{
    Attempt, Element, Ending, JobSpec, NodeId, OnLost, Outcome, Resources, RunId, SupervisorId,
};
use model::{StopCause, TaskState};
use proto::record::{Batch, Rerun, command::Kind};
use reactor::control::RequestId;

use super::clock::Mark;
use super::journal::Entry;
use super::process::Process;
use super::promises::{self, Deadline, Tries};
use super::{World, ask, note, task};

#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    pub(super) state: State,
    pub(super) runs: BTreeMap<RunId, Run>,
    /// What each key has made, and from which payload.
    keys: BTreeMap<String, (RunId, u64)>,
    /// Requests that are applied.
    applied: BTreeSet<RequestId>,
    /// Requests whose client was told that nothing was or will be done.
    pub(super) disowned: BTreeSet<RequestId>,
    /// The latest attempt of each element that was placed, and in which incarnation.
    pub(super) placed: BTreeMap<Element, (u32, u16)>,
    /// What each element has behind it.
    pub(super) tries: BTreeMap<Element, Tries>,
    /// The deadlines that have not passed.
    pub(super) deadlines: BTreeSet<Deadline>,
    /// Attempts that ended with their node, as far as the cluster can know.
    pub(super) lost_with_node: BTreeSet<Attempt>,
    /// Nodes that take no work.
    pub(super) drained: BTreeSet<NodeId>,
    /// Attempts whose nodes' drains were over while they ran.
    drained_away: BTreeSet<Attempt>,
    /// How each attempt ended, as the cluster has it.
    outcomes: BTreeMap<Attempt, Outcome>,
}

#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) spec: Arc<JobSpec>,
    pub(super) submitted: Mark,
    pub(super) ended: BTreeMap<Element, TaskState>,
    pub(super) stopping: BTreeSet<Element>,
    /// How many elements of each task have failed.
    pub(super) failed: BTreeMap<u32, u64>,
    /// Tasks of which more have failed than may.
    pub(super) given_up: BTreeSet<u32>,
    over: bool,
}

impl Run {
    fn new(spec: Arc<JobSpec>, submitted: Mark) -> Run {
        Run {
            spec,
            submitted,
            ended: BTreeMap::new(),
            stopping: BTreeSet::new(),
            failed: BTreeMap::new(),
            given_up: BTreeSet::new(),
            over: false,
        }
    }
}

impl Truth {
    pub(super) fn runs(&self) -> u64 {
        self.runs.len() as u64
    }

    pub(super) fn elements_ended(&self) -> u64 {
        self.runs.values().map(|run| run.ended.len() as u64).sum()
    }

    pub(super) fn is_applied(&self, id: RequestId) -> bool {
        self.applied.contains(&id)
    }

    pub(super) fn has_run(&self, run: RunId) -> bool {
        self.runs.contains_key(&run)
    }

    pub(super) fn outcome(&self, attempt: Attempt) -> Option<&Outcome> {
        self.outcomes.get(&attempt)
    }

    /// Whether there ever was a run of a job of this name.
    pub(super) fn had_named(&self, name: &str) -> bool {
        self.runs.values().any(|run| run.spec.name == name)
    }

    /// Whether the key has made this run, from a payload that is as asked.
    pub(super) fn key_is_of(&self, key: &str, run: RunId, is: impl Fn(u64) -> bool) -> bool {
        self.keys.get(key).is_some_and(|(made, payload)| *made == run && is(*payload))
    }

    /// The latest runs, of which there is one at least.
    pub(super) fn latest(&self, count: usize) -> Vec<RunId> {
        self.runs.keys().rev().take(count).copied().collect()
    }

    /// Runs in which something waits or runs that ends only when it is cancelled.
    pub(super) fn need_cancel(&self, nodes: &[Resources]) -> Vec<RunId> {
        let needs = |run: &machine::Run| {
            run.tasks.iter().zip(&run.spec.tasks).any(|(task, spec)| {
                let left = !task.queued.is_empty() || task.live.values().any(|l| l.stop.is_none());
                left && task::needs_cancel(spec, nodes)
            })
        };
        (self.state.runs().iter()).filter(|(_, run)| needs(run)).map(|(id, _)| id).collect()
    }

    /// Runs that are not over, or whose elements have not each ended.
    pub(super) fn unfinished(&self) -> Vec<RunId> {
        let whole = |run: &Run| {
            let count = |spec: &model::TaskSpec| u64::from(spec.indices().count());
            run.over && run.spec.tasks.iter().map(count).sum::<u64>() == run.ended.len() as u64
        };
        self.runs.iter().filter(|(_, run)| !whole(run)).map(|(id, _)| *id).collect()
    }

    fn submitted(&mut self, kind: &Kind, answer: &Answer) -> Option<String> {
        let (Kind::SubmitJob(submit), Answer::Submitted { run, repeated }) = (kind, answer) else {
            return None;
        };
        let key = &submit.idempotency_key;
        let payload = submit.payload_hash.as_slice().try_into().map_or(0, u64::from_be_bytes);
        if key.is_empty() {
            return repeated.then(|| format!("run {run} is said to be repeated without a key"));
        }
        match self.keys.get(key) {
            Some(made) if *repeated && *made == (*run, payload) => None,
            None if !*repeated => {
                self.keys.insert(key.clone(), (*run, payload));
                None
            }
            made => Some(format!("key `{key}` has made {made:?} and now {answer:?}")),
        }
    }

    /// A cancel of whole tasks or some elements: none of them may be placed again.
    fn canceled(&mut self, kind: &Kind, answer: &Answer) {
        let (Kind::Cancel(cancel), Answer::Canceled { .. }) = (kind, answer) else { return };
        let Some(run) = self.runs.get_mut(&RunId(cancel.run)) else { return };
        for (at, spec) in run.spec.tasks.iter().enumerate() {
            let task = at as u32;
            if cancel.task.is_some_and(|only| only != task) {
                continue;
            }
            let named = |ordinal: &u32| {
                let hit = |r: &proto::record::Range| (r.first..=r.last).contains(ordinal);
                cancel.ordinals.is_empty() || cancel.ordinals.iter().any(hit)
            };
            let element = |ordinal| {
                let index = spec.indices().index(ordinal);
                Element { run: RunId(cancel.run), task, index }
            };
            run.stopping.extend((0..spec.indices().count()).filter(named).map(element));
        }
    }

    fn element_ends(&mut self, element: Element, state: TaskState) -> Option<String> {
        let run = self.runs.get_mut(&element.run)?;
        let before = run.ended.insert(element, state);
        before.map(|before| format!("{element:?} ended as {before} and now as {state}"))
    }

    fn assigned(&mut self, attempt: Attempt, of: u16) -> Option<String> {
        let element = attempt.element;
        let (before, _) = self.placed.insert(element, (attempt.number, of)).unwrap_or_default();
        if before + 1 != attempt.number {
            return Some(format!("{attempt} is placed after attempt {before}"));
        }
        if before > 0 && !self.outcomes.contains_key(&Attempt { element, number: before }) {
            return Some(format!("{attempt} is placed before attempt {before} has ended"));
        }
        let run = self.runs.get(&element.run)?;
        if let Some(state) = run.ended.get(&element) {
            return Some(format!("{element:?} is placed although it has ended as {state}"));
        }
        run.stopping
            .contains(&element)
            .then(|| format!("{element:?} is placed although its stop is acknowledged"))
    }
}

impl World {
    /// Applies an entry that has just become durable.
    pub(super) fn commit(&mut self, index: u64, entry: &Entry) {
        if entry.record.is_empty() {
            return self.truth.state.pass(index);
        }
        let batch = match machine::decode(index, &entry.record) {
            Ok(batch) => batch,
            Err(error) => return self.broken(format!("entry {index}: {error}")),
        };
        let registers = self.registers(entry, &batch);
        let time_ms = self.truth.state.time_ms();
        let applied = self.truth.state.apply(index, entry.leader, &batch);
        if self.truth.state.time_ms() < time_ms {
            self.broken(format!("entry {index} turns the time back"));
        }
        let header = batch.header.unwrap_or_default();
        let made_by = (header.leader_term, header.leader_node);
        if made_by != entry.leader && applied.refused.is_none() {
            self.broken(format!("entry {index} is applied, but its batch is of another leader"));
        }
        if applied.refused.is_some() {
            return;
        }
        let Some(now) = self.clock.sealed(made_by, header.number) else {
            return self.broken(format!("entry {index}: nobody made its batch"));
        };
        let now = now.stamped(self.truth.state.time_ms());
        let kinds = batch.commands.iter().filter_map(|command| command.kind.as_ref());
        let reruns = kinds.zip(&applied.answers).filter_map(|made| match made {
            (Kind::SubmitJob(submit), Answer::Submitted { run, repeated: false }) => {
                Some((*run, submit.rerun.as_ref()?))
            }
            _ => None,
        });
        let reruns: BTreeMap<RunId, &Rerun> = reruns.collect();
        for event in &applied.events {
            self.committed(event, &registers, &reruns, now);
        }
        if let Some(what) = self.truth.outlives_its_deadline(now) {
            self.broken(what);
        }
        if let Some(what) = self.truth.outlives_its_drain(now) {
            self.broken(what);
        }
        if let Some(what) = self.truth.outlives_its_recovery() {
            self.broken(what);
        }
        let kinds = batch.commands.iter().filter_map(|command| command.kind.as_ref());
        for (kind, answer) in kinds.zip(&applied.answers) {
            if let Some(id) = ask::mark(kind) {
                self.truth.applied.insert(id);
                if self.truth.disowned.contains(&id) {
                    self.broken(format!("request {id} is done although its client was told not"));
                }
            }
            self.truth.canceled(kind, answer);
            if let Some(what) = self.truth.submitted(kind, answer) {
                self.broken(what);
            }
        }
        for node in self.truth.state.nodes().values() {
            if !node.capacity.has_room(Resources::default(), node.seated) {
                self.broken.get_or_insert(format!("more is seated on {} than it has", node.name));
            }
        }
        if let Some(what) = self.truth.state.check_invariants().into_iter().next() {
            self.broken(format!("invariant after entry {index}: {what}"));
        }
        self.perhaps_save(index);
    }

    /// The supervisors by which the batch ends former ones; these must be former ones.
    fn registers(&mut self, entry: &Entry, batch: &Batch) -> BTreeMap<NodeId, SupervisorId> {
        let made_by = batch.header.map(|header| (header.leader_term, header.leader_node));
        let made_by = made_by.unwrap_or_default();
        let mut registers = BTreeMap::new();
        for command in &batch.commands {
            let Some(Kind::RegisterNode(register)) = &command.kind else { continue };
            let id = NodeId::from_bytes(&register.node_id).unwrap_or_default();
            if self.truth.state.node(id).is_some_and(|node| register.hello < node.hello) {
                continue; // It is refused.
            }
            let new = SupervisorId::from_bytes(&register.supervisor_id).unwrap_or_default();
            let old = registers.get(&id).copied();
            let old = old.or_else(|| self.truth.state.node(id).map(|node| node.supervisor));
            let Some(old) = old.filter(|old| *old != new) else { continue };
            registers.entry(id).or_insert(new);
            let lives = self.nodes.iter().find(|node| node.id == id).map(|node| &node.supervisors);
            let at = |id| lives.and_then(|lives| lives.iter().position(|life| *life == id));
            if made_by == entry.leader && at(new) < at(old) {
                self.broken(format!("supervisor {new} is registered after {old}, which is newer"));
            }
        }
        registers
    }

    fn committed(
        &mut self,
        event: &Event,
        registers: &BTreeMap<NodeId, SupervisorId>,
        reruns: &BTreeMap<RunId, &Rerun>,
        now: Mark,
    ) {
        let broken = match event {
            Event::RunCreated { run } => {
                // A run without work left could be over within its batch, but none is made so.
                let Some(made) = self.truth.state.run(*run) else {
                    return self.broken(format!("run {run} is made and not there"));
                };
                let mut made = Run::new(made.spec.clone(), now);
                if let Some(rerun) = reruns.get(run) {
                    promises::taken_over(*run, rerun, &mut made);
                }
                let before = self.truth.runs.insert(*run, made);
                self.truth.note_deadlines(*run);
                let again = before.is_some() || self.was_given(*run);
                again.then(|| format!("run {run} is made twice"))
            }
            Event::Assigned { node, run, task, items, fence, .. } => {
                if self.is_placed_too_early() {
                    self.broken(format!("run {run} is placed while a former incarnation may run"));
                }
                if self.truth.drained.contains(node) {
                    self.broken(format!("run {run} is placed on {node}, which is drained"));
                }
                items.iter().find_map(|&(index, number)| {
                    let element = Element { run: *run, task: *task, index };
                    let attempt = Attempt { element, number };
                    let broken = self.truth.assigned(attempt, fence.incarnation());
                    broken.or_else(|| self.truth.note_placed(attempt, now))
                })
            }
            Event::AttemptEnded(ended) => {
                self.check_ended(ended, registers);
                let actor = ended.because.as_ref().map(|because| because.actor.as_str());
                if matches!(actor, Some("node-lost" | "node-removed")) {
                    self.truth.lost_with_node.insert(ended.attempt);
                }
                self.truth.outcomes.insert(ended.attempt, ended.outcome.clone());
                let broken = self.truth.note_end(ended, now);
                broken.into_iter().for_each(|what| self.broken(what));
                ended.state.and_then(|state| self.truth.element_ends(ended.attempt.element, state))
            }
            Event::ElementsEnded { run, task, ordinals, state, because } => {
                let array = self.truth.runs[run].spec.tasks[*task as usize].indices();
                let elements = ordinals.iter().map(|ordinal| array.index(ordinal));
                let elements = elements.map(|index| Element { run: *run, task: *task, index });
                let elements: Vec<Element> = elements.collect();
                let truth = &mut self.truth;
                let broken = truth.note_waiting_ended(&elements, *state, &because.actor, now);
                let ended = elements.into_iter().filter_map(|e| truth.element_ends(e, *state));
                ended.collect::<Vec<_>>().into_iter().next().or(broken)
            }
            Event::RunEnded { run, .. } => {
                self.truth.runs.entry(*run).and_modify(|run| run.over = true);
                None
            }
            Event::Stop { node, attempts, cause: StopCause::Drain } => {
                self.truth.drained_away.extend(attempts);
                self.truth.is_drain_early(*node, now)
            }
            Event::Stop { attempts, cause, .. } => {
                let early = |attempt: &&Attempt| {
                    *cause == StopCause::Deadline
                        && self.truth.is_deadline_early(attempt.element, now)
                };
                let early = attempts.iter().find(early);
                for attempt in attempts {
                    if let Some(run) = self.truth.runs.get_mut(&attempt.element.run) {
                        run.stopping.insert(attempt.element);
                    }
                }
                early.map(|attempt| format!("{attempt} is stopped before its deadline"))
            }
            Event::NodeLost { node, epoch } => {
                note!(self, "truth: node {node} is lost, epoch {epoch}");
                self.lost += 1;
                None
            }
            Event::NodeDraining { node } => {
                self.truth.drained.insert(*node);
                None
            }
            Event::NodeResumed { node } | Event::NodeRemoved { node, .. } => {
                self.truth.drained.remove(node);
                None
            }
            Event::NodeRegistered { .. }
            | Event::NodeVoided { .. }
            | Event::NodeDrained { .. }
            | Event::Withdraw { .. }
            | Event::PickRefused { .. }
            | Event::Started { .. }
            | Event::Changed(_) => None,
        };
        broken.into_iter().for_each(|what| self.broken(what));
    }

    /// What the cluster says of an attempt's end is what became of its process.
    fn check_ended(&mut self, ended: &AttemptEnded, registers: &BTreeMap<NodeId, SupervisorId>) {
        let AttemptEnded { attempt, node, outcome, .. } = ended;
        let of_element = |process: &&Process| process.attempt.element == attempt.element;
        if self.processes.live().filter(of_element).any(|process| !self.is_forgotten(process)) {
            return self.broken(format!("{attempt} is recorded as ended while its process lives"));
        }
        let placed = self.truth.placed.get(&attempt.element).copied();
        let Some((_, of)) = placed.filter(|(number, _)| *number == attempt.number) else {
            return self.broken(format!("{attempt} is recorded as ended and is not the latest"));
        };
        let spec = self.truth.runs.get(&attempt.element.run).map(|run| run.spec.clone());
        let task = spec.as_ref().map(|spec| &spec.tasks[attempt.element.task as usize]);
        let is_of = |actor: &str| ended.because.as_ref().is_some_and(|of| of.actor == actor);
        let with_node = is_of("node-lost");
        let by_loss = outcome.stopped == Some(StopCause::Lease) || with_node;
        if by_loss && task.is_some_and(|task| task.on_lost == OnLost::Wait) {
            return self.broken(format!("{attempt} waits for its node and was given up"));
        }
        let past = self.processes.past(*attempt, of);
        let stopped = outcome.stopped == Some(StopCause::Drain) && past.is_some();
        if stopped && !self.truth.drained_away.contains(attempt) {
            return self.broken(format!("{attempt} ran and was stopped before its drain was over"));
        }
        let fair = match outcome.ending {
            Ending::Gone => {
                let at = self.nodes.iter().find(|at| at.id == *node);
                let told = registers.get(node).is_some_and(|supervisor| {
                    at.is_some_and(|at| at.was_told(*supervisor, *attempt))
                });
                if told && !with_node && !is_of("node-removed") {
                    let what = format!("{attempt} is recorded as gone, but its end was found");
                    return self.broken(what);
                }
                true
            }
            Ending::NotStarted(_) => past.is_none(),
            _ => past == Some(&Some(outcome.clone())),
        };
        if !fair {
            self.broken(format!("{attempt} is recorded as {outcome:?}, but it was {past:?}"));
        }
    }
}
