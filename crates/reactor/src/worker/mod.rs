//! The worker part of a node: hands assignments to its supervisor and reports what became of them.
//!
//! It remembers nothing that matters: what was seen, runs or has ended is known to the supervisor,
//! which outlives it, and said again to every new daemon. An end is kept and repeated until it is
//! acknowledged as committed; only then is the supervisor told to forget it.

mod lease;
mod offer;
mod report;

use std::collections::BTreeSet;

use model::{Attempt, Element, NodeId, Resources, RunId};
use proto::job::Variable;
use proto::session::{
    self, Assignment, Condition, Heartbeat, Hello, Label, Offer, SupervisorLost, ToControl,
    ToWorker, Welcome, to_control, to_worker,
};
use proto::supervisor::{
    self, Forget, FromSupervisor, Shutdown, Start, ToSupervisor, from_supervisor, to_supervisor,
};

use crate::Now;
use lease::{Lease, Word};
use offer::Offers;
use report::Outbox;

/// What a worker part is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its node.
    pub node: NodeId,
    /// The node's name.
    pub name: String,
    /// What the node has for tasks.
    pub capacity: Resources,
    /// The node's labels.
    pub labels: Vec<(String, String)>,
    /// The version of the binary.
    pub version: String,
    /// Which life of the node's daemon this is: greater than any before.
    pub life: u32,
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session with a control part is open.
    SessionOpened,
    /// It is over.
    SessionClosed,
    /// The control part said something.
    FromControl(ToWorker),
    /// A supervisor answered the greeting. `recovered` are ends of a former supervisor's attempts
    /// that were found on disk.
    SupervisorUp {
        /// Its answer.
        hello: supervisor::Hello,
        /// What was found.
        recovered: Vec<session::End>,
    },
    /// The supervisor said something.
    FromSupervisor(FromSupervisor),
    /// The supervisor is gone.
    SupervisorLost,
    /// The time asked for has come.
    Timer,
    /// The node is going down: its tasks are to end.
    Down,
}

/// Something is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Say this to the control part.
    ToControl(ToControl),
    /// Say this to the supervisor.
    ToSupervisor(Box<ToSupervisor>),
    /// Come back with [`Event::Timer`] at this steady time, in milliseconds, whatever was asked
    /// for before.
    Timer(u64),
    /// Leave the session: its control part is silent, and another may not be.
    LeaveSession,
}

/// The worker part's state.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    /// The supervisor's answer, while it lives.
    supervisor: Option<supervisor::Hello>,
    /// What the supervisor holds: waiting, running, or ended and not forgotten.
    held: BTreeSet<Attempt>,
    /// Ends of a dead supervisor's attempts, until they are committed.
    recovered: Vec<session::End>,
    session_open: bool,
    hellos: u64,
    /// The epoch this session is welcome in.
    epoch: Option<u64>,
    outbox: Outbox,
    lease: Lease,
    offers: Offers,
    /// The node is going down.
    leaving: bool,
    /// When the shell was asked to come back, in steady milliseconds.
    timer_at_ms: Option<u64>,
}

impl Worker {
    /// A worker part that knows neither a supervisor nor a control part yet.
    pub fn new(config: Config) -> Worker {
        let hellos = u64::from(config.life) << 32;
        let offers = Offers::new(config.capacity);
        Worker {
            config,
            supervisor: None,
            held: BTreeSet::new(),
            recovered: Vec::new(),
            session_open: false,
            hellos,
            epoch: None,
            outbox: Outbox::default(),
            lease: Lease::default(),
            offers,
            leaving: false,
            timer_at_ms: None,
        }
    }

    /// How many attempts run, as far as the supervisor has said.
    pub fn running(&self) -> usize {
        self.outbox.running()
    }

    /// Whether the node is registered, in a session that is open.
    pub fn is_welcome(&self) -> bool {
        self.epoch.is_some() && self.session_open
    }

    /// Takes one event and says what is to be done.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::SessionOpened => {
                self.session_open = true;
                self.lease.session_began(now.steady_ms);
                self.hello(now, &mut effects);
            }
            Event::SessionClosed => {
                self.session_open = false;
                self.lease.session_over();
                self.leave_session();
            }
            Event::FromControl(message) => self.control_said(now, message, &mut effects),
            Event::SupervisorUp { hello, recovered } => {
                self.recovered.extend(recovered);
                self.held = hello.held.iter().map(|held| Attempt::from(*held)).collect();
                self.offers.held(&self.held);
                self.lease.met(hello.lease.unwrap_or_default());
                self.supervisor = Some(hello);
                self.hello(now, &mut effects);
            }
            Event::FromSupervisor(message) => self.supervisor_said(now, message, &mut effects),
            Event::SupervisorLost => self.supervisor_lost(&mut effects),
            Event::Timer => self.timer_at_ms = None,
            Event::Down => {
                // First that nothing more is placed here, then that what is here ends.
                self.leaving = true;
                self.condition(&mut effects);
                effects.push(to_supervisor(to_supervisor::Kind::Shutdown(Shutdown {})));
            }
        }
        self.report(now, &mut effects);
        self.beat(now, &mut effects);
        self.offer(now, &mut effects);
        self.ask_for_time(&mut effects);
        effects
    }

    fn leave_session(&mut self) {
        self.epoch = None;
        self.offers.unwelcome();
        self.outbox.session_over();
    }

    /// Says hello where both sides are there.
    fn hello(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(supervisor) = self.supervisor.as_ref().filter(|_| self.session_open) else {
            return;
        };
        let config = &self.config;
        self.hellos += 1;
        let hello = Hello {
            node_id: config.node.to_bytes(),
            name: config.name.clone(),
            capacity: Some(config.capacity.into()),
            labels: (config.labels.iter())
                .map(|(key, value)| Label { key: key.clone(), value: value.clone() })
                .collect(),
            version: config.version.clone(),
            containment: supervisor.containment.clone(),
            supervisor_id: supervisor.supervisor_id.clone(),
            seen_epoch: supervisor.seen_epoch,
            seen_seq: supervisor.seen_seq,
            recovered: self.recovered.clone(),
            degraded: supervisor.degraded.clone(),
            held: self.held.iter().map(|held| (*held).into()).collect(),
            number: self.hellos,
            lease_ms: self.lease.claim_ms(),
            offers: true,
            leaving: self.leaving,
        };
        self.lease.sent(Word::Hello(self.hellos), now.steady_ms);
        self.epoch = None;
        self.offers.unwelcome();
        self.lease.unwelcome();
        self.outbox.session_over();
        effects.push(to_control(to_control::Kind::Hello(hello)));
    }

    /// Says how the node is, for where work goes.
    fn condition(&self, effects: &mut Vec<Effect>) {
        let Some(supervisor) = self.supervisor.as_ref().filter(|_| self.session_open) else {
            return; // The next hello says it.
        };
        let condition = Condition { degraded: supervisor.degraded.clone(), leaving: self.leaving };
        effects.push(to_control(to_control::Kind::Condition(condition)));
    }

    fn control_said(&mut self, now: Now, message: ToWorker, effects: &mut Vec<Effect>) {
        match message.kind {
            Some(to_worker::Kind::Welcome(welcome)) => {
                let current = self.supervisor.as_ref().map(|supervisor| &supervisor.supervisor_id);
                let latest = welcome.hello_number == self.hellos;
                if current != Some(&welcome.supervisor_id) || !latest {
                    return; // It answers an older hello, perhaps of a supervisor that has died since.
                }
                if !self.lease.counts(welcome.term, now.steady_ms) {
                    return; // Its leader was deposed.
                }
                self.leave_session();
                self.epoch = Some(welcome.epoch);
                self.offers.wanted(now.steady_ms);
                self.recovered.clear();
                let Welcome { hello_number, lease_ms, .. } = welcome;
                let told = self.lease.welcomed(hello_number, lease_ms, now.steady_ms);
                effects.extend(told.map(|told| to_supervisor(to_supervisor::Kind::Lease(told))));
            }
            Some(to_worker::Kind::Assign(assign)) if self.epoch == Some(assign.epoch) => {
                self.offers.wanted(now.steady_ms); // What was given has used the offer.
                for assignment in assign.assignments {
                    self.start(assign.epoch, assignment, effects);
                }
            }
            Some(to_worker::Kind::Stop(stop)) => {
                let stop = supervisor::Stop { attempts: stop.attempts, cause: stop.cause };
                effects.push(to_supervisor(to_supervisor::Kind::Stop(stop)));
            }
            Some(to_worker::Kind::Withdraw(withdraw)) => {
                let withdraw = supervisor::Withdraw { attempts: withdraw.attempts };
                effects.push(to_supervisor(to_supervisor::Kind::Withdraw(withdraw)));
            }
            Some(to_worker::Kind::ReportAck(ack)) => {
                let attempts = self.outbox.acknowledged(ack.number);
                if !attempts.is_empty() {
                    attempts.iter().for_each(|attempt| _ = self.held.remove(attempt));
                    let attempts = attempts.into_iter().map(Into::into).collect();
                    effects.push(to_supervisor(to_supervisor::Kind::Forget(Forget { attempts })));
                }
            }
            Some(to_worker::Kind::LeaseAck(ack)) => {
                if self.lease.counts(ack.term, now.steady_ms)
                    && let Some(told) = self.lease.acknowledged(ack.number, now.steady_ms)
                {
                    effects.push(to_supervisor(to_supervisor::Kind::Lease(told)));
                }
            }
            Some(to_worker::Kind::SayHello(say)) if self.supervisor.is_some() => {
                match self.lease.wanted(say.lease_ms, now.steady_ms) {
                    Some(told) => effects.push(to_supervisor(to_supervisor::Kind::Lease(told))),
                    None => self.hello(now, effects),
                }
            }
            // Who reads output is none of its business.
            Some(
                to_worker::Kind::Assign(_)
                | to_worker::Kind::SayHello(_)
                | to_worker::Kind::ReadOutput(_)
                | to_worker::Kind::StopReading(_),
            )
            | None => {}
        }
    }

    /// Hands on what the supervisor has not seen. The rest it would refuse, so it is not held.
    fn start(&mut self, epoch: u64, mut assignment: Assignment, effects: &mut Vec<Effect>) {
        let Some(supervisor) = &mut self.supervisor else { return };
        let seen = if supervisor.seen_epoch == epoch { supervisor.seen_seq } else { 0 };
        let again = (seen + 1).saturating_sub(assignment.seq).min(assignment.items.len() as u64);
        assignment.items.drain(..again as usize);
        assignment.seq += again;
        if assignment.items.is_empty() {
            return;
        }
        let last = assignment.seq + assignment.items.len() as u64 - 1;
        (supervisor.seen_epoch, supervisor.seen_seq) = (epoch, last);
        let (run, task) = (RunId(assignment.run), assignment.task);
        let wants = assignment.spec.as_ref().and_then(|spec| spec.resources).unwrap_or_default();
        for item in &assignment.items {
            let element = Element { run, task, index: item.index };
            let attempt = Attempt { element, number: item.attempt };
            self.held.insert(attempt);
            self.offers.given(attempt, wants.into());
        }
        let variable = |name: &str, value: &str| Variable {
            name: format!("WINDLASS_{name}"),
            value: value.to_owned(),
        };
        let task_name = assignment.spec.as_ref().map_or("", |spec| spec.name.as_str());
        let env = vec![
            variable("JOB", &assignment.job_name),
            variable("RUN", &assignment.run.to_string()),
            variable("TASK", task_name),
            variable("NODE_NAME", &self.config.name),
        ];
        let start = Start {
            epoch,
            seq: assignment.seq,
            run: assignment.run,
            task: assignment.task,
            items: (assignment.items.iter())
                .map(|item| supervisor::Item {
                    index: item.index,
                    attempt: item.attempt,
                    text: item.text.clone(),
                })
                .collect(),
            fence: assignment.fence,
            env,
            run_as: assignment.run_as,
            spec: assignment.spec,
        };
        effects.push(to_supervisor(to_supervisor::Kind::Start(start)));
    }

    fn supervisor_said(&mut self, now: Now, message: FromSupervisor, effects: &mut Vec<Effect>) {
        match message.kind {
            Some(from_supervisor::Kind::Started(started)) => {
                if let Some(attempt) = started.attempt {
                    self.outbox.started(attempt.into(), started.started_us, now.steady_ms);
                }
            }
            Some(from_supervisor::Kind::Ended(ended)) => {
                if let (Some(attempt), Some(outcome)) = (ended.attempt, ended.outcome) {
                    self.offers.ended(attempt.into());
                    self.outbox.ended(Attempt::from(attempt), outcome, ended.urgent);
                }
            }
            Some(from_supervisor::Kind::Condition(condition)) => {
                if let Some(supervisor) = &mut self.supervisor {
                    supervisor.degraded.clone_from(&condition.degraded);
                }
                self.condition(effects);
            }
            Some(from_supervisor::Kind::Lease(told)) => {
                if let Some(supervisor) = &mut self.supervisor {
                    supervisor.lease = Some(told);
                }
                if self.lease.echoed(told) {
                    self.hello(now, effects);
                }
            }
            Some(from_supervisor::Kind::Hello(_) | from_supervisor::Kind::Output(_)) | None => {}
        }
    }

    /// Ends that the dead supervisor had told are facts: they go on as recovered.
    fn supervisor_lost(&mut self, effects: &mut Vec<Effect>) {
        self.supervisor = None;
        self.held.clear();
        self.offers.held(&self.held);
        self.epoch = None;
        self.recovered.extend(self.outbox.drain_ends());
        if self.session_open {
            effects.push(to_control(to_control::Kind::SupervisorLost(SupervisorLost {})));
        }
    }

    fn report(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.epoch.is_some()
            && self.session_open
            && let Some(report) = self.outbox.report(now.steady_ms, self.held.len())
        {
            effects.push(to_control(to_control::Kind::Report(report)));
        }
    }

    /// Asks for the lease to be counted anew, or leaves a session in which nobody does.
    fn beat(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if !self.session_open || self.supervisor.is_none() {
            return;
        }
        if self.lease.is_silent(now.steady_ms) {
            self.session_open = false;
            self.lease.session_over();
            self.leave_session();
            return effects.push(Effect::LeaveSession);
        }
        if let Some(number) = self.lease.beat(now.steady_ms) {
            effects.push(to_control(to_control::Kind::Heartbeat(Heartbeat { number })));
        }
    }

    /// Asks for work.
    fn offer(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.epoch.is_some() && self.session_open && self.offers.ask(now.steady_ms) {
            effects.push(to_control(to_control::Kind::Offer(Offer {})));
        }
    }

    fn ask_for_time(&mut self, effects: &mut Vec<Effect>) {
        let supervised = self.session_open && self.supervisor.is_some();
        let lease_ms = self.lease.due_ms().filter(|_| supervised);
        let report_ms = self.outbox.due_ms().filter(|_| self.session_open && self.epoch.is_some());
        let offer_ms = self.offers.due_ms().filter(|_| self.session_open && self.epoch.is_some());
        let due_ms = lease_ms.into_iter().chain(report_ms).chain(offer_ms).min();
        let Some(due_ms) = due_ms else { return };
        if self.timer_at_ms.is_none_or(|at_ms| due_ms < at_ms) {
            self.timer_at_ms = Some(due_ms);
            effects.push(Effect::Timer(due_ms));
        }
    }
}

fn to_control(kind: to_control::Kind) -> Effect {
    Effect::ToControl(ToControl { kind: Some(kind) })
}

fn to_supervisor(kind: to_supervisor::Kind) -> Effect {
    Effect::ToSupervisor(Box::new(ToSupervisor { kind: Some(kind) }))
}
