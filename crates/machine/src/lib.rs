//! The replicated state of a cluster, and the only code that changes it.
//!
//! Every control node applies the same batches in the same order and so has the same state.
//! Commands carry decisions; [`State::apply`] checks and accepts them, or refuses them by value:
//! it cannot fail. It keeps no more than decisions need: what has ended leaves as events, for
//! history to keep.
//!
//! It must never read a clock, draw a random number, validate a job or place one: those rules may
//! change between versions, and two versions would then disagree about the state.

mod apply;
pub mod change;
mod command;
mod context;
mod drain;
mod end;
pub mod event;
mod fire;
mod give_up;
mod invariants;
mod keys;
pub mod keyspace;
pub mod members;
pub mod node;
pub mod queue;
mod record;
pub mod run;
pub mod runs;
pub mod snapshot;
pub mod state;
pub mod timers;
pub mod token;

pub use apply::{Applied, BatchRefused};
pub use change::{Action, Change};
pub use event::{Answer, AttemptEnded, Event, PickRefusal, Refusal};
pub use members::{JoinToken, Member, Members};
pub use node::{Assigned, Drain, Node};
pub use queue::{Queue, Shape};
pub use record::{DecodeError, LEVEL, decode, encode};
pub use run::{Live, Run, TaskRun, Tries};
pub use runs::Runs;
pub use state::{Cluster, State};
pub use timers::Timers;
pub use token::{Token, Tokens};
