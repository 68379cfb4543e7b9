//! A steady stream of small tasks in a world without faults, and one task that wants a whole node:
//! it must not wait for the stream to end.

use model::{ArraySpec, JobSpec, Policy, Resources, TaskSpec};

use super::ask::Ask;
use super::task::{Behaviour, Term, draw_policy};
use super::{MS, SECOND, World, note};

/// How long the big one may wait: the patience of placement, one small one, and the ways between.
const WAIT_US_MAX: u64 = 60 * SECOND;
/// How long the stream runs before the big one comes.
const LEAD_US: u64 = 2 * SECOND;
/// What a small one reserves.
const SMALL_CPU_MILLI: u64 = 500;
/// How long a small one runs.
const SMALL_RUNS_US: (u64, u64) = (SECOND, 4 * SECOND);
const BIG: &str = "big";

#[derive(Debug, Default)]
pub(super) struct Stream {
    began_us: u64,
    big_us: Option<u64>,
    active: bool,
    /// How all of them are placed.
    policy: Policy,
}

#[derive(Debug)]
pub(super) enum Event {
    Feeds,
}

impl Stream {
    pub(super) fn is_active(&self) -> bool {
        self.active
    }
}

impl World {
    pub(super) fn begin_stream(&mut self) {
        note!(self, "a stream of small tasks begins");
        let policy = draw_policy(&mut self.rng);
        self.stream = Stream { began_us: self.now_us, big_us: None, active: true, policy };
        self.after(0, super::Event::Stream(Event::Feeds));
    }

    pub(super) fn stream_event(&mut self, event: Event) {
        let Event::Feeds = event;
        let (now_us, began_us) = (self.now_us, self.stream.began_us);
        match self.stream.big_us {
            None if now_us - began_us >= LEAD_US => {
                self.stream.big_us = Some(now_us);
                let at = self.rng.below(self.nodes.len() as u64) as usize;
                let cpu_milli = self.nodes[at].capacity.cpu_milli;
                self.submit_plain(BIG, cpu_milli, 1, (MS, SECOND));
            }
            Some(big_us) if self.big_has_started() => {
                note!(self, "the big task has waited for {} ms", (now_us - big_us) / MS);
                self.stream.active = false;
                return;
            }
            Some(big_us) if now_us - big_us > WAIT_US_MAX => {
                self.broken("a big task is starved by small ones".to_owned());
            }
            _ => {}
        }
        let cpu_milli: u64 = self.nodes.iter().map(|node| node.capacity.cpu_milli).sum();
        let seats = cpu_milli / SMALL_CPU_MILLI;
        if self.truth.state.waiting() < seats {
            self.submit_plain("", SMALL_CPU_MILLI, seats as u32, SMALL_RUNS_US);
        }
        self.after(500 * MS, super::Event::Stream(Event::Feeds));
    }

    fn big_has_started(&self) -> bool {
        let state = &self.truth.state;
        match state.latest_named(BIG).and_then(|run| state.run(run)) {
            Some(run) => run.started_us > 0,
            None => self.truth.had_named(BIG),
        }
    }

    fn submit_plain(&mut self, name: &str, cpu_milli: u64, count: u32, runs_us: (u64, u64)) {
        let behaviour = Behaviour::plain(runs_us, Term::Dies);
        let mut task = TaskSpec::new(behaviour.command());
        task.array = Some(ArraySpec { first: 0, last: count - 1, step: 1, parallel_max: 0 });
        task.resources = Resources { cpu_milli, memory_bytes: 0 };
        task.placement.policy = self.stream.policy;
        let (name, owner) = (name.to_owned(), "bob".to_owned());
        let tasks = vec![task];
        let job = JobSpec { name, owner, tasks, ..JobSpec::default() };
        let (key, payload) = self.new_key();
        self.ask(Ask::Submit { key, payload, job, rerun: None });
    }
}
