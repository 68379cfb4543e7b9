//! A few hundred fixed worlds, each run twice, and some that nobody has seen before.
//!
//! The two halves of the fixed ones are tests of their own, so that two processors share them.

use std::hash::{BuildHasher, RandomState};

use sim::{Options, Summary};

fn check(seeds: impl IntoIterator<Item = u64>) -> Vec<Summary> {
    let results = seeds.into_iter().map(|seed| sim::run_twice(Options::new(seed)));
    let (held, broke): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    let broke = broke.into_iter().filter_map(Result::err);
    let failures: Vec<String> = broke.map(|failure| failure.to_string()).collect();
    assert!(failures.is_empty(), "{} worlds broke:\n{}", failures.len(), failures.join("\n"));
    held.into_iter().filter_map(Result::ok).collect()
}

/// Fixed worlds, among which are some of all kinds.
fn check_fixed(seeds: impl IntoIterator<Item = u64>) {
    let held = check(seeds);
    let count = |of: fn(&Summary) -> u64| held.iter().map(of).sum::<u64>();
    assert!(count(|world| world.restores) >= 5, "hardly a cluster is restored");
    assert!(count(|world| world.recoveries) >= 5, "hardly a cluster is recovered");
    assert!(count(|world| world.lost) >= 5, "hardly a node is lost");
}

#[test]
fn no_promise_breaks_in_the_first_half_of_the_fixed_worlds() {
    check_fixed(1..=150);
}

#[test]
fn no_promise_breaks_in_the_second_half_of_the_fixed_worlds() {
    check_fixed(151..=300);
}

#[test]
fn no_promise_breaks_in_worlds_that_nobody_has_seen() {
    let chance = RandomState::new();
    check((0..24u64).map(|at| chance.hash_one(at)));
}

#[test]
fn a_seed_gives_one_world_and_another_seed_another() {
    let run = |seed| sim::run_twice(Options::new(seed)).expect("no promise breaks").trace;
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
