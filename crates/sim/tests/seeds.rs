//! A few hundred fixed worlds, each run twice, and some that nobody has seen before.
//!
//! The two halves of the fixed ones are tests of their own, so that two processors share them.

use std::hash::{BuildHasher, RandomState};

use sim::Options;

fn check(seeds: impl IntoIterator<Item = u64>) {
    let failures: Vec<String> = (seeds.into_iter())
        .filter_map(|seed| sim::run_twice(Options::new(seed)).err())
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "{} worlds broke:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn no_promise_breaks_in_the_first_half_of_the_fixed_worlds() {
    check(1..=150);
}

#[test]
fn no_promise_breaks_in_the_second_half_of_the_fixed_worlds() {
    check(151..=300);
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
