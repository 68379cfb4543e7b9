//! What a node decides, as plain functions of what happened.
//!
//! Two reactors, [`control::Control`] and [`worker::Worker`], take an event and the time, change
//! their state, and return effects for the shell to perform. So the interesting part of the program runs in
//! a plain test, and in a simulation that crashes it a million times.
//!
//! It must never block, and it has no clock, socket, disk, thread or random source. What is
//! decided for the cluster goes through the journal; nothing here is believed before it comes back
//! from there.

pub mod clocks;
pub mod control;
pub mod placement;
pub mod voters;
pub mod worker;

/// The time an event came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, Unix milliseconds: for stamps that people read.
    pub unix_ms: u64,
    /// A clock that never jumps, milliseconds from anywhere: for delays.
    pub steady_ms: u64,
}
