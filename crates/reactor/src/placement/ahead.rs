//! Ahead of room: elements that wait on a node for a seat, so that a short task is followed by the
//! next without a round through the journal.
//!
//! Every policy shares them out alike: the next goes where what is ahead will be done first.

use model::NodeId;

use super::homes::{Homes, Want};

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(NodeId, u64)> {
    if !want.placement.may_go_ahead() {
        return None;
    }
    let line = homes.with_ahead.nodes(want.is_pull()).iter();
    let mut able = line.map(|(_, id)| (*id, homes.ahead(*id, want))).filter(|(_, n)| *n > 0);
    let (id, count) = able.next()?;
    Some((id, if able.next().is_some() { 1 } else { count }))
}
