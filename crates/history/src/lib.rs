//! What has ended: facts of attempts, elements and runs, found again by run.
//!
//! The machine keeps what decisions need; what has ended leaves it and is kept here, beside it.
//! Facts are derived from the journal in its order. They are in memory first, where readers see
//! them at once, and on disk after [`History::flush`]: what a crash takes, the journal brings
//! again.
//!
//! ```text
//! add ──> memory ──flush──> part ─┐
//!                           part ─┼─merge──> part      each written once, never changed
//!                           part ─┘
//! ```
//!
//! A part holds sorted blocks of columns, each with a checksum, so that one can be read for the
//! sake of one element, and a damaged one costs only itself. Merging, letting old runs go and
//! purging are done in bounded steps by whoever has the time ([`History::tend`]).
//!
//! Another node's files can take the place of one's own ([`History::adopt`]).
//!
//! It must never decide what a fact means, and never change one.

mod audit;
mod block;
mod bytes;
mod codes;
mod copy;
mod cover;
mod elements;
mod error;
mod fact;
mod filter;
pub mod fuzz;
mod gone;
mod incoming;
mod keep;
mod memory;
mod merge;
mod part;
mod purge;
mod runs;
mod store;
mod tend;
mod walk;

pub use audit::{Change, ChangeFilter, Changes, Later, Position};
pub use copy::Copied;
pub use elements::{Elements, Told};
pub use error::{Error, OpenError};
pub use fact::{AttemptFact, ElementsEnd, Fact, Profile, RunFact, RunHead, States};
pub use filter::{RunFacts, RunFilter};
pub use incoming::Incoming;
pub use keep::Settings;
pub use purge::{Purge, Purged};
pub use runs::{Found, Page};
pub use store::{History, Pending};
