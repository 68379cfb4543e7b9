//! The world: its clock, its queue of events, and the order of its two phases.
//!
//! Every part is a file of its own with the events that concern it and `impl World` for what they
//! do; parts meet only through this queue, the journal and the links.

mod ask;
mod care;
mod chaos;
mod check;
mod client;
mod clock;
mod control;
mod daemon;
mod drained;
mod group;
mod incarnation;
mod journal;
mod link;
mod node;
mod placing;
mod process;
mod profile;
mod promises;
mod snapshot;
mod stream;
mod supervisor;
mod task;
mod truth;

use std::collections::{BTreeMap, BTreeSet};

use crate::rng::Rng;
use crate::trace::Trace;
use crate::{Options, Summary};
use profile::Profile;

/// Prints and hashes one line about what happens.
macro_rules! note {
    ($world:expr, $($what:tt)*) => {
        $world.trace.line($world.now_us, $world.steps, format_args!($($what)*))
    };
}
use note;

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
/// How long the world may take to end everything once it is healed.
const HEALING_US_MAX: u64 = 3600 * SECOND;
/// A bound on the events of the healing, against circles in which time stands still.
const HEALING_STEPS_MAX: u64 = 2_000_000;

/// Something that is to happen.
#[derive(Debug)]
enum Event {
    Journal(journal::Event),
    Control(control::Event),
    Link(link::Event),
    Node(node::Event),
    Process(process::Event),
    Client(client::Event),
    Chaos,
    Stream(stream::Event),
}

/// All there is.
struct World {
    rng: Rng,
    trace: Trace,
    now_us: u64,
    steps: u64,
    queue: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    profile: Profile,
    hostile: bool,
    clock: clock::Clock,
    journal: journal::Journal,
    snapshots: snapshot::Snapshots,
    hosts: Vec<control::Host>,
    /// Lives of control parts so far.
    lives: u64,
    /// Ways between hosts on which nothing gets through: from, to.
    severed: BTreeSet<(usize, usize)>,
    links: link::Links,
    nodes: Vec<node::Node>,
    processes: process::Processes,
    clients: client::Clients,
    truth: truth::Truth,
    incarnations: incarnation::Incarnations,
    stream: stream::Stream,
    crashes: u64,
    /// States at some indices, as the first host had them.
    compared: BTreeMap<u64, String>,
    /// Nodes that the cluster gave up.
    lost: u64,
    /// The first promise that was broken.
    broken: Option<String>,
}

/// Runs the world of one seed to its end, or to the first broken promise.
pub(crate) fn run(options: Options) -> Result<Summary, String> {
    let mut world = World::new(options);
    world.begin();
    // Leases take their time.
    let slow = world.profile.cuts || world.profile.forgets;
    let steps = if slow { 2 * options.steps } else { options.steps };
    world.draw_incarnations(steps);
    while world.steps < steps {
        world.step()?;
        world.perhaps_forget();
    }
    world.heal();
    world.run_until_over()?;
    if world.profile.stream {
        world.begin_stream();
        world.run_until_over()?;
    }
    world.check_end()?;
    Ok(world.summary())
}

impl World {
    fn new(options: Options) -> World {
        let mut rng = Rng::new(options.seed);
        let profile = Profile::draw(&mut rng);
        let nodes = (0..profile.nodes).map(|at| node::Node::new(at, &mut rng)).collect();
        let hosts = (0..profile.controls).map(|_| control::Host::default()).collect();
        World {
            rng,
            trace: Trace::new(options.trace),
            now_us: SECOND,
            steps: 0,
            queue: BTreeMap::new(),
            scheduled: 0,
            profile,
            hostile: true,
            clock: clock::Clock::default(),
            journal: journal::Journal::default(),
            snapshots: snapshot::Snapshots::default(),
            hosts,
            lives: 0,
            severed: BTreeSet::new(),
            links: link::Links::default(),
            nodes,
            processes: process::Processes::default(),
            clients: client::Clients::default(),
            truth: truth::Truth::default(),
            incarnations: incarnation::Incarnations::default(),
            stream: stream::Stream::default(),
            crashes: 0,
            compared: BTreeMap::new(),
            lost: 0,
            broken: None,
        }
    }

    fn begin(&mut self) {
        note!(self, "world {:?}", self.profile);
        for host in 0..self.hosts.len() {
            self.after(0, Event::Control(control::Event::Starts { host }));
        }
        if self.hosts.len() > 1 {
            self.after(MS, Event::Journal(journal::Event::Watch));
        }
        for node in 0..self.nodes.len() {
            let delay = self.rng.below(100 * MS);
            self.after(delay, Event::Node(node::Event::DaemonStarts { node }));
        }
        self.after(10 * MS, Event::Client(client::Event::Acts));
        self.after(self.profile.chaos_every_us, Event::Chaos);
    }

    /// Lets something happen after a while.
    fn after(&mut self, delay_us: u64, event: Event) {
        self.at(self.now_us + delay_us, event);
    }

    fn at(&mut self, at_us: u64, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at_us.max(self.now_us), self.scheduled), event);
    }

    fn run_until_over(&mut self) -> Result<(), String> {
        let (steps, until_us) = (self.steps + HEALING_STEPS_MAX, self.now_us + HEALING_US_MAX);
        while !self.is_over() {
            if self.now_us > until_us || self.steps > steps {
                return Err(self.stuck());
            }
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        let Some(((at_us, _), event)) = self.queue.pop_first() else {
            return Err(format!("step {}: nothing is left to happen", self.steps));
        };
        self.now_us = self.now_us.max(at_us);
        self.steps += 1;
        let started = self.processes.started();
        match event {
            Event::Journal(event) => self.journal_event(event),
            Event::Control(event) => self.host_event(event),
            Event::Link(event) => self.link_event(event),
            Event::Node(event) => self.node_event(event),
            Event::Process(event) => self.process_event(event),
            Event::Client(event) => self.client_event(event),
            Event::Chaos => self.chaos(),
            Event::Stream(event) => self.stream_event(event),
        }
        self.trace.number(self.rng.print());
        if self.processes.started() != started {
            self.check_processes(); // Nothing but a start can break what holds for all of them.
        }
        match self.broken.take() {
            Some(what) => {
                note!(self, "BROKEN {what}");
                Err(format!("step {} at {} ms: {what}", self.steps, self.now_us / MS))
            }
            None => Ok(()),
        }
    }

    /// A promise is broken. Only the first counts: what follows may follow from it.
    fn broken(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn summary(&self) -> Summary {
        Summary {
            trace: self.trace.hash(),
            steps: self.steps,
            entries: self.journal.written(),
            runs: self.truth.runs(),
            elements: self.truth.elements_ended(),
            processes: self.processes.started(),
            crashes: self.crashes,
            lost: self.lost,
            restores: self.incarnations.restores,
            recoveries: self.incarnations.recoveries,
        }
    }
}
