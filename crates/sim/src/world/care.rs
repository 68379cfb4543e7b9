//! What a daemon does about its supervisor: it finds it, or clears up after the one that died.
//!
//! Where there is none it first kills what the former left running and proves it gone, then reads
//! the ends on disk, and only then starts another.

use std::collections::BTreeSet;

use model::SupervisorId;
use proto::session;
use proto::supervisor::{FromSupervisor, ToSupervisor, from_supervisor, to_supervisor};
use reactor::worker;

use super::node::Event;
use super::supervisor::Supervisor;
use super::{MS, SECOND, World, note};

impl World {
    /// Connects to the supervisor that is there, or clears up after one that is not.
    pub(super) fn look(&mut self, node: usize, life: u64) {
        if self.daemon(node, life).is_none_or(|daemon| daemon.connection.is_some()) {
            return;
        }
        if self.nodes[node].supervisor.is_some() {
            return self.greet(node, life);
        }
        let mut last = 0;
        for pid in self.processes.on_node(node) {
            let delay = self.rng.skewed(MS, 2 * SECOND);
            last = last.max(delay);
            self.after(delay, super::Event::Process(super::process::Event::Reaped { pid }));
        }
        note!(self, "node {node}: daemon {life} clears up after the former supervisor");
        self.after(last + MS, super::Event::Node(Event::Reaped { node, life }));
    }

    pub(super) fn reaped(&mut self, node: usize, life: u64) {
        if self.daemon(node, life).is_none() {
            return;
        }
        if self.nodes[node].supervisor.is_none() {
            let mut bytes = self.rng.next().to_be_bytes().to_vec();
            bytes.extend(self.rng.next().to_be_bytes());
            let id = SupervisorId::from_bytes(&bytes).expect("16 bytes are an id");
            note!(self, "node {node}: supervisor {id} begins");
            let capacity = self.nodes[node].capacity;
            self.nodes[node].supervisors.push(id);
            self.nodes[node].supervisor = Some(Supervisor::new(id, capacity));
        }
        self.greet(node, life);
    }

    fn greet(&mut self, node: usize, life: u64) {
        self.nodes[node].connections += 1;
        let (connection, capacity) = (self.nodes[node].connections, self.nodes[node].capacity);
        let Some(daemon) = self.daemon(node, life) else { return };
        (daemon.connection, daemon.last_us) = (Some(connection), [0; 2]);
        let version = proto::SUPERVISOR_VERSION;
        let greeting = proto::supervisor::Greeting { version, capacity: Some(capacity.into()) };
        let kind = Some(to_supervisor::Kind::Greeting(greeting));
        self.say_to_supervisor(node, connection, ToSupervisor { kind });
    }

    /// When a message of this connection arrives: a stream, so not before the last one.
    pub(super) fn local_arrival(&mut self, node: usize, way: usize) -> u64 {
        let at_us = self.now_us + self.rng.skewed(5, 3 * MS);
        let Some(daemon) = &mut self.nodes[node].daemon else { return at_us };
        daemon.last_us[way] = daemon.last_us[way].max(at_us);
        daemon.last_us[way]
    }

    pub(super) fn say_to_supervisor(
        &mut self,
        node: usize,
        connection: u64,
        message: ToSupervisor,
    ) {
        let Some(supervisor) = self.nodes[node].supervisor.as_ref().map(|s| s.id) else { return };
        let at_us = self.local_arrival(node, 0);
        let message = Box::new(message);
        let event = Event::ToSupervisor { node, supervisor, connection, message };
        self.at(at_us, super::Event::Node(event));
    }

    pub(super) fn hear_supervisor(
        &mut self,
        node: usize,
        connection: u64,
        message: FromSupervisor,
    ) {
        let daemon = self.nodes[node].daemon.as_mut();
        let Some(daemon) = daemon.filter(|d| d.connection == Some(connection)) else { return };
        let (life, daemon_down) = (daemon.life, daemon.down);
        let event = match message.kind {
            Some(from_supervisor::Kind::Hello(hello)) => {
                note!(self, "node {node}: the supervisor says hello, holds {}", hello.held.len());
                let id = SupervisorId::from_bytes(&hello.supervisor_id).unwrap_or_default();
                worker::Event::SupervisorUp { hello, recovered: self.recover(node, id) }
            }
            kind => {
                if let Some(from_supervisor::Kind::Ended(ended)) = &kind
                    && let Some(attempt) = ended.attempt
                {
                    daemon.heard.insert(attempt.into());
                }
                worker::Event::FromSupervisor(FromSupervisor { kind })
            }
        };
        let down = daemon_down && matches!(event, worker::Event::SupervisorUp { .. });
        self.worker(node, life, event);
        if down {
            self.worker(node, life, worker::Event::Down);
        }
    }

    /// The ends of former supervisors' attempts that the disk still shows; now and then it is damaged.
    fn recover(&mut self, node: usize, current: SupervisorId) -> Vec<session::End> {
        let damaged = self.rng.chance(200);
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        let at = &mut self.nodes[node];
        for (attempt, frame) in at.disk.iter().filter(|(_, frame)| frame.by != current) {
            if damaged && self.rng.chance(500) {
                continue;
            }
            known.insert(*attempt);
            let (attempt, outcome) = (Some((*attempt).into()), Some(frame.outcome.clone().into()));
            found.push(session::End { attempt, outcome });
        }
        known.extend(at.daemon.iter().flat_map(|daemon| &daemon.heard));
        match at.told.get_mut(&current) {
            Some(told) => told.retain(|attempt| known.contains(attempt)),
            None => _ = at.told.insert(current, known),
        }
        found
    }
}
