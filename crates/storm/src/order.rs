//! What a host may be told to do: what an operator, or the node itself, would have the journal do.

use std::collections::BTreeSet;

/// One thing to be done.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Give the leadership up.
    Resign,
    /// Let these hosts vote.
    Vote(BTreeSet<u64>),
}
