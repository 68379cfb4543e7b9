//! How things look: tables and lines for people, JSON for programs, the output of tasks.
//!
//! It must never call a node.

pub(crate) mod ask;
pub(crate) mod color;
pub(crate) mod fold;
pub(crate) mod out;
pub(crate) mod output;
pub(crate) mod page;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod time;
