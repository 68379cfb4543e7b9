//! A plain key-value store that executes, literally, the transactions that scheduling is on the
//! keyspace: each compares keys, deletes some and puts others, and fails where a comparison does.
//!
//! It takes from the machine what the machine decided (who is placed where, what is tried again) and
//! nothing else: what is where it keeps itself, in text. Afterwards the machine's view of itself must
//! be this store.

use std::collections::BTreeMap;

use machine::{AttemptEnded, Event, State, keyspace};
use model::{Attempt, Element, NodeId, RangeSet, RunId, TaskState};
use proto::record::{self, command::Kind};

/// The store.
#[derive(Default)]
pub(crate) struct Store {
    keys: BTreeMap<String, String>,
    /// What the machine says has ended, by its own keys.
    ended: BTreeMap<String, String>,
    /// The last epoch of each node there ever was.
    epochs: BTreeMap<NodeId, u64>,
    /// First index and step of each run's array.
    arrays: BTreeMap<RunId, (u32, u32)>,
}

impl Store {
    /// Executes what a command and its events say, in their order.
    pub(crate) fn execute(&mut self, kind: &Kind, events: &[Event], time_ms: u64) {
        for event in events {
            match event {
                Event::NodeRegistered { node, epoch }
                | Event::NodeLost { node, epoch }
                | Event::NodeVoided { node, epoch } => {
                    let key = format!("/node/{node}");
                    let before = self.epochs.insert(*node, *epoch).unwrap_or_default();
                    assert!(before <= *epoch, "an epoch never falls");
                    assert!(self.keys.contains_key(&key) || before < *epoch, "it is another");
                    self.keys.insert(key, epoch.to_string());
                }
                // A member that has never worked is no node yet.
                Event::NodeRemoved { node, .. } => _ = self.keys.remove(&format!("/node/{node}")),
                Event::RunCreated { run } => {
                    let Kind::SubmitJob(submit) = kind else { panic!("only a submit makes a run") };
                    self.submit(*run, submit);
                }
                Event::Assigned { node, run, items, .. } => {
                    for (index, number) in items {
                        let element = Element { run: *run, task: 0, index: *index };
                        self.place(element, *node, *number);
                    }
                }
                Event::Started { attempt } => self.turn(attempt, None, "running"),
                Event::Stop { node, attempts, .. } => {
                    attempts.iter().for_each(|one| self.turn(one, Some(*node), "stopping"));
                }
                Event::AttemptEnded(end) => self.end(end, time_ms),
                Event::ElementsEnded { run, ordinals, state, .. } => {
                    self.give_up(*run, ordinals, *state, time_ms);
                }
                Event::RunEnded { run, .. } => {
                    assert!(self.arrays.remove(run).is_some(), "a run ends once");
                }
                Event::NodeDraining { .. } | Event::NodeDrained { .. } => {}
                Event::NodeResumed { .. } | Event::Withdraw { .. } => {}
                Event::Changed(_) | Event::PickRefused { .. } => {}
            }
        }
    }

    /// The machine's view of itself is this store.
    pub(crate) fn check(&self, state: &State) {
        let mut view = self.ended.clone();
        keyspace::walk(state, |key, value| {
            assert_eq!(view.insert(key.to_string(), value), None, "a key is there once");
        });
        let only = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
            let here = one.iter().filter(|(key, value)| other.get(*key) != Some(*value));
            here.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>()
        };
        let differ = (only(&view, &self.keys), only(&self.keys, &view));
        assert_eq!(differ, Default::default(), "only in the machine's view, only in the store");
    }

    /// `put /task/ID, put /task/status/queued/ID` for each element, if there is none yet.
    fn submit(&mut self, run: RunId, submit: &record::SubmitJob) {
        let array = submit.job.as_ref().unwrap().tasks[0].array.unwrap();
        let step = array.step.max(1);
        self.arrays.insert(run, (array.first, step));
        let all = (array.last - array.first) / step + 1;
        let repeated = submit.rerun.as_ref().map(|rerun| &rerun.tasks[0].ordinals);
        let is_new = |ordinal: &u32| {
            repeated.is_none_or(|ranges| {
                ranges.iter().any(|range| (range.first..=range.last).contains(ordinal))
            })
        };
        for ordinal in (0..all).filter(is_new) {
            let id = self.id(run, ordinal);
            self.put_new(format!("/task/{id}"), String::new());
            self.put_new(format!("/task/status/queued/{id}"), String::new());
        }
    }

    /// `if queued/ID: delete it, put running/NODE/ID`.
    fn place(&mut self, element: Element, node: NodeId, number: u32) {
        let id = element.uuid();
        assert!(self.keys.contains_key(&format!("/node/{node}")), "the node is known");
        self.delete(&format!("/task/status/queued/{id}"));
        let value = format!("#{number} scheduled");
        self.put_new(format!("/task/status/running/{node}/{id}"), value);
    }

    /// `if running/NODE/ID is attempt N: put it anew`. What is stopping stays so.
    fn turn(&mut self, attempt: &Attempt, node: Option<NodeId>, into: &str) {
        let id = attempt.element.uuid();
        let key = self.running(&id.to_string());
        assert!(node.is_none_or(|node| key.contains(&node.to_string())), "{key}");
        let value = self.keys.get_mut(&key).unwrap();
        let (number, state) = value.split_once(' ').unwrap();
        assert_eq!(number, format!("#{}", attempt.number));
        if state != "stopping" {
            *value = format!("{number} {into}");
        }
    }

    /// `if running/NODE/ID is attempt N: delete it, put complete/EPOCH/ID`, or canceled, or queued
    /// again.
    fn end(&mut self, end: &AttemptEnded, time_ms: u64) {
        let id = end.attempt.element.uuid().to_string();
        let value = self.delete(&format!("/task/status/running/{}/{id}", end.node));
        assert!(value.starts_with(&format!("#{} ", end.attempt.number)), "{value}");
        match end.state {
            Some(state) => self.put_end(end.attempt.element, state, time_ms),
            None => self.put_new(format!("/task/status/queued/{id}"), String::new()),
        }
    }

    /// `if queued/ID: delete it, put complete/EPOCH/ID`, or canceled.
    fn give_up(&mut self, run: RunId, ordinals: &RangeSet, state: TaskState, time_ms: u64) {
        for ordinal in ordinals.iter() {
            let id = self.id(run, ordinal);
            self.delete(&format!("/task/status/queued/{id}"));
            let (first, step) = self.arrays[&run];
            let element = Element { run, task: 0, index: first + step * ordinal };
            self.put_end(element, state, time_ms);
        }
    }

    fn put_end(&mut self, element: Element, state: TaskState, time_ms: u64) {
        let prefix = if state == TaskState::Canceled { "canceled" } else { "complete" };
        let key = format!("/task/status/{prefix}/{}/{}", time_ms / 1000, element.uuid());
        self.put_new(key, state.name().to_owned());
        self.ended.insert(format!("/task/{}", element.uuid()), String::new());
        let theirs = keyspace::end(element, state, time_ms).to_string();
        self.ended.insert(theirs, state.name().to_owned());
    }

    fn id(&self, run: RunId, ordinal: u32) -> String {
        let (first, step) = self.arrays[&run];
        Element { run, task: 0, index: first + step * ordinal }.uuid().to_string()
    }

    /// The one key of an element that is placed.
    fn running(&self, id: &str) -> String {
        let within = self.keys.range("/task/status/running/".to_owned()..);
        let mut found = within
            .take_while(|(key, _)| key.starts_with("/task/status/running/"))
            .filter(|(key, _)| key.ends_with(id));
        let (key, _) = found.next().expect("what is placed has a key");
        assert!(found.next().is_none(), "at most one attempt of {id} is placed");
        key.clone()
    }

    fn put_new(&mut self, key: String, value: String) {
        assert_eq!(self.keys.insert(key.clone(), value), None, "{key} is there already");
    }

    fn delete(&mut self, key: &str) -> String {
        self.keys.remove(key).unwrap_or_else(|| panic!("{key} is not there"))
    }
}
