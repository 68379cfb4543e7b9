//! `spread`: the node with most free, which may have to keep a share of it.

use model::NodeId;

use super::homes::{Homes, Want};

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(NodeId, u64)> {
    emptiest(homes, want, false)
}

/// The node with most free of all, or of those that have asked, and how many go there before another
/// is the emptiest.
pub(super) fn emptiest(homes: &Homes<'_>, want: &Want, asking: bool) -> Option<(NodeId, u64)> {
    let mut roomy = homes.roomy(want, asking);
    let ((free, ..), id) = roomy.next()?;
    let seats = homes.seats(id, want);
    let count = match roomy.next() {
        None => seats,
        Some(((next, ..), _)) => {
            let lead = free.0.saturating_sub(next.0);
            lead.div_ceil(want.wants.cpu_milli.max(1)).clamp(1, seats)
        }
    };
    Some((id, count))
}
