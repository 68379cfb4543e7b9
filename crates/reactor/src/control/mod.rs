//! The control part of a node: batches commands into the journal, applies what comes back, and
//! keeps the workers' sessions fed.
//!
//! One batch is in flight at a time; the next holds whatever queued up meanwhile, so batches grow
//! with load and need no timer. While it does not lead, or has not yet applied all that earlier
//! leaders committed, it proposes nothing.

mod batch;
mod effect;
mod leases;
mod pace;
mod sessions;
mod time;

use machine::{Answer, Node, State};
use model::{ClusterId, NodeId};
use proto::record::{self, command::Kind};

use crate::Now;
use crate::placement::Plan;
use batch::{Batcher, Origin};
pub use effect::{
    Connection, Connections, Effect, Event, LeaderId, RequestId, SessionId, Unavailable,
};
use leases::Leases;
use sessions::{Sessions, Side};
use time::Time;

/// The longest time the shell is asked to come back after, in milliseconds: in a suspend the steady
/// clock goes on and its sleep does not, so what came due meanwhile is found so much later.
const TIMER_MS_MAX: u64 = 10_000;

/// What a control part is told when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The id of the cluster to found where the journal is empty; `None` to wait for one.
    pub found: Option<ClusterId>,
    /// The lease that nodes are given, in milliseconds.
    pub lease_ms: u64,
    /// The node whose own voter is the only one, if there is one: it needs no lease.
    pub alone: Option<NodeId>,
}

/// The control part's state. All that is agreed on is in its [`State`]; the rest can be lost.
#[derive(Debug)]
pub struct Control {
    config: Config,
    state: State,
    leader: Option<LeaderId>,
    /// Who wrote the last entry that was delivered.
    written_by: Option<LeaderId>,
    /// Everything that earlier leaders committed is applied.
    caught_up: bool,
    batcher: Batcher,
    sessions: Sessions,
    leases: Leases,
    /// A plan is being made.
    planning: bool,
    /// Something changed since the last plan began.
    plan_wanted: bool,
    /// The node that `round_robin` gave to last.
    turn: Option<NodeId>,
    /// No new placements: the node is going down.
    closing: bool,
    /// No new placements for now.
    held: bool,
    time: Time,
    /// When the shell was asked to come back, in steady milliseconds.
    timer_at_ms: Option<u64>,
}

impl Control {
    /// A control part that has applied nothing yet.
    pub fn new(config: Config) -> Control {
        Control {
            config,
            state: State::new(),
            leader: None,
            written_by: None,
            caught_up: false,
            batcher: Batcher::default(),
            sessions: Sessions::new(config.lease_ms, config.alone),
            leases: Leases::default(),
            planning: false,
            plan_wanted: false,
            turn: None,
            closing: false,
            held: false,
            time: Time::default(),
            timer_at_ms: None,
        }
    }

    /// What the journal has made of the cluster so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The arrival of the oldest heartbeat that a node's lease counts from, in steady milliseconds;
    /// `None` where this node does not lead, or no node has a lease that could run out.
    pub fn oldest_heartbeat_ms(&self) -> Option<u64> {
        self.leases.oldest_ms(&self.state)
    }

    /// Takes one event and says what is to be done.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Leadership(leader) => self.leadership(now, leader, &mut effects),
            Event::Request { id, command } => self.request(id, command, &mut effects),
            Event::Delivered { index, leader, record } => {
                self.delivered(now, index, leader, &record, &mut effects);
            }
            Event::ProposeFailed { number, retry } => {
                self.propose_failed(number, retry, &mut effects);
            }
            Event::Message { session, message } => {
                let active = self.leader.is_some() && self.caught_up;
                if let Some(heartbeat) = self.sessions.heartbeat(now, session, &message) {
                    self.leases.heartbeat(heartbeat);
                } else if self.sessions.offer(session, &message) {
                    self.plan_wanted = true;
                } else {
                    let batcher = active.then_some(&mut self.batcher);
                    let mut side = Side { state: &self.state, batcher, effects: &mut effects };
                    self.sessions.message(now, session, message, &mut side);
                }
            }
            Event::Confirmed { number, is_leader } => {
                let served = self.leases.confirmed(number, is_leader);
                if let Some((term, _)) = self.leader {
                    for heartbeat in served {
                        if self.sessions.acknowledge(&heartbeat, term, &mut effects) {
                            self.leases.heard(heartbeat.node, heartbeat.at_ms);
                        }
                    }
                }
            }
            Event::Alone(alone) => {
                self.sessions.set_alone(alone);
                self.register_sessions(&mut effects);
            }
            Event::SessionClosed(session) => self.sessions.close(session),
            Event::Planned(plan) => self.planned(plan),
            Event::Timer => self.timer_at_ms = None,
            Event::Restored { index, leader, state } => {
                self.restored(index, state, &mut effects);
                self.written_by(leader);
                self.catch_up(now, &mut effects);
            }
            Event::Hold(hold) => {
                self.held = hold;
                self.plan_wanted = true;
            }
            Event::Close => self.closing = true,
        }
        if let Some(number) = self.leases.ask() {
            effects.push(Effect::Confirm { number });
        }
        self.wake(now, &mut effects);
        self.flush(now, &mut effects);
        self.plan(now, &mut effects);
        effects.extend(self.sessions.news().map(Effect::Connections));
        effects
    }

    fn leadership(&mut self, now: Now, leader: Option<LeaderId>, effects: &mut Vec<Effect>) {
        if leader == self.leader {
            return;
        }
        self.leader = leader;
        self.caught_up = false;
        self.planning = false;
        let (in_flight, open) = self.batcher.abandon();
        effects.extend(unavailable(in_flight, Unavailable::OutcomeUnknown));
        effects.extend(unavailable(open, Unavailable::NotLeader));
        self.leases.end();
        self.sessions.unwelcome();
        self.catch_up(now, effects);
    }

    /// Whoever leads after another one begins with its wall clock: what it was before says nothing now.
    fn written_by(&mut self, leader: LeaderId) {
        let before = self.written_by.replace(leader);
        if before.is_some_and(|(_, member)| member != leader.1) {
            self.time = Time::default();
        }
    }

    /// The first entry of the current leader says that all before it is applied. It may be
    /// delivered before this node hears that it leads, and need not be followed by another.
    fn catch_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.leader.is_some() && self.leader == self.written_by && !self.caught_up {
            self.caught_up = true;
            self.leases.begin(now.steady_ms);
            self.found();
            self.register_sessions(effects);
        }
    }

    /// Registers every session that is not welcome as it should be.
    fn register_sessions(&mut self, effects: &mut Vec<Effect>) {
        if self.leader.is_some() && self.caught_up {
            let batcher = Some(&mut self.batcher);
            self.sessions.register(&mut Side { state: &self.state, batcher, effects });
        }
    }

    /// Where another node leads, whoever asks is told at once: it would wait for an election here.
    fn request(&mut self, id: RequestId, command: Kind, effects: &mut Vec<Effect>) {
        if self.leader.is_none() {
            return effects.extend(unavailable([Origin::Request(id)], Unavailable::NotLeader));
        }
        if let Err(origin) = self.batcher.push(Origin::Request(id), command) {
            effects.extend(unavailable([origin], Unavailable::Overloaded));
        }
    }

    fn delivered(
        &mut self,
        now: Now,
        index: u64,
        leader: LeaderId,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        let mut events = Vec::new();
        if bytes.is_empty() {
            self.state.pass(index);
        } else {
            let batch = match machine::decode(index, bytes) {
                Ok(batch) => batch,
                Err(error) => return effects.push(Effect::Stop(error)),
            };
            let was_recovering = self.state.is_recovering();
            let applied = self.state.apply(index, leader, &batch);
            if self.state.is_recovering() && !was_recovering && self.caught_up {
                // What any leader acknowledged before arrived before this.
                self.leases.begin(now.steady_ms);
            }
            let number = batch.header.map_or(0, |header| header.number);
            let mine = self.leader == Some(leader);
            if let Some(origins) = self.batcher.delivered(mine, number) {
                let refused = applied.refused.is_some();
                self.answer(origins, applied.answers, refused, effects);
            }
            for event in &applied.events {
                if let machine::Event::NodeRegistered { node, .. } = event {
                    self.leases.registered(*node);
                }
            }
            self.sessions.events(now, &self.state, &applied.events, effects);
            events = applied.events;
        }
        self.plan_wanted = true;
        effects.push(Effect::Happened { index, events, state: self.state.clone() });
        self.written_by(leader);
        self.catch_up(now, effects);
    }

    fn restored(&mut self, index: u64, mut state: State, effects: &mut Vec<Effect>) {
        if index > state.applied() {
            state.pass(index); // The journal's own entries behind the last batch.
        }
        self.state = state;
        // What the entries told that are not delivered now: who has a lease that has to be looked at.
        self.state.nodes().keys().for_each(|node| self.leases.registered(*node));
        let state = self.state.clone();
        effects.push(Effect::Happened { index, events: Vec::new(), state });
        // What is in flight may be in it, and will not be delivered then.
        effects.extend(unavailable(self.batcher.give_up_any(), Unavailable::OutcomeUnknown));
        self.ask_again(effects);
    }

    fn found(&mut self) {
        if let (None, Some(id)) = (self.state.cluster(), self.config.found) {
            let found = record::Found { cluster_id: id.to_bytes(), incarnation: 1 };
            self.batcher.push_first(Origin::Nobody, Kind::Found(found));
        }
    }

    fn answer(
        &mut self,
        origins: Vec<Origin>,
        answers: Vec<Answer>,
        refused: bool,
        effects: &mut Vec<Effect>,
    ) {
        if refused {
            effects.extend(unavailable(origins, Unavailable::NotLeader));
            return self.ask_again(effects);
        }
        let term = self.leader.map_or(0, |(term, _)| term);
        for (origin, answer) in origins.into_iter().zip(answers) {
            match origin {
                Origin::Request(id) => effects.push(Effect::Answer { id, answer: Ok(answer) }),
                Origin::Register { session, hello } => {
                    let batcher = Some(&mut self.batcher);
                    let mut side = Side { state: &self.state, batcher, effects };
                    let welcome =
                        self.sessions.registered((session, hello), &answer, term, &mut side);
                    if let Some((node, at_ms)) = welcome {
                        self.leases.heard(node, at_ms);
                    }
                }
                Origin::Report { session, number } => {
                    self.sessions.reported(session, number, effects);
                }
                Origin::Plan | Origin::Nobody => {}
            }
        }
    }

    fn propose_failed(&mut self, number: u64, retry: bool, effects: &mut Vec<Effect>) {
        let again = self.batcher.in_flight(number).filter(|_| retry);
        if let (Some(leader), Some((record, commands))) = (self.leader, again) {
            return effects.push(Effect::Propose { number, leader, record, commands });
        }
        let lost = self.batcher.give_up(number);
        if lost.is_empty() {
            return; // Nobody waits for it: its entry, or another leader, came first.
        }
        effects.extend(unavailable(lost, Unavailable::OutcomeUnknown));
        self.ask_again(effects);
    }

    /// The cluster's founding, reports and registrations may have been in a batch that is lost.
    fn ask_again(&mut self, effects: &mut Vec<Effect>) {
        self.batcher.forget_sessions();
        self.sessions.unwelcome();
        if self.caught_up {
            self.found();
            self.register_sessions(effects);
        }
    }

    fn planned(&mut self, plan: Plan) {
        if !self.planning {
            return; // Leadership changed since; the plan is for a state that may be old.
        }
        self.planning = false;
        if plan.is_empty() || self.closing || self.held {
            return;
        }
        self.turn = plan.turn;
        let places = plan.places.into_iter().map(Kind::Place);
        for command in places.chain(plan.turned_away.into_iter().map(Kind::TurnAway)) {
            let _ = self.batcher.push(Origin::Plan, command);
        }
    }

    /// Commits the time where a timer of the state is due and nothing else brings it.
    fn wake(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let stamp_ms = self.time.stamp(now, self.state.time_ms());
        if self.leader.is_none() || !self.caught_up {
            return;
        }
        for lost in self.leases.look(&self.state, now.steady_ms, &mut self.batcher) {
            self.sessions.lose(lost, effects);
        }
        let lease_ms = self.config.lease_ms;
        self.leases.end_recovery(&self.state, lease_ms, now.steady_ms, &mut self.batcher);
        if !self.batcher.is_idle() {
            return; // What is on its way comes back here.
        }
        let look_ms = self.leases.due_ms();
        let next_ms = self.state.next_ms();
        if next_ms.is_some_and(|next_ms| next_ms <= stamp_ms) {
            let _ = self.batcher.push(Origin::Nobody, Kind::Wake(record::Wake {}));
        }
        if !self.batcher.is_idle() {
            return;
        }
        let next_ms = next_ms.map(|next_ms| self.time.steady_at(next_ms));
        let Some(at_ms) = next_ms.into_iter().chain(look_ms).min() else { return };
        let at_ms = at_ms.min(now.steady_ms + TIMER_MS_MAX);
        if self.timer_at_ms.is_none_or(|asked| asked > at_ms) {
            self.timer_at_ms = Some(at_ms);
            effects.push(Effect::Timer(at_ms));
        }
    }

    /// Sends the open batch off where nothing is in flight.
    fn flush(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(leader) = self.leader.filter(|_| self.caught_up) else { return };
        let incarnation = self.state.cluster().map_or(0, |cluster| cluster.incarnation);
        let time_ms = self.time.stamp(now, self.state.time_ms());
        if let Some(number) = self.batcher.seal(leader, incarnation, time_ms)
            && let Some((record, commands)) = self.batcher.in_flight(number)
        {
            effects.push(Effect::Propose { number, leader, record, commands });
        }
    }

    /// Asks for a plan where one could place something.
    fn plan(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let open = !self.closing && !self.held && !self.state.is_recovering();
        let may = self.leader.is_some() && self.caught_up && open && !self.planning;
        // The next plan sees what came of the last one.
        if !may || !self.plan_wanted || self.batcher.has_plan() {
            return;
        }
        self.plan_wanted = false;
        if self.state.queue().is_empty() {
            return;
        }
        let room = self.sessions.room(now, self.turn);
        let takes_work = |id| self.state.node(id).is_some_and(Node::takes_work);
        if !room.nodes.keys().copied().any(takes_work) {
            return;
        }
        self.planning = true;
        effects.push(Effect::Plan { state: self.state.clone(), room });
    }
}

fn unavailable(
    origins: impl IntoIterator<Item = Origin>,
    why: Unavailable,
) -> impl Iterator<Item = Effect> {
    origins.into_iter().filter_map(move |origin| match origin {
        Origin::Request(id) => Some(Effect::Answer { id, answer: Err(why) }),
        _ => None,
    })
}
