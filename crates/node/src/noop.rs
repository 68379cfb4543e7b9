//! Workers that run nothing, for measuring: everything of a node but the processes.
//!
//! Each has a node of its own in the cluster, a session and slots; an attempt of a `noop` task is
//! held to its slot and succeeds at once. They must never say of a real task that it ran.

use std::sync::Arc;

use model::slots::Slots;
use model::{Attempt, Element, Ending, NodeId, NotStarted, Outcome, Resources, RunId};
use proto::session::ToControl;
use proto::supervisor::{
    Ended, FromSupervisor, Hello, Start, ToSupervisor, from_supervisor, to_supervisor,
};
use reactor::worker::{Config, Effect, Event, Worker};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::output::{Connection, Remote};
use crate::session::{Doors, FromLine, Host, Line};

/// How many such workers a node has beside its own, and how many processors each of them claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoopWorkers {
    /// Workers; 0 for none.
    pub count: u32,
    /// Slots of each: whole processors.
    pub slots: u32,
}

/// Words of the control part that wait for such a worker.
const WORDS_MAX: usize = 1024;
/// Memory that each claims.
const MEMORY_BYTES: u64 = 1 << 50;

/// Starts the workers; they end with the control part.
pub(crate) fn start(
    workers: NoopWorkers,
    beside: NodeId,
    version: &str,
    life: u32,
    host: &Arc<Host>,
    remote: &Arc<Remote>,
) {
    for number in 1..=workers.count {
        let capacity =
            Resources { cpu_milli: u64::from(workers.slots) * 1000, memory_bytes: MEMORY_BYTES };
        let node = NodeId(Uuid::from_u128(beside.0.as_u128() ^ u128::from(number)));
        let config = Config {
            node,
            name: format!("noop-{number}"),
            capacity,
            labels: Vec::new(),
            version: version.to_owned(),
            life,
        };
        let (out, line) = mpsc::channel(WORDS_MAX);
        tokio::spawn(Line { node, doors: Doors::Own(host.clone()), out }.run());
        tokio::spawn(Noop::new(config, line, Some(remote.silent(node))).run());
    }
}

/// A worker that runs nothing.
pub(crate) struct Noop {
    worker: Worker,
    slots: Slots,
    line: mpsc::Receiver<FromLine>,
    words: Option<mpsc::UnboundedSender<ToControl>>,
    clock: Clock,
    timer: Option<Instant>,
    /// What the supervisor that is not there has said and nobody has heard yet.
    said: Vec<FromSupervisor>,
    /// Nobody has to wait for output of it.
    _silent: Option<Connection>,
}

impl Noop {
    /// One that speaks through `line`.
    pub(crate) fn new(
        config: Config,
        line: mpsc::Receiver<FromLine>,
        silent: Option<Connection>,
    ) -> Noop {
        let slots = Slots::new(config.capacity);
        Noop {
            worker: Worker::new(config),
            slots,
            line,
            words: None,
            clock: Clock::default(),
            timer: None,
            said: Vec::new(),
            _silent: silent,
        }
    }

    /// Runs until the line ends.
    pub(crate) async fn run(mut self) {
        let hello = Hello {
            version: proto::SUPERVISOR_VERSION,
            supervisor_id: Uuid::new_v4().as_bytes().to_vec(),
            containment: "none: it runs nothing".to_owned(),
            ..Hello::default()
        };
        self.step(Event::SupervisorUp { hello, recovered: Vec::new() });
        loop {
            let wake = self.timer.unwrap_or_else(Instant::now);
            let event = tokio::select! {
                word = self.line.recv() => match word {
                    Some(FromLine::Opened(words)) => {
                        self.words = Some(words);
                        Event::SessionOpened
                    }
                    Some(FromLine::Said(message)) => Event::FromControl(*message),
                    Some(FromLine::Closed) => {
                        self.words = None;
                        Event::SessionClosed
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(wake), if self.timer.is_some() => {
                    self.timer = None;
                    Event::Timer
                }
            };
            self.step(event);
        }
    }

    /// Performs what the reactor wants of an event, and of all that follows from it.
    fn step(&mut self, event: Event) {
        self.one(event);
        while !self.said.is_empty() {
            for said in std::mem::take(&mut self.said) {
                self.one(Event::FromSupervisor(said));
            }
        }
    }

    fn one(&mut self, event: Event) {
        for effect in self.worker.handle(self.clock.now(), event) {
            match effect {
                Effect::ToControl(message) => {
                    if let Some(words) = &self.words {
                        let _ = words.send(message); // The line says that it is over.
                    }
                }
                Effect::ToSupervisor(message) => self.supervise(*message),
                Effect::Timer(at_ms) => self.timer = Some(self.clock.at(at_ms)),
                Effect::LeaveSession => self.words = None,
            }
        }
    }

    fn supervise(&mut self, message: ToSupervisor) {
        match message.kind {
            Some(to_supervisor::Kind::Start(start)) => self.start(&start),
            Some(to_supervisor::Kind::Lease(lease)) => {
                let kind = Some(from_supervisor::Kind::Lease(lease));
                self.said.push(FromSupervisor { kind });
            }
            _ => {}
        }
    }

    fn start(&mut self, start: &Start) {
        let spec = start.spec.as_ref();
        let is_noop = spec.is_some_and(|spec| spec.runner() == proto::job::Runner::Noop);
        let wants = spec.and_then(|spec| spec.resources).map(Resources::from).unwrap_or_default();
        let priority = spec.and_then(|spec| spec.priority).unwrap_or_default();
        for (item, seq) in start.items.iter().zip(start.seq..) {
            let element = Element { run: RunId(start.run), task: start.task, index: item.index };
            self.slots.wait(Attempt { element, number: item.attempt }, seq, priority, wants);
        }
        while let Some(attempt) = self.slots.start_next() {
            let mut outcome = Outcome::bare(match is_noop {
                true => Ending::Exited { code: 0 },
                false => Ending::NotStarted(NotStarted::Refused(
                    "this node is for measuring and runs nothing".to_owned(),
                )),
            });
            if is_noop {
                outcome.started_us = self.clock.now().unix_ms * 1000;
                outcome.ended_us = outcome.started_us;
            }
            self.slots.leave(attempt);
            let ended = Ended {
                attempt: Some(attempt.into()),
                outcome: Some(outcome.into()),
                urgent: false,
            };
            self.said.push(FromSupervisor { kind: Some(from_supervisor::Kind::Ended(ended)) });
        }
    }
}
