//! Plans by shapes against a naive planner that looks at every element: the same number of each
//! task finds a seat, nothing that fits is left while there is room, and no node is overcommitted.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use machine::State;
use model::{ArraySpec, JobSpec, NodeId, Resources, RunId, TaskSpec};
use proptest::prelude::*;
use proto::record::{self, Batch, Command, Header, Place, command::Kind};
use reactor::control::Room;
use reactor::placement::plan;

const NOW_MS: u64 = 1_000;

#[derive(Clone, Debug)]
struct Task {
    elements: u32,
    cpu: u64,
    memory: u64,
    priority: u32,
    parallel_max: u32,
}

fn task() -> impl Strategy<Value = Task> {
    (1..12u32, 0..5u64, 0..4u64, 0..3u32, prop::sample::select(vec![0, 0, 0, 1, 3])).prop_map(
        |(elements, cpu, memory, priority, parallel_max)| Task {
            elements,
            cpu,
            memory,
            priority,
            parallel_max,
        },
    )
}

fn node_id(node: usize) -> NodeId {
    NodeId::from_bytes(&[node as u8 + 1; 16]).expect("16 bytes are an id")
}

fn apply(state: &mut State, time_ms: u64, kind: Kind) {
    let incarnation = state.cluster().map_or(0, |cluster| cluster.incarnation.into());
    let header = Some(Header { incarnation, time_ms, ..Default::default() });
    let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
    state.apply(state.applied() + 1, (0, 0), &batch);
}

/// A cluster of these nodes, each with its processors and memory.
fn cluster(nodes: &[(u64, u64)]) -> State {
    let mut state = State::new();
    let found = record::Found { cluster_id: vec![1; 16], incarnation: 1 };
    apply(&mut state, NOW_MS, Kind::Found(found));
    for (at, (cpu_milli, memory_bytes)) in nodes.iter().enumerate() {
        let register = record::RegisterNode {
            node_id: node_id(at).to_bytes(),
            capacity: Some(Resources { cpu_milli: *cpu_milli, memory_bytes: *memory_bytes }.into()),
            supervisor_id: vec![9; 16],
            ..Default::default()
        };
        apply(&mut state, NOW_MS, Kind::RegisterNode(register));
    }
    state
}

fn submit(state: &mut State, time_ms: u64, of: &Task) -> RunId {
    let mut task = TaskSpec::new(vec!["true".into()]);
    let (last, parallel_max) = (of.elements - 1, of.parallel_max);
    task.array = Some(ArraySpec { first: 0, last, step: 1, parallel_max });
    task.resources = Resources { cpu_milli: of.cpu, memory_bytes: of.memory };
    task.priority = of.priority;
    let job = Some((&JobSpec { tasks: vec![task], ..JobSpec::default() }).into());
    apply(state, time_ms, Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
    state.last_run()
}

/// How many elements of each run go to which node.
type Seats = BTreeMap<(RunId, NodeId), u64>;

/// Those that get a seat, or those that are placed ahead: what is urgent is, where lower priorities
/// wait behind it.
fn placed(places: &[Place], ahead: bool) -> Seats {
    let mut seats = Seats::new();
    for place in places {
        let node = NodeId::from_bytes(&place.node_id).expect("a plan names nodes");
        for pick in place.picks.iter().filter(|pick| pick.ahead == ahead) {
            let count: u64 = pick.ordinals.iter().map(|r| u64::from(r.last - r.first) + 1).sum();
            *seats.entry((RunId(pick.run), node)).or_default() += count;
        }
    }
    seats
}

/// Element by element: the highest priority first, then the oldest run, each to the node with the
/// most processors free that has room.
fn naive(tasks: &BTreeMap<RunId, Task>, free: &mut BTreeMap<NodeId, Resources>) -> Seats {
    let mut order: Vec<_> = tasks.iter().collect();
    order.sort_by_key(|(run, task)| (Reverse(task.priority), **run));
    let mut seats = Seats::new();
    for (run, task) in order {
        let most = if task.parallel_max == 0 { task.elements } else { task.parallel_max };
        let wants = Resources { cpu_milli: task.cpu, memory_bytes: task.memory };
        let mut left = most.min(task.elements);
        while left > 0 {
            let fits = |free: &Resources| free.has_room(Resources::default(), wants);
            let best = free.iter().filter(|(_, free)| fits(free));
            let best = best.min_by_key(|(id, free)| (Reverse(free.cpu_milli), **id));
            let Some((id, _)) = best.map(|(id, free)| (*id, *free)) else { break };
            // A node is filled before the next is looked at.
            while left > 0 && fits(&free[&id]) {
                if let Some(free) = free.get_mut(&id) {
                    free.sub(wants);
                }
                *seats.entry((*run, id)).or_default() += 1;
                left -= 1;
            }
        }
    }
    seats
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_by_shapes_is_that_of_a_naive_planner(
        nodes in prop::collection::vec((0..12u64, 0..12u64), 1..4),
        waves in prop::collection::vec(prop::collection::vec(task(), 0..12), 1..4),
    ) {
        let mut state = cluster(&nodes);
        let room: Room = (0..nodes.len()).map(|at| (node_id(at), 0)).collect();
        let mut free: BTreeMap<NodeId, Resources> = (nodes.iter().enumerate())
            .map(|(at, (cpu_milli, memory_bytes))| {
                (node_id(at), Resources { cpu_milli: *cpu_milli, memory_bytes: *memory_bytes })
            })
            .collect();
        let mut tasks: BTreeMap<RunId, Task> = BTreeMap::new();
        for wave in waves {
            for task in wave {
                tasks.insert(submit(&mut state, NOW_MS, &task), task);
            }
            let places = plan(&state, &room);
            let seated = placed(&places, false);
            prop_assert_eq!(&seated, &naive(&tasks, &mut free));
            let all = seated.into_iter().chain(placed(&places, true)).collect::<Vec<_>>();
            for place in places {
                apply(&mut state, NOW_MS, Kind::Place(place));
            }
            let broken = state.check_invariants();
            prop_assert!(broken.is_empty(), "{:?}", broken);
            for ((run, _), count) in all {
                let Some(task) = tasks.get_mut(&run) else { continue };
                task.elements -= count as u32;
                if task.parallel_max > 0 {
                    task.parallel_max -= count as u32;
                    // None of these ends here: what has used its limit up is done.
                    task.elements *= u32::from(task.parallel_max > 0);
                }
            }
            tasks.retain(|_, task| task.elements > 0);
            for (id, free) in &free {
                let node = state.node(*id).expect("it is registered");
                prop_assert!(node.capacity.has_room(node.seated, Resources::default()));
                let mut all = node.seated;
                all.add(*free);
                prop_assert_eq!(all, node.capacity, "every seat of the plan was taken");
            }
        }
    }
}

/// One big task and a stream of small ones that never ends, on nodes of `cpu` processors each, given
/// so many `ahead`. Says after how many milliseconds the big one has its seat.
fn big_waits_ms(nodes: usize, cpu: u64, small_ms: u64, ahead: u64) -> Option<u64> {
    let mut state = cluster(&vec![(cpu, 0); nodes]);
    let room: Room = (0..nodes).map(|at| (node_id(at), ahead)).collect();
    let small = Task { elements: 1, cpu: 1, memory: 0, priority: 1, parallel_max: 0 };
    let mut big = None;
    for now_ms in (NOW_MS..NOW_MS + 60_000).step_by(50) {
        if now_ms == NOW_MS + 1_000 {
            big = Some(submit(&mut state, now_ms, &Task { cpu, ..small.clone() }));
        }
        while state.waiting() < 2 * nodes as u64 * cpu {
            submit(&mut state, now_ms, &small);
        }
        for place in plan(&state, &room) {
            apply(&mut state, now_ms, Kind::Place(place));
        }
        let big_run = big.and_then(|big| state.run(big));
        let seated =
            big_run.and_then(|run| run.tasks[0].live.get(&0).cloned()).is_some_and(|live| {
                state.node(live.node).is_some_and(|node| !node.assigned[&live.seq].ahead)
            });
        if seated {
            return Some(now_ms - NOW_MS - 1_000);
        }
        end_small(&mut state, now_ms, small_ms, big);
    }
    None
}

/// Ends the small ones that have run for about so long.
fn end_small(state: &mut State, now_ms: u64, small_ms: u64, big: Option<RunId>) {
    let nodes: Vec<NodeId> = state.nodes().keys().copied().collect();
    for id in nodes {
        let node = state.node(id).expect("it is registered");
        let (epoch, mut ends) = (node.epoch, Vec::new());
        for at in node.assigned.values().filter(|at| !at.ahead && Some(at.run) != big) {
            let run = state.run(at.run).expect("it has something placed");
            let live = &run.tasks[0].live[&at.ordinal];
            // Of many lengths, so that they never end all at once.
            let lasts_ms = small_ms / 2 + at.run.0 * 7919 % small_ms;
            if live.placed_ms + lasts_ms <= now_ms {
                let attempt = run.attempt(at.run, at.task, at.ordinal, live.number);
                let ending = Some(proto::job::outcome::Ending::Exited(0));
                let outcome = Some(proto::job::Outcome { ending, ..Default::default() });
                ends.push(record::End { attempt: Some(attempt.into()), outcome });
            }
        }
        let node_id = id.to_bytes();
        let report = record::Report { node_id, epoch, ends, ..Default::default() };
        apply(state, now_ms, Kind::Report(report));
    }
}

#[test]
fn a_big_task_is_not_starved_by_a_stream_of_small_ones() {
    let worlds = [(1, 2, 100), (1, 8, 2_000), (3, 4, 700), (4, 16, 5_000)];
    // Without anything ahead a node must be kept free, else it waits on a node for its seat.
    let worlds = worlds.into_iter().flat_map(|world| [(world, 0), (world, 2)]);
    for ((nodes, cpu, small_ms), ahead) in worlds {
        let waited_ms = big_waits_ms(nodes, cpu, small_ms, ahead);
        // Patience in the queue, once more on a node where it waits ahead, and what ran by then.
        let most_ms = 2 * 10_000 + 2 * small_ms + 1_000;
        assert!(
            waited_ms.is_some_and(|waited_ms| waited_ms <= most_ms),
            "{nodes} nodes of {cpu}, {ahead} ahead, small ones of {small_ms} ms: {waited_ms:?}"
        );
    }
}

#[test]
fn an_array_that_goes_on_keeps_nobody_out() {
    let mut state = cluster(&[(4_000, 0)]);
    let room: Room = [(node_id(0), 0)].into();
    let plain = |elements, cpu| Task { elements, cpu, memory: 0, priority: 50, parallel_max: 0 };
    let array = submit(&mut state, NOW_MS, &plain(100, 3_000));
    for place in plan(&state, &room) {
        apply(&mut state, NOW_MS, Kind::Place(place));
    }
    // Long after the array came, and it has most of its elements before it.
    let mut now_ms = NOW_MS + 20_000;
    let small = submit(&mut state, now_ms, &plain(1, 1_000));
    for _ in 0..3 {
        end_first(&mut state, now_ms, array);
        for place in plan(&state, &room) {
            apply(&mut state, now_ms, Kind::Place(place));
        }
        now_ms += 5_000;
    }
    let live = |run| state.run(run).map_or(0, |run| run.tasks[0].live.len());
    assert_eq!((live(array), live(small)), (1, 1), "there is room for both");
}

/// The first element of a run that is placed succeeds.
fn end_first(state: &mut State, now_ms: u64, id: RunId) {
    let run = state.run(id).expect("it has not ended");
    let (ordinal, live) = run.tasks[0].live.get_min().expect("something is placed");
    let attempt = Some(run.attempt(id, 0, *ordinal, live.number).into());
    let ending = Some(proto::job::outcome::Ending::Exited(0));
    let outcome = Some(proto::job::Outcome { ending, ..Default::default() });
    let epoch = state.node(live.node).expect("it is known").epoch;
    let node_id = live.node.to_bytes();
    let ends = vec![record::End { attempt, outcome }];
    let report = record::Report { node_id, epoch, ends, ..Default::default() };
    apply(state, now_ms, Kind::Report(report));
}
