//! The processes themselves: the truth that everything else only hears of.
//!
//! They outlive their supervisor, and then nobody sees how they end.

use std::collections::BTreeMap;

use model::{
    Attempt, Element, Ending, Fence, OnLost, Outcome, Resources, StopCause, SupervisorId, TaskSpec,
};

use super::task::{Behaviour, Term};
use super::{MS, World, note};

#[derive(Debug, Default)]
pub(super) struct Processes {
    live: BTreeMap<u64, Process>,
    /// What became of the process of each attempt, which another incarnation may have once more; `None` where it vanished with its machine or was
    /// killed when nobody watched.
    past: BTreeMap<(Attempt, u16), Option<Outcome>>,
    /// The highest fence that a process of an element has seen.
    fences: BTreeMap<Element, Fence>,
    last_pid: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) node: usize,
    pub(super) attempt: Attempt,
    pub(super) fence: Fence,
    pub(super) on_lost: OnLost,
    pub(super) wants: Resources,
    supervisor: SupervisorId,
    behaviour: Behaviour,
    started_us: u64,
    stop: Option<StopCause>,
    grace_us: u64,
}

#[derive(Debug)]
pub(super) enum Event {
    /// A process ends by itself, or of a signal it was sent.
    Ends {
        pid: u64,
        ending: Ending,
    },
    /// Its timeout has come.
    TimesOut {
        pid: u64,
    },
    /// Its grace is over.
    GraceIsOver {
        pid: u64,
    },
    /// A daemon kills what a dead supervisor left.
    Reaped {
        pid: u64,
    },
    EndWritten {
        node: usize,
        supervisor: SupervisorId,
        attempt: Attempt,
    },
    EndSynced {
        node: usize,
        attempt: Attempt,
    },
}

impl Processes {
    pub(super) fn started(&self) -> u64 {
        self.last_pid
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Process> {
        self.live.values()
    }

    pub(super) fn on_node(&self, node: usize) -> Vec<u64> {
        self.live.iter().filter(|(_, process)| process.node == node).map(|(pid, _)| *pid).collect()
    }

    /// What became of the process of this attempt of an incarnation; nothing where it never had one.
    pub(super) fn past(&self, attempt: Attempt, of: u16) -> Option<&Option<Outcome>> {
        self.past.get(&(attempt, of))
    }

    /// Whether a process must not outlive the lease of its node.
    pub(super) fn ends_with_lease(&self, pid: u64) -> bool {
        self.live.get(&pid).is_some_and(|process| process.on_lost != OnLost::Wait)
    }

    /// Notes the fence a process was given; says which one its element had seen before.
    pub(super) fn note_fence(&mut self, element: Element, fence: Fence) -> Option<Fence> {
        self.fences.insert(element, fence)
    }

    /// A process is no more; nobody or its supervisor has seen it.
    pub(super) fn die(&mut self, pid: u64, outcome: Option<Outcome>) -> Option<Process> {
        let process = self.live.remove(&pid)?;
        self.past.insert((process.attempt, process.fence.incarnation()), outcome);
        Some(process)
    }
}

impl World {
    pub(super) fn process_event(&mut self, event: Event) {
        match event {
            Event::Ends { pid, ending } => self.process_ends(pid, ending),
            Event::TimesOut { pid } => {
                let Some(process) = self.processes.live.get(&pid) else { return };
                let (node, supervisor) = (process.node, process.supervisor);
                let attempt = process.attempt;
                self.stop(node, supervisor, attempt, StopCause::Timeout);
            }
            Event::GraceIsOver { pid } => {
                let Some(process) = self.processes.live.get(&pid) else { return };
                let supervisor = self.nodes[process.node].supervisor.as_ref();
                if supervisor.is_some_and(|supervisor| supervisor.id == process.supervisor) {
                    self.process_ends(pid, Ending::Signaled { signal: 9 });
                }
            }
            Event::Reaped { pid } => {
                if let Some(process) = self.processes.die(pid, None) {
                    note!(self, "node {}: {} is reaped", process.node, process.attempt);
                }
            }
            Event::EndWritten { node, supervisor, attempt } => {
                self.end_written(node, supervisor, attempt);
            }
            Event::EndSynced { node, attempt } => {
                if let Some(frame) = self.nodes[node].disk.get_mut(&attempt) {
                    frame.synced = true;
                }
            }
        }
    }

    /// Starts the process of an attempt.
    pub(super) fn spawn(
        &mut self,
        node: usize,
        supervisor: SupervisorId,
        attempt: Attempt,
        fence: Fence,
        spec: &TaskSpec,
    ) -> u64 {
        self.processes.last_pid += 1;
        let pid = self.processes.last_pid;
        let behaviour = Behaviour::of(spec);
        note!(self, "node {node}: {attempt} starts as {pid} with fence {fence}");
        self.check_start(node, attempt, fence);
        if let Some((low, high)) = behaviour.runs_us {
            let delay = self.rng.skewed(low, high);
            let ending = behaviour.ending(attempt.number);
            self.after(delay, super::Event::Process(Event::Ends { pid, ending }));
        }
        if spec.timeout_ms > 0 {
            self.after(spec.timeout_ms * MS, super::Event::Process(Event::TimesOut { pid }));
        }
        let process = Process {
            node,
            attempt,
            fence,
            on_lost: spec.on_lost,
            wants: spec.resources,
            supervisor,
            behaviour,
            started_us: self.now_us,
            stop: None,
            grace_us: spec.grace_ms * MS,
        };
        self.processes.live.insert(pid, process);
        pid
    }

    /// Its supervisor asks a process to end, and will kill it when its grace is over.
    pub(super) fn terminate(&mut self, pid: u64, cause: StopCause) {
        let Some(process) = self.processes.live.get_mut(&pid) else { return };
        if process.stop.is_some() {
            return;
        }
        process.stop = Some(cause);
        let (attempt, grace, term) = (process.attempt, process.grace_us, process.behaviour.term);
        note!(self, "process {pid} of {attempt} is to end: {cause:?}");
        self.after(grace, super::Event::Process(Event::GraceIsOver { pid }));
        let ending = match term {
            Term::Ignores => return,
            Term::Dies => Ending::Signaled { signal: 15 },
            Term::Exits(code) => Ending::Exited { code },
        };
        let delay = self.rng.skewed(MS, 200 * MS);
        self.after(delay, super::Event::Process(Event::Ends { pid, ending }));
    }

    /// Its supervisor kills a process now.
    pub(super) fn kill(&mut self, pid: u64) {
        self.process_ends(pid, Ending::Signaled { signal: 9 });
    }

    fn process_ends(&mut self, pid: u64, ending: Ending) {
        let Some(process) = self.processes.live.get(&pid) else { return };
        let mut outcome = Outcome::bare(ending);
        outcome.stopped = process.stop;
        outcome.started_us = process.started_us;
        outcome.ended_us = self.now_us;
        note!(self, "process {pid} of {} ends: {:?}", process.attempt, outcome.ending);
        let Some(process) = self.processes.die(pid, Some(outcome.clone())) else { return };
        self.process_ended(process.node, process.supervisor, process.attempt, outcome);
    }
}
