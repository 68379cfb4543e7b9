//! `pack`: the node with least free that has room, so that whole nodes stay free.

use std::cmp::Reverse;

use super::homes::{Homes, Want};
use super::nodes::Slot;

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    // Who has too few processors free is behind all that have enough.
    let too_few = want.wants.cpu_milli.checked_sub(1);
    let enough = too_few.map(|too_few| (Reverse(too_few), Reverse(u64::MAX), 0));
    let able = homes.nodes.by_free.backwards(enough);
    able.map(|(.., slot)| (*slot, homes.seats(*slot, want))).find(|(_, seats)| *seats > 0)
}
