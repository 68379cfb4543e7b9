//! What each policy does with equal nodes, and with nodes that have asked for work or not.

use machine::State;
use model::Policy;
use reactor::placement::{Plan, plan};

use crate::support::{NOW_MS, Task, apply, by_node, cluster, commit, node_id, room, submit};

/// Equal nodes of four processors, and what is submitted there.
fn world(nodes: usize, tasks: &[Task]) -> State {
    let mut state = cluster(&vec![(4_000, 0); nodes]);
    tasks.iter().for_each(|task| _ = submit(&mut state, NOW_MS, task));
    state
}

/// How many of so many elements of one processor each node is given.
fn share(nodes: usize, elements: u32, policy: &str) -> Vec<u64> {
    let state = world(nodes, &[Task::of(elements, 1_000, policy)]);
    by_node(&plan(&state, &room(nodes, 0)), nodes, false)
}

#[test]
fn pull_and_spread_give_the_emptiest_first() {
    for policy in ["pull", "spread"] {
        assert_eq!(share(3, 3, policy), [1, 1, 1]);
        assert_eq!(share(3, 8, policy), [3, 3, 2]);
        assert_eq!(share(3, 99, policy), [4, 4, 4]);
    }
    let mut state = cluster(&[(4_000, 0), (8_000, 0)]);
    submit(&mut state, NOW_MS, &Task::of(6, 1_000, "spread"));
    assert_eq!(by_node(&plan(&state, &room(2, 0)), 2, false), [1, 5], "it has most free");
}

#[test]
fn pack_fills_one_node_after_the_other() {
    assert_eq!(share(3, 3, "pack"), [0, 0, 3]);
    assert_eq!(share(3, 6, "pack"), [0, 2, 4]);
    // Where something runs already more is put, as long as it fits.
    let mut state = world(3, &[Task::of(3, 1_000, "spread"), Task::of(1, 2_000, "pack")]);
    let first = plan(&state, &room(3, 0));
    commit(&mut state, NOW_MS, first);
    submit(&mut state, NOW_MS, &Task::of(1, 1_000, "pack"));
    submit(&mut state, NOW_MS, &Task::of(1, 3_000, "pack"));
    assert_eq!(by_node(&plan(&state, &room(3, 0)), 3, false), [0, 1, 1]);
}

#[test]
fn round_robin_goes_on_where_it_was() {
    let mut state = world(3, &[Task::of(4, 1_000, "round_robin")]);
    let mut room = room(3, 0);
    let first = plan(&state, &room);
    assert_eq!(by_node(&first, 3, false), [2, 1, 1]);
    assert_eq!(ordinals(&first, 0), [(0, 0), (3, 3)], "in the order of the elements");
    room.turn = first.turn;
    commit(&mut state, NOW_MS, first);
    submit(&mut state, NOW_MS, &Task::of(1, 1_000, "round_robin"));
    submit(&mut state, NOW_MS, &Task::of(1, 1_000, "round_robin"));
    let second = plan(&state, &room);
    assert_eq!((by_node(&second, 3, false), second.turn), (vec![0, 1, 1], Some(node_id(2))));
    // Who has no room is passed over.
    room.turn = second.turn;
    commit(&mut state, NOW_MS, second);
    submit(&mut state, NOW_MS, &Task::of(5, 1_000, "round_robin"));
    assert_eq!(by_node(&plan(&state, &room), 3, false), [2, 2, 1]);
}

/// The ranges of the first pick for a node.
fn ordinals(plan: &Plan, node: usize) -> Vec<(u32, u32)> {
    let id = node_id(node).to_bytes();
    let place = plan.places.iter().find(|place| place.node_id == id).expect("it is given some");
    place.picks[0].ordinals.iter().map(|range| (range.first, range.last)).collect()
}

#[test]
fn random_is_anywhere_and_the_same_again() {
    let mut state = cluster(&[(400_000, 0); 10]);
    submit(&mut state, NOW_MS, &Task::of(2_000, 1_000, "random"));
    let once = plan(&state, &room(10, 0));
    assert_eq!(once, plan(&state, &room(10, 0)));
    for count in by_node(&once, 10, false) {
        assert!((150..=250).contains(&count), "{count} of 2,000 on one of ten nodes");
    }
    // Of one element alone the batch before decides, so that it does not always go to one node.
    let first = |state: &State| {
        by_node(&plan(state, &room(10, 0)), 10, false).iter().position(|count| *count > 0)
    };
    let mut state = world(10, &[Task::of(1, 1_000, "random")]);
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..20 {
        firsts.insert(first(&state));
        let wake = proto::record::command::Kind::Wake(proto::record::Wake {});
        apply(&mut state, NOW_MS, wake);
    }
    assert!(firsts.len() > 4, "{firsts:?}");
}

#[test]
fn headroom_stays_free_for_others() {
    assert_eq!(share(2, 99, "spread,headroom=25%"), [3, 3]);
    assert_eq!(share(2, 99, "spread,headroom=60%"), [1, 1]);
    assert_eq!(share(2, 99, "spread,headroom=90%"), [0, 0]);
    let tasks = [Task::of(9, 1_000, "spread,headroom=50%"), Task::of(9, 1_000, "spread")];
    let state = world(2, &tasks);
    let mut room = room(2, 100);
    let plan = plan(&state, &room);
    assert_eq!(by_node(&plan, 2, false), [4, 4]);
    let places = plan.places.iter().flat_map(|place| &place.picks);
    let ahead = places.filter(|pick| pick.ahead).map(|pick| pick.run);
    assert!(ahead.collect::<Vec<_>>().iter().all(|run| *run == 2), "nothing waits for headroom");
    room.nodes.clear();
    assert!(reactor::placement::plan(&state, &room).is_empty());
}

#[test]
fn pull_gives_only_to_who_has_asked_and_the_others_to_all() {
    let mut asked = room(3, 0);
    let quiet = [node_id(0), node_id(2)];
    quiet.iter().for_each(|id| asked.nodes.entry(*id).or_default().asks = false);
    for policy in Policy::ALL {
        let state = world(3, &[Task::of(12, 1_000, policy.name())]);
        let given = by_node(&plan(&state, &asked), 3, false);
        match policy {
            Policy::Pull => assert_eq!(given, [0, 4, 0]),
            _ => assert_eq!(given, [4, 4, 4], "{}", policy.name()),
        }
    }
}

#[test]
fn what_goes_ahead_is_shared_out_too() {
    for policy in Policy::ALL {
        let state = world(4, &[Task::of(56, 1_000, policy.name())]);
        let ahead = by_node(&plan(&state, &room(4, 50)), 4, true);
        assert_eq!(ahead, [10, 10, 10, 10], "{}", policy.name());
    }
}

#[test]
fn pull_leaves_to_others_what_they_have_seats_for_and_their_part_of_the_rest() {
    let mut asked = room(4, 50);
    for node in 1..4 {
        asked.nodes.entry(node_id(node)).or_default().asks = false;
    }
    for (waiting, ahead) in [(16, 0), (18, 2), (56, 14)] {
        let state = world(4, &[Task::of(waiting, 1_000, "pull")]);
        let first = plan(&state, &asked);
        let given = (by_node(&first, 4, false), by_node(&first, 4, true));
        assert_eq!(given, (vec![4, 0, 0, 0], vec![ahead, 0, 0, 0]), "of {waiting}");
    }
    // With all seats taken it gets its part of what waits: the others will ask, too.
    let mut state = world(4, &[Task::of(16, 1_000, "pack")]);
    let all = plan(&state, &room(4, 0));
    commit(&mut state, NOW_MS, all);
    submit(&mut state, NOW_MS, &Task::of(40, 1_000, "pull"));
    assert_eq!(by_node(&plan(&state, &asked), 4, true), [10, 0, 0, 0]);
}
