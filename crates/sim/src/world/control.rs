//! The process of the control part: it performs effects, dies between any two of them, and begins
//! again from a snapshot, or the first entry.

use machine::State;
use model::ClusterId;
use proto::record::{Pick, Place, TurnAway};
use reactor::control::{self, Config, Control, Effect, LeaderId};
use reactor::placement::{Plan, Planner, Room};

use super::{MS, SECOND, World, client, journal, note, placing};

/// The process, which may be down.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Which life of a process this is; none has that of another.
    pub(super) life: u64,
    pub(super) control: Option<Control>,
    /// It knows the nodes from plans before, and outlives the control part: what it plans must not
    /// depend on that.
    planner: Planner,
    /// Entries that it has been given.
    pub(super) delivered: u64,
    /// The number of the timer that was set last; those before are forgotten.
    timer: u64,
    /// As which leader it takes requests.
    pub(super) believes: Option<LeaderId>,
}

#[derive(Debug)]
pub(super) enum Event {
    Starts {
        host: usize,
    },
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
        plan: Plan,
    },
    /// The time it asked for has come.
    Timer {
        life: u64,
        number: u64,
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
            Event::Starts { host } => self.start_control(host),
            Event::News { life, leader } => {
                let Some(host) = self.host(life) else { return };
                let Some(leader) = leader else { return self.hears_of_others(host) };
                if leader != self.journal.leader {
                    return; // A watch shows what is, not what was.
                }
                note!(self, "host {host}: leads as {leader:?}");
                self.hosts[host].believes = Some(leader);
                self.control(life, control::Event::Leadership(Some(leader)));
            }
            Event::Fails { life, number, retry } => {
                note!(self, "life {life}: batch {number} failed, retry {retry}");
                self.control(life, control::Event::ProposeFailed { number, retry });
            }
            Event::Planned { life, plan } => {
                let (nodes, away) = (plan.places.len(), plan.turned_away.len());
                note!(self, "life {life}: a plan for {nodes} nodes, {away} tasks turned away");
                self.control(life, control::Event::Planned(plan));
            }
            Event::Timer { life, number } => {
                if self.host(life).is_some_and(|host| self.hosts[host].timer == number) {
                    self.control(life, control::Event::Timer);
                }
            }
            Event::Confirmed { life, number, leader } => {
                let leads = leader == self.journal.leader && self.leading() == self.host(life);
                let is_leader = leads && self.host(life).is_some();
                self.control(life, control::Event::Confirmed { number, is_leader });
            }
            Event::Released { life } => self.control(life, control::Event::Hold(false)),
        }
    }

    /// Gives the control part of this life an event and performs what it wants, if it lives.
    pub(super) fn control(&mut self, life: u64, event: control::Event) {
        let Some(host) = self.host(life) else { return };
        let now = self.control_now(host);
        let Some(control) = &mut self.hosts[host].control else { return };
        let effects = control.handle(now, event);
        let torn = self.hostile && self.rng.chance(self.profile.torn);
        let torn_at = torn.then(|| self.rng.below(effects.len() as u64 + 1));
        for (at, effect) in effects.into_iter().enumerate() {
            if torn_at == Some(at as u64) {
                note!(self, "host {host}: torn between two effects");
                return self.crash_control(host, 0);
            }
            self.perform(host, effect);
            if self.host(life).is_none() {
                return;
            }
        }
    }

    fn perform(&mut self, host: usize, effect: Effect) {
        let life = self.hosts[host].life;
        match effect {
            Effect::Propose { number, leader, record, .. } => {
                self.check_stamp(number, leader, &record);
                self.propose(life, number, leader, record);
            }
            Effect::Answer { id, answer } => {
                self.check_answer(id, &answer);
                let delay = self.rng.skewed(10, self.profile.link_us);
                self.after(delay, super::Event::Client(client::Event::Answered { id, answer }));
            }
            Effect::Send { session, message } => self.send_to_worker(session, message),
            Effect::Happened { index, state, .. } => {
                if index != self.hosts[host].delivered || state.applied() != index {
                    self.broken(format!("entry {index} happened out of its turn"));
                }
                self.compare(host, &state);
                self.perhaps_take_snapshot(life, &state);
            }
            Effect::Plan { state, room } => {
                let plan = match self.hostile && self.rng.chance(100) {
                    true => self.bad_plan(&state, &room),
                    false => self.plan(host, &state, &room),
                };
                let delay = self.rng.skewed(50, self.profile.plan_us);
                self.after(delay, super::Event::Control(Event::Planned { life, plan }));
            }
            Effect::Confirm { number } => {
                let Some(leader) = self.hosts[host].believes else { return };
                let delay = self.rng.skewed(50, self.profile.write_us);
                let event = Event::Confirmed { life, number, leader };
                self.after(delay, super::Event::Control(event));
            }
            Effect::Timer(at_ms) => {
                self.hosts[host].timer += 1;
                let number = self.hosts[host].timer;
                self.at(at_ms * MS, super::Event::Control(Event::Timer { life, number }));
            }
            Effect::Connections(_) => {}
            Effect::Stop(error) => self.broken(format!("the control part stopped: {error}")),
        }
    }

    /// A plan, which is held against what it was made for.
    fn plan(&mut self, host: usize, state: &State, room: &Room) -> Plan {
        let plan = self.hosts[host].planner.plan(state, room);
        if plan != reactor::placement::plan(state, room) {
            self.broken("a plan depends on the plans before it".to_owned());
        }
        if let Some(what) = placing::fault(state, room, &plan) {
            self.broken(what);
        }
        plan
    }

    /// A plan that knows no limit: the machine must check every pick again.
    fn bad_plan(&mut self, state: &State, room: &Room) -> Plan {
        let nodes: Vec<_> =
            room.nodes.keys().filter_map(|id| Some((*id, state.node(*id)?))).collect();
        let mut plan = Plan::default();
        for (_, run, task) in state.queue().iter().take(4) {
            let (Some((id, node)), Some(of)) = (self.rng.pick(&nodes), state.run(run)) else {
                break;
            };
            let most = self.rng.within(1, 8);
            let ordinals = proto::ranges(&of.tasks[task as usize].queued.clone().take_first(most));
            let pick = Pick { run: run.0, task, ordinals, ahead: self.rng.chance(300) };
            let epoch = node.epoch.saturating_sub(self.rng.below(2));
            plan.places.push(Place { node_id: id.to_bytes(), epoch, picks: vec![pick] });
            let ordinals = vec![proto::record::Range { first: 0, last: self.rng.below(9) as u32 }];
            plan.turned_away.push(TurnAway { run: run.0, task, ordinals });
        }
        plan
    }

    fn start_control(&mut self, host: usize) {
        if self.hosts[host].control.is_some() {
            return;
        }
        self.lives += 1;
        let life = self.lives;
        self.hosts[host].life = life;
        self.hosts[host].believes = None;
        let snapshot = self.read_snapshot();
        self.hosts[host].delivered = snapshot.as_ref().map_or(0, |(index, ..)| *index);
        let id = ClusterId::from_bytes(&[life as u8; 16]);
        let alone = self.profile.alone.then(|| self.nodes[0].id);
        let lease_ms = self.profile.lease_ms;
        self.hosts[host].control = Some(Control::new(Config { found: id, lease_ms, alone }));
        note!(self, "host {host}: life {life} begins");
        if let Some((index, leader, state)) = snapshot {
            self.control(life, control::Event::Restored { index, leader, state });
        }
        if self.host(life).is_none() {
            return;
        }
        let after = match self.hosts.len() {
            1 => self.elect(host),
            _ => self.rng.skewed(0, 50 * MS),
        };
        self.after(after, super::Event::Journal(journal::Event::Deliver { life }));
    }

    /// The disk of a control part is nearly full for a while: it places nothing.
    pub(super) fn hold(&mut self, host: usize) {
        note!(self, "host {host}: places nothing for a while");
        let life = self.hosts[host].life;
        self.control(life, control::Event::Hold(true));
        let delay = self.rng.skewed(MS, 5 * SECOND);
        self.after(delay, super::Event::Control(Event::Released { life }));
    }

    /// The process dies, and begins again after a while.
    pub(super) fn crash_control(&mut self, host: usize, more_us: u64) {
        if self.hosts[host].control.take().is_none() {
            return;
        }
        let life = self.hosts[host].life;
        self.crashes += 1;
        note!(self, "host {host}: life {life} is over");
        if self.hosts.len() == 1 {
            self.settle_pending();
        }
        self.lose_snapshot(life);
        self.control_died(life);
        for node in 0..self.nodes.len() {
            if self.nodes[node].daemon.as_ref().is_some_and(|daemon| daemon.down) {
                self.crash_daemon(node);
            }
        }
        self.lose_asks(life);
        let delay = more_us + self.rng.skewed(MS, 2 * SECOND);
        self.after(delay, super::Event::Control(Event::Starts { host }));
    }
}
