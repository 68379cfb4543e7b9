//! `pull` with real worker parts: nodes that ask for work get about the same of it, at once where they
//! are idle, and no slower than nodes that never ask.

mod world;

use model::{Placement, WhenFull};
use world::World;

const ELEMENTS: u32 = 10_000;

/// Runs an array on so many nodes: how long it took, and how many each node ran.
fn run(nodes: usize, elements: u32, lasts_us: fn(u32) -> u64, old: bool) -> (u64, Vec<usize>) {
    let mut world = World::new(nodes, lasts_us, old);
    let began_us = world.now_us();
    world.submit(elements, Placement::default());
    world.run_until(|world| world.state().runs().is_empty());
    assert_eq!(world.ended as u32, elements);
    (world.now_us() - began_us, world.by_node())
}

/// Of many lengths, one to three milliseconds.
fn short(index: u32) -> u64 {
    1_000 + u64::from(index) * 7919 % 2_000
}

fn instant(_: u32) -> u64 {
    0
}

/// A twentieth of a second, and now and then a whole one.
fn mixed(index: u32) -> u64 {
    if index.is_multiple_of(100) { 1_000_000 } else { 50_000 }
}

#[test]
fn of_ten_equal_nodes_none_gets_more_than_its_part() {
    let works = [(short as fn(u32) -> u64, "short"), (instant, "instant"), (mixed, "mixed")];
    // Of other numbers the last batches are others: only so it shows that nobody takes all of them.
    let numbers = [1_000, 2_000, 8_000, ELEMENTS, 15_000];
    for (elements, (lasts_us, what)) in numbers.iter().flat_map(|n| works.map(|work| (*n, work))) {
        let (_, counts) = run(10, elements, lasts_us, false);
        let most = counts.iter().max().copied().unwrap_or_default();
        let mean = elements as usize / counts.len();
        assert!(most * 10 <= mean * 13, "{what}: {most} of {mean} in {counts:?}");
    }
}

#[test]
fn asking_makes_nothing_slower() {
    for nodes in [1, 10] {
        for lasts_us in [short as fn(u32) -> u64, instant, mixed] {
            let (took_us, _) = run(nodes, ELEMENTS, lasts_us, false);
            let (without_us, _) = run(nodes, ELEMENTS, lasts_us, true);
            let most_us = without_us + without_us / 20 + 20_000;
            assert!(took_us <= most_us, "{nodes} nodes: {took_us} µs, without {without_us} µs");
        }
    }
}

#[test]
fn nodes_that_never_ask_get_work() {
    let (_, counts) = run(3, ELEMENTS, short, true);
    assert!(counts.iter().all(|count| *count > 3_000), "{counts:?}");
}

#[test]
fn an_idle_cluster_starts_at_once_run_after_run() {
    let mut world = World::new(3, short, false);
    let mut longest_us = 0;
    for _ in 0..100 {
        let began_us = world.now_us();
        let run = world.submit(1, Placement::default());
        world.run_until(|world| world.state().run(run).is_none());
        let started_us = world.started.iter().find(|(element, _)| element.run == run);
        let (_, (started_us, _)) = started_us.expect("it has run");
        longest_us = longest_us.max(started_us - began_us);
    }
    // Two commits, a plan, and the way to the node.
    assert!(longest_us <= 1_500, "{longest_us} µs");
    assert!(world.offers >= 100, "they were asked for");
}

#[test]
fn a_new_leader_is_asked_anew() {
    let mut world = World::new(3, short, false);
    for _ in 0..3 {
        world.elect();
        world.submit(30, Placement::default());
        world.run_until(|world| world.state().runs().is_empty());
    }
    assert!(world.by_node().iter().all(|count| *count > 20), "{:?}", world.by_node());
}

#[test]
fn what_finds_no_room_and_does_not_want_to_wait_ends() {
    let mut world = World::new(2, mixed, false);
    let run = world.submit(10, Placement { when_full: WhenFull::Fail, ..Placement::default() });
    world.run_until(|world| {
        world.state().run(run).is_some_and(|run| run.tasks[0].ended_count() == 2)
    });
    world.run_until(|world| world.state().runs().is_empty());
    assert_eq!(world.by_node(), [4, 4]);
}
