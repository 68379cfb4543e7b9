//! `pack`: the node with least free that has room, so that whole nodes stay free.

use std::cmp::Reverse;

use model::NodeId;

use super::homes::{Homes, Want};

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(NodeId, u64)> {
    // Who has too few processors free is behind all that have enough.
    let nodes = homes.by_free.nodes(false);
    let able = match want.wants.cpu_milli.checked_sub(1) {
        None => nodes.range(..),
        Some(too_few) => {
            nodes.range(..((Reverse(too_few), Reverse(u64::MAX), 0), NodeId::default()))
        }
    };
    let seats = |(_, id): &(_, NodeId)| (*id, homes.seats(*id, want));
    able.rev().map(seats).find(|(_, seats)| *seats > 0)
}
