//! Nodes in an order that changes as they are given work: those that have asked for some, and those
//! that have not.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::collections::btree_set::Range;

use model::NodeId;

use super::nodes::Slot;

/// A node of a line: what it is ordered by, then its id.
pub(super) type Entry<K> = (K, NodeId, Slot);

/// Where a node stands in a line: whether it asks, and its key; `None`: nowhere.
pub(super) type Stand<K> = Option<(bool, K)>;

/// Which nodes of a line are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    All,
    Asking,
    Silent,
}

#[derive(Debug)]
pub(super) struct Line<K> {
    asking: BTreeSet<Entry<K>>,
    silent: BTreeSet<Entry<K>>,
}

impl<K> Default for Line<K> {
    fn default() -> Line<K> {
        Line { asking: BTreeSet::new(), silent: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Line<K> {
    /// Moves a node from where it stands to where it belongs.
    pub(super) fn shift(&mut self, id: NodeId, slot: Slot, from: Stand<K>, to: Stand<K>) {
        if from == to {
            return;
        }
        if let Some((asks, key)) = from {
            self.part(asks).remove(&(key, id, slot));
        }
        if let Some((asks, key)) = to {
            self.part(asks).insert((key, id, slot));
        }
    }

    /// Those nodes in their order.
    pub(super) fn nodes(&self, who: Who) -> impl Iterator<Item = &Entry<K>> {
        let asking = self.asking.iter().take(if who == Who::Silent { 0 } else { usize::MAX });
        let silent = self.silent.iter().take(if who == Who::Asking { 0 } else { usize::MAX });
        merged(asking, silent, Ordering::Less)
    }

    /// All nodes with a lesser key, or all there are, the last first.
    pub(super) fn backwards(&self, before: Option<K>) -> impl Iterator<Item = &Entry<K>> {
        let (asking, silent) = (until(&self.asking, before), until(&self.silent, before));
        merged(asking.rev(), silent.rev(), Ordering::Greater)
    }

    fn part(&mut self, asks: bool) -> &mut BTreeSet<Entry<K>> {
        if asks { &mut self.asking } else { &mut self.silent }
    }
}

fn until<K: Ord>(set: &BTreeSet<Entry<K>>, before: Option<K>) -> Range<'_, Entry<K>> {
    match before {
        Some(key) => set.range(..(key, NodeId::default(), 0)),
        None => set.range::<Entry<K>, _>(..),
    }
}

/// Both in one order, in which each of them is already.
fn merged<T: Ord>(
    one: impl Iterator<Item = T>,
    other: impl Iterator<Item = T>,
    order: Ordering,
) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a.cmp(b) != order => other.next(),
        (None, _) => other.next(),
        (Some(_), _) => one.next(),
    })
}
