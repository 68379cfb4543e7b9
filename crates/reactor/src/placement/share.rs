//! Shares elements that are alike out among the nodes, as their policy says.
//!
//! A policy says where the next of them goes, and how many with it; it is asked again until all have
//! a place or none is left. Where no node has a seat they go ahead of room, if their job lets them.

use model::{NodeId, Placement, Policy, Resources};

use super::homes::{Homes, Want};
use super::nodes::Slot;
use super::{ahead, pack, pull, random, round_robin, spread};

/// Consecutive elements that go to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) slot: Slot,
    node: NodeId,
    pub(super) count: u64,
    pub(super) ahead: bool,
}

/// Whether an element that reserves `wants` may go anywhere.
pub(super) fn has_room(homes: &Homes<'_>, wants: Resources, placement: Placement) -> bool {
    let want = Want::one(wants, placement);
    let has_seat = homes.roomy(&want, homes.who(&want)).next().is_some();
    has_seat || ahead::next(homes, &want).is_some()
}

/// Gives as many of them a place as find one, the first of them first.
pub(super) fn out(homes: &mut Homes<'_>, mut want: Want) -> Vec<Share> {
    let policy = want.placement.policy;
    let mut shares = Vec::new();
    while want.count > 0 {
        let Some(share) = next(homes, &want) else { break };
        let Share { slot, node, count, ahead } = share;
        if ahead {
            homes.go_ahead(slot, count);
        } else {
            homes.sit(slot, &want, count);
            homes.turn = if policy == Policy::RoundRobin { Some(node) } else { homes.turn };
        }
        // Behind the last ordinal there can be nothing is left.
        want.first = want.first.saturating_add(count as u32);
        want.count -= count;
        shares.push(share);
    }
    match policy {
        Policy::RoundRobin | Policy::Random => shares,
        // Where it does not matter which of them go where, neighbours stay together.
        Policy::Pull | Policy::Spread | Policy::Pack => gathered(shares),
    }
}

/// Where the next go: another node than the one they were on last, if there is one.
fn next(homes: &Homes<'_>, want: &Want) -> Option<Share> {
    let any = want.but.map(|_| Want { but: None, ..*want });
    let share = |(slot, count): (Slot, u64), ahead| {
        let node = homes.nodes.homes[slot].id;
        Share { slot, node, count, ahead }
    };
    if let Some(found) = seat(homes, want).or_else(|| seat(homes, any.as_ref()?)) {
        return Some(share(found, false));
    }
    let found = ahead::next(homes, want).or_else(|| ahead::next(homes, any.as_ref()?))?;
    Some(share(found, true))
}

fn seat(homes: &Homes<'_>, want: &Want) -> Option<(Slot, u64)> {
    match want.placement.policy {
        Policy::Pull => pull::next(homes, want),
        Policy::Spread => spread::next(homes, want),
        Policy::Pack => pack::next(homes, want),
        Policy::RoundRobin => round_robin::next(homes, want),
        Policy::Random => random::next(homes, want),
    }
}

/// One share for each node and kind, in their order.
fn gathered(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_unstable_by_key(|share| (share.ahead, share.node));
    shares.dedup_by(|next, share| {
        let same = (next.ahead, next.slot) == (share.ahead, share.slot);
        share.count += if same { next.count } else { 0 };
        same
    });
    shares
}
