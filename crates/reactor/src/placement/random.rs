//! `random`: any node with room, by a hash of the element and of the batch the plan is made after.
//!
//! So the same plan chooses the same nodes, and an element that is placed again another one.

use super::homes::{Homes, Want};
use super::nodes::Slot;

/// Nodes that are drawn before the next with room is taken: where most have room, each is as likely.
const DRAWS_MAX: u64 = 16;

pub(super) fn next(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    let ids = &homes.nodes.ids;
    let nodes = (ids.len() as u64).max(1);
    let element = [homes.after, want.run.0, want.task.into(), want.first.into()];
    let seed = element.into_iter().fold(0, |sum, word| mixed(sum ^ word));
    let drawn = |draw| (mixed(seed ^ draw) % nodes) as usize;
    let slot = |at: usize| ids.get(at).map(|(_, slot)| *slot);
    let able = |at: usize| slot(at).filter(|slot| homes.seats(*slot, want) > 0);
    let found = (0..DRAWS_MAX).map(drawn).find_map(able);
    let from = drawn(DRAWS_MAX);
    let slot = found.or_else(|| (from..ids.len()).chain(0..from).find_map(able))?;
    Some((slot, 1))
}

/// A number in which every bit of another counts (the finisher of SplitMix64).
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
