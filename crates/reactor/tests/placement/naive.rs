//! Plans by shapes against a naive planner that looks at every element: the same number of each
//! task finds a seat on the same node, nothing that fits is left while there is room, and no node is
//! overcommitted.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use machine::State;
use model::{NodeId, Placement, Policy, Resources, RunId, WhenFull};
use proptest::prelude::*;
use reactor::placement::{Plan, Room, plan};

use crate::support::{NOW_MS, Seats, Task, cluster, commit, placed, room, submit};

fn placement(policies: &'static [Policy]) -> impl Strategy<Value = Placement> {
    let when_full = prop::sample::select(vec![WhenFull::Wait, WhenFull::Wait, WhenFull::Fail]);
    let headroom = prop::sample::select(vec![0, 0, 25, 60]);
    (prop::sample::select(policies), headroom, when_full).prop_map(
        |(policy, headroom_percent, when_full)| {
            let headroom_percent = if policy == Policy::Spread { headroom_percent } else { 0 };
            Placement { policy, headroom_percent, when_full }
        },
    )
}

pub(crate) fn task(policies: &'static [Policy]) -> impl Strategy<Value = Task> {
    let parallel_max = prop::sample::select(vec![0, 0, 0, 1, 3]);
    (1..12u32, 0..5u64, 0..4u64, 0..3u32, parallel_max, placement(policies)).prop_map(
        |(elements, cpu, memory, priority, parallel_max, placement)| Task {
            elements,
            cpu,
            memory,
            priority,
            parallel_max,
            placement,
        },
    )
}

type Waves = Vec<Vec<Task>>;

fn waves(policies: &'static [Policy]) -> impl Strategy<Value = Waves> {
    prop::collection::vec(prop::collection::vec(task(policies), 0..12), 1..4)
}

/// A node to the naive planner.
#[derive(Clone, Copy, Debug)]
struct Seated {
    capacity: Resources,
    used: Resources,
    count: u64,
}

impl Seated {
    fn takes(&self, task: &Task) -> bool {
        task.placement.limit(self.capacity).has_room(self.used, task.wants())
    }

    /// The least first.
    fn order(&self, id: NodeId) -> impl Ord + use<> {
        let free = |all: u64, used: u64| Reverse(all.saturating_sub(used));
        let cpu = free(self.capacity.cpu_milli, self.used.cpu_milli);
        let memory = free(self.capacity.memory_bytes, self.used.memory_bytes);
        (cpu, memory, self.count, id)
    }
}

/// The nodes as they are.
fn seated(state: &State) -> BTreeMap<NodeId, Seated> {
    let seated = |node: &machine::Node| Seated {
        capacity: node.capacity,
        used: node.seated,
        count: node.assigned.len() as u64 - node.ahead,
    };
    state.nodes().iter().map(|(id, node)| (*id, seated(node))).collect()
}

/// The tasks of a state, the highest priority first, then the oldest.
fn waiting(state: &State, tasks: &BTreeMap<RunId, Task>) -> Vec<(RunId, Task)> {
    let mut waiting = Vec::new();
    for (run, task) in tasks {
        let Some(of) = state.run(*run) else { continue };
        let left = of.tasks[0].queued.len().min(of.tasks[0].parallel_room(task.parallel_max));
        waiting.push((*run, Task { elements: left as u32, ..task.clone() }));
    }
    waiting.sort_by_key(|(run, task)| (Reverse(task.priority), *run));
    waiting
}

/// Element by element, each to the node that its policy prefers of those that take it.
fn naive(state: &State, tasks: &BTreeMap<RunId, Task>, room: &Room) -> Seats {
    let (mut nodes, mut turn, mut seats) = (seated(state), room.turn, Seats::new());
    for (run, task) in waiting(state, tasks) {
        for _ in 0..task.elements {
            let able = nodes.iter().filter(|(_, node)| node.takes(&task));
            let best = match task.placement.policy {
                Policy::Pull | Policy::Spread => able.min_by_key(|(id, node)| node.order(**id)),
                Policy::Pack => able.max_by_key(|(id, node)| node.order(**id)),
                _ => able.min_by_key(|(id, _)| (Some(**id) <= turn, **id)),
            };
            let Some(id) = best.map(|(id, _)| *id) else { break };
            if task.placement.policy == Policy::RoundRobin {
                turn = Some(id);
            }
            if let Some(node) = nodes.get_mut(&id) {
                node.used.add(task.wants());
                node.count += 1;
            }
            *seats.entry((run, id)).or_default() += 1;
        }
    }
    seats
}

/// What is left after a plan is committed: nothing that has a place, nothing that did not want to
/// wait, and no node with more than it has.
fn check_left(state: &State, tasks: &BTreeMap<RunId, Task>) -> Result<(), TestCaseError> {
    let nodes = seated(state);
    for node in nodes.values() {
        prop_assert!(node.capacity.has_room(node.used, Resources::default()));
    }
    for (run, task) in waiting(state, tasks).into_iter().filter(|(_, task)| task.elements > 0) {
        prop_assert!(!nodes.values().any(|node| node.takes(&task)), "{} has a place", run);
        // Behind an array's own limit the next are looked at by the next plan.
        let waits = task.placement.when_full == WhenFull::Wait || task.parallel_max > 0;
        prop_assert!(waits, "{} does not wait", run);
    }
    Ok(())
}

/// Runs waves of submits, each followed by one plan, which `check` looks at.
fn play(
    nodes: &[(u64, u64)],
    waves: Waves,
    check: impl Fn(&State, &BTreeMap<RunId, Task>, &Room, &Plan) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut state = cluster(nodes);
    let mut room = room(nodes.len(), 0);
    let mut tasks: BTreeMap<RunId, Task> = BTreeMap::new();
    for wave in waves {
        for task in wave {
            tasks.insert(submit(&mut state, NOW_MS, &task), task);
        }
        let plan = plan(&state, &room);
        check(&state, &tasks, &room, &plan)?;
        room.turn = plan.turn;
        commit(&mut state, NOW_MS, plan);
        prop_assert_eq!(state.check_invariants(), Vec::<String>::new());
        check_left(&state, &tasks)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_by_shapes_is_that_of_a_naive_planner(
        nodes in prop::collection::vec((0..12u64, 0..12u64), 1..4),
        waves in waves(&[Policy::Pull, Policy::Spread, Policy::Pack, Policy::RoundRobin]),
    ) {
        play(&nodes, waves, |state, tasks, room, plan| {
            prop_assert_eq!(placed(plan, false), naive(state, tasks, room));
            Ok(())
        })?;
    }

    #[test]
    fn no_policy_reserves_more_than_there_is_or_leaves_what_fits(
        nodes in prop::collection::vec((0..12u64, 0..12u64), 1..6),
        waves in waves(&Policy::ALL),
    ) {
        play(&nodes, waves, |state, _, room, plan| {
            prop_assert_eq!(plan, &reactor::placement::plan(state, room), "it is the same again");
            Ok(())
        })?;
    }
}
