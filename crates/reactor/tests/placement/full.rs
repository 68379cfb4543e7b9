//! `when_full: fail`: what no node has room for ends instead of waiting.

use machine::State;
use model::{TaskState, WhenFull};
use reactor::placement::{Plan, plan};

use crate::support::{NOW_MS, Task, cluster, commit, node_id, room, submit};

/// Some elements that do not wait.
fn eager(elements: u32, cpu: u64, policy: &str) -> Task {
    let mut task = Task::of(elements, cpu, policy);
    task.placement.when_full = WhenFull::Fail;
    task
}

/// The runs of which a plan turns elements away, with how many.
fn turned_away(plan: &Plan) -> Vec<(u64, u64)> {
    let count = |ranges: &[proto::record::Range]| {
        ranges.iter().map(|range| u64::from(range.last - range.first) + 1).sum()
    };
    plan.turned_away.iter().map(|turn| (turn.run, count(&turn.ordinals))).collect()
}

fn world(tasks: &[Task]) -> State {
    let mut state = cluster(&[(2_000, 0), (2_000, 0)]);
    tasks.iter().for_each(|task| _ = submit(&mut state, NOW_MS, task));
    state
}

#[test]
fn what_finds_no_room_ends_and_the_rest_runs() {
    for policy in ["pull", "spread", "pack", "round_robin", "random"] {
        let mut state = world(&[eager(6, 1_000, policy), eager(2, 3_000, policy)]);
        let plan = plan(&state, &room(2, 100));
        assert_eq!(turned_away(&plan), [(1, 2), (2, 2)], "{policy}");
        commit(&mut state, NOW_MS, plan);
        let ids: Vec<_> = state.runs().ids().map(|id| id.0).collect();
        assert_eq!(ids, [1], "{policy}: the second run is over");
        let ended = &state.run(model::RunId(1)).expect("it runs").tasks[0].ended;
        assert_eq!(*ended, [(TaskState::Dead, 2)].into());
    }
}

#[test]
fn every_task_is_looked_at_and_what_waits_stays() {
    let eager_ones = vec![eager(1, 1_000, "pack"); 7];
    let waits = [Task::of(3, 1_000, "pack")];
    let state = world(&[&waits[..], &eager_ones].concat());
    let plan = plan(&state, &room(2, 0));
    let expected: Vec<(u64, u64)> = (3..=8).map(|run| (run, 1)).collect();
    assert_eq!(turned_away(&plan), expected, "the first of them has the last seat");
}

#[test]
fn an_array_is_looked_at_as_far_as_its_own_limit() {
    let state = world(&[Task { parallel_max: 6, ..eager(100, 1_000, "spread") }]);
    assert_eq!(turned_away(&plan(&state, &room(2, 0))), [(1, 2)]);
}

#[test]
fn nobody_is_turned_away_while_a_node_may_have_room() {
    let state = world(&[eager(3, 1_000, "pull")]);
    // One has not asked yet, or is not heard of.
    let mut quiet = room(2, 0);
    quiet.nodes.entry(node_id(1)).or_default().asks = false;
    for room in [quiet, room(1, 0)] {
        let plan = plan(&state, &room);
        assert_eq!((turned_away(&plan), plan.places.len()), (vec![], 1));
    }
}
