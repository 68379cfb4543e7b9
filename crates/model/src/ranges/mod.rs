//! Sets of numbers kept as disjoint ranges, so that a million elements in one state cost one range.
//!
//! Ranges never touch or overlap: two equal sets have equal ranges.

mod store;

use std::fmt;
use std::ops::RangeInclusive;

use store::{Pair, Store};

/// A set of `u32`, kept as disjoint, non-adjacent, inclusive ranges in order.
#[derive(Clone, Debug, Default)]
pub struct RangeSet {
    ranges: Store,
    count: u64,
}

impl PartialEq for RangeSet {
    fn eq(&self, other: &RangeSet) -> bool {
        self.count == other.count && self.pairs().eq(other.pairs())
    }
}

impl Eq for RangeSet {}

impl RangeSet {
    /// The empty set.
    pub fn new() -> RangeSet {
        RangeSet::default()
    }

    /// How many numbers are in the set.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.pairs().map(|(first, last)| first..=last)
    }

    /// How many ranges it takes: what it costs.
    pub fn pieces(&self) -> usize {
        self.pairs().count()
    }

    /// The ranges that reach to `number` or beyond it, in order.
    pub fn ranges_from(&self, number: u32) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        let start = self.range_with(number).map_or(number, |found| *found.start());
        self.ranges.within(start..=u32::MAX).map(|(first, last)| first..=last)
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges().flatten()
    }

    /// The lowest number.
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|(first, _)| first)
    }

    /// The highest number.
    pub fn last(&self) -> Option<u32> {
        self.ranges.at_or_below(u32::MAX).map(|(_, last)| last)
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: u32) -> bool {
        self.range_with(number).is_some()
    }

    /// Adds one number; says whether it was new.
    pub fn insert(&mut self, number: u32) -> bool {
        if self.contains(number) {
            return false;
        }
        let mut first = number;
        let mut last = number;
        if let Some(below) = number.checked_sub(1).and_then(|n| self.range_with(n)) {
            first = *below.start();
        }
        if let Some(above) = number.checked_add(1).and_then(|n| self.range_with(n)) {
            last = *above.end();
            self.ranges.remove(*above.start());
        }
        self.ranges.insert(first, last);
        self.count += 1;
        true
    }

    /// Adds every number of `range`.
    pub fn insert_range(&mut self, range: RangeInclusive<u32>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        let reach = last.saturating_add(1);
        let touching = self.touching(first.saturating_sub(1), reach);
        for (f, l) in touching {
            self.ranges.remove(f);
            self.count -= u64::from(l - f) + 1;
            first = first.min(f);
            last = last.max(l);
        }
        self.ranges.insert(first, last);
        self.count += u64::from(last - first) + 1;
    }

    /// Takes one number out; says whether it was there.
    pub fn remove(&mut self, number: u32) -> bool {
        let Some(range) = self.range_with(number) else { return false };
        let (first, last) = range.into_inner();
        self.ranges.remove(first);
        if first < number {
            self.ranges.insert(first, number - 1);
        }
        if number < last {
            self.ranges.insert(number + 1, last);
        }
        self.count -= 1;
        true
    }

    /// Takes the lowest `most` numbers out and returns them.
    pub fn take_first(&mut self, most: u64) -> RangeSet {
        let mut taken = RangeSet::new();
        while taken.count < most {
            let Some((first, last)) = self.ranges.first() else { break };
            self.ranges.remove(first);
            let wanted = most - taken.count;
            let size = u64::from(last - first) + 1;
            let end = if size <= wanted { last } else { first + (wanted - 1) as u32 };
            if end < last {
                self.ranges.insert(end + 1, last);
            }
            taken.ranges.insert(first, end);
            taken.count += u64::from(end - first) + 1;
        }
        self.count -= taken.count;
        taken
    }

    /// Whether every number of `range` is in the set.
    pub fn contains_range(&self, range: RangeInclusive<u32>) -> bool {
        self.range_with(*range.start()).is_some_and(|found| found.end() >= range.end())
    }

    /// Takes every number of `range` out that is there.
    pub fn remove_range(&mut self, range: RangeInclusive<u32>) {
        let (first, last) = range.into_inner();
        if first > last {
            return;
        }
        let cut = self.touching(first, last);
        for (f, l) in cut {
            self.ranges.remove(f);
            self.count -= u64::from(l - f) + 1;
            if f < first {
                self.ranges.insert(f, first - 1);
                self.count += u64::from(first - f);
            }
            if l > last {
                self.ranges.insert(last + 1, l);
                self.count += u64::from(l - last);
            }
        }
    }

    /// Adds every number that `other` has within `range`.
    pub fn append_common(&mut self, other: &RangeSet, range: RangeInclusive<u32>) {
        let (first, last) = range.into_inner();
        let start = other.range_with(first).map_or(first, |found| *found.start());
        for (f, l) in other.ranges.within(start..=last) {
            self.insert_range(f.max(first)..=l.min(last));
        }
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> + Clone + '_ {
        self.ranges.within(0..=u32::MAX)
    }

    /// The ranges that have a number from `first` to `last`.
    fn touching(&self, first: u32, last: u32) -> Vec<Pair> {
        let start = self.range_with(first).map_or(first, |found| *found.start());
        self.ranges.within(start..=last).collect()
    }

    fn range_with(&self, number: u32) -> Option<RangeInclusive<u32>> {
        let (first, last) = self.ranges.at_or_below(number)?;
        (number <= last).then_some(first..=last)
    }
}

impl FromIterator<u32> for RangeSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> RangeSet {
        let mut set = RangeSet::new();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

impl FromIterator<RangeInclusive<u32>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u32>>>(ranges: I) -> RangeSet {
        let mut set = RangeSet::new();
        for range in ranges {
            set.insert_range(range);
        }
        set
    }
}

impl fmt::Display for RangeSet {
    /// `3,7-9`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.ranges().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match range.into_inner() {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check(set: &RangeSet, model: &BTreeSet<u32>) {
        assert_eq!(set.iter().collect::<BTreeSet<_>>(), *model);
        assert_eq!(set.len(), model.len() as u64);
        let ranges: Vec<_> = set.ranges().collect();
        for pair in ranges.windows(2) {
            assert!(*pair[0].end() + 1 < *pair[1].start(), "ranges touch: {ranges:?}");
        }
    }

    #[test]
    fn agrees_with_a_plain_set_over_many_changes() {
        agrees(64);
        agrees(1024);
    }

    fn agrees(numbers: u32) {
        let mut set = RangeSet::new();
        let mut model = BTreeSet::new();
        let mut seed = 7u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let number = (seed >> 40) as u32 % numbers;
            let last = number + (seed >> 50) as u32 % 8;
            match (seed >> 33) % 5 {
                0 => assert_eq!(set.insert(number), model.insert(number)),
                1 => assert_eq!(set.remove(number), model.remove(&number)),
                2 => {
                    set.insert_range(number..=last);
                    model.extend(number..=last);
                }
                3 => {
                    let mut common = RangeSet::new();
                    common.append_common(&set, number..=last);
                    let expected = model.range(number..=last).copied().collect();
                    check(&common, &expected);
                    set.remove_range(number..=last);
                    model.retain(|n| !(number..=last).contains(n));
                }
                _ => {
                    let taken = set.take_first(u64::from(number % 4));
                    for n in taken.iter() {
                        assert_eq!(model.pop_first(), Some(n));
                    }
                }
            }
            assert_eq!(
                set.contains_range(number..=last),
                (number..=last).all(|n| model.contains(&n))
            );
            check(&set, &model);
        }
    }

    #[test]
    fn the_ends_of_the_number_line_hold() {
        let mut set = RangeSet::new();
        set.insert_range(0..=u32::MAX);
        assert_eq!(set.len(), 1 << 32);
        assert!(set.remove(u32::MAX) && set.remove(0));
        assert_eq!(set.to_string(), "1-4294967294");
    }
}
