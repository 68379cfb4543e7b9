//! Sessions between worker parts and the leader, wherever each of them is.
//!
//! ```text
//!  worker ── line ──┬── own control part ──┬── leads: the reactor
//!                   │                      └── does not: relay ──┐
//!                   └── stream to any control node ──┬── leads ──┤ the leader's reactor
//!                                                    └── relay ──┘
//! ```
//!
//! The worker always opens it, so it may be behind NAT. A session that ends takes nothing with it:
//! the worker opens another, with the same or with another control node, and its tasks go on.
//! Acknowledging is the leader's alone; a relay hands on and never answers.

mod host;
mod line;
mod mouth;

pub(crate) use host::Host;
pub(crate) use line::{Doors, FromLine, Line};
