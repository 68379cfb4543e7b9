//! Clients: they submit and cancel, and ask again until they have an answer.

use std::collections::BTreeMap;

use machine::{Answer, Refusal};
use model::{JobSpec, RunId};
use reactor::control::{self, RequestId, Unavailable};

use super::ask::Ask;
use super::task;
use super::{MS, SECOND, World, note};

#[derive(Debug, Default)]
pub(super) struct Clients {
    last_request: RequestId,
    last_key: u64,
    /// Requests without an answer.
    open: BTreeMap<RequestId, Ask>,
    /// Which life of a control part has a request.
    at: BTreeMap<RequestId, u64>,
    /// Keys with what was submitted under them, to be used again.
    keys: Vec<(String, u64, JobSpec)>,
}

#[derive(Debug)]
pub(super) enum Event {
    /// A client does something new.
    Acts,
    /// A request arrives at the control part.
    Asks(RequestId),
    Answered {
        id: RequestId,
        answer: Result<Answer, Unavailable>,
    },
    /// The connection broke before the answer came.
    Lost(RequestId),
    /// A healed world cancels what never ends.
    Sweeps,
}

impl World {
    pub(super) fn client_event(&mut self, event: Event) {
        match event {
            Event::Acts if self.hostile => {
                self.act();
                let delay = self.rng.skewed(MS, 4 * self.profile.act_every_us);
                self.after(delay, super::Event::Client(Event::Acts));
            }
            Event::Acts => {}
            Event::Asks(id) => self.asks(id),
            Event::Answered { id, answer } => self.answered(id, answer),
            Event::Lost(id) => self.answered(id, Err(Unavailable::OutcomeUnknown)),
            Event::Sweeps => self.sweep(),
        }
    }

    fn act(&mut self) {
        match self.rng.below(11) {
            10 => self.operate(),
            0..6 => self.submit_new(),
            6 => self.submit_again(),
            _ => {
                if let Some(run) = self.draw_run() {
                    let cancel = self.draw_cancel(run);
                    self.ask(cancel);
                }
            }
        }
    }

    /// One of the latest runs, if there was any.
    fn draw_run(&mut self) -> Option<RunId> {
        let last = self.truth.state.last_run().0;
        if self.incarnations.current() > 1 {
            // Numbers were skipped, and of most that were given out nobody knows any more.
            return self.rng.pick(&self.truth.latest(9)).copied();
        }
        (last > 0).then(|| RunId(self.rng.within(last.saturating_sub(8).max(1), last)))
    }

    fn submit_new(&mut self) {
        let job = task::draw_job(&mut self.rng, &self.profile);
        if self.rng.chance(100) {
            return self.rerun(job);
        }
        let (key, payload) = self.new_key();
        let key = if self.rng.chance(800) { key } else { String::new() };
        if !key.is_empty() {
            self.clients.keys.push((key.clone(), payload, job.clone()));
        }
        self.ask(Ask::Submit { key, payload, job, rerun: None });
    }

    /// A key that was never used, and what stands for the payload under it.
    pub(super) fn new_key(&mut self) -> (String, u64) {
        self.clients.last_key += 1;
        let payload = self.clients.last_key;
        (format!("k{payload}"), payload)
    }

    /// Repeats a part of a job and takes the rest over, as if it had run before.
    fn rerun(&mut self, job: JobSpec) {
        let of = self.rng.within(1, self.truth.state.last_run().0.max(1));
        let rerun = task::draw_rerun(&mut self.rng, of, &job);
        let (key, payload) = self.new_key();
        self.ask(Ask::Submit { key, payload, job, rerun: Some(rerun) });
    }

    /// Uses a key once more, sometimes for something else.
    fn submit_again(&mut self) {
        let Some((key, payload, job)) = self.rng.pick(&self.clients.keys).cloned() else { return };
        if self.rng.chance(300) {
            let job = task::draw_job(&mut self.rng, &self.profile);
            let payload = payload + 1_000_000;
            return self.ask(Ask::Submit { key, payload, job, rerun: None });
        }
        self.ask(Ask::Submit { key, payload, job, rerun: None });
    }

    /// An operator drains a node, takes one back, or removes one.
    fn operate(&mut self) {
        let at = self.rng.below(self.nodes.len() as u64) as usize;
        let node = self.nodes[at].id;
        let ask = match self.rng.below(8) {
            0 => self.removal(at, false),
            1..5 => {
                let wait_ms = self.rng.chance(800).then(|| self.rng.skewed(0, 20_000));
                Ask::Drain { node, wait_ms }
            }
            _ => Ask::Resume { node },
        };
        self.ask(ask);
    }

    /// The removal of a node. By force, who asks for it has seen that nothing of it runs.
    pub(super) fn removal(&self, at: usize, force: bool) -> Ask {
        let node = self.nodes[at].id;
        let hello = self.truth.state.node(node).map_or(0, |node| node.hello);
        Ask::Remove { node, force, hello }
    }

    fn draw_cancel(&mut self, run: RunId) -> Ask {
        let task = self.rng.chance(300).then(|| self.rng.below(2) as u32);
        let ordinals = self.rng.chance(400).then(|| {
            let first = self.rng.below(6) as u32;
            (first, first + self.rng.below(6) as u32)
        });
        Ask::Cancel { run, task, ordinals }
    }

    /// Sends a request, with a number of its own for each try.
    pub(super) fn ask(&mut self, ask: Ask) {
        self.clients.last_request += 1;
        let id = self.clients.last_request;
        note!(self, "client: request {id}: {ask}");
        self.clients.open.insert(id, ask);
        let delay = self.rng.skewed(10, self.profile.link_us);
        self.after(delay, super::Event::Client(Event::Asks(id)));
    }

    fn asks(&mut self, id: RequestId) {
        let Some(ask) = self.clients.open.get(&id) else { return };
        let command = ask.command(id);
        let leader = self.journal.leader.1.saturating_sub(1) as usize;
        let other = self.rng.below(self.hosts.len() as u64) as usize;
        let host = if self.hosts.len() == 1 || self.rng.chance(800) { leader } else { other };
        let takes = self.hosts.len() == 1 || self.hosts[host].believes.is_some();
        if self.hosts[host].control.is_none() || !takes {
            return self.answered(id, Err(Unavailable::NotLeader));
        }
        let life = self.hosts[host].life;
        self.clients.at.insert(id, life);
        self.control(life, control::Event::Request { id, command });
    }

    fn answered(&mut self, id: RequestId, answer: Result<Answer, Unavailable>) {
        let Some(ask) = self.clients.open.remove(&id) else { return };
        self.clients.at.remove(&id);
        note!(self, "client: request {id} is answered: {answer:?}");
        match (answer, ask) {
            (Ok(Answer::Refused(refusal)), ask) => self.refused(&ask, &refusal),
            (Ok(_), _) => {}
            (Err(Unavailable::OutcomeUnknown), Ask::Submit { key, .. }) if key.is_empty() => {}
            (Err(_), ask) => {
                let delay = self.rng.within(50 * MS, SECOND);
                self.clients.last_request += 1;
                let id = self.clients.last_request;
                self.clients.open.insert(id, ask);
                self.after(delay, super::Event::Client(Event::Asks(id)));
            }
        }
    }

    fn refused(&mut self, ask: &Ask, refusal: &Refusal) {
        let fair = match (ask, refusal) {
            (Ask::Submit { key, payload, .. }, Refusal::KeyUsed { run }) => {
                self.truth.key_is_of(key, *run, |of| of != *payload)
            }
            (Ask::Cancel { .. }, Refusal::UnknownRun { .. } | Refusal::UnknownTask { .. }) => true,
            // It has not been registered yet, or was removed.
            (Ask::Drain { .. } | Ask::Resume { .. }, Refusal::UnknownNode { .. }) => true,
            (Ask::Remove { .. }, Refusal::UnknownNode { .. }) => true,
            (Ask::Remove { .. }, Refusal::NotRemovable { .. }) => true,
            _ => false,
        };
        if !fair {
            self.broken(format!("{ask} was refused: {refusal}"));
        }
    }

    /// The control part has died: whoever waits for it hears nothing, soon or late.
    pub(super) fn lose_asks(&mut self, life: u64) {
        let at = |id: &&RequestId| self.clients.at.get(*id) == Some(&life);
        let open: Vec<RequestId> = self.clients.open.keys().filter(at).copied().collect();
        for id in open {
            let delay = self.rng.skewed(MS, SECOND);
            self.after(delay, super::Event::Client(Event::Lost(id)));
        }
    }

    /// Cancels every run that would not end by itself, until none is left, and takes back what is
    /// drained.
    fn sweep(&mut self) {
        self.check_timers();
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.capacity).collect();
        for run in self.truth.need_cancel(&nodes) {
            let asked = |ask: &Ask| matches!(ask, Ask::Cancel { run: r, task: None, ordinals: None } if *r == run);
            if !self.clients.open.values().any(asked) {
                self.ask(Ask::Cancel { run, task: None, ordinals: None });
            }
        }
        for node in self.truth.drained() {
            let asked = |ask: &Ask| matches!(ask, Ask::Resume { node: n } if *n == node);
            if !self.clients.open.values().any(asked) {
                self.ask(Ask::Resume { node });
            }
        }
        self.after(SECOND, super::Event::Client(Event::Sweeps));
    }

    pub(super) fn all_answered(&self) -> bool {
        self.clients.open.is_empty()
    }
}
