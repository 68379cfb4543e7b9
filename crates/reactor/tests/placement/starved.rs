//! A big task among small ones that never end coming: it gets its turn, and keeps nobody out in vain.

use machine::State;
use model::{NodeId, RunId};
use proto::record::{self, command::Kind};
use reactor::placement::plan;

use crate::support::{NOW_MS, Task, apply, cluster, commit, room, submit};

/// One big task and a stream of small ones that never ends, on nodes of `cpu` processors each, given
/// so many `ahead`. Says after how many milliseconds the big one has its seat.
fn big_waits_ms(
    (nodes, cpu, small_ms): (usize, u64, u64),
    ahead: u64,
    policy: &str,
) -> Option<u64> {
    let mut state = cluster(&vec![(cpu, 0); nodes]);
    let room = room(nodes, ahead);
    let small = Task::of(1, 1, policy);
    let mut big = None;
    for now_ms in (NOW_MS..NOW_MS + 60_000).step_by(50) {
        if now_ms == NOW_MS + 1_000 {
            big = Some(submit(&mut state, now_ms, &Task { cpu, ..small.clone() }));
        }
        while state.waiting() < 2 * nodes as u64 * cpu {
            submit(&mut state, now_ms, &small);
        }
        let plan = plan(&state, &room);
        commit(&mut state, now_ms, plan);
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
    let policies = ["pull", "spread", "pack", "round_robin", "random"];
    let worlds = worlds.flat_map(|world| policies.map(|policy| (world, policy)));
    for (((nodes, cpu, small_ms), ahead), policy) in worlds {
        let waited_ms = big_waits_ms((nodes, cpu, small_ms), ahead, policy);
        // Patience in the queue, once more on a node where it waits ahead, and what ran by then.
        let most_ms = 2 * 10_000 + 2 * small_ms + 1_000;
        assert!(
            waited_ms.is_some_and(|waited_ms| waited_ms <= most_ms),
            "{policy}: {nodes} nodes of {cpu}, {ahead} ahead, small ones of {small_ms} ms: {waited_ms:?}"
        );
    }
}

#[test]
fn an_array_that_goes_on_keeps_nobody_out() {
    let mut state = cluster(&[(4_000, 0)]);
    let room = room(1, 0);
    let plain = |elements, cpu| Task::of(elements, cpu, "pull");
    let array = submit(&mut state, NOW_MS, &plain(100, 3_000));
    let first = plan(&state, &room);
    commit(&mut state, NOW_MS, first);
    // Long after the array came, and it has most of its elements before it.
    let mut now_ms = NOW_MS + 20_000;
    let small = submit(&mut state, now_ms, &plain(1, 1_000));
    for _ in 0..3 {
        end_first(&mut state, now_ms, array);
        let plan = plan(&state, &room);
        commit(&mut state, now_ms, plan);
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
