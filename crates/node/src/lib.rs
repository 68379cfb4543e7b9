//! The shell of a node: it performs what the reactors decide.
//!
//! Everything with a clock, a socket, a disk or a thread that the reactors must not have is here:
//! the journal's tasks, the supervisor's socket, the writer of history, timers. It gives out a
//! [`Handle`], the one way for programs to ask the node anything.
//!
//! It must never decide: no placement, no state, no retry is made up here. And it never serves
//! what is not applied: a node whose journal has died stops.

mod admission;
mod beside;
mod blobs;
mod chance;
pub mod changes;
mod clock;
mod cluster;
pub mod cluster_snapshot;
mod commit;
mod connected;
mod control;
mod copies;
mod data_dir;
mod disk;
mod drain;
mod error;
pub mod events;
mod facts;
#[doc(hidden)]
pub mod fuzz;
mod handle;
mod info;
mod keeper;
mod lists;
mod live;
mod logs;
mod memory;
pub mod metrics;
mod noop;
mod output;
mod peers;
pub mod people;
mod publish;
pub mod query;
mod read;
pub mod recovery;
mod rerun;
mod secrets;
mod session;
mod shared;
mod start;
mod stopping;
mod supervisor;
mod token_uses;
mod tokens;
pub mod traces;
mod unmeetable;
mod upkeep;
mod view;
mod watch;
mod watchers;
mod worker;

pub use blobs::Stored;
pub use cluster::{Join, Place, reached_at};
pub use drain::NodeDetail;
pub use error::{Refused, StartError};
pub use handle::{Canceled, Handle, Submitted};
pub use history::{Change, ChangeFilter, Changes, Position};
pub use info::{Config, Info, Keeping, NoopWorkers, Stopped};
pub use lists::Uploading;
pub use logs::{Logs, LogsRequest};
/// The level of the records a node writes.
pub use machine::LEVEL;
pub use output::{Chunk, Streams};
pub use peer::{JoinToken, ca::LIFE as CERTIFICATE_LIFE, token::LIFE as JOIN_TOKEN_LIFE};
pub use peers::{AuthorityShown, ClusterStatus, MemberStatus, NewJoinToken, Vote};
/// Whether a clock that is so many milliseconds ahead of the median, or behind it, is wrong.
pub use reactor::clocks::is_wrong as clock_is_wrong;
/// How long a voter has to be silent before another takes its place, in milliseconds.
pub use reactor::voters::AWAY_MS as VOTER_AWAY_MS;
#[doc(hidden)]
pub use start::simulated;
pub use start::{Node, Part, WorkerHandle, start};
pub use tokens::{NewToken, TokenStatus};
pub use view::View;
