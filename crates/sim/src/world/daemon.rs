//! A daemon: the real worker part, its session, and its crashes.

use std::collections::BTreeSet;

use model::Attempt;
use proto::session::to_control;
use reactor::Now;
use reactor::control::SessionId;
use reactor::worker::{self, Effect, Worker};

use super::node::Event;
use super::{MS, SECOND, World, note};

#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) life: u64,
    worker: Worker,
    pub(super) session: Option<SessionId>,
    /// The connection to the supervisor.
    pub(super) connection: Option<u64>,
    /// It ends when its supervisor does.
    pub(super) down: bool,
    /// When its last message in each direction arrives.
    pub(super) last_us: [u64; 2],
    /// The number of the timer that was set last; those before are forgotten.
    pub(super) timer: u64,
    /// Ends that a supervisor has told this daemon.
    pub(super) heard: BTreeSet<Attempt>,
}

impl World {
    pub(super) fn start_daemon(&mut self, node: usize) {
        let at = &mut self.nodes[node];
        if at.daemon.is_some() {
            return;
        }
        at.daemons += 1;
        let life = at.daemons;
        let config = worker::Config {
            node: at.id,
            name: format!("n{node}"),
            capacity: at.capacity,
            labels: vec![],
            version: "sim".to_owned(),
            life: life as u32,
        };
        at.daemon = Some(Daemon {
            life,
            worker: Worker::new(config),
            session: None,
            connection: None,
            down: false,
            last_us: [0; 2],
            timer: 0,
            heard: BTreeSet::new(),
        });
        note!(self, "node {node}: daemon {life} begins");
        let (connect, look) = (self.rng.skewed(0, 50 * MS), self.rng.skewed(0, 50 * MS));
        self.after(connect, super::Event::Node(Event::Connects { node, life }));
        self.after(look, super::Event::Node(Event::Looks { node, life }));
    }

    pub(super) fn daemon(&mut self, node: usize, life: u64) -> Option<&mut Daemon> {
        self.nodes[node].daemon.as_mut().filter(|daemon| daemon.life == life)
    }

    /// Gives a daemon's worker part an event and performs what it wants, if that daemon lives.
    pub(super) fn worker(&mut self, node: usize, life: u64, event: worker::Event) {
        let unix_ms = 1_700_000_000_000 + self.now_us / MS;
        let now = Now { unix_ms, steady_ms: self.node_ms(node) };
        let Some(daemon) = self.daemon(node, life) else { return };
        let effects = daemon.worker.handle(now, event);
        let torn = self.hostile && self.rng.chance(self.profile.torn);
        let torn_at = torn.then(|| self.rng.below(effects.len() as u64 + 1));
        for (at, effect) in effects.into_iter().enumerate() {
            if torn_at == Some(at as u64) {
                note!(self, "node {node}: torn between two effects");
                return self.crash_daemon(node);
            }
            self.perform_for(node, life, effect);
        }
    }

    fn perform_for(&mut self, node: usize, life: u64, effect: Effect) {
        let Some(daemon) = self.daemon(node, life) else { return };
        match effect {
            Effect::ToControl(mut message) => {
                let Some(session) = daemon.session else { return };
                match &mut message.kind {
                    Some(to_control::Kind::Hello(hello)) if self.nodes[node].is_old => {
                        hello.offers = false;
                    }
                    Some(to_control::Kind::Offer(_)) if self.nodes[node].is_old => return,
                    _ => {}
                }
                self.send_to_control(session, message);
            }
            Effect::ToSupervisor(message) => {
                if let Some(connection) = daemon.connection {
                    self.say_to_supervisor(node, connection, *message);
                }
            }
            Effect::Timer(at_ms) => {
                daemon.timer += 1;
                let number = daemon.timer;
                let at_us = self.nodes[node].world_us(at_ms);
                self.at(at_us, super::Event::Node(Event::Timer { node, life, number }));
            }
            Effect::LeaveSession => {
                let Some(session) = daemon.session.take() else { return };
                note!(self, "node {node}: leaves session {session}");
                self.leave_link(session);
                let delay = self.rng.skewed(MS, 300 * MS);
                self.after(delay, super::Event::Node(Event::Connects { node, life }));
            }
        }
    }

    pub(super) fn connect(&mut self, node: usize, life: u64) {
        if self.daemon(node, life).is_none_or(|daemon| daemon.session.is_some()) {
            return;
        }
        if self.nodes[node].incarnation != self.incarnations.current() {
            return; // Its certificate counts for nothing: nobody lets it in before it has joined again.
        }
        let Some(session) = self.open_link(node, life) else {
            let delay = self.rng.within(20 * MS, 300 * MS);
            return self.after(delay, super::Event::Node(Event::Connects { node, life }));
        };
        note!(self, "node {node}: opens session {session}");
        if let Some(daemon) = self.daemon(node, life) {
            daemon.session = Some(session);
        }
        self.worker(node, life, worker::Event::SessionOpened);
    }

    pub(super) fn session_is_over(&mut self, node: usize, life: u64, session: SessionId) {
        let Some(daemon) = self.daemon(node, life).filter(|d| d.session == Some(session)) else {
            return;
        };
        daemon.session = None;
        self.worker(node, life, worker::Event::SessionClosed);
        let delay = self.rng.skewed(MS, 300 * MS);
        self.after(delay, super::Event::Node(Event::Connects { node, life }));
    }

    pub(super) fn crash_daemon(&mut self, node: usize) {
        let Some(daemon) = self.nodes[node].daemon.take() else { return };
        self.crashes += 1;
        note!(self, "node {node}: daemon {} is over", daemon.life);
        if let Some(session) = daemon.session {
            self.daemon_died(session);
        }
        if daemon.down {
            self.crash_control(0, 0); // On a node that goes down both are one process.
        }
        let delay = self.rng.skewed(MS, 2 * SECOND);
        self.after(delay, super::Event::Node(Event::DaemonStarts { node }));
    }
}
