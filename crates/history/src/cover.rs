//! Sets of numbers kept as ranges: the journal entries whose facts are here, the runs that are gone.

use std::collections::BTreeMap;

use crate::bytes::{In, Out};

/// A set of numbers as disjoint inclusive ranges that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.0.last_key_value().map(|(_, last)| *last)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(first, last)| (*first, *last))
    }

    /// How many ranges.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.contains_all(number, number)
    }

    /// Whether all from `first` to `last` are in it.
    pub(crate) fn contains_all(&self, first: u64, last: u64) -> bool {
        self.0.range(..=first).next_back().is_some_and(|(_, end)| *end >= last)
    }

    /// How many of `first` to `last` are in it.
    pub(crate) fn count_in(&self, first: u64, last: u64) -> u64 {
        let from = self.0.range(..=first).next_back().map_or(first, |(start, _)| *start);
        let within = |(start, end): (&u64, &u64)| {
            let (start, end) = ((*start).max(first), (*end).min(last));
            end.saturating_add(1).saturating_sub(start)
        };
        self.0.range(from..=last).map(within).sum()
    }

    pub(crate) fn insert(&mut self, number: u64) {
        self.insert_range(number, number);
    }

    pub(crate) fn insert_range(&mut self, mut first: u64, mut last: u64) {
        if first > last {
            return;
        }
        while let Some((&start, &end)) = self.0.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.0.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        self.0.insert(first, last);
    }

    pub(crate) fn extend(&mut self, other: &Ranges) {
        other.iter().for_each(|(first, last)| self.insert_range(first, last));
    }

    pub(crate) fn write(&self, out: &mut Out) {
        out.number(self.0.len() as u64);
        let mut from = 0;
        for (first, last) in self.iter() {
            out.number(first - from);
            out.number(last - first);
            from = last;
        }
    }

    pub(crate) fn read(bytes: &mut In<'_>) -> Option<Ranges> {
        let mut ranges = Ranges::default();
        let mut from = 0u64;
        for _ in 0..bytes.count()? {
            let first = from.checked_add(bytes.number()?)?;
            let last = first.checked_add(bytes.number()?)?;
            ranges.insert_range(first, last);
            from = last;
        }
        Some(ranges)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn agrees_with_a_plain_set() {
        let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
        let mut seed = 7u64;
        for _ in 0..2_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let first = (seed >> 40) % 200;
            let last = first + (seed >> 50) % 4;
            if seed >> 60 == 0 {
                (ranges, model) = Default::default();
            }
            assert_eq!(
                ranges.contains_all(first, last),
                (first..=last).all(|n| model.contains(&n))
            );
            assert_eq!(ranges.count_in(first, last), model.range(first..=last).count() as u64);
            ranges.insert_range(first, last);
            model.extend(first..=last);
            let flat: Vec<u64> = ranges.iter().flat_map(|(first, last)| first..=last).collect();
            assert!(flat.iter().eq(&model));
            let mut out = Out::default();
            ranges.write(&mut out);
            assert_eq!(Ranges::read(&mut In(&out.0)).as_ref(), Some(&ranges));
        }
        ranges.insert_range(5, u64::MAX);
        assert!(ranges.contains(u64::MAX));
    }
}
