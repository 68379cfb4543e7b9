//! Every answer has a reason and what would change it, and what is named as an obstacle agrees
//! with placement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use history::Settings;
use machine::State;
use model::{
    ArraySpec, Because, Ending, JobSpec, NodeId, Outcome, Resources, StopCause, TaskState,
};
use proto::record::{self, Batch, Command, Header, command::Kind};
use reactor::control::Connection;

use super::super::resolve::resolve;
use super::*;

/// A cluster of some nodes, of which some are ready.
struct World {
    view: View,
    history: History,
    situation: Situation,
    _dir: tempfile::TempDir,
}

fn id(node: u8) -> Vec<u8> {
    vec![node; 16]
}

fn task(cpu_milli: u64) -> TaskSpec {
    let mut task = TaskSpec::new(vec!["true".into()]);
    task.resources = Resources { cpu_milli, memory_bytes: 0 };
    task
}

fn array(cpu_milli: u64, last: u32, parallel_max: u32) -> TaskSpec {
    let array = Some(ArraySpec { first: 1, last, step: 1, parallel_max });
    TaskSpec { array, ..task(cpu_milli) }
}

impl World {
    /// Nodes with so many processors.
    fn new(nodes: &[u64]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let history = History::open(dir.path(), Settings::default()).unwrap();
        let situation = Situation { now_ms: 1_000, ..Situation::default() };
        let mut world = World { view: View::default(), history, situation, _dir: dir };
        world.apply(Kind::Found(record::Found { cluster_id: vec![7; 16], incarnation: 1 }));
        for (at, cpus) in nodes.iter().enumerate() {
            world.register(at as u8, *cpus);
        }
        world
    }

    fn register(&mut self, node: u8, cpus: u64) {
        self.apply(Kind::RegisterNode(record::RegisterNode {
            node_id: id(node),
            name: format!("n{node}"),
            capacity: Some(proto::job::Resources { cpu_milli: cpus * 1000, memory_bytes: 0 }),
            supervisor_id: vec![2; 16],
            ..Default::default()
        }));
        self.ready(node, true);
    }

    fn ready(&mut self, node: u8, ready: bool) {
        let node = NodeId::from_bytes(&id(node)).unwrap();
        let connection = Connection { ready, degraded: String::new() };
        self.view.connections.insert(node, connection);
    }

    fn apply(&mut self, kind: Kind) {
        let state: &mut State = &mut self.view.state;
        let incarnation = u32::from(state.cluster().is_some());
        let time_ms = self.situation.now_ms;
        let header = Some(Header { incarnation, time_ms, ..Default::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        let applied = state.apply(state.applied() + 1, (0, 0), &batch);
        let refused = matches!(applied.answers[..], [machine::Answer::Refused(_)]);
        assert!(!refused, "{:?}", applied.answers);
        let facts = crate::facts::facts(&applied.events, time_ms);
        self.history.add([(self.view.state.applied(), facts)]);
    }

    fn submit(&mut self, task: TaskSpec) {
        let spec = JobSpec { owner: "ann".into(), tasks: vec![task], ..JobSpec::default() };
        let job = Some((&spec).into());
        self.apply(Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
    }

    /// What placement wants now.
    fn plan(&self) -> Vec<record::Place> {
        let ready = self.view.state.nodes().keys().filter(|id| self.view.is_ready(**id));
        let room = reactor::placement::Room::of(ready.map(|id| (*id, 0)));
        reactor::placement::plan(&self.view.state, &room).places
    }

    fn place(&mut self) {
        for place in self.plan() {
            self.apply(Kind::Place(place));
        }
    }

    /// What the first live attempt of a run is reported as.
    fn report(&mut self, run: u64, outcome: Option<Outcome>) {
        let of = self.view.state.run(RunId(run)).unwrap();
        let (ordinal, live) = of.tasks[0].live.get_min().unwrap();
        let attempt = Some(of.attempt(RunId(run), 0, *ordinal, live.number).into());
        let mut report =
            record::Report { node_id: live.node.to_bytes(), epoch: 1, ..Default::default() };
        match outcome {
            None => report.starts.push(record::Start { attempt, started_us: 1_500_000 }),
            Some(outcome) => {
                let outcome = Some(outcome.into());
                report.ends.push(record::End { attempt, outcome });
            }
        }
        self.apply(Kind::Report(report));
    }

    fn cancel(&mut self, run: u64) {
        let because = Some(Because::new("user:ann", "no longer needed").into());
        self.apply(Kind::Cancel(record::Cancel { run, because, ..Default::default() }));
    }

    /// The answers for what `text` points at; each is held against what all must be.
    fn why(&self, text: &str) -> Vec<Why> {
        let resolved = resolve(&self.view, &self.history, text).unwrap();
        let answers = why(&self.view, &self.history, &resolved, &self.situation);
        let selected: u64 = resolved.tasks.iter().map(|(_, ordinals)| ordinals.len()).sum();
        let told: u64 = answers.iter().map(|answer| answer.count).sum();
        assert_eq!(told, selected, "every element has one answer: {answers:#?}");
        for answer in &answers {
            assert!(!answer.reasons.is_empty(), "{answer:?}");
            for reason in &answer.reasons {
                assert!(reason.text.len() > 10 && !reason.text.contains("pending"), "{reason:?}");
                assert!(reason.change.len() > 10, "{reason:?}");
            }
        }
        answers
    }

    /// State and kinds of reasons of the only answer.
    fn codes(&self, text: &str) -> (TaskState, Vec<ReasonCode>) {
        let answers = self.why(text);
        let [answer] = &answers[..] else { panic!("{answers:#?}") };
        (answer.state, answer.reasons.iter().map(|reason| reason.code).collect())
    }
}

use ReasonCode::*;
use TaskState::{Canceled, Failed, Queued, Running, Scheduled, Succeeded, TimedOut, Unknown};

fn exited(code: i32) -> Option<Outcome> {
    Some(Outcome::bare(Ending::Exited { code }))
}

#[test]
fn a_drained_node_is_named_with_who_drains_it() {
    let mut world = World::new(&[2]);
    world.submit(task(1000));
    world.place();
    let because = Some(Because::new("user:ann", "disk").into());
    let drain =
        record::DrainNode { node_id: id(0), wait_ms: Some(60_000), because, ..Default::default() };
    world.apply(Kind::DrainNode(drain));
    world.submit(task(1000));
    let why = world.why("2");
    let reason = &why[0].reasons[0];
    assert_eq!(reason.code, ReasonCode::NodeDrained, "{why:?}");
    assert_eq!(reason.text, "node n0 takes no work: it is drained by user:ann: disk");
    assert_eq!(reason.change, "`windlass node resume n0` takes it back");
    assert!(world.plan().is_empty());
    world.report(1, None);
    let why = world.why("1");
    let reason = &why[0].reasons[0];
    assert!(reason.text.ends_with("; the node is drained by user:ann: disk"), "{reason:?}");
    assert!(reason.change.ends_with(", the drain of its node in 1m 0s"), "{reason:?}");
    assert_eq!(reason.until_ms, 61_000);
}

#[test]
fn what_waits_hears_everything_that_keeps_it() {
    let mut world = World::new(&[]);
    world.submit(task(1_000));
    assert_eq!(world.codes("1"), (Queued, vec![NoNode]));
    world.register(1, 2);
    assert_eq!(world.codes("1"), (Queued, vec![BeingPlaced]));
    world.place();
    world.submit(task(2_000));
    assert_eq!(world.codes("2"), (Queued, vec![NoRoom]));
    let answers = world.why("2");
    let reason = &answers[0].reasons[0];
    assert!(reason.text.contains("it wants 2, 1 of 2 are free"), "{}", reason.text);
    assert_eq!((reason.holders[0].run, reason.holders[0].elements), (RunId(1), 1));
    world.register(2, 1);
    world.ready(1, false);
    world.submit(task(2_000));
    assert_eq!(world.codes("3"), (Queued, vec![NodeNotReady, NodeTooSmall, Behind]));
    world.situation.full_disk = Some("/data".into());
    world.situation.closing = true;
    let all = vec![DiskReserve, GoingDown, NodeNotReady, NodeTooSmall];
    assert_eq!(world.codes("2"), (Queued, all));
}

#[test]
fn what_waits_hears_of_the_headroom_that_a_node_keeps() {
    let mut world = World::new(&[4]);
    let roomy = |cpu_milli, placement: &str| {
        let placement = model::Placement::parse(placement).unwrap();
        TaskSpec { placement, ..task(cpu_milli) }
    };
    world.submit(task(2_000));
    world.place();
    world.submit(roomy(2_000, "spread,headroom=25%"));
    assert_eq!(world.codes("2"), (Queued, vec![Headroom]));
    let reason = world.why("2")[0].reasons[0].clone();
    assert!(reason.text.contains("25% of it stay free: it wants cpus 2, the node has cpus 4"));
    assert_eq!((reason.node.as_str(), reason.holders[0].run), ("n0", RunId(1)));
    world.submit(roomy(2_000, "spread,headroom=51%"));
    assert_eq!(world.codes("3"), (Queued, vec![NodeTooSmall, Behind]));
    world.submit(roomy(1_000, "spread,headroom=25%"));
    assert_eq!(world.codes("4"), (Queued, vec![BeingPlaced]));
}

#[test]
fn what_waits_hears_of_what_was_placed_ahead_and_gets_the_room_first() {
    let mut world = World::new(&[2]);
    world.submit(task(2_000));
    world.place();
    world.submit(array(1_000, 3, 0));
    let ordinals = vec![record::Range { first: 0, last: 2 }];
    let picks = vec![record::Pick { run: 2, task: 0, ordinals, ahead: true }];
    world.apply(Kind::Place(record::Place { node_id: id(0), epoch: 1, picks }));
    world.submit(task(1_000));
    assert_eq!(world.codes("3"), (Queued, vec![NoRoom, Behind]));
    let reason = world.why("3")[0].reasons[1].clone();
    assert_eq!((reason.node.as_str(), reason.holders[0].run), ("n0", RunId(2)));
    assert_eq!((reason.holders[0].elements, reason.holders[0].reserved.cpu_milli), (3, 3_000));
    assert!(reason.text.starts_with("3 elements that are placed on node n0"), "{}", reason.text);
    // They have had their room, but for one, when the first has ended.
    world.report(1, exited(0));
    let reason = world.why("3")[0].reasons[1].clone();
    assert_eq!(reason.holders[0].elements, 1);
    assert!(reason.text.starts_with("1 element that is placed on node n0"), "{}", reason.text);
    // Where another node has room nobody needs that of this one.
    world.register(1, 1);
    assert_eq!(world.codes("3"), (Queued, vec![BeingPlaced]));
}

#[test]
fn a_million_elements_are_a_few_groups() {
    let mut world = World::new(&[4]);
    world.submit(array(1_000, 1_000_000, 3));
    world.place();
    let answers = world.why("1");
    let told: Vec<_> = answers.iter().map(|a| (a.state, a.count, a.id.as_str())).collect();
    assert_eq!(told, [(Scheduled, 3, "1/main[1-3]"), (Queued, 999_997, "1/main[4-1000000]")]);
    assert_eq!(answers[1].reasons[0].code, ArrayLimit);
    assert_eq!(world.codes("1/main[500-600]"), (Queued, vec![ArrayLimit]));
}

#[test]
fn what_is_placed_hears_where_and_since_when() {
    let mut world = World::new(&[1]);
    world.submit(task(1_000));
    world.place();
    assert_eq!(world.codes("1"), (Scheduled, vec![Starting]));
    let ordinals = vec![record::Range { first: 0, last: 0 }];
    world.submit(task(1_000));
    let picks = vec![record::Pick { run: 2, task: 0, ordinals, ahead: true }];
    world.apply(Kind::Place(record::Place { node_id: id(0), epoch: 1, picks }));
    assert_eq!(world.codes("2"), (Scheduled, vec![WaitsForSeat]));
    // Memory that nobody asked for is not told of.
    assert!(world.why("2")[0].reasons[0].text.ends_with("waits there for cpus 1"));
    assert_eq!(world.why("2")[0].reasons[0].holders[0].run, RunId(1));
    world.situation.now_ms = 4_500;
    world.report(1, None);
    assert_eq!(world.codes("1"), (Running, vec![Runs]));
    let answer = &world.why("1")[0];
    assert_eq!((answer.since_ms, answer.attempts.len()), (1_500, 1));
    assert!(answer.reasons[0].text.contains("node n0 for 3.0s"), "{answer:?}");
    assert!(answer.reasons[0].change.contains("`windlass cancel 1` ends it"), "{answer:?}");
    world.cancel(1);
    assert_eq!(world.codes("1"), (TaskState::Stopping, vec![Stopping]));
    assert!(world.why("1")[0].reasons[0].text.contains("by user:ann: no longer needed"));
    world.ready(0, false);
    assert_eq!(world.codes("1"), (Unknown, vec![NodeSilent]));
    assert_eq!(world.codes("2"), (Scheduled, vec![WaitsForSeat]));
}

#[test]
fn what_failed_and_is_tried_again_hears_when() {
    let mut world = World::new(&[1]);
    let mut flaky = task(1_000);
    flaky.retries.attempts = 1;
    world.submit(flaky);
    world.place();
    world.report(1, exited(3));
    assert_eq!(world.codes("1"), (Queued, vec![Backoff]));
    let reason = world.why("1")[0].reasons[0].clone();
    assert!(reason.until_ms > 5_000, "{reason:?}");
    assert!(reason.text.contains("before attempt 2: the first failed on node n0;"), "{reason:?}");
    world.situation.now_ms = 60_000;
    world.apply(Kind::Wake(record::Wake {}));
    world.place();
    world.report(1, exited(3));
    assert_eq!(world.codes("1"), (Failed, vec![Ended]));
    let answer = &world.why("1")[0];
    assert_eq!(answer.attempts.len(), 2);
    let text = &answer.reasons[0].text;
    assert!(text.contains("exit code 3") && text.contains("allows 1 retry"), "{text}");
}

#[test]
fn every_end_has_its_reason() {
    let check = |outcome: Outcome, on_lost, state: TaskState, words: &str| {
        let mut world = World::new(&[1]);
        world.submit(TaskSpec { on_lost, ..task(1_000) });
        world.place();
        world.report(1, Some(outcome));
        assert_eq!(world.codes("1"), (state, vec![Ended]));
        let text = world.why("1")[0].reasons[0].text.clone();
        assert!(text.contains(words), "{text}");
    };
    let bare = Outcome::bare;
    let again = model::OnLost::Requeue;
    check(bare(Ending::Exited { code: 0 }), again, Succeeded, "exit code 0 on node n0");
    check(bare(Ending::Signaled { signal: 9 }), again, Failed, "SIGKILL");
    let stopped = Some(StopCause::Timeout);
    let ended = Outcome { stopped, ..bare(Ending::Signaled { signal: 15 }) };
    check(ended, again, TimedOut, "; it ran longer than its timeout; the job allows no retry");
    check(bare(Ending::Gone), model::OnLost::Fail, TaskState::Lost, "nobody saw");
    let missing = model::NotStarted::NotFound("no such file".into());
    check(bare(Ending::NotStarted(missing)), again, TaskState::Dead, "no such file");
    let mut world = World::new(&[1]);
    world.submit(array(1_000, 10, 0));
    world.cancel(1);
    assert_eq!(world.codes("1"), (Canceled, vec![Ended]));
    assert!(world.why("1")[0].reasons[0].text.contains("user:ann: no longer needed"));
}

#[test]
fn an_ended_array_tells_of_its_failures_by_kind_and_of_the_rest_as_one() {
    let mut world = World::new(&[10]);
    world.submit(array(1_000, 10, 0));
    world.place();
    for code in [0, 3, 0, 0, 4, 0, 3, 0, 0, 0] {
        world.report(1, exited(code));
    }
    let answers = world.why("1");
    let told: Vec<_> = answers.iter().map(|a| (a.state, a.id.as_str())).collect();
    let rest = (Succeeded, "1/main[1,3-4,6,8-10]");
    assert_eq!(told, [(Failed, "1/main[2,7]"), (Failed, "1/main[5]"), rest]);
}

#[test]
fn what_is_usual_is_learned_from_runs_alike() {
    let mut world = World::new(&[1]);
    for run in 1..=5 {
        world.submit(task(1_000));
        world.place();
        let ended_us = 1_000_000 + run * 2_000_000;
        let ran = Outcome { started_us: 1_000_000, ended_us, ..exited(0).unwrap() };
        world.report(run, Some(ran));
        world.situation.now_ms += 1_000;
    }
    world.submit(task(1_000));
    world.place();
    world.submit(task(1_000));
    let usual = world.why("7")[0].usual.unwrap();
    assert_eq!((usual.attempts, usual.run_ms), (5, 6_000));
    assert_eq!(usual.wait_ms, Some(0), "nothing stands before it");
}

/// Numbers that look random, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % most
    }
}

/// In many states: what is said to be placed just now is what placement places, and whatever else
/// waits hears of an obstacle that placement meets too.
#[test]
fn what_is_named_as_an_obstacle_agrees_with_placement() {
    let mut chance = Chance(7);
    let (mut placed, mut kept, mut passed) = (0, 0, 0);
    for _ in 0..120 {
        let nodes: Vec<u64> = (0..1 + chance.below(3)).map(|_| 1 + chance.below(6)).collect();
        let mut world = World::new(&nodes);
        for _ in 0..2 + chance.below(12) {
            match chance.below(6) {
                0 => world.place(),
                1 => world.situation.now_ms += chance.below(30_000),
                2 => {
                    let (node, ready) = (chance.below(nodes.len() as u64), chance.below(3) > 0);
                    world.ready(node as u8, ready);
                }
                _ => {
                    let last = 1 + chance.below(8) as u32;
                    let (cpus, most) = (1 + chance.below(7), chance.below(4) as u32);
                    let priority = 50 + chance.below(2) as u32;
                    world.submit(TaskSpec { priority, ..array(cpus * 1_000, last, most) });
                }
            }
        }
        let picks = world.plan().into_iter().flat_map(|place| place.picks);
        let mut plan: BTreeMap<u64, u64> = Default::default();
        for pick in picks {
            let count: u64 = proto::element_ranges(&pick.ordinals).map(|r| r.count() as u64).sum();
            *plan.entry(pick.run).or_default() += count;
        }
        for run in world.view.state.runs().ids() {
            let answers = world.why(&run.to_string());
            let of = world.view.state.run(run).unwrap();
            let now = plan.get(&run.0).copied().unwrap_or(0);
            let is_placed = |a: &&Why| a.reasons.iter().any(|reason| reason.code == BeingPlaced);
            let said: u64 = answers.iter().filter(is_placed).map(|a| a.count).sum();
            assert_eq!(said, now, "run {run}: {answers:#?}");
            placed += said;
            let waits = answers.iter().find(|a| a.state == Queued && !is_placed(a));
            let Some(waits) = waits else { continue };
            kept += 1;
            let spec = &of.spec.tasks[0];
            let has = |code| waits.reasons.iter().any(|reason| reason.code == code);
            let at_limit = of.tasks[0].parallel_room(spec.indices().parallel_max) <= now;
            assert_eq!(has(ArrayLimit), at_limit, "run {run}: {waits:#?}");
            let free = world.view.state.nodes().iter().any(|(id, node)| {
                world.view.is_ready(*id) && node.capacity.has_room(node.seated, spec.resources)
            });
            // Where nothing else is named some node has room, and somebody else gets it.
            let elsewhere = has(Behind) || has(KeptFree) || has(ArrayLimit);
            assert!(!free || elsewhere, "run {run}: {waits:#?}");
            // On each full node what waits there already is named, and nothing else.
            let full = |(id, node): &(&NodeId, &Arc<machine::Node>)| {
                let ever = node.capacity.has_room(Resources::default(), spec.resources);
                world.view.is_ready(**id) && ever && node.ahead > 0 && !free
            };
            let expected = world.view.state.nodes().iter().filter(full).map(|(id, node)| {
                let ahead = node.assigned.values().filter(|at| at.ahead).map(|at| at.run);
                (world.view.node_name(*id), ahead.collect::<BTreeSet<_>>())
            });
            let expected: BTreeMap<_, _> = expected.collect();
            let told = waits
                .reasons
                .iter()
                .filter(|reason| reason.code == Behind && !reason.node.is_empty());
            let told: BTreeMap<_, BTreeSet<_>> = told
                .map(|reason| (reason.node.clone(), reason.holders.iter().map(|h| h.run).collect()))
                .collect();
            assert!(told.keys().eq(expected.keys()), "run {run}: {expected:?} {waits:#?}");
            for (told, all) in told.values().zip(expected.values()) {
                let most = all.len().min(3);
                assert!(told.len() == most && told.is_subset(all), "run {run}: {all:?} {waits:#?}");
            }
            passed += u64::from(!expected.is_empty());
            // What is urgent is placed ahead of room where something lower waits behind it.
            assert!(now == 0 || free || spec.priority > 50, "run {run}: {waits:#?}");
        }
    }
    let counts = (placed, kept, passed);
    assert!(placed > 100 && kept > 100 && passed > 20, "worth looking at: {counts:?}");
}
