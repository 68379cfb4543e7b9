//! A cluster in one thread: the real control part, the real worker parts, and everything between them
//! modelled with times of its own on a clock that nobody waits for.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::State;
use model::slots::Slots;
use model::{ArraySpec, Attempt, ClusterId, Element, Ending, JobSpec, NodeId, Outcome, Resources};
use model::{Placement, RunId, TaskSpec};
use proto::record::{self, command::Kind};
use proto::session::{ToControl, ToWorker, to_control};
use proto::supervisor::{self, FromSupervisor, from_supervisor, to_supervisor};
use reactor::Now;
use reactor::control::{self, Config, Control};
use reactor::placement::{Plan, plan};
use reactor::worker::{self, Worker};

/// A message between a node and the control part, a commit, and a plan take so long.
const WAY_US: u64 = 200;
const COMMIT_US: u64 = 500;
const PLAN_US: u64 = 100;

/// One cluster.
pub(crate) struct World {
    now_us: u64,
    control: Control,
    index: u64,
    term: u64,
    nodes: Vec<Node>,
    queue: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    /// How long each task runs, by its index.
    lasts_us: fn(u32) -> u64,
    /// The nodes say nothing of offers, as older ones do not.
    old: bool,
    /// When each element started, and where.
    pub(crate) started: BTreeMap<Element, (u64, usize)>,
    pub(crate) ended: usize,
    pub(crate) offers: usize,
}

struct Node {
    worker: Worker,
    slots: Slots,
}

enum Event {
    Control(control::Event),
    Worker(usize, worker::Event),
    Ends(usize, Attempt),
}

impl World {
    /// So many equal nodes of four processors, all of them welcome.
    pub(crate) fn new(nodes: usize, lasts_us: fn(u32) -> u64, old: bool) -> World {
        let found = ClusterId::from_bytes(&[7; 16]);
        let control = Control::new(Config { found, lease_ms: 30_000, alone: None });
        let mut world = World {
            now_us: 1_000_000,
            control,
            index: 0,
            term: 0,
            nodes: (0..nodes).map(Node::new).collect(),
            queue: BTreeMap::new(),
            scheduled: 0,
            lasts_us,
            old,
            started: BTreeMap::new(),
            ended: 0,
            offers: 0,
        };
        world.elect();
        for node in 0..nodes {
            let hello = supervisor::Hello {
                supervisor_id: vec![node as u8 + 1; 16],
                ..supervisor::Hello::default()
            };
            world.worker(node, worker::Event::SupervisorUp { hello, recovered: vec![] });
            world.worker(node, worker::Event::SessionOpened);
        }
        world.run_until(|world| world.now_us >= 1_100_000);
        world
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.now_us
    }

    pub(crate) fn state(&self) -> &State {
        self.control.state()
    }

    /// Submits an array of tasks that want one processor each.
    pub(crate) fn submit(&mut self, elements: u32, placement: Placement) -> RunId {
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.array = Some(ArraySpec { first: 0, last: elements - 1, step: 1, parallel_max: 0 });
        task.placement = placement;
        let job = Some((&JobSpec { tasks: vec![task], ..JobSpec::default() }).into());
        let command = Kind::SubmitJob(record::SubmitJob { job, ..Default::default() });
        let before = self.state().last_run();
        self.control(control::Event::Request { id: 1, command });
        self.run_until(|world| world.state().last_run() > before);
        self.state().last_run()
    }

    /// Another leader, on the same node: it knows of no session and no offer.
    pub(crate) fn elect(&mut self) {
        self.term += 1;
        self.control(control::Event::Leadership(Some((self.term, 1))));
        self.deliver(Bytes::new());
    }

    /// Lets time pass until something holds; ten minutes of it are too much.
    pub(crate) fn run_until(&mut self, holds: impl Fn(&World) -> bool) {
        let until_us = self.now_us + 600_000_000;
        while !holds(self) {
            let Some(((at_us, _), event)) = self.queue.pop_first() else { panic!("all is quiet") };
            assert!(at_us < until_us, "it takes too long");
            self.now_us = self.now_us.max(at_us);
            match event {
                Event::Control(event) => self.control(event),
                Event::Worker(node, event) => self.worker(node, event),
                Event::Ends(node, attempt) => self.ends(node, attempt),
            }
        }
    }

    /// How many elements each node has started.
    pub(crate) fn by_node(&self) -> Vec<usize> {
        let mut counts = vec![0; self.nodes.len()];
        self.started.values().for_each(|(_, node)| counts[*node] += 1);
        counts
    }

    fn after(&mut self, delay_us: u64, event: Event) {
        self.scheduled += 1;
        self.queue.insert((self.now_us + delay_us, self.scheduled), event);
    }

    fn now(&self) -> Now {
        let steady_ms = self.now_us / 1000;
        Now { unix_ms: 1_700_000_000_000 + steady_ms, steady_ms }
    }

    fn deliver(&mut self, record: Bytes) {
        self.index += 1;
        let (index, leader) = (self.index, (self.term, 1));
        self.control(control::Event::Delivered { index, leader, record });
    }

    fn control(&mut self, event: control::Event) {
        for effect in self.control.handle(self.now(), event) {
            match effect {
                control::Effect::Propose { record, .. } => {
                    self.index += 1;
                    let (index, leader) = (self.index, (self.term, 1));
                    let delivered = control::Event::Delivered { index, leader, record };
                    self.after(COMMIT_US, Event::Control(delivered));
                }
                control::Effect::Send { session, message } => {
                    let said = worker::Event::FromControl(ToWorker { kind: message.kind });
                    self.after(WAY_US, Event::Worker(session as usize, said));
                }
                control::Effect::Plan { state, room } => {
                    let planned: Plan = plan(&state, &room);
                    self.after(PLAN_US, Event::Control(control::Event::Planned(planned)));
                }
                control::Effect::Confirm { number } => {
                    let confirmed = control::Event::Confirmed { number, is_leader: true };
                    self.after(WAY_US, Event::Control(confirmed));
                }
                control::Effect::Timer(at_ms) => {
                    let delay_us = (at_ms * 1000).saturating_sub(self.now_us);
                    self.after(delay_us, Event::Control(control::Event::Timer));
                }
                _ => {}
            }
        }
    }

    fn worker(&mut self, node: usize, event: worker::Event) {
        let now = self.now();
        for effect in self.nodes[node].worker.handle(now, event) {
            match effect {
                worker::Effect::ToControl(mut message) => {
                    match &mut message.kind {
                        Some(to_control::Kind::Offer(_)) if self.old => continue,
                        Some(to_control::Kind::Offer(_)) => self.offers += 1,
                        Some(to_control::Kind::Hello(hello)) if self.old => hello.offers = false,
                        _ => {}
                    }
                    self.hear(node, message);
                }
                worker::Effect::ToSupervisor(message) => self.supervise(node, message.kind),
                worker::Effect::Timer(at_ms) => {
                    let delay_us = (at_ms * 1000).saturating_sub(self.now_us);
                    self.after(delay_us, Event::Worker(node, worker::Event::Timer));
                }
                worker::Effect::LeaveSession => panic!("nobody is silent"),
            }
        }
    }

    fn hear(&mut self, node: usize, message: ToControl) {
        let session = node as u64;
        self.after(WAY_US, Event::Control(control::Event::Message { session, message }));
    }

    fn supervise(&mut self, node: usize, said: Option<to_supervisor::Kind>) {
        match said {
            Some(to_supervisor::Kind::Start(start)) => {
                let wants = start.spec.as_ref().and_then(|spec| spec.resources).unwrap_or_default();
                let slots = &mut self.nodes[node].slots;
                for (item, seq) in start.items.iter().zip(start.seq..) {
                    let (run, task) = (RunId(start.run), start.task);
                    let element = Element { run, task, index: item.index };
                    slots.wait(Attempt { element, number: item.attempt }, seq, 50, wants.into());
                }
                self.start(node);
            }
            Some(to_supervisor::Kind::Lease(lease)) => {
                self.supervisor_says(node, from_supervisor::Kind::Lease(lease));
            }
            _ => {}
        }
    }

    fn start(&mut self, node: usize) {
        while let Some(attempt) = self.nodes[node].slots.start_next() {
            let before = self.started.insert(attempt.element, (self.now_us, node));
            assert!(before.is_none(), "{attempt} starts twice");
            self.after((self.lasts_us)(attempt.element.index), Event::Ends(node, attempt));
        }
    }

    fn ends(&mut self, node: usize, attempt: Attempt) {
        self.ended += 1;
        self.nodes[node].slots.leave(attempt);
        self.start(node);
        let outcome = Some(Outcome::bare(Ending::Exited { code: 0 }).into());
        let attempt = Some(attempt.into());
        let ended = supervisor::Ended { attempt, outcome, urgent: false };
        self.supervisor_says(node, from_supervisor::Kind::Ended(ended));
    }

    fn supervisor_says(&mut self, node: usize, kind: from_supervisor::Kind) {
        let said = FromSupervisor { kind: Some(kind) };
        self.after(0, Event::Worker(node, worker::Event::FromSupervisor(said)));
    }
}

impl Node {
    fn new(at: usize) -> Node {
        let capacity = Resources { cpu_milli: 4_000, memory_bytes: 1 << 30 };
        let worker = Worker::new(worker::Config {
            node: NodeId::from_bytes(&[at as u8 + 1; 16]).expect("16 bytes are an id"),
            name: format!("n{at}"),
            capacity,
            labels: vec![],
            version: String::new(),
            life: 1,
        });
        Node { worker, slots: Slots::new(capacity) }
    }
}
