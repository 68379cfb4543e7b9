//! Starts, contains, watches and ends processes, and keeps their output.
//!
//! It exists apart from the daemon because tasks outlive the daemon: the supervisor in here is a
//! process of its own. It must never know of journals, placement or jobs beyond one attempt.

pub mod client;
pub mod frame;
pub mod supervisor;

pub mod bare;

pub mod containment;
pub mod env;
pub mod spawn;
pub mod user;

pub mod output;

#[doc(hidden)]
pub use output::fuzz;
