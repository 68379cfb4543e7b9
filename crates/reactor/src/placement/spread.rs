//! `spread`: the node with most free, which may have to keep a share of it.

use super::homes::{Homes, Want};
use super::nodes::Slot;

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    emptiest(homes, want)
}

/// The node with most free of those that it may go to, and how many go there before another is the
/// emptiest.
pub(super) fn emptiest(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    let mut roomy = homes.roomy(want, homes.who(want));
    let first = roomy.next()?;
    let count = match roomy.next() {
        None => first.seats,
        Some(next) => {
            let lead = first.free.0.0.saturating_sub(next.free.0.0);
            lead.div_ceil(want.wants.cpu_milli.max(1)).clamp(1, first.seats)
        }
    };
    Some((first.slot, count))
}
