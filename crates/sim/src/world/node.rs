//! A node: a daemon, a supervisor, a disk, and what happens among them.

use std::collections::{BTreeMap, BTreeSet};

use model::{Attempt, NodeId, Outcome, Resources, SupervisorId};
use proto::supervisor::{FromSupervisor, ToSupervisor};
use reactor::worker;

use super::daemon::Daemon;
use super::supervisor::Supervisor;
use super::{MS, World, note};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) capacity: Resources,
    /// How fast its clock is, in millionths.
    rate: u64,
    /// Until then nothing gets through to it.
    pub(super) cut_until_us: u64,
    /// The incarnation of the cluster that it has joined.
    pub(super) incarnation: u16,
    pub(super) daemon: Option<Daemon>,
    /// Its daemons are of a version that never offers itself.
    pub(super) is_old: bool,
    /// Lives of its daemon so far.
    pub(super) daemons: u64,
    pub(super) supervisor: Option<Supervisor>,
    /// Every supervisor there was, in order.
    pub(super) supervisors: Vec<SupervisorId>,
    /// Connections between daemon and supervisor so far; the last may be open.
    pub(super) connections: u64,
    /// `End` frames.
    pub(super) disk: BTreeMap<Attempt, Frame>,
    /// Ends of former supervisors that every worker knew of which has greeted this supervisor.
    pub(super) told: BTreeMap<SupervisorId, BTreeSet<Attempt>>,
}

/// An `End` frame on disk.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) outcome: Outcome,
    pub(super) by: SupervisorId,
    pub(super) synced: bool,
}

#[derive(Debug)]
pub(super) enum Event {
    DaemonStarts {
        node: usize,
    },
    /// Somebody lets it join the cluster's incarnation.
    Joins {
        node: usize,
    },
    /// The daemon looks for a control part.
    Connects {
        node: usize,
        life: u64,
    },
    /// It looks for a supervisor.
    Looks {
        node: usize,
        life: u64,
    },
    /// It has killed what the former supervisor left.
    Reaped {
        node: usize,
        life: u64,
    },
    Timer {
        node: usize,
        life: u64,
        number: u64,
    },
    ToSupervisor {
        node: usize,
        supervisor: SupervisorId,
        connection: u64,
        message: Box<ToSupervisor>,
    },
    FromSupervisor {
        node: usize,
        connection: u64,
        message: Box<FromSupervisor>,
    },
    /// The supervisor's lease is nearly over: its tasks are to end, or are killed.
    LeaseEnds {
        node: usize,
        supervisor: SupervisorId,
        deadline_ms: u64,
        kills: bool,
    },
    /// The daemon's connection is at its end.
    SupervisorGone {
        node: usize,
        connection: u64,
    },
}

impl Node {
    pub(super) fn new(at: usize, rng: &mut Rng) -> Node {
        let memory_bytes = rng.within(1, 4) << 30;
        Node {
            id: NodeId::from_bytes(&[at as u8 + 1; 16]).expect("16 bytes are an id"),
            capacity: Resources { cpu_milli: rng.within(1, 4) * 1000, memory_bytes },
            rate: rng.within(980_000, 1_020_000),
            cut_until_us: 0,
            incarnation: 1,
            daemon: None,
            is_old: rng.chance(150),
            daemons: 0,
            supervisor: None,
            supervisors: Vec::new(),
            connections: 0,
            disk: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// The world's time when this node's clock shows `at_ms`, or a moment later.
    pub(super) fn world_us(&self, at_ms: u64) -> u64 {
        (u128::from(at_ms) * 1_000_000_000 / u128::from(self.rate)) as u64 + 1
    }

    /// Whether every worker that spoke for this supervisor had been told this end.
    pub(super) fn was_told(&self, supervisor: SupervisorId, attempt: Attempt) -> bool {
        self.told.get(&supervisor).is_some_and(|told| told.contains(&attempt))
    }
}

impl World {
    /// What the node's own clock shows.
    pub(super) fn node_ms(&self, node: usize) -> u64 {
        (u128::from(self.now_us) * u128::from(self.nodes[node].rate) / 1_000_000_000) as u64
    }

    pub(super) fn node_event(&mut self, event: Event) {
        match event {
            Event::DaemonStarts { node } => self.start_daemon(node),
            Event::Joins { node } => self.join_again(node),
            Event::Connects { node, life } => self.connect(node, life),
            Event::Looks { node, life } => self.look(node, life),
            Event::Reaped { node, life } => self.reaped(node, life),
            Event::Timer { node, life, number } => {
                if self.daemon(node, life).is_some_and(|daemon| daemon.timer == number) {
                    self.worker(node, life, worker::Event::Timer);
                }
            }
            Event::ToSupervisor { node, supervisor, connection, message } => {
                self.ask_supervisor(node, supervisor, connection, *message);
            }
            Event::FromSupervisor { node, connection, message } => {
                self.hear_supervisor(node, connection, *message);
            }
            Event::LeaseEnds { node, supervisor, deadline_ms, kills } => {
                self.lease_ends(node, supervisor, deadline_ms, kills);
            }
            Event::SupervisorGone { node, connection } => {
                let daemon = self.nodes[node].daemon.as_mut();
                let Some(daemon) = daemon.filter(|d| d.connection == Some(connection)) else {
                    return;
                };
                daemon.connection = None;
                let (life, down) = (daemon.life, daemon.down);
                if down {
                    note!(self, "node {node}: is down");
                    return self.crash_daemon(node);
                }
                note!(self, "node {node}: the daemon learns that its supervisor is gone");
                self.worker(node, life, worker::Event::SupervisorLost);
                self.after(MS, super::Event::Node(Event::Looks { node, life }));
            }
        }
    }

    /// Whether nothing is left to be said about what ran here.
    pub(super) fn is_quiet(&self, node: usize) -> bool {
        let at = &self.nodes[node];
        at.daemon.is_some() && at.supervisor.as_ref().is_some_and(Supervisor::is_empty)
    }
}
