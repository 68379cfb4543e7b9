//! The JSON that programs read and write: what `--json` prints and what REST speaks.
//!
//! One form for both, so that what a program learned of one holds for the other. The shapes are
//! documented in `docs/reference/json.md` and described to machines by the schemas that are made of
//! these types.
//!
//! Fields may be added, but none may go away or change its meaning. Instants are RFC 3339 in UTC;
//! what has not happened is `null`.

mod answer;
mod audit;
mod cluster;
mod element;
mod event;
mod history;
mod job;
mod members;
mod node;
mod output;
mod page;
mod placement;
mod retries;
mod run;
mod schema;
mod settings;
mod shape;
mod task;
#[cfg(test)]
mod tests;
mod token;
mod why;

pub use answer::{Canceled, Cancellation, Purged, ServerVersion, Submitted, Version, Versions};
pub use audit::{Audit, AuditPage, Change};
pub use cluster::ClusterSnapshot;
pub use element::{Attempt, Because, Element, Outcome};
pub use event::Event;
pub use history::{History, PastRun};
pub use job::{Job, Keep, Retention};
pub use members::{ClusterStatus, CreateJoinToken, JoinToken, Member};
pub use node::{Drain, Draining, Node, NodeDetail, Nodes, Remove, Removed, Resume, Resumed};
pub use output::{Encoding, Line, Output, Stream};
pub use page::{
    Cancel, Cluster, ClusterAuthority, Down, ElementList, GoingDown, List, Purge, Rerun, RunDetail,
    RunList, TaskList, TaskOfRun, Waited,
};
pub use placement::{Placement, Policy, WhenFull};
pub use retries::{Backoff, Conditions, FailureClass, Retries};
pub(crate) use run::counts;
pub use run::{Ended, EndedOf, Ends, Run, RunPage, RunStatus};
pub use schema::{CommandSchema, schemas};
pub use settings::{Setting, Settings};
pub(crate) use shape::hex;
pub use shape::{Array, Items, ItemsKind, MaxFailed, OnLost, Resources, Runner, Warn};
pub use task::Task;
pub use token::{CreateToken, CreatedToken, Revoke, Token, Tokens};
pub use why::{Holder, Reason, Usual, Why, Whys};

/// A text that may be missing.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// An instant that may not have come.
fn at_ms(ms: u64) -> Option<String> {
    (ms > 0).then(|| model::instant::rfc3339_ms(ms))
}

/// The same, to the microsecond.
fn at_us(us: u64) -> Option<String> {
    (us > 0).then(|| model::instant::rfc3339_us(us))
}
