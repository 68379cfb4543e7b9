//! The indices of an array task.

use std::ops::RangeInclusive;

use crate::text;

/// The indices of an array task: `first..=last` by `step`, at most `parallel_max` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArraySpec {
    /// The first index.
    pub first: u32,
    /// The last index that may be in the array.
    pub last: u32,
    /// The distance between two indices, at least 1.
    pub step: u32,
    /// How many elements may be placed at once; 0 for any number.
    pub parallel_max: u32,
}

impl ArraySpec {
    /// A task that is no array, seen as one: index 0 alone.
    pub const SINGLE: ArraySpec = ArraySpec { first: 0, last: 0, step: 1, parallel_max: 0 };

    /// How many elements it has. That all of 32 bits are one more than this can say is for
    /// [`JobSpec::faults`], which refuses far fewer.
    pub fn count(&self) -> u32 {
        ((self.last - self.first) / self.step.max(1)).saturating_add(1)
    }

    /// The index of the element at `ordinal`, which counts from 0 without gaps.
    pub fn index(&self, ordinal: u32) -> u32 {
        self.first + ordinal * self.step
    }

    /// The ordinal of `index`; `None` where the array does not have it.
    pub fn ordinal(&self, index: u32) -> Option<u32> {
        let inside = (self.first..=self.last).contains(&index);
        (inside && (index - self.first).is_multiple_of(self.step))
            .then(|| (index - self.first) / self.step)
    }

    /// The ordinals of those indices in `range` that the array has; `None` where it has none.
    pub fn ordinals(&self, range: RangeInclusive<u32>) -> Option<RangeInclusive<u32>> {
        let step = self.step.max(1);
        let last = (*range.end()).min(self.last).checked_sub(self.first)? / step;
        let first = (*range.start()).saturating_sub(self.first).div_ceil(step);
        (first <= last).then_some(first..=last)
    }

    /// Reads `1-1000`, `1-1000:2`, `1-1000%50` or `7`.
    pub fn parse(text: &str) -> Result<ArraySpec, text::NotAnAmount> {
        let fault = || text::NotAnAmount {
            text: text.to_owned(),
            expected: "an array such as `1-1000`, `0-98:2` (step) or `1-1000%50` (at most 50 at once)",
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| fault());
        let (rest, parallel_max) = match text.split_once('%') {
            Some((rest, most)) => (rest, number(most)?.max(1)),
            None => (text, 0),
        };
        let (rest, step) = match rest.split_once(':') {
            Some((rest, step)) => (rest, number(step)?),
            None => (rest, 1),
        };
        let (first, last) = match rest.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(rest)?, number(rest)?),
        };
        if first > last || step == 0 || last == u32::MAX {
            return Err(fault());
        }
        Ok(ArraySpec { first, last, step, parallel_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_counts_by_its_step() {
        let array = ArraySpec::parse("1-10:3%2").unwrap();
        assert_eq!(array, ArraySpec { first: 1, last: 10, step: 3, parallel_max: 2 });
        assert_eq!(array.count(), 4);
        assert_eq!((0..4).map(|o| array.index(o)).collect::<Vec<_>>(), [1, 4, 7, 10]);
        assert_eq!((array.ordinal(7), array.ordinal(8), array.ordinal(13)), (Some(2), None, None));
        for bad in ["", "5-1", "1-9:0", "a-b", "1-", "-3"] {
            assert!(ArraySpec::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn indices_become_ordinals_without_looking_at_each() {
        let check = |array: ArraySpec, range: RangeInclusive<u32>| {
            let expected: Vec<u32> = range.clone().filter_map(|i| array.ordinal(i)).collect();
            let found: Vec<u32> = array.ordinals(range).into_iter().flatten().collect();
            assert_eq!(found, expected);
        };
        for step in 1..4 {
            let array = ArraySpec { first: 3, last: 11, step, parallel_max: 0 };
            for first in 0..15 {
                (first..15).for_each(|last| check(array, first..=last));
            }
        }
    }
}
