//! What a leader's processor does for 10 to 10,000 nodes: the real control reactor, planner and
//! machine, with workers that answer at once, on virtual time.
//!
//! ```text
//! cargo run --release -p sim --bin scale [NODES …]     a JSON document a line
//! ```
//!
//! It measures and checks nothing but that all tasks end: what may not go wrong, the worlds show.

// It measures: nothing that is decided here follows from this clock.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::{ArraySpec, Attempt, ClusterId, Element, Ending, JobSpec, Outcome, RunId, TaskSpec};
use proto::record::{SubmitJob, command::Kind};
use proto::session::{
    Assign, End, Heartbeat, Hello, Report, ToControl, ToWorker, to_control, to_worker,
};
use reactor::Now;
use reactor::control::{Config, Control, Effect, Event, LeaderId, SessionId};
use reactor::placement::{Planner, Room};

const LEADER: LeaderId = (1, 1);
const LEASE_MS: u64 = 30_000;
/// Elements of the array, for each node and at the least.
const ELEMENTS_PER_NODE: u32 = 100;
const ELEMENTS_MIN: u32 = 20_000;
/// What each node can run at once.
const SLOTS: u64 = 8;
/// Heartbeats of each node.
const BEATS: u64 = 10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let counts: Result<Vec<u64>, _> = words.iter().map(|word| word.parse()).collect();
    let counts = match counts {
        Ok(counts) if counts.is_empty() => vec![10, 100, 1_000, 10_000],
        Ok(counts) => counts,
        Err(_) => {
            eprintln!("usage: scale [NODES …]");
            return ExitCode::from(2);
        }
    };
    for nodes in counts {
        println!("{}", measure(nodes));
    }
    ExitCode::SUCCESS
}

/// One cluster of so many nodes, as a JSON document: microseconds of the leader's processor.
fn measure(nodes: u64) -> String {
    let mut leader = Leader::new();
    let connect = leader.timed(|leader| (1..=nodes).for_each(|node| leader.connect(node)));
    let beats = leader.timed(|leader| {
        for number in 1..=BEATS {
            leader.now.steady_ms += LEASE_MS / 6;
            for node in 1..=nodes {
                let heartbeat = to_control::Kind::Heartbeat(Heartbeat { number });
                leader.say(node, heartbeat);
            }
        }
    });
    let elements = ELEMENTS_MIN.max(ELEMENTS_PER_NODE * nodes as u32);
    let tasks = leader.timed(|leader| leader.run_array(elements));
    let each = |time: Duration, count: u64| time.as_secs_f64() * 1e6 / count as f64;
    format!(
        r#"{{"nodes":{nodes},"connect_us":{:.2},"heartbeat_us":{:.3},"task_us":{:.3}}}"#,
        each(connect, nodes),
        each(beats, nodes * BEATS),
        each(tasks, elements.into()),
    )
}

/// The control part that leads, its journal, and the workers.
struct Leader {
    control: Control,
    now: Now,
    applied: u64,
    waiting: VecDeque<Event>,
    planner: Planner,
    /// What a plan is to be made for.
    wanted: Option<(machine::State, Room)>,
    /// Reports of each session, by its number.
    reports: Vec<u64>,
    ended: u32,
}

impl Leader {
    fn new() -> Leader {
        let found = ClusterId::from_bytes(&[7; 16]);
        let control = Control::new(Config { found, lease_ms: LEASE_MS, alone: None });
        let now = Now { unix_ms: 1_790_000_000_000, steady_ms: 1_000 };
        let mut leader = Leader {
            control,
            now,
            applied: 0,
            waiting: VecDeque::new(),
            planner: Planner::default(),
            wanted: None,
            reports: vec![0],
            ended: 0,
        };
        leader.give(Event::Leadership(Some(LEADER)));
        leader.applied += 1;
        let (index, record) = (leader.applied, Bytes::new());
        leader.give(Event::Delivered { index, leader: LEADER, record });
        leader
    }

    fn timed(&mut self, work: impl FnOnce(&mut Leader)) -> Duration {
        let begun = Instant::now();
        work(self);
        begun.elapsed()
    }

    /// Gives an event, and all that follows from it.
    fn give(&mut self, event: Event) {
        self.waiting.push_back(event);
        loop {
            while let Some(event) = self.waiting.pop_front() {
                for effect in self.control.handle(self.now, event) {
                    self.perform(effect);
                }
            }
            // A plan is made beside the rest, and takes longer than what comes meanwhile.
            let Some((state, room)) = self.wanted.take() else { return };
            let plan = self.planner.plan(&state, &room);
            self.waiting.push_back(Event::Planned(plan));
        }
    }

    fn perform(&mut self, effect: Effect) {
        let follows = match effect {
            Effect::Propose { leader, record, .. } => {
                self.applied += 1;
                Event::Delivered { index: self.applied, leader, record }
            }
            Effect::Plan { state, room } => {
                self.wanted = Some((state, room));
                return;
            }
            Effect::Confirm { number } => Event::Confirmed { number, is_leader: true },
            Effect::Send { session, message } => match self.work(session, message) {
                Some(event) => event,
                None => return,
            },
            Effect::Timer(at_ms) => {
                // Nothing else is to come: time goes on.
                self.now.steady_ms = self.now.steady_ms.max(at_ms);
                return;
            }
            Effect::Stop(error) => panic!("the control part stopped: {error}"),
            Effect::Answer { .. } | Effect::Happened { .. } | Effect::Connections(_) => return,
        };
        self.waiting.push_back(follows);
    }

    fn say(&mut self, session: SessionId, kind: to_control::Kind) {
        self.give(message(session, kind));
    }

    fn connect(&mut self, node: u64) {
        self.reports.push(0);
        let hello = Hello {
            node_id: u128::from(node).to_be_bytes().to_vec(),
            name: format!("n{node}"),
            capacity: Some(proto::job::Resources {
                cpu_milli: SLOTS * 1000,
                memory_bytes: 1 << 34,
            }),
            supervisor_id: vec![1; 16],
            number: 1,
            lease_ms: LEASE_MS,
            ..Hello::default()
        };
        self.say(node, to_control::Kind::Hello(hello));
    }

    fn run_array(&mut self, elements: u32) {
        let mut task = TaskSpec::new(vec!["noop".into()]);
        task.array = Some(ArraySpec { first: 1, last: elements, step: 1, parallel_max: 0 });
        let spec = JobSpec { tasks: vec![task], ..JobSpec::default() };
        let submit = SubmitJob { job: Some((&spec).into()), ..SubmitJob::default() };
        self.give(Event::Request { id: 1, command: Kind::SubmitJob(submit) });
        while self.ended < elements {
            let before = self.ended;
            self.now.steady_ms += 1;
            self.give(Event::Timer);
            assert!(self.ended > before || self.now.steady_ms < 10_000_000, "tasks do not end");
        }
    }

    /// What a worker answers: all that it was assigned has ended.
    fn work(&mut self, session: SessionId, said: ToWorker) -> Option<Event> {
        let Some(to_worker::Kind::Assign(Assign { assignments, .. })) = said.kind else {
            return None;
        };
        let mut ends = Vec::new();
        for assignment in assignments {
            let run = RunId(assignment.run);
            for item in assignment.items {
                let element = Element { run, task: assignment.task, index: item.index };
                let attempt = Attempt { element, number: item.attempt };
                let outcome = Outcome::bare(Ending::Exited { code: 0 });
                ends.push(End { attempt: Some(attempt.into()), outcome: Some(outcome.into()) });
            }
        }
        self.ended += ends.len() as u32;
        let number = &mut self.reports[session as usize];
        *number += 1;
        let report = Report { number: *number, starts: Vec::new(), ends };
        Some(message(session, to_control::Kind::Report(report)))
    }
}

fn message(session: SessionId, kind: to_control::Kind) -> Event {
    Event::Message { session, message: ToControl { kind: Some(kind) } }
}
