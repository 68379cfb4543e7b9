//! The workers' sessions: who is registered in which epoch, and what each has been sent.
//!
//! ```text
//!  Hello ──> RegisterNode, with what was found ──committed──> Welcome, then all that is
//!  assigned and was not seen, then the stops under way; from there on events as they come
//! ```

mod catch_up;
mod connected;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use machine::{Answer, State};
use model::{Attempt, NodeId, StopCause};
use proto::record::{self, command::Kind};
use proto::session::{
    Assign, Assignment, End, Hello, Item, LeaseAck, ReportAck, SayHello, Stop, ToControl, ToWorker,
    Welcome, Withdraw, to_control, to_worker,
};

use super::batch::{Batcher, Origin};
use super::effect::{Connections, Effect, SessionId};
use super::leases::Heartbeat;
use super::pace::Pace;
use crate::Now;
use room::Spares;

/// What a session's word meets.
pub(super) struct Side<'a> {
    pub(super) state: &'a State,
    /// Where commands go, while this node leads and knows all that was committed.
    pub(super) batcher: Option<&'a mut Batcher>,
    pub(super) effects: &'a mut Vec<Effect>,
}

#[derive(Debug)]
pub(super) struct Sessions {
    /// The lease that nodes are given, in milliseconds.
    lease_ms: u64,
    /// The node whose own voter is the only one: it needs none.
    alone: Option<NodeId>,
    by_id: BTreeMap<SessionId, Session>,
    /// The session that speaks for a node: the latest, which may be closed. What an older one still
    /// had in flight counts for nothing: the supervisor it speaks of may be dead.
    by_node: BTreeMap<NodeId, SessionId>,
    /// How each node is connected, as it follows from the sessions, and as it was told last.
    connections: Connections,
    told: Connections,
    spares: Spares,
}

#[derive(Debug)]
struct Session {
    node: NodeId,
    hello: Hello,
    /// When that arrived, in steady milliseconds.
    hello_ms: u64,
    /// The epoch it is welcome in; `None` before that, and while its supervisor is lost.
    epoch: Option<u64>,
    /// The node was given up since: only its next hello counts.
    is_void: bool,
    /// Assignments up to here have been sent.
    sent_seq: u64,
    degraded: String,
    /// Its node is being taken down.
    leaving: bool,
    supervisor_lost: bool,
    pace: Pace,
    /// It has offered itself in this session, and was given nothing since.
    offers: bool,
}

impl Session {
    /// Registers the node, with what the former supervisor's attempts were found to have come to.
    /// A node whose supervisor does not keep to its lease yet is asked to.
    fn register(&self, id: SessionId, lease_ms: u64, side: &mut Side<'_>) {
        let Some(batcher) = &mut side.batcher else { return };
        let hello = &self.hello;
        if lease_ms > 0 && (hello.lease_ms == 0 || hello.lease_ms > lease_ms) {
            side.effects.push(say_hello(id, lease_ms));
            return;
        }
        let label = |label: &proto::session::Label| record::Label {
            key: label.key.clone(),
            value: label.value.clone(),
        };
        let register = record::RegisterNode {
            node_id: hello.node_id.clone(),
            name: hello.name.clone(),
            capacity: hello.capacity,
            labels: hello.labels.iter().map(label).collect(),
            supervisor_id: hello.supervisor_id.clone(),
            version: hello.version.clone(),
            containment: hello.containment.clone(),
            lease_ms,
            recovered: record_ends(hello.recovered.clone()),
            hello: hello.number,
        };
        let origin = Origin::Register { session: id, hello: hello.number };
        let _ = batcher.push(origin, Kind::RegisterNode(register));
    }
}

impl Sessions {
    pub(super) fn new(lease_ms: u64, alone: Option<NodeId>) -> Sessions {
        Sessions {
            lease_ms,
            alone,
            by_id: BTreeMap::new(),
            by_node: BTreeMap::new(),
            connections: Connections::new(),
            told: Connections::new(),
            spares: Spares::default(),
        }
    }

    pub(super) fn set_alone(&mut self, alone: Option<NodeId>) {
        self.alone = alone;
    }

    /// The lease that a node is to have; 0: none.
    fn lease_ms(&self, node: NodeId) -> u64 {
        if self.alone == Some(node) { 0 } else { self.lease_ms }
    }

    /// The heartbeat that a message is.
    pub(super) fn heartbeat(
        &self,
        now: Now,
        id: SessionId,
        message: &ToControl,
    ) -> Option<Heartbeat> {
        let Some(to_control::Kind::Heartbeat(heartbeat)) = &message.kind else { return None };
        let node = self.by_id.get(&id)?.node;
        Some(Heartbeat { session: id, node, number: heartbeat.number, at_ms: now.steady_ms })
    }

    /// Acknowledges a heartbeat, if its session is still the welcome one of its node.
    pub(super) fn acknowledge(
        &self,
        heartbeat: &Heartbeat,
        term: u64,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Heartbeat { session: id, number, .. } = *heartbeat;
        let welcome = self.by_id.get(&id).is_some_and(|session| session.epoch.is_some());
        if welcome {
            effects.push(send(id, to_worker::Kind::LeaseAck(LeaseAck { number, term })));
        }
        welcome
    }

    pub(super) fn message(
        &mut self,
        now: Now,
        id: SessionId,
        message: ToControl,
        side: &mut Side<'_>,
    ) {
        match message.kind {
            Some(to_control::Kind::Hello(hello)) => self.hello(now, id, hello, side),
            Some(to_control::Kind::Report(report)) => {
                let (Some(session), Some(batcher)) = (self.by_id.get(&id), &mut side.batcher)
                else {
                    return;
                };
                let Some(epoch) = session.epoch else { return };
                let command = record_report(session.node, epoch, report.starts, report.ends);
                let origin = Origin::Report { session: id, number: report.number };
                let _ = batcher.push(origin, command);
            }
            Some(to_control::Kind::SupervisorLost(_)) => {
                if let Some(session) = self.by_id.get_mut(&id) {
                    session.epoch = None;
                    session.supervisor_lost = true;
                    self.spares.changed(session.node);
                    self.connections.insert(session.node, session.connection());
                }
            }
            Some(to_control::Kind::Condition(condition)) => {
                if let Some(session) = self.by_id.get_mut(&id) {
                    (session.degraded, session.leaving) = (condition.degraded, condition.leaving);
                    self.spares.changed(session.node);
                    self.connections.insert(session.node, session.connection());
                }
            }
            // Output is for readers, and never comes here.
            Some(
                to_control::Kind::Heartbeat(_)
                | to_control::Kind::Offer(_)
                | to_control::Kind::Output(_)
                | to_control::Kind::Tails(_),
            )
            | None => {}
        }
    }

    fn hello(&mut self, now: Now, id: SessionId, hello: Hello, side: &mut Side<'_>) {
        let Some(node) = NodeId::from_bytes(&hello.node_id) else { return };
        if self.by_node.get(&node).is_some_and(|latest| *latest > id)
            || self.by_id.get(&id).is_some_and(|session| session.hello.number >= hello.number)
        {
            return;
        }
        if let Some(old) = self.by_node.insert(node, id).filter(|old| *old != id) {
            self.by_id.remove(&old);
        }
        let (degraded, leaving) = (hello.degraded.clone(), hello.leaving);
        let pace = self.by_id.get(&id).map_or_else(Pace::default, |session| session.pace);
        let session = Session {
            node,
            hello,
            hello_ms: now.steady_ms,
            epoch: None,
            is_void: false,
            sent_seq: 0,
            degraded,
            leaving,
            supervisor_lost: false,
            pace,
            offers: false,
        };
        session.register(id, self.lease_ms(node), side);
        self.connections.insert(node, session.connection());
        self.spares.changed(node);
        if let Some(before) = self.by_id.insert(id, session) {
            self.spares.changed(before.node);
        }
    }

    /// Registers every session that is not welcome, or has another lease than it should.
    pub(super) fn register(&mut self, side: &mut Side<'_>) {
        for (id, session) in &self.by_id {
            let lease_ms = self.lease_ms(session.node);
            let held_ms = side.state.node(session.node).map(|node| node.lease_ms);
            if session.supervisor_lost {
                continue;
            }
            match session.epoch {
                None if session.is_void => side.effects.push(say_hello(*id, lease_ms)),
                None => session.register(*id, lease_ms, side),
                Some(_) if held_ms != Some(lease_ms) => {
                    side.effects.push(say_hello(*id, lease_ms));
                }
                Some(_) => {}
            }
        }
    }

    /// Takes every welcome back: what was sent and reported may have been lost.
    pub(super) fn unwelcome(&mut self) {
        for session in self.by_id.values_mut() {
            session.epoch = None;
            self.spares.changed(session.node);
            self.connections.insert(session.node, session.connection());
        }
    }

    pub(super) fn close(&mut self, id: SessionId) {
        if let Some(session) = self.by_id.remove(&id) {
            self.spares.changed(session.node);
            self.connections.remove(&session.node);
        }
    }

    /// Welcomes a node that is registered. Returns it and when its hello arrived.
    pub(super) fn registered(
        &mut self,
        (id, hello): (SessionId, u64),
        answer: &Answer,
        term: u64,
        side: &mut Side<'_>,
    ) -> Option<(NodeId, u64)> {
        let Answer::Registered { epoch } = *answer else { return None };
        let Side { state, batcher, effects } = side;
        let asked = |session: &&mut Session| session.hello.number == hello && !session.is_void;
        let session = self.by_id.get_mut(&id).filter(asked)?;
        let node = state.node(session.node)?;
        let same = session.hello.supervisor_id == node.supervisor.to_bytes();
        if node.epoch != epoch || node.is_lost || !same || session.supervisor_lost {
            return None; // Another registration is on its way, or will be.
        }
        session.epoch = Some(epoch);
        session.sent_seq = node.last_seq;
        self.spares.changed(session.node);
        self.connections.insert(session.node, session.connection());
        let cluster = state.cluster();
        let welcome = Welcome {
            epoch,
            cluster_id: cluster.map(|c| c.id.to_bytes()).unwrap_or_default(),
            incarnation: cluster.map_or(0, |c| c.incarnation.into()),
            supervisor_id: session.hello.supervisor_id.clone(),
            hello_number: session.hello.number,
            term,
            lease_ms: node.lease_ms,
        };
        // From here on the supervisor may keep to this, whatever the hello said.
        session.hello.lease_ms = node.lease_ms;
        effects.push(send(id, to_worker::Kind::Welcome(welcome)));
        let seen = if session.hello.seen_epoch == epoch { session.hello.seen_seq } else { 0 };
        let held: BTreeSet<Attempt> =
            session.hello.held.iter().map(|held| (*held).into()).collect();
        let gone = catch_up::send(state, id, node, seen, &held, effects);
        if !gone.is_empty() {
            let command = record_report(session.node, epoch, vec![], gone);
            if let Some(batcher) = batcher {
                let _ = batcher.push(Origin::Nobody, command);
            }
        }
        Some((session.node, session.hello_ms))
    }

    pub(super) fn reported(&self, id: SessionId, number: u64, effects: &mut Vec<Effect>) {
        if self.by_id.contains_key(&id) {
            effects.push(send(id, to_worker::Kind::ReportAck(ReportAck { number })));
        }
    }

    /// Tells the workers what the batch means for them.
    pub(super) fn events(
        &mut self,
        now: Now,
        state: &State,
        events: &[machine::Event],
        effects: &mut Vec<Effect>,
    ) {
        for event in events {
            match event {
                machine::Event::Assigned { node, epoch, first_seq, run, task, items, fence } => {
                    let Some((id, session)) = self.of_node(*node) else { continue };
                    let last = first_seq + items.len() as u64 - 1;
                    if session.epoch != Some(*epoch) || last <= session.sent_seq {
                        continue;
                    }
                    (session.sent_seq, session.offers) = (last, false);
                    self.spares.changed(*node);
                    let Some(run_state) = state.run(*run) else { continue };
                    let assignment = Assignment {
                        seq: *first_seq,
                        run: run.0,
                        task: *task,
                        items: items
                            .iter()
                            .map(|&(index, attempt)| Item { index, attempt, text: None })
                            .collect(),
                        fence: fence.0,
                        spec: Some((&run_state.spec.tasks[*task as usize]).into()),
                        job_name: run_state.spec.name.clone(),
                        run_as: run_state.spec.run_as.clone(),
                    };
                    effects.push(assign(id, *epoch, vec![assignment]));
                }
                machine::Event::Stop { node, attempts, cause } => {
                    let Some((id, session)) = self.of_node(*node) else { continue };
                    if session.epoch.is_some() {
                        effects.push(stop(id, attempts, *cause));
                    }
                }
                machine::Event::Withdraw { node, attempts } => {
                    let Some((id, session)) = self.of_node(*node) else { continue };
                    if session.epoch.is_some() {
                        effects.push(withdraw(id, attempts));
                    }
                }
                // If it lives after all it comes back, as a new one.
                machine::Event::NodeRemoved { node, .. } => self.lose(*node, effects),
                machine::Event::AttemptEnded(ended) => {
                    if let Some((_, session)) = self.of_node(ended.node) {
                        session.pace.ended(now.steady_ms);
                        self.spares.changed(ended.node);
                    }
                }
                _ => {}
            }
        }
    }

    /// A node is being given up: nothing it says counts, and no heartbeat of it is acknowledged,
    /// before it has said hello again, which is written behind that.
    pub(super) fn lose(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        let lease_ms = self.lease_ms(node);
        let Some((id, session)) = self.of_node(node) else { return };
        (session.epoch, session.is_void) = (None, true);
        if !session.supervisor_lost {
            effects.push(say_hello(id, lease_ms));
        }
        let connection = session.connection();
        self.spares.changed(node);
        self.connections.insert(node, connection);
    }

    fn of_node(&mut self, node: NodeId) -> Option<(SessionId, &mut Session)> {
        let id = *self.by_node.get(&node)?;
        Some((id, self.by_id.get_mut(&id)?))
    }
}

fn send(session: SessionId, kind: to_worker::Kind) -> Effect {
    Effect::Send { session, message: ToWorker { kind: Some(kind) } }
}

fn say_hello(session: SessionId, lease_ms: u64) -> Effect {
    send(session, to_worker::Kind::SayHello(SayHello { lease_ms }))
}

fn assign(session: SessionId, epoch: u64, assignments: Vec<Assignment>) -> Effect {
    send(session, to_worker::Kind::Assign(Assign { epoch, assignments }))
}

fn stop(session: SessionId, attempts: &[Attempt], cause: StopCause) -> Effect {
    let attempts = attempts.iter().map(|attempt| (*attempt).into()).collect();
    let cause = proto::job::StopCause::from(Some(cause)) as i32;
    send(session, to_worker::Kind::Stop(Stop { attempts, cause }))
}

fn withdraw(session: SessionId, attempts: &[Attempt]) -> Effect {
    let attempts = attempts.iter().map(|attempt| (*attempt).into()).collect();
    send(session, to_worker::Kind::Withdraw(Withdraw { attempts }))
}

fn record_report(
    node: NodeId,
    epoch: u64,
    starts: Vec<proto::session::Start>,
    ends: Vec<End>,
) -> Kind {
    let start = |start: proto::session::Start| record::Start {
        attempt: start.attempt,
        started_us: start.started_us,
    };
    Kind::Report(record::Report {
        node_id: node.to_bytes(),
        epoch,
        starts: starts.into_iter().map(start).collect(),
        ends: record_ends(ends),
    })
}

fn record_ends(ends: Vec<End>) -> Vec<record::End> {
    let end = |end: End| record::End { attempt: end.attempt, outcome: end.outcome };
    ends.into_iter().map(end).collect()
}
