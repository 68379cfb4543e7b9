//! Disjoint ranges in order, by their first number.
//!
//! A few lie in one piece of memory. Many lie in a persistent map, so that a copy of a set in a
//! million pieces costs no more than the pieces that are changed in it.

use std::ops::RangeInclusive;

use imbl::OrdMap;

/// From this many ranges on they are kept in a map.
const MANY: usize = 33;

/// First and last number of a range.
pub(super) type Pair = (u32, u32);

#[derive(Clone, Debug)]
pub(super) enum Store {
    Few(Vec<Pair>),
    Many(OrdMap<u32, u32>),
}

impl Default for Store {
    fn default() -> Store {
        Store::Few(Vec::new())
    }
}

impl Store {
    pub(super) fn first(&self) -> Option<Pair> {
        match self {
            Store::Few(few) => few.first().copied(),
            Store::Many(many) => many.get_min().map(|(first, last)| (*first, *last)),
        }
    }

    /// The last range that starts at or below `number`.
    pub(super) fn at_or_below(&self, number: u32) -> Option<Pair> {
        match self {
            Store::Few(few) => {
                let above = few.partition_point(|(first, _)| *first <= number);
                above.checked_sub(1).map(|at| few[at])
            }
            Store::Many(many) => many.get_prev(&number).map(|(first, last)| (*first, *last)),
        }
    }

    /// The ranges that start within `starts`, in order.
    pub(super) fn within(
        &self,
        starts: RangeInclusive<u32>,
    ) -> impl Iterator<Item = Pair> + Clone + '_ {
        let (few, many) = match self {
            Store::Few(few) => {
                let begin = few.partition_point(|(first, _)| first < starts.start());
                let end = few.partition_point(|(first, _)| first <= starts.end());
                (Some(few[begin..end.max(begin)].iter().copied()), None)
            }
            Store::Many(many) => {
                let found = (starts.start() <= starts.end())
                    .then(|| many.range(starts).map(|(first, last)| (*first, *last)));
                (None, found)
            }
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    pub(super) fn insert(&mut self, first: u32, last: u32) {
        if let Store::Few(few) = self
            && few.len() + 1 >= MANY
        {
            *self = Store::Many(few.iter().copied().collect());
        }
        match self {
            Store::Few(few) => match few.binary_search_by_key(&first, |(first, _)| *first) {
                Ok(at) => few[at].1 = last,
                Err(at) => few.insert(at, (first, last)),
            },
            Store::Many(many) => _ = many.insert(first, last),
        }
    }

    pub(super) fn remove(&mut self, first: u32) {
        match self {
            Store::Few(few) => {
                if let Ok(at) = few.binary_search_by_key(&first, |(first, _)| *first) {
                    few.remove(at);
                }
            }
            Store::Many(many) => {
                many.remove(&first);
                if many.is_empty() {
                    *self = Store::default();
                }
            }
        }
    }
}
