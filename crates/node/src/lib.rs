//! The shell of a node: it performs what the reactors decide.
//!
//! Everything with a clock, a socket, a disk or a thread that the reactors must not have is here:
//! the journal's tasks, the supervisor's socket, the writer of history, timers. It gives out a
//! [`Handle`], the one way for programs to ask the node anything.
//!
//! It must never decide: no placement, no state, no retry is made up here. And it never serves
//! what is not applied: a node whose journal has died stops.

mod admission;
mod blobs;
mod chance;
pub mod changes;
mod clock;
mod commit;
mod control;
mod data_dir;
mod error;
pub mod events;
mod facts;
mod handle;
mod info;
mod keeper;
mod lists;
mod live;
mod logs;
mod memory;
pub mod metrics;
mod noop;
mod publish;
pub mod query;
mod rerun;
mod secrets;
mod shared;
mod start;
mod supervisor;
mod token_uses;
mod tokens;
pub mod traces;
mod upkeep;
mod view;
mod watch;
mod watchers;
mod worker;

pub use blobs::Stored;
pub use error::{Refused, StartError};
pub use handle::{Canceled, Handle, Submitted};
pub use history::{Change, ChangeFilter, Changes, Position};
pub use info::{Config, Info, Keeping, NoopWorkers, Stopped};
pub use lists::Uploading;
pub use logs::{Chunk, Logs, LogsRequest, Streams};
/// The level of the records a node writes.
pub use machine::LEVEL;
pub use start::{Node, start};
pub use tokens::{NewToken, TokenStatus};
pub use view::View;
