//! `pull`: a node that has asked for work, the emptiest first.
//!
//! The asking says when to look, not what there is: how empty a node is the state says, and the claim
//! is the committed placement, so nodes never fight for work.

use super::homes::{Homes, Want};
use super::nodes::Slot;
use super::spread::emptiest;

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    emptiest(homes, want)
}
