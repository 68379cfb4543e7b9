//! The real binary killed, starved and mistreated: what `windlass` promises must hold anyway.
//!
//! What happened is never taken from Windlass alone. Each task writes its own start and end into
//! a file that Windlass does not know, and holds a lock that a second attempt would find taken.
//! Whoever adds a test here must let nothing be skipped: a machine that cannot do it fails it.

// Helpers outside of a `#[test]` are tests too.
#![allow(clippy::unwrap_used)]

// Shared with the tests of the command line, which use more of it.
#[allow(dead_code, unused_macros)]
#[path = "../cli/node.rs"]
mod node;

mod caller;
mod chance;
mod ground;
mod left;
mod load;
mod mount;
mod patience;
mod person;
mod victim;

mod daemon_killed;
mod disk_failed;
mod down;
mod hostile;
mod no_start;
mod supervisor_killed;
mod supervisor_storm;
