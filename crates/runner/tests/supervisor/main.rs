//! A supervisor as a real process, spoken to over its socket, with real tasks.

// The helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod support;

mod attempts;
mod clocks;
mod daemons;
mod disk;
mod hostile;
mod lease;
mod orphans;
mod queue;
mod refusals;
