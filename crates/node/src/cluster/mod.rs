//! A node among others, before it has any state: who it is, and the ways to the others.
//!
//! ```text
//!  own       who this node is: founded, joined, or as it was kept
//!  door      the listener for peers: open only where somebody is to come
//!  contacts  where the control nodes are, kept for the next start
//!  health    how the voters' machines are, by clock and disk, and whether this one may lead
//!  ways      the way to the leader, and asking it
//!  wire      the leader's answers as messages
//! ```
//!
//! It must never take an address for an identity, and never found a cluster where one was joined.

pub(crate) mod contacts;
pub(crate) mod door;
pub(crate) mod health;
pub(crate) mod own;
pub(crate) mod ways;
pub(crate) mod wire;

pub use own::{Join, Place, reached_at};
