//! `round_robin`: one node after the other, in the order of their ids.
//!
//! Whose turn it is only the leader remembers: another one begins anew, and nobody is the worse for
//! it.

use model::NodeId;

use super::homes::{Homes, Want};

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(NodeId, u64)> {
    let behind = homes.ids.partition_point(|id| Some(*id) <= homes.turn);
    let in_turn = homes.ids[behind..].iter().chain(&homes.ids[..behind]);
    let mut able = in_turn.map(|id| (*id, homes.seats(*id, want))).filter(|(_, seats)| *seats > 0);
    let (id, seats) = able.next()?;
    Some((id, if able.next().is_some() { 1 } else { seats }))
}
