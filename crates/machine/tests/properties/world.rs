//! A machine under random commands, checked after each.

use std::collections::{BTreeMap, BTreeSet};

use machine::snapshot::{Reader, encode};
use machine::{Action, Answer, Assigned, Event, State};
use model::{OnLost, RunId};
use proto::record::{self, Batch, Command, Header, command::Kind};

use crate::naive;
use crate::steps::{
    Step, cancel, create_token, drain, end_recovery, lose, place, recover, register, remove,
    report, rerun, resume, revoke_token, submit, turn_away,
};
use crate::store::Store;

#[derive(Default)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) index: u64,
    pub(crate) batches: Vec<Batch>,
    /// Elements of each run.
    pub(crate) runs: BTreeMap<RunId, u32>,
    /// Elements of reruns that are not repeated.
    pub(crate) taken: u64,
    pub(crate) time_ms: u64,
    pub(crate) ended: BTreeSet<(RunId, u32)>,
    pub(crate) store: Store,
    /// How many changes of each kind the audit was told of.
    pub(crate) changes: BTreeMap<Action, u64>,
    pub(crate) fences: BTreeMap<(RunId, u32), (u64, u32)>,
}

impl World {
    pub(crate) fn apply(&mut self, kind: Kind, leader: (u64, u64)) -> Vec<Answer> {
        self.index += 1;
        self.time_ms += 1;
        let incarnation = self.state.cluster().map_or(0, |c| u32::from(c.incarnation));
        let header = Header {
            leader_term: leader.0,
            leader_node: leader.1,
            level: machine::LEVEL,
            incarnation,
            time_ms: self.time_ms,
            number: self.index,
        };
        let batch = Batch { header: Some(header), commands: vec![Command { kind: Some(kind) }] };
        let bytes = machine::encode(&batch);
        let batch = machine::decode(self.index, &bytes).unwrap();
        let applied = self.state.apply(self.index, (1, 1), &batch);
        let kind = batch.commands[0].kind.as_ref().unwrap();
        self.store.execute(kind, &applied.events, self.state.time_ms());
        if self.index.is_multiple_of(5) {
            self.store.check(&self.state);
        }
        self.batches.push(batch);
        for event in applied.events {
            self.check_event(event);
        }
        self.check_snapshot();
        naive::check(&self.state);
        let broken = self.state.check_invariants();
        assert!(broken.is_empty(), "after {:?}: {broken:#?}", self.batches.last());
        applied.answers
    }

    /// What is read from a snapshot is the state.
    fn check_snapshot(&self) {
        if !self.index.is_multiple_of(7) {
            return;
        }
        let read = restored(&self.state, 1 + self.index as usize % 50);
        assert_eq!(read.check_invariants(), Vec::<String>::new());
        assert_eq!(told(&read), told(&self.state));
    }

    fn check_event(&mut self, event: Event) {
        match event {
            Event::Changed(change) => {
                *self.changes.entry(change.action).or_default() += 1;
            }
            Event::RunCreated { run } => {
                let made = self.state.run(run).unwrap();
                let count = made.spec.tasks[0].indices().count();
                let left = made.tasks[0].queued.clone();
                for ordinal in (0..count).filter(|ordinal| !left.contains(*ordinal)) {
                    assert!(made.rerun_of.is_some(), "only a rerun takes anything over");
                    self.ended.insert((run, ordinal));
                    self.taken += 1;
                }
                assert_eq!(self.runs.insert(run, count), None, "a number is given once");
            }
            Event::NodeVoided { node, epoch } => {
                let incarnation = self.state.cluster().unwrap().incarnation;
                assert!(self.state.node(node).unwrap().is_lost);
                assert_eq!(epoch >> 32, u64::from(incarnation) - 1, "epochs of other incarnations");
            }
            Event::Assigned { node, run, items, fence, .. } => {
                assert!(!self.state.is_recovering(), "nothing is placed in a recovery");
                assert!(self.state.node(node).unwrap().takes_work());
                for (index, number) in items {
                    let before = self.fences.insert((run, index), (fence.0, number));
                    let (old_fence, old_number) = before.unwrap_or_default();
                    assert!(old_fence < fence.0, "fences grow");
                    assert_eq!(old_number + 1, number, "attempts count from 1");
                }
            }
            Event::NodeLost { node, epoch } => {
                let node = self.state.node(node).unwrap();
                let recovered = self.state.cluster().unwrap().incarnation > 1;
                assert!(node.is_lost && node.epoch == epoch);
                assert!(node.lease_ms > 0 || recovered);
                let waits = |at: &Assigned| {
                    let run = self.state.run(at.run).unwrap();
                    run.spec.tasks[at.task as usize].on_lost == OnLost::Wait
                };
                assert!(node.assigned.values().all(waits), "only what waits for it stays");
            }
            Event::NodeDrained { node } => {
                let node = self.state.node(node).unwrap();
                assert!(node.drain.is_some() && node.assigned.is_empty());
            }
            Event::NodeRemoved { node, .. } => {
                assert!(self.state.node(node).is_none(), "it is forgotten");
            }
            Event::AttemptEnded(end) if end.state.is_some() => {
                let element = (end.attempt.element.run, end.ordinal);
                assert!(self.ended.insert(element), "an element ends once");
            }
            Event::ElementsEnded { run, ordinals, because, .. } => {
                for ordinal in ordinals.iter() {
                    let placed = self.fences.contains_key(&(run, 5 + 3 * ordinal));
                    assert!(because.actor != "placement" || !placed, "it had a node before");
                    assert!(self.ended.insert((run, ordinal)), "an element ends once");
                }
            }
            Event::RunEnded { run, last, .. } => {
                let count = self.runs[&run];
                assert!((0..count).all(|ordinal| self.ended.contains(&(run, ordinal))));
                assert_eq!(last.tasks[0].ended_count(), u64::from(count));
            }
            _ => {}
        }
    }

    pub(crate) fn step(&mut self, step: Step) {
        let kind = match step {
            Step::Register { node, supervisor, cpus } => Some(register(node, supervisor, cpus)),
            Step::Lose { node, stale } => lose(&self.state, node, stale),
            Step::Drain { node, wait_ms } => Some(drain(node, wait_ms)),
            Step::Resume { node } => Some(resume(node)),
            Step::Remove { node, force, stale } => Some(remove(&self.state, node, force, stale)),
            Step::Submit { elements, cpus, key, flavor } => {
                Some(submit(elements, cpus, key, flavor))
            }
            Step::Place { node, skip, count, ahead, stale } => {
                place(&self.state, node, skip, count, ahead, stale)
            }
            Step::TurnAway { skip, first, last } => turn_away(&self.state, skip, first, last),
            Step::Report { node, which, how, stale } => {
                report(&self.state, node, which, how, stale)
            }
            Step::Cancel { run, first, last } => Some(cancel(&self.state, run, first, last)),
            Step::Wait { ms } => {
                self.time_ms += u64::from(ms);
                Some(Kind::Wake(record::Wake {}))
            }
            Step::Rerun { elements, first, last } => Some(rerun(elements, first, last)),
            Step::CreateToken { which, lasts_ms } => Some(create_token(which, lasts_ms)),
            Step::RevokeToken { which } => Some(revoke_token(which)),
            Step::Recover { last_run, above } => Some(recover(&self.state, last_run, above)),
            Step::EndRecovery { stale } => Some(end_recovery(&self.state, stale)),
            Step::ForeignLeader => {
                let before = format!("{:?}", self.state.runs());
                assert!(self.apply(submit(1, 1, 0, 0), (9, 9)).is_empty());
                assert_eq!(before, format!("{:?}", self.state.runs()), "refused whole");
                None
            }
        };
        if let Some(kind) = kind {
            self.apply(kind, (1, 1));
        }
    }

    /// Everything that is left is run to its end: nothing may be stuck or forgotten.
    pub(crate) fn finish(&mut self) {
        self.apply(register(0, 200, 3), (1, 1));
        self.apply(end_recovery(&self.state, false), (1, 1));
        for node in 0..3 {
            self.apply(resume(node), (1, 1));
        }
        for _ in 0..10_000 {
            if self.state.runs().is_empty() {
                break;
            }
            for node in 0..3 {
                while let Some(kind) = report(&self.state, node, 0, 1, false) {
                    self.apply(kind, (1, 1));
                }
            }
            match place(&self.state, 0, 0, 1, false, false) {
                Some(kind) => _ = self.apply(kind, (1, 1)),
                None => self.step(Step::Wait { ms: 100 }),
            }
        }
        self.store.check(&self.state);
        assert!(self.state.timers().next_ms().is_none(), "a timer outlived its run");
        let count = |action| self.changes.get(&action).copied().unwrap_or_default();
        assert_eq!(count(Action::Submit) + count(Action::Rerun), self.runs.len() as u64);
        let gone = count(Action::RevokeToken) + count(Action::ExpireToken);
        assert_eq!(count(Action::CreateToken), gone + self.state.tokens().len() as u64);
        assert!(self.state.runs().is_empty(), "something never ended: {:?}", self.state.runs());
        let all: u32 = self.runs.values().sum();
        assert_eq!(self.ended.len() as u32, all, "every element has ended");
    }
}

/// The state by way of a snapshot that is read in pieces.
pub(crate) fn restored(state: &State, piece: usize) -> State {
    let mut reader = Reader::new();
    for part in
        encode(state).flat_map(|bytes| bytes.chunks(piece).map(Vec::from).collect::<Vec<_>>())
    {
        reader.push(&part).unwrap();
    }
    reader.finish().unwrap()
}

/// The state in words, without what is only an upper or lower bound in it.
pub(crate) fn told(state: &State) -> String {
    let text = format!("{state:?}");
    let mut plain = String::new();
    for (at, part) in text.split("ahead_from: ").enumerate() {
        let rest =
            if at == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) };
        plain.push_str(rest);
    }
    plain
}
