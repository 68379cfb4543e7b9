//! The real program in network namespaces: machines that lose each other, their power or their
//! time, while clients submit.
//!
//! What happened is never taken from Windlass alone: tasks write their start and their end down
//! outside of the cluster. It needs root; where that is missing the tests fail, for nothing is
//! proved then. `cargo xtask chaos` runs the same for longer.

// Helpers outside of a `#[test]` are tests too.
#![allow(clippy::unwrap_used)]

// Shared with the tests that kill a single node, which use more of it.
#[allow(dead_code)]
#[path = "../crashes/chance.rs"]
mod chance;
#[allow(dead_code)]
#[path = "../crashes/left.rs"]
mod left;
#[allow(dead_code)]
#[path = "../crashes/patience.rs"]
mod patience;

mod client;
mod clients;
mod fault;
mod faults;
mod machine;
mod output;
mod person;
mod truth;
mod verdict;
mod work;
mod world;

mod nat;
mod storm;
mod wires;
