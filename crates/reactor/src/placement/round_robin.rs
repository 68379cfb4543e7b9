//! `round_robin`: one node after the other, in the order of their ids.
//!
//! Whose turn it is only the leader remembers: another one begins anew, and nobody is the worse for
//! it.

use super::homes::{Homes, Want};
use super::nodes::Slot;

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    let ids = &homes.nodes.ids;
    let behind = ids.partition_point(|(id, _)| Some(*id) <= homes.turn);
    let in_turn = ids[behind..].iter().chain(&ids[..behind]);
    let seats = in_turn.map(|(_, slot)| (*slot, homes.seats(*slot, want)));
    let mut able = seats.filter(|(_, seats)| *seats > 0);
    let (slot, seats) = able.next()?;
    Some((slot, if able.next().is_some() { 1 } else { seats }))
}
