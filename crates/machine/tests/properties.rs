//! Random command sequences: whatever comes, the invariants hold, every element ends once, fences
//! grow, and a second machine that applies the same batches is the same.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use machine::{Answer, Event, State};
use model::{ArraySpec, JobSpec, MaxFailed, NodeId, OnLost, Retries, RunId, TaskSpec};
use proptest::prelude::*;
use proto::record::{self, Batch, Command, Header, command::Kind};
use uuid::Uuid;

/// A step, told by small numbers; what they point at depends on the state at that moment.
#[derive(Clone, Debug)]
enum Step {
    Register { node: u8, supervisor: u8, cpus: u8 },
    Submit { elements: u8, cpus: u8, key: u8, flavor: u8 },
    Place { node: u8, skip: u8, count: u8, ahead: bool, stale: bool },
    Report { node: u8, which: u8, how: u8, stale: bool },
    Cancel { run: u8, first: u8, last: u8 },
    Wait { ms: u16 },
    Rerun { elements: u8, first: u8, last: u8 },
    ForeignLeader,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..3u8, 0..3u8, 1..4u8)
            .prop_map(|(node, supervisor, cpus)| Step::Register { node, supervisor, cpus }),
        2 => (1..12u8, 1..3u8, 0..4u8, 0..96u8)
            .prop_map(|(elements, cpus, key, flavor)| Step::Submit { elements, cpus, key, flavor }),
        6 => (0..3u8, 0..3u8, 1..5u8, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(node, skip, count, ahead, stale)| Step::Place { node, skip, count, ahead, stale }),
        6 => (0..3u8, any::<u8>(), 0..10u8, prop::bool::weighted(0.1))
            .prop_map(|(node, which, how, stale)| Step::Report { node, which, how, stale }),
        1 => (any::<u8>(), 0..12u8, 0..12u8)
            .prop_map(|(run, first, last)| Step::Cancel { run, first, last }),
        2 => (0..600u16).prop_map(|ms| Step::Wait { ms }),
        1 => (1..12u8, 0..12u8, 0..12u8)
            .prop_map(|(elements, first, last)| Step::Rerun { elements, first, last }),
        1 => Just(Step::ForeignLeader),
    ]
}

fn node_id(node: u8) -> NodeId {
    NodeId(Uuid::from_u128(u128::from(node) + 1))
}

fn register(node: u8, supervisor: u8, cpus: u8) -> Kind {
    Kind::RegisterNode(record::RegisterNode {
        node_id: node_id(node).to_bytes(),
        name: format!("n{node}"),
        capacity: Some(proto::job::Resources {
            cpu_milli: u64::from(cpus) * 1000,
            memory_bytes: 0,
        }),
        supervisor_id: Uuid::from_u128(u128::from(supervisor) + 100).as_bytes().to_vec(),
        ..Default::default()
    })
}

fn submit(elements: u8, cpus: u8, key: u8, flavor: u8) -> Kind {
    let mut task = TaskSpec::new(vec!["true".into()]);
    task.resources.cpu_milli = u64::from(cpus) * 1000;
    let parallel_max = if flavor % 4 == 3 { 2 } else { 0 };
    let last = 5 + 3 * (u32::from(elements) - 1);
    task.array = Some(ArraySpec { first: 5, last, step: 3, parallel_max });
    task.on_lost = [OnLost::Requeue, OnLost::Fail, OnLost::Wait][flavor as usize % 3];
    task.at_most_once = flavor % 12 == 11;
    // The upper half of the flavor: what is tried again, given up, or over in time.
    let upper = flavor / 12;
    if upper & 1 > 0 {
        task.retries = Retries { attempts: 2, base_ms: 100, max_ms: 150, ..Retries::default() };
    }
    if upper & 2 > 0 {
        task.max_failed = Some(MaxFailed::Percent(25));
        task.pending_timeout_ms = 300;
    }
    if upper & 4 > 0 {
        task.total_timeout_ms = 500;
        task.losses_max = 1;
    }
    let name = if flavor.is_multiple_of(5) { "nightly" } else { "" }.to_owned();
    let owner = format!("u{}", flavor % 2);
    let spec = JobSpec { name, owner, tasks: vec![task], ..JobSpec::default() };
    Kind::SubmitJob(record::SubmitJob {
        job: Some(proto::job::Job::from(&spec)),
        idempotency_key: if key == 0 { String::new() } else { key.to_string() },
        payload_hash: vec![elements, cpus, flavor],
        rerun: None,
    })
}

/// A rerun of `first` to `last` where these are elements, else one that does not add up.
fn rerun(elements: u8, first: u8, last: u8) -> Kind {
    let Kind::SubmitJob(mut again) = submit(elements, 1, 0, 0) else { unreachable!() };
    let all = 0..elements;
    let repeated = all.filter(|at| (first..=last).contains(at)).count() as u64;
    let ordinals = vec![record::Range { first: first.into(), last: last.into() }];
    let count = u64::from(elements) - repeated;
    let taken = vec![record::StateCount { state: "succeeded".into(), count }];
    let task = record::RerunTask { ordinals, taken, failure: None };
    again.rerun = Some(record::Rerun { of: 1, tasks: vec![task] });
    Kind::SubmitJob(again)
}

fn place(state: &State, node: u8, skip: u8, count: u8, ahead: bool, stale: bool) -> Option<Kind> {
    let (_, run, task) = state.queue().iter().nth(skip as usize % state.queue().len().max(1))?;
    let mut queued = state.run(run)?.tasks[task as usize].queued.clone();
    let ordinals = proto::ranges(&queued.take_first(u64::from(count)));
    let epoch = state.node(node_id(node)).map_or(1, |node| node.epoch);
    let epoch = if stale { epoch.wrapping_sub(1) } else { epoch };
    let picks = vec![record::Pick { run: run.0, task, ordinals, ahead }];
    Some(Kind::Place(record::Place { node_id: node_id(node).to_bytes(), epoch, picks }))
}

fn report(state: &State, node: u8, which: u8, how: u8, stale: bool) -> Option<Kind> {
    let home = state.node(node_id(node))?;
    let assigned = home.assigned.values().nth(which as usize % home.assigned.len().max(1))?;
    let run = state.run(assigned.run)?;
    let live = &run.tasks[assigned.task as usize].live[&assigned.ordinal];
    let number = live.number + u32::from(stale);
    let attempt = run.attempt(assigned.run, assigned.task, assigned.ordinal, number).into();
    let mut report = record::Report {
        node_id: node_id(node).to_bytes(),
        epoch: home.epoch,
        ..Default::default()
    };
    if how == 0 {
        report.starts.push(record::Start { attempt: Some(attempt), started_us: 7 });
        return Some(Kind::Report(report));
    }
    use proto::job::{Gone, NotStarted, Outcome, StopCause, outcome::Ending};
    let (ending, stopped) = match how {
        1 | 2 => (Ending::Exited(0), StopCause::None),
        3 => (Ending::Exited(1), StopCause::None),
        4 => (Ending::Signaled(15), StopCause::Down),
        5 => (Ending::Gone(Gone {}), StopCause::None),
        6 => (Ending::NotStarted(NotStarted::default()), StopCause::Cancel),
        7 => (Ending::NotStarted(NotStarted { kind: 4, why: String::new() }), StopCause::None),
        8 => (Ending::Signaled(9), StopCause::Deadline),
        _ => (Ending::Signaled(9), StopCause::Timeout),
    };
    let outcome = Outcome { ending: Some(ending), stopped: stopped as i32, ..Outcome::default() };
    report.ends.push(record::End { attempt: Some(attempt), outcome: Some(outcome) });
    Some(Kind::Report(report))
}

fn cancel(state: &State, run: u8, first: u8, last: u8) -> Kind {
    let run = 1 + u64::from(run) % state.last_run().0.max(1);
    let ordinals = match first <= last {
        true => vec![record::Range { first: first.into(), last: last.into() }],
        false => vec![],
    };
    Kind::Cancel(record::Cancel { run, task: None, ordinals, because: None })
}

#[derive(Default)]
struct World {
    state: State,
    index: u64,
    batches: Vec<Batch>,
    /// Elements of each run.
    runs: BTreeMap<RunId, u32>,
    /// Elements of reruns that are not repeated.
    taken: u64,
    time_ms: u64,
    ended: BTreeSet<(RunId, u32)>,
    fences: BTreeMap<(RunId, u32), (u64, u32)>,
}

impl World {
    fn apply(&mut self, kind: Kind, leader: (u64, u64)) -> Vec<Answer> {
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
        self.batches.push(batch);
        for event in applied.events {
            self.check_event(event);
        }
        self.check_snapshot();
        let broken = self.state.check_invariants();
        assert!(broken.is_empty(), "after {:?}: {broken:#?}", self.batches.last());
        applied.answers
    }

    /// What is read from a snapshot is the state, and goes on like it.
    fn check_snapshot(&self) {
        if !self.index.is_multiple_of(7) {
            return;
        }
        let mut reader = machine::snapshot::Reader::new();
        for piece in machine::snapshot::encode(&self.state) {
            for part in piece.chunks(1 + self.index as usize % 50) {
                reader.push(part).unwrap();
            }
        }
        let read = reader.finish().unwrap();
        assert_eq!(read.check_invariants(), Vec::<String>::new());
        assert_eq!(told(&read), told(&self.state));
    }

    fn check_event(&mut self, event: Event) {
        match event {
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
            Event::Assigned { run, items, fence, .. } => {
                for (index, number) in items {
                    let before = self.fences.insert((run, index), (fence.0, number));
                    let (old_fence, old_number) = before.unwrap_or_default();
                    assert!(old_fence < fence.0, "fences grow");
                    assert_eq!(old_number + 1, number, "attempts count from 1");
                }
            }
            Event::AttemptEnded(end) if end.state.is_some() => {
                let element = (end.attempt.element.run, end.ordinal);
                assert!(self.ended.insert(element), "an element ends once");
            }
            Event::ElementsEnded { run, ordinals, .. } => {
                for ordinal in ordinals.iter() {
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

    fn step(&mut self, step: Step) {
        let kind = match step {
            Step::Register { node, supervisor, cpus } => Some(register(node, supervisor, cpus)),
            Step::Submit { elements, cpus, key, flavor } => {
                Some(submit(elements, cpus, key, flavor))
            }
            Step::Place { node, skip, count, ahead, stale } => {
                place(&self.state, node, skip, count, ahead, stale)
            }
            Step::Report { node, which, how, stale } => {
                report(&self.state, node, which, how, stale)
            }
            Step::Cancel { run, first, last } => Some(cancel(&self.state, run, first, last)),
            Step::Wait { ms } => {
                self.time_ms += u64::from(ms);
                Some(Kind::Wake(record::Wake {}))
            }
            Step::Rerun { elements, first, last } => Some(rerun(elements, first, last)),
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
    fn finish(&mut self) {
        self.apply(register(0, 200, 3), (1, 1));
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
        assert!(self.state.timers().next_ms().is_none(), "a timer outlived its run");
        assert!(self.state.runs().is_empty(), "something never ended: {:?}", self.state.runs());
        let all: u32 = self.runs.values().sum();
        assert_eq!(self.ended.len() as u32, all, "every element has ended");
    }
}

/// The state in words, without what is only an upper or lower bound in it.
fn told(state: &State) -> String {
    let text = format!("{state:?}");
    let mut plain = String::new();
    for (at, part) in text.split("ahead_from: ").enumerate() {
        let rest =
            if at == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) };
        plain.push_str(rest);
    }
    plain
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_invariants_hold(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::default();
        let found = record::Found { cluster_id: vec![1; 16], incarnation: 1 };
        world.apply(Kind::Found(found), (1, 1));
        for step in steps {
            world.step(step);
        }
        world.finish();

        let mut second = State::new();
        for (i, batch) in world.batches.iter().enumerate() {
            second.apply(i as u64 + 1, (1, 1), batch);
        }
        prop_assert_eq!(format!("{second:?}"), format!("{:?}", world.state));
    }
}

fn founded() -> World {
    let mut world = World::default();
    let found = record::Found { cluster_id: vec![1; 16], incarnation: 1 };
    world.apply(Kind::Found(found), (1, 1));
    world
}

#[test]
fn a_key_gives_its_first_answer_again_and_refuses_another_payload() {
    let mut world = founded();
    let run = RunId(1);
    let first = world.apply(submit(3, 1, 7, 0), (1, 1));
    assert_eq!(first, [Answer::Submitted { run, repeated: false }]);
    let again = world.apply(submit(3, 1, 7, 0), (1, 1));
    assert_eq!(again, [Answer::Submitted { run, repeated: true }]);
    let other = world.apply(submit(4, 1, 7, 0), (1, 1));
    assert_eq!(other, [Answer::Refused(machine::Refusal::KeyUsed { run })]);
    assert_eq!(world.state.last_run(), run);
}

#[test]
fn a_node_is_never_given_more_seats_than_it_has() {
    let mut world = founded();
    world.apply(register(0, 0, 2), (1, 1));
    world.apply(submit(9, 1, 0, 0), (1, 1));
    let kind = place(&world.state, 0, 0, 3, false, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 0 }]);
    let kind = place(&world.state, 0, 0, 2, false, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 2 }]);
    let kind = place(&world.state, 0, 0, 4, true, false).unwrap();
    assert_eq!(world.apply(kind, (1, 1)), [Answer::Placed { count: 4 }]);
}

#[test]
fn a_new_supervisor_voids_the_old_epoch_and_returns_its_attempts() {
    let mut world = founded();
    world.apply(register(0, 0, 2), (1, 1));
    world.apply(submit(2, 1, 0, 0), (1, 1));
    let kind = place(&world.state, 0, 0, 2, false, false).unwrap();
    world.apply(kind, (1, 1));
    let late = report(&world.state, 0, 0, 1, false).unwrap();
    assert_eq!(world.apply(register(0, 1, 2), (1, 1)), [Answer::Registered { epoch: 2 }]);
    let task = &world.state.run(RunId(1)).unwrap().tasks[0];
    assert_eq!((task.queued.len(), task.live.len()), (2, 0));
    assert!(matches!(
        world.apply(late, (1, 1))[..],
        [Answer::Refused(machine::Refusal::StaleEpoch { current: 2, given: 1, .. })]
    ));
}

#[test]
fn a_task_that_kills_its_supervisor_stops_after_its_losses() {
    let mut world = founded();
    world.apply(register(0, 0, 1), (1, 1));
    world.apply(submit(1, 1, 0, 0), (1, 1));
    let mut lives = 0;
    while !world.state.runs().is_empty() {
        let kind = place(&world.state, 0, 0, 1, false, false).unwrap();
        world.apply(kind, (1, 1));
        lives += 1;
        world.apply(register(0, lives, 1), (1, 1));
    }
    assert_eq!(u32::from(lives), TaskSpec::LOSSES_MAX + 1);
}

#[test]
fn a_newer_level_is_not_applied() {
    let header = Header { level: machine::LEVEL + 1, ..Header::default() };
    let bytes = machine::encode(&Batch { header: Some(header), commands: vec![] });
    let error = machine::decode(5, &bytes).unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    assert!(machine::decode(5, b"\xff\xff").is_err());
}
