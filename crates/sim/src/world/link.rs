//! Sessions between workers and the control part.
//!
//! A session is a stream: in order, each message once, until it breaks; then what was in flight is
//! lost and each side learns of it in its own time. A harsh world also loses, doubles and reorders
//! single messages; its sessions are opened anew when it heals.

use std::collections::BTreeMap;

use proto::session::{ToControl, ToWorker, to_control, to_worker};
use reactor::control::{self, SessionId};
use reactor::worker;

use super::{MS, SECOND, World, note};

#[derive(Debug, Default)]
pub(super) struct Links {
    /// Every session there ever was, by its number.
    by_id: BTreeMap<SessionId, Link>,
    last: SessionId,
}

#[derive(Debug)]
struct Link {
    node: usize,
    daemon: u64,
    control: u64,
    worker_open: bool,
    control_open: bool,
    /// Nothing more gets in.
    broken: bool,
    /// What was in flight at the break is lost.
    lost: [bool; 2],
    /// Nothing gets through in this direction, and nobody is told.
    mute: [bool; 2],
    /// When the last message of each direction arrives.
    last_us: [u64; 2],
}

#[derive(Debug)]
pub(super) enum Event {
    ToControl { link: SessionId, message: Box<ToControl> },
    ToWorker { link: SessionId, message: Box<ToWorker> },
    WorkerLearns { link: SessionId },
    ControlLearns { link: SessionId },
    Breaks { link: SessionId },
}

impl Links {
    /// What is in flight arrives so much later, and still in its order.
    pub(super) fn sleep(&mut self, slept_us: u64) {
        for link in self.by_id.values_mut() {
            link.last_us = link.last_us.map(|last_us| last_us + slept_us);
        }
    }
}

const TO_CONTROL: usize = 0;
const TO_WORKER: usize = 1;

impl World {
    pub(super) fn link_event(&mut self, event: Event) {
        match event {
            Event::ToControl { link, message } => self.arrives_at_control(link, *message),
            Event::ToWorker { link, message } => self.arrives_at_worker(link, *message),
            Event::WorkerLearns { link } => self.worker_learns(link),
            Event::Breaks { link } => self.break_link(link, 3 * SECOND),
            Event::ControlLearns { link } => {
                let Some(at) = self.links.by_id.get_mut(&link) else { return };
                let life = at.control;
                if std::mem::take(&mut at.control_open) {
                    note!(self, "session {link}: control learns of its end");
                    self.control(life, control::Event::SessionClosed(link));
                }
            }
        }
    }

    /// A session of the node's daemon, if the control part is there to take it.
    pub(super) fn open_link(&mut self, node: usize, daemon: u64) -> Option<SessionId> {
        // A relay leads to the leader, as far as it knows.
        let live: Vec<u64> =
            self.hosts.iter().filter(|host| host.control.is_some()).map(|host| host.life).collect();
        let leader = self.journal.leader_life;
        let leads = live.contains(&leader) && (live.len() == 1 || self.rng.chance(800));
        let life = if leads { leader } else { *self.rng.pick(&live)? };
        if self.hostile && self.now_us < self.nodes[node].cut_until_us {
            return None;
        }
        self.links.last += 1;
        let link = Link {
            node,
            daemon,
            control: life,
            worker_open: true,
            control_open: true,
            broken: false,
            lost: [false; 2],
            mute: [false; 2],
            last_us: [0; 2],
        };
        self.links.by_id.insert(self.links.last, link);
        Some(self.links.last)
    }

    pub(super) fn send_to_control(&mut self, link: SessionId, message: ToControl) {
        for at_us in self.arrivals(link, TO_CONTROL) {
            let message = Box::new(message.clone());
            self.at(at_us, super::Event::Link(Event::ToControl { link, message }));
        }
    }

    pub(super) fn send_to_worker(&mut self, link: SessionId, message: ToWorker) {
        for at_us in self.arrivals(link, TO_WORKER) {
            let message = Box::new(message.clone());
            self.at(at_us, super::Event::Link(Event::ToWorker { link, message }));
        }
    }

    /// When a message that is sent now arrives: once, or in a harsh world never or several times.
    fn arrivals(&mut self, link: SessionId, way: usize) -> Vec<u64> {
        let delay = self.rng.skewed(10, self.profile.link_us);
        let harsh = self.profile.harsh && self.hostile;
        let open = |link: &&mut Link| !link.broken && !link.mute[way];
        let Some(link) = self.links.by_id.get_mut(&link).filter(open) else {
            return vec![];
        };
        if !harsh {
            let at_us = (self.now_us + delay).max(link.last_us[way]);
            link.last_us[way] = at_us;
            return vec![at_us];
        }
        let copies = match self.rng.below(100) {
            0..8 => 0,
            8..18 => 2,
            _ => 1,
        };
        let mut arrival = || match self.rng.chance(200) {
            true => self.now_us + self.rng.below(4 * SECOND),
            false => self.now_us + self.rng.skewed(10, self.profile.link_us),
        };
        (0..copies).map(|_| arrival()).collect()
    }

    fn arrives_at_control(&mut self, id: SessionId, message: ToControl) {
        let Some(link) = self.links.by_id.get(&id) else { return };
        let life = link.control;
        if !link.control_open || (link.broken && link.lost[TO_CONTROL]) {
            return;
        }
        match &message.kind {
            Some(to_control::Kind::Hello(hello)) => note!(
                self,
                "session {id}: node {} says hello: seen {} in epoch {}, holds {}, recovered {}",
                link.node,
                hello.seen_seq,
                hello.seen_epoch,
                hello.held.len(),
                hello.recovered.len()
            ),
            Some(to_control::Kind::Report(report)) => {
                let (starts, ends) = (report.starts.len(), report.ends.len());
                note!(self, "session {id}: report {}: {starts} starts, {ends} ends", report.number);
            }
            other => note!(self, "session {id}: to control: {other:?}"),
        }
        self.control(life, control::Event::Message { session: id, message });
    }

    fn arrives_at_worker(&mut self, id: SessionId, message: ToWorker) {
        let Some(link) = self.links.by_id.get(&id) else { return };
        let (node, daemon) = (link.node, link.daemon);
        if !link.worker_open || (link.broken && link.lost[TO_WORKER]) {
            return;
        }
        match &message.kind {
            Some(to_worker::Kind::Assign(assign)) => {
                let first = assign.assignments.first().map_or(0, |first| first.seq);
                let count: usize = assign.assignments.iter().map(|a| a.items.len()).sum();
                let epoch = assign.epoch;
                note!(self, "session {id}: assign {count} from {first} in epoch {epoch}");
            }
            other => note!(self, "session {id}: to worker: {other:?}"),
        }
        self.worker(node, daemon, worker::Event::FromControl(message));
    }

    fn worker_learns(&mut self, id: SessionId) {
        let Some(link) = self.links.by_id.get_mut(&id) else { return };
        if !std::mem::take(&mut link.worker_open) {
            return;
        }
        let (node, daemon) = (link.node, link.daemon);
        note!(self, "session {id}: the worker learns of its end");
        self.session_is_over(node, daemon, id);
    }

    /// Breaks a session; both sides learn of it within `most_us`.
    pub(super) fn break_link(&mut self, id: SessionId, most_us: u64) {
        let lost = [self.rng.chance(500), self.rng.chance(500)];
        let Some(link) = self.links.by_id.get_mut(&id).filter(|link| !link.broken) else { return };
        (link.broken, link.lost) = (true, lost);
        note!(self, "session {id}: breaks");
        let (worker_us, control_us) = (self.rng.skewed(0, most_us), self.rng.within(0, most_us));
        self.after(worker_us, super::Event::Link(Event::WorkerLearns { link: id }));
        self.after(control_us, super::Event::Link(Event::ControlLearns { link: id }));
    }

    /// The worker gives a session up that it hears nothing in.
    pub(super) fn leave_link(&mut self, id: SessionId) {
        self.break_link(id, 3 * SECOND);
        if let Some(link) = self.links.by_id.get_mut(&id) {
            link.worker_open = false;
        }
    }

    /// A way, or both, of a session swallows everything for a while; then it breaks.
    pub(super) fn mute_link(&mut self, id: SessionId, mute: [bool; 2], lasts_us: u64) {
        let Some(link) = self.links.by_id.get_mut(&id).filter(|link| !link.broken) else { return };
        link.mute = mute;
        note!(self, "session {id}: swallows {mute:?}");
        self.after(lasts_us, super::Event::Link(Event::Breaks { link: id }));
    }

    pub(super) fn muted_links(&self) -> Vec<SessionId> {
        let muted = |link: &Link| !link.broken && link.mute != [false; 2];
        self.links.by_id.iter().filter(|(_, link)| muted(link)).map(|(id, _)| *id).collect()
    }

    pub(super) fn open_links(&self) -> Vec<SessionId> {
        self.links.by_id.iter().filter(|(_, l)| !l.broken).map(|(id, _)| *id).collect()
    }

    /// The control part has died, and its ends of all sessions with it.
    pub(super) fn control_died(&mut self, life: u64) {
        for id in self.links_of(life) {
            self.break_link(id, 500 * MS);
        }
        let of_life = |link: &&mut Link| link.control == life;
        self.links.by_id.values_mut().filter(of_life).for_each(|link| link.control_open = false);
    }

    /// A control part that leads no more sends most workers away; the rest find out themselves.
    pub(super) fn part_with_workers(&mut self, life: u64) {
        for id in self.links_of(life) {
            if !self.hostile || self.rng.chance(700) {
                self.break_link(id, 500 * MS);
            }
        }
    }

    fn links_of(&self, life: u64) -> Vec<SessionId> {
        let open = |link: &Link| !link.broken && link.control == life;
        self.links.by_id.iter().filter(|(_, link)| open(link)).map(|(id, _)| *id).collect()
    }

    /// A daemon has died, and its end of its session with it.
    pub(super) fn daemon_died(&mut self, id: SessionId) {
        self.break_link(id, 3 * SECOND);
        if let Some(link) = self.links.by_id.get_mut(&id) {
            link.worker_open = false;
        }
    }
}
