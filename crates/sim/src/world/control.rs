//! The process of the control part: it performs effects, dies between any two of them, and begins
//! again from a snapshot, or the first entry.

use machine::State;
use model::ClusterId;
use proto::record::{Pick, Place};
use reactor::control::{self, Config, Control, Effect, LeaderId, Room};

use super::{MS, SECOND, World, client, journal, note};

/// The process, which may be down.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Which life of the process this is.
    pub(super) life: u64,
    pub(super) control: Option<Control>,
    /// Entries that it has been given.
    pub(super) delivered: u64,
}

#[derive(Debug)]
pub(super) enum Event {
    Starts,
    /// It hears who leads.
    News {
        life: u64,
        leader: Option<LeaderId>,
    },
    /// A proposal failed.
    Fails {
        life: u64,
        number: u64,
        retry: bool,
    },
    /// A plan is made.
    Planned {
        life: u64,
        places: Vec<Place>,
    },
    /// The time it asked for has come.
    Timer {
        life: u64,
    },
    /// A majority has answered who leads.
    Confirmed {
        life: u64,
        number: u64,
        leader: LeaderId,
    },
    /// Its disk has room again.
    Released {
        life: u64,
    },
}

impl World {
    pub(super) fn host_event(&mut self, event: Event) {
        match event {
            Event::Starts => self.start_control(),
            Event::News { life, leader } if life == self.host.life => {
                if leader < Some(self.journal.leader) {
                    return; // A watch shows what is, not what was.
                }
                note!(self, "control: leader is {leader:?}");
                self.control(control::Event::Leadership(leader));
            }
            Event::Fails { life, number, retry } if life == self.host.life => {
                note!(self, "control: batch {number} failed, retry {retry}");
                self.control(control::Event::ProposeFailed { number, retry });
            }
            Event::Planned { life, places } if life == self.host.life => {
                note!(self, "control: a plan for {} nodes", places.len());
                self.control(control::Event::Planned(places));
            }
            Event::Timer { life } if life == self.host.life => self.control(control::Event::Timer),
            Event::Confirmed { life, number, leader } if life == self.host.life => {
                let is_leader = leader == self.journal.leader;
                self.control(control::Event::Confirmed { number, is_leader });
            }
            Event::Released { life } if life == self.host.life => {
                self.control(control::Event::Hold(false));
            }
            _ => {}
        }
    }

    /// Gives the control part an event and performs what it wants, if it lives.
    pub(super) fn control(&mut self, event: control::Event) {
        if self.host.control.is_none() {
            return;
        }
        let now = self.control_now();
        let Some(control) = &mut self.host.control else { return };
        let effects = control.handle(now, event);
        let torn = self.hostile && self.rng.chance(self.profile.torn);
        let torn_at = torn.then(|| self.rng.below(effects.len() as u64 + 1));
        let life = self.host.life;
        for (at, effect) in effects.into_iter().enumerate() {
            if torn_at == Some(at as u64) {
                note!(self, "control: torn between two effects");
                return self.crash_control(0);
            }
            self.perform(effect);
            if self.host.life != life || self.host.control.is_none() {
                return;
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Propose { number, leader, record, .. } => {
                self.check_stamp(number, leader, &record);
                self.propose(number, leader, record);
            }
            Effect::Answer { id, answer } => {
                self.check_answer(id, &answer);
                let delay = self.rng.skewed(10, self.profile.link_us);
                self.after(delay, super::Event::Client(client::Event::Answered { id, answer }));
            }
            Effect::Send { session, message } => self.send_to_worker(session, message),
            Effect::Happened { index, state, .. } => {
                if index != self.host.delivered || state.applied() != index {
                    self.broken(format!("entry {index} happened out of its turn"));
                }
                self.perhaps_take_snapshot(&state);
            }
            Effect::Plan { state, room } => {
                let places = match self.hostile && self.rng.chance(100) {
                    true => self.bad_plan(&state, &room),
                    false => reactor::placement::plan(&state, &room),
                };
                let delay = self.rng.skewed(50, self.profile.plan_us);
                let life = self.host.life;
                self.after(delay, super::Event::Control(Event::Planned { life, places }));
            }
            Effect::Confirm { number } => {
                let (life, leader) = (self.host.life, self.journal.leader);
                let delay = self.rng.skewed(50, self.profile.write_us);
                let event = Event::Confirmed { life, number, leader };
                self.after(delay, super::Event::Control(event));
            }
            Effect::Timer(at_ms) => {
                let life = self.host.life;
                self.at(at_ms * MS, super::Event::Control(Event::Timer { life }));
            }
            Effect::Connections(_) => {}
            Effect::Stop(error) => self.broken(format!("the control part stopped: {error}")),
        }
    }

    /// A plan that knows no limit: the machine must check every pick again.
    fn bad_plan(&mut self, state: &State, room: &Room) -> Vec<Place> {
        let nodes: Vec<_> = room.keys().filter_map(|id| Some((*id, state.node(*id)?))).collect();
        let mut places = Vec::new();
        for (_, run, task) in state.queue().iter().take(4) {
            let (Some((id, node)), Some(of)) = (self.rng.pick(&nodes), state.run(run)) else {
                break;
            };
            let most = self.rng.within(1, 8);
            let ordinals = proto::ranges(&of.tasks[task as usize].queued.clone().take_first(most));
            let pick = Pick { run: run.0, task, ordinals, ahead: self.rng.chance(300) };
            let epoch = node.epoch.saturating_sub(self.rng.below(2));
            places.push(Place { node_id: id.to_bytes(), epoch, picks: vec![pick] });
        }
        places
    }

    fn start_control(&mut self) {
        if self.host.control.is_some() {
            return;
        }
        self.host.life += 1;
        let snapshot = self.read_snapshot();
        self.host.delivered = snapshot.as_ref().map_or(0, |(index, _)| *index);
        let id = ClusterId::from_bytes(&[self.host.life as u8; 16]);
        let alone = self.profile.alone.then(|| self.nodes[0].id);
        let lease_ms = self.profile.lease_ms;
        self.host.control = Some(Control::new(Config { found: id, lease_ms, alone }));
        note!(self, "control: life {} begins", self.host.life);
        if let Some((index, state)) = snapshot {
            self.control(control::Event::Restored { index, state });
        }
        if self.host.control.is_none() {
            return;
        }
        let after = self.elect();
        let life = self.host.life;
        self.after(after, super::Event::Journal(journal::Event::Deliver { life }));
    }

    /// The journal's next leader writes an entry of its own; the control part hears of it at some
    /// time before or after that entry.
    pub(super) fn elect(&mut self) -> u64 {
        self.journal.leader = (self.journal.leader.0 + 1, 1);
        let leader = self.journal.leader;
        note!(self, "journal: {leader:?} leads");
        self.append(journal::Entry { leader, record: Default::default() });
        let life = self.host.life;
        let delay = self.rng.skewed(0, 50 * MS);
        let news = Event::News { life, leader: Some(leader) };
        self.after(delay, super::Event::Control(news));
        self.rng.skewed(0, 50 * MS)
    }

    /// The disk of the control part is nearly full for a while: it places nothing.
    pub(super) fn hold(&mut self) {
        note!(self, "control: places nothing for a while");
        self.control(control::Event::Hold(true));
        let (delay, life) = (self.rng.skewed(MS, 5 * SECOND), self.host.life);
        self.after(delay, super::Event::Control(Event::Released { life }));
    }

    /// The process dies, and begins again after a while.
    pub(super) fn crash_control(&mut self, more_us: u64) {
        if self.host.control.take().is_none() {
            return;
        }
        self.crashes += 1;
        note!(self, "control: life {} is over", self.host.life);
        self.settle_pending();
        self.lose_snapshot();
        self.control_died();
        for node in 0..self.nodes.len() {
            if self.nodes[node].daemon.as_ref().is_some_and(|daemon| daemon.down) {
                self.crash_daemon(node);
            }
        }
        self.lose_asks();
        let delay = more_us + self.rng.skewed(MS, 2 * SECOND);
        self.after(delay, super::Event::Control(Event::Starts));
    }
}
