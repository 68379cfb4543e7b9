//! What clients asked and were answered, in the order in which it happened, and whether a cluster may answer so.

mod model;
mod tally;

use std::collections::BTreeMap;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History as Actions};

use crate::wire::{Ask, Reply};
use model::{Name, Operation};
pub(crate) use tally::Tally;

/// All that clients have seen.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By the names of jobs.
    names: BTreeMap<u64, Vec<Event>>,
    asked: usize,
    tally: Tally,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    /// Which asking this belongs to.
    id: usize,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Asks(Ask),
    IsAnswered(Reply),
}

/// An asking that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    name: u64,
    id: usize,
}

impl History {
    /// A client asks something that is about this name.
    pub(crate) fn asks(&mut self, name: u64, ask: Ask) -> Asked {
        self.asked += 1;
        let id = self.asked;
        self.names.entry(name).or_default().push(Event { id, what: What::Asks(ask) });
        Asked { name, id }
    }

    /// The answer came. Without one it stays open for ever: it may be done at any time.
    pub(crate) fn answered(&mut self, asked: Asked, reply: Reply) {
        self.tally.count(reply);
        let events = self.names.entry(asked.name).or_default();
        match reply {
            Reply::Unknown => {}
            Reply::NotDone => events.retain(|event| event.id != asked.id),
            reply => events.push(Event { id: asked.id, what: What::IsAnswered(reply) }),
        }
    }

    /// Names that were asked for.
    pub(crate) fn names(&self) -> impl Iterator<Item = u64> {
        self.names.keys().copied()
    }

    /// What was answered how often.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// The runs that clients were told of, with their names.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.names.iter().flat_map(|(name, events)| {
            events.iter().filter_map(|event| match event.what {
                What::IsAnswered(Reply::Submitted { run, .. } | Reply::Run { run, .. }) => {
                    Some((run, *name))
                }
                _ => None,
            })
        })
    }

    /// Whether a client was told that this run is canceled, or was not told and may have done it.
    pub(crate) fn may_be_canceled(&self, name: u64, run: u64) -> bool {
        let events = self.names.get(&name).map(Vec::as_slice).unwrap_or_default();
        events
            .iter()
            .any(|event| matches!(event.what, What::Asks(Ask::Cancel { run: of }) if of == run))
    }

    /// What no cluster may answer.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut names = BTreeMap::new();
        for (run, name) in self.runs() {
            let first = *names.entry(run).or_insert(name);
            if first != name {
                faults.push(format!("run {run} is one of job {first} and one of job {name}"));
            }
        }
        for (name, events) in &self.names {
            if !is_linearizable(events) {
                let lines: Vec<String> = events.iter().map(Event::line).collect();
                let lines = lines.join("\n  ");
                faults.push(format!(
                    "what was answered of job {name} is not linearizable:\n  {lines}"
                ));
            }
        }
        faults
    }
}

impl Event {
    fn line(&self) -> String {
        match self.what {
            What::Asks(ask) => format!("{} asks {ask:?}", self.id),
            What::IsAnswered(reply) => format!("{} is answered {reply:?}", self.id),
        }
    }
}

fn is_linearizable(events: &[Event]) -> bool {
    if events.is_empty() {
        return true;
    }
    let mut open: BTreeMap<usize, Ask> = BTreeMap::new();
    // Each asking is a process of its own: whoever gave up on one asks on.
    let mut processes: BTreeMap<usize, usize> = BTreeMap::new();
    let mut actions: Vec<(usize, Action<Operation>)> = Vec::new();
    for Event { id, what } in events {
        let count = processes.len();
        let process = *processes.entry(*id).or_insert(count);
        match what {
            What::Asks(ask) => {
                open.insert(*id, *ask);
                actions.push((process, Action::Call((*ask, None))));
            }
            What::IsAnswered(reply) => {
                let ask = open.remove(id).expect("what is answered was asked");
                actions.push((process, Action::Response((ask, Some(*reply)))));
            }
        }
    }
    // What is open ends behind everything else.
    for (id, ask) in open {
        actions.push((processes[&id], Action::Response((ask, None))));
    }
    WGLChecker::<Name>::is_linearizable(Actions::from_actions(actions))
}

#[cfg(test)]
mod tests;
