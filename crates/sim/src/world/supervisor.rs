//! A supervisor as its protocol describes it: it holds attempts from the moment it has seen them
//! until their ends are committed, and starts each at most once.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::slots::Slots;
use model::{Attempt, Element, Ending, Fence, NotStarted, Outcome, Resources, RunId, StopCause};
use model::{OnLost, SupervisorId, TaskSpec, lease_kill_ms, lease_term_ms};
use proto::supervisor::{
    Ended, FromSupervisor, Hello, Lease, Start, Started, ToSupervisor, from_supervisor,
    to_supervisor,
};

use super::node::{self, Frame};
use super::task::Behaviour;
use super::{MS, World, note, process};

#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) id: SupervisorId,
    /// The connection that has greeted last.
    connection: u64,
    /// The highest assignment it has seen: epoch and number.
    seen: (u64, u64),
    slots: Slots,
    held: BTreeMap<Attempt, Held>,
    /// It stops everything, takes nothing more, and leaves when all is forgotten.
    down: bool,
    /// What it was told last.
    lease: Lease,
}

#[derive(Debug)]
struct Held {
    spec: Arc<TaskSpec>,
    fence: Fence,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Waiting,
    Running {
        pid: u64,
        started_us: u64,
    },
    /// The end is seen, its frame is on its way to the disk.
    Ending(Outcome),
    Ended(Outcome),
}

impl Supervisor {
    pub(super) fn new(id: SupervisorId, capacity: Resources) -> Supervisor {
        let (slots, held) = (Slots::new(capacity), BTreeMap::new());
        let lease = Lease::default();
        Supervisor { id, connection: 0, seen: (0, 0), slots, held, down: false, lease }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn hello(&self) -> Hello {
        Hello {
            version: proto::SUPERVISOR_VERSION,
            supervisor_id: self.id.to_bytes(),
            containment: "cgroup-v2".to_owned(),
            seen_epoch: self.seen.0,
            seen_seq: self.seen.1,
            held: self.held.keys().map(|attempt| (*attempt).into()).collect(),
            lease: Some(self.lease),
            ..Hello::default()
        }
    }

    /// What follows the hello at once.
    fn replay(&self) -> Vec<from_supervisor::Kind> {
        let say = |(attempt, held): (&Attempt, &Held)| match &held.phase {
            Phase::Running { started_us, pid } => Some(started(*attempt, *started_us, *pid)),
            Phase::Ended(outcome) => Some(ended(*attempt, outcome)),
            Phase::Waiting | Phase::Ending(_) => None,
        };
        self.held.iter().filter_map(say).collect()
    }

    /// Puts the attempts in line that it has not seen.
    fn take(&mut self, start: &Start) {
        let Some(Ok(spec)) = start.spec.clone().map(TaskSpec::try_from) else { return };
        let spec = Arc::new(spec);
        for (seq, item) in (start.seq..).zip(&start.items) {
            if (start.epoch, seq) <= self.seen {
                continue;
            }
            self.seen = (start.epoch, seq);
            let element = Element { run: RunId(start.run), task: start.task, index: item.index };
            let attempt = Attempt { element, number: item.attempt };
            self.slots.wait(attempt, seq, spec.priority, spec.resources);
            let held =
                Held { spec: spec.clone(), fence: Fence(start.fence), phase: Phase::Waiting };
            self.held.insert(attempt, held);
        }
    }
}

impl World {
    pub(super) fn ask_supervisor(
        &mut self,
        node: usize,
        id: SupervisorId,
        connection: u64,
        message: ToSupervisor,
    ) {
        let Some(supervisor) = self.supervisor(node, id) else { return };
        match message.kind {
            // Of an older connection than the one it serves it has heard the end already.
            Some(to_supervisor::Kind::Greeting(_)) if connection < supervisor.connection => {}
            Some(to_supervisor::Kind::Greeting(greeting)) => {
                supervisor.connection = connection;
                let capacity = greeting.capacity.unwrap_or_default();
                supervisor.slots.set_capacity(capacity.into());
                let hello = from_supervisor::Kind::Hello(supervisor.hello());
                for kind in [hello].into_iter().chain(supervisor.replay()) {
                    self.say(node, connection, kind);
                }
            }
            Some(to_supervisor::Kind::Start(start)) => {
                let (first, count, seen) = (start.seq, start.items.len(), supervisor.seen);
                supervisor.take(&start);
                note!(self, "node {node}: {count} to start from {first}, seen {seen:?}");
                if self.is_lease_over(node) {
                    self.give_up(node, id);
                }
                self.start_what_fits(node, id);
                self.stop_all_if_down(node, id);
            }
            Some(to_supervisor::Kind::Stop(stop)) => {
                let Some(cause) = stop.cause().into() else { return };
                for attempt in stop.attempts {
                    self.stop(node, id, attempt.into(), cause);
                }
            }
            Some(to_supervisor::Kind::Withdraw(withdraw)) => {
                for attempt in withdraw.attempts.into_iter().map(Attempt::from) {
                    let held = self.held(node, id, attempt);
                    if held.is_some_and(|held| matches!(held.phase, Phase::Waiting)) {
                        self.stop(node, id, attempt, StopCause::Drain);
                    }
                }
            }
            Some(to_supervisor::Kind::Forget(forget)) => {
                for attempt in forget.attempts {
                    self.forget(node, id, attempt.into());
                }
                self.stop_all_if_down(node, id);
            }
            Some(to_supervisor::Kind::Shutdown(_)) => {
                supervisor.down = true;
                self.stop_all_if_down(node, id);
            }
            // Of an older connection it has heard the end already.
            Some(to_supervisor::Kind::Lease(_)) if connection < supervisor.connection => {}
            Some(to_supervisor::Kind::Lease(lease)) => {
                supervisor.lease = lease;
                self.say(node, connection, from_supervisor::Kind::Lease(lease));
                self.watch_lease(node, id, lease);
            }
            None => {}
        }
    }

    fn watch_lease(&mut self, node: usize, id: SupervisorId, lease: Lease) {
        let Lease { lease_ms, deadline_ms, term } = lease;
        note!(self, "node {node}: lease {lease_ms} until {deadline_ms} of term {term}");
        if lease_ms == 0 {
            return;
        }
        for (before_ms, kills) in
            [(lease_term_ms(lease_ms), false), (lease_kill_ms(lease_ms), true)]
        {
            let at_us = self.nodes[node].world_us(deadline_ms - before_ms);
            let event = node::Event::LeaseEnds { node, supervisor: id, deadline_ms, kills };
            self.at(at_us, super::Event::Node(event));
        }
    }

    /// When the supervisor that is there kills what must not outlive its lease.
    pub(super) fn kills_at(&self, node: usize) -> Option<u64> {
        let Lease { lease_ms, deadline_ms, .. } = self.nodes[node].supervisor.as_ref()?.lease;
        let kills_us = || self.nodes[node].world_us(deadline_ms - lease_kill_ms(lease_ms));
        (lease_ms > 0).then(kills_us).map(|at_us| at_us.max(self.now_us))
    }

    /// The lease is so nearly over that nothing may start, and what runs has to end.
    fn is_lease_over(&self, node: usize) -> bool {
        let lease = self.nodes[node].supervisor.as_ref().map(|supervisor| supervisor.lease);
        let Some(Lease { lease_ms, deadline_ms, .. }) = lease else { return false };
        lease_ms > 0 && self.node_ms(node) >= deadline_ms - lease_term_ms(lease_ms)
    }

    pub(super) fn lease_ends(
        &mut self,
        node: usize,
        id: SupervisorId,
        deadline_ms: u64,
        kills: bool,
    ) {
        let Some(supervisor) = self.supervisor(node, id) else { return };
        if supervisor.lease.deadline_ms != deadline_ms || supervisor.lease.lease_ms == 0 {
            return; // A later one has come.
        }
        self.give_up(node, id);
        if kills {
            let held = self.supervisor(node, id).map(|supervisor| &supervisor.held);
            let running = held.into_iter().flatten().filter_map(|(_, held)| match held.phase {
                Phase::Running { pid, .. } if held.spec.on_lost != OnLost::Wait => Some(pid),
                _ => None,
            });
            for pid in running.collect::<Vec<_>>() {
                self.kill(pid);
            }
        }
    }

    /// Stops everything but what waits for the node to come back.
    fn give_up(&mut self, node: usize, id: SupervisorId) {
        let held = self.supervisor(node, id).map(|supervisor| &supervisor.held);
        let ends = |held: &Held| held.spec.on_lost != OnLost::Wait;
        let ending = held.into_iter().flatten().filter(|(_, held)| ends(held));
        for attempt in ending.map(|(attempt, _)| *attempt).collect::<Vec<_>>() {
            self.stop(node, id, attempt, StopCause::Lease);
        }
    }

    fn supervisor(&mut self, node: usize, id: SupervisorId) -> Option<&mut Supervisor> {
        self.nodes[node].supervisor.as_mut().filter(|supervisor| supervisor.id == id)
    }

    fn held(&mut self, node: usize, id: SupervisorId, attempt: Attempt) -> Option<&mut Held> {
        self.supervisor(node, id)?.held.get_mut(&attempt)
    }

    fn start_what_fits(&mut self, node: usize, id: SupervisorId) {
        loop {
            let Some(supervisor) = self.supervisor(node, id).filter(|s| !s.down) else { return };
            let Some(attempt) = supervisor.slots.start_next() else { return };
            let Some(held) = supervisor.held.get(&attempt) else { return };
            let (spec, fence) = (held.spec.clone(), held.fence);
            if self.hostile && self.rng.chance(self.profile.lack) {
                let why = NotStarted::Transient("no process is free".to_owned());
                self.end(node, id, attempt, Outcome::bare(Ending::NotStarted(why)));
                continue;
            }
            if spec.start_timeout_ms > 0 && self.rng.chance(100) {
                let why = NotStarted::Refused("it was not executed in time".to_owned());
                let stopped = Some(StopCause::Timeout);
                let outcome = Outcome { stopped, ..Outcome::bare(Ending::NotStarted(why)) };
                self.end(node, id, attempt, outcome);
                continue;
            }
            if Behaviour::of(&spec).missing {
                let why = NotStarted::NotFound("no such file".to_owned());
                self.end(node, id, attempt, Outcome::bare(Ending::NotStarted(why)));
                continue;
            }
            let pid = self.spawn(node, id, attempt, fence, &spec);
            let started_us = self.now_us;
            if let Some(held) = self.held(node, id, attempt) {
                held.phase = Phase::Running { pid, started_us };
            }
            self.tell(node, started(attempt, started_us, pid));
        }
    }

    /// Stops what is there, and leaves where there is nothing.
    fn stop_all_if_down(&mut self, node: usize, id: SupervisorId) {
        let Some(supervisor) = self.supervisor(node, id).filter(|s| s.down) else { return };
        let held: Vec<Attempt> = supervisor.held.keys().copied().collect();
        if held.is_empty() {
            return self.end_supervisor(node);
        }
        held.into_iter().for_each(|attempt| self.stop(node, id, attempt, StopCause::Down));
    }

    /// Stops what waits at once, and what runs by asking it to.
    pub(super) fn stop(&mut self, node: usize, id: SupervisorId, at: Attempt, cause: StopCause) {
        let Some(held) = self.held(node, id, at) else { return };
        match held.phase {
            Phase::Waiting => {
                let mut outcome = Outcome::bare(Ending::NotStarted(NotStarted::Withdrawn));
                outcome.stopped = Some(cause);
                self.end(node, id, at, outcome);
            }
            Phase::Running { pid, .. } => self.terminate(pid, cause),
            Phase::Ending(_) | Phase::Ended(_) => {}
        }
    }

    fn end(&mut self, node: usize, id: SupervisorId, attempt: Attempt, outcome: Outcome) {
        let Some(held) = self.held(node, id, attempt) else { return };
        held.phase = Phase::Ending(outcome);
        if let Some(supervisor) = self.supervisor(node, id) {
            supervisor.slots.leave(attempt);
        }
        let delay = self.rng.skewed(10, 3 * MS);
        let event = process::Event::EndWritten { node, supervisor: id, attempt };
        self.after(delay, super::Event::Process(event));
    }

    /// The supervisor sees that a process and all its children are gone.
    pub(super) fn process_ended(
        &mut self,
        node: usize,
        id: SupervisorId,
        attempt: Attempt,
        outcome: Outcome,
    ) {
        self.end(node, id, attempt, outcome);
        self.start_what_fits(node, id);
    }

    /// The `End` frame is with the kernel: the end may be told.
    pub(super) fn end_written(&mut self, node: usize, id: SupervisorId, attempt: Attempt) {
        let Some(held) = self.held(node, id, attempt) else { return };
        let Phase::Ending(outcome) = held.phase.clone() else { return };
        held.phase = Phase::Ended(outcome.clone());
        note!(self, "node {node}: end of {attempt} is written: {:?}", outcome.ending);
        let frame = Frame { outcome: outcome.clone(), by: id, synced: false };
        self.nodes[node].disk.insert(attempt, frame);
        let delay = self.rng.skewed(MS, 500 * MS);
        self.after(delay, super::Event::Process(process::Event::EndSynced { node, attempt }));
        self.tell(node, ended(attempt, &outcome));
    }

    fn forget(&mut self, node: usize, id: SupervisorId, attempt: Attempt) {
        let Some(held) = self.held(node, id, attempt) else { return };
        let (phase, fence) = (held.phase.clone(), held.fence);
        self.check_forgotten(
            attempt,
            fence,
            if let Phase::Ended(outcome) = &phase { Some(outcome) } else { None },
        );
        if let Some(supervisor) = self.supervisor(node, id) {
            supervisor.held.remove(&attempt);
        }
        if self.rng.chance(700) {
            self.nodes[node].disk.remove(&attempt);
        }
    }

    /// Says something to the daemon, if one is connected.
    fn tell(&mut self, node: usize, kind: from_supervisor::Kind) {
        let Some(supervisor) = &self.nodes[node].supervisor else { return };
        self.say(node, supervisor.connection, kind);
    }

    fn say(&mut self, node: usize, connection: u64, kind: from_supervisor::Kind) {
        let at_us = self.local_arrival(node, 1);
        let message = Box::new(FromSupervisor { kind: Some(kind) });
        let event = node::Event::FromSupervisor { node, connection, message };
        self.at(at_us, super::Event::Node(event));
    }

    /// A supervisor is no more. What ran goes on without it; frames on their way may be written yet.
    pub(super) fn end_supervisor(&mut self, node: usize) {
        let Some(supervisor) = self.nodes[node].supervisor.take() else { return };
        note!(self, "node {node}: supervisor {} is over", supervisor.id);
        for (attempt, held) in supervisor.held {
            if let Phase::Ending(outcome) = held.phase
                && self.rng.chance(500)
            {
                let frame = Frame { outcome, by: supervisor.id, synced: false };
                self.nodes[node].disk.insert(attempt, frame);
            }
        }
        self.hang_up(node);
    }

    /// The connection ends after what has been said.
    pub(super) fn hang_up(&mut self, node: usize) {
        let connection = self.nodes[node].connections;
        let at_us = self.local_arrival(node, 1);
        self.at(at_us, super::Event::Node(node::Event::SupervisorGone { node, connection }));
    }
}

fn started(attempt: Attempt, started_us: u64, pid: u64) -> from_supervisor::Kind {
    let pid = pid as u32;
    from_supervisor::Kind::Started(Started { attempt: Some(attempt.into()), started_us, pid })
}

fn ended(attempt: Attempt, outcome: &Outcome) -> from_supervisor::Kind {
    let outcome = Some(outcome.clone().into());
    from_supervisor::Kind::Ended(Ended { attempt: Some(attempt.into()), outcome, urgent: false })
}
