//! Ahead of room: elements that wait on a node for a seat, so that a short task is followed by the
//! next without a round through the journal.
//!
//! Every policy shares them out alike: the next goes where what is ahead will be done first.

use super::homes::{Homes, Want};
use super::nodes::Slot;

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    if !want.placement.may_go_ahead() {
        return None;
    }
    let line = homes.line(want).map(|slot| (slot, homes.ahead(slot, want)));
    let mut able = line.filter(|(_, count)| *count > 0);
    let (slot, count) = able.next()?;
    Some((slot, if able.next().is_some() { 1 } else { count }))
}
