//! The list of stretches in which an attempt's output lies, kept short.
//!
//! Attempts write side by side, so an exact list would grow with every line written. Beyond a
//! limit neighbours in one segment become one stretch that covers frames of others too; a reader
//! passes over those. The list must never lose a frame.

use proto::supervisor::Extent;

/// A list grows no longer than this.
pub(super) const STRETCHES_MAX: usize = 64;
/// Shared stretches lie in no more segments than this; an attempt beyond writes own files.
pub(super) const SEGMENTS_MAX: usize = 24;

/// Stretches in the order of writing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Extents(Vec<Extent>);

impl Extents {
    /// A list that covers all of these, in whatever order, overlapping or not.
    pub(super) fn covering(mut all: Vec<Extent>) -> Extents {
        // As an attempt writes: to segments first, then to its own files.
        all.sort_unstable_by_key(|extent| (extent.own_file, extent.segment, extent.offset));
        let mut list = Extents::default();
        for mut extent in all {
            if let Some(last) = list.0.last().filter(|last| same_file(last, &extent)) {
                let offset = extent.offset.max(end(last));
                extent.length = end(&extent).saturating_sub(offset);
                extent.offset = offset;
            }
            if extent.length > 0 {
                list.push(extent);
            }
        }
        list
    }

    pub(super) fn as_slice(&self) -> &[Extent] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Extent> {
        std::mem::take(&mut self.0)
    }

    /// Adds what was written after all that is in the list.
    pub(super) fn push(&mut self, extent: Extent) {
        if let Some(last) = self.0.last_mut()
            && same_file(last, &extent)
            && end(last) == extent.offset
        {
            last.length += extent.length;
            return;
        }
        self.0.push(extent);
        if self.0.len() > STRETCHES_MAX {
            self.join_nearest();
        }
    }

    /// In how many segments the shared stretches lie, if one in `segment` were added.
    pub(super) fn segments_with(&self, segment: u32) -> usize {
        let mut count = 1;
        let mut last = segment;
        for extent in self.0.iter().rev().filter(|extent| extent.own_file == 0) {
            count += usize::from(extent.segment != last);
            last = extent.segment;
        }
        count
    }

    /// Takes back what lies in this file from `offset` on: it was not written after all.
    pub(super) fn cut(&mut self, file: Extent) {
        self.0.retain_mut(|extent| {
            if same_file(extent, &file) && end(extent) > file.offset {
                extent.length = file.offset.saturating_sub(extent.offset);
            }
            extent.length > 0
        });
    }

    /// Forgets own files up to and with this number: they are deleted.
    pub(super) fn forget_own(&mut self, up_to: u32) {
        self.0.retain(|extent| extent.own_file == 0 || extent.own_file > up_to);
    }

    /// The highest number of an own file in the list, 0 for none.
    pub(super) fn own_newest(&self) -> u32 {
        self.0.iter().map(|extent| extent.own_file).max().unwrap_or(0)
    }

    /// Joins the two neighbours of one file with the least between them.
    fn join_nearest(&mut self) {
        let pairs = self.0.windows(2).enumerate().filter(|(_, pair)| same_file(&pair[0], &pair[1]));
        let nearest = pairs.min_by_key(|(_, pair)| pair[1].offset.saturating_sub(end(&pair[0])));
        if let Some((at, _)) = nearest {
            let second = self.0.remove(at + 1);
            self.0[at].length = end(&second) - self.0[at].offset;
        }
    }
}

/// It stands in files, where it may say anything.
fn end(extent: &Extent) -> u64 {
    extent.offset.saturating_add(extent.length)
}

fn same_file(one: &Extent, other: &Extent) -> bool {
    one.own_file == other.own_file && one.segment == other.segment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(segment: u32, offset: u64, length: u64) -> Extent {
        Extent { own_file: 0, segment, offset, length }
    }

    #[test]
    fn what_follows_at_once_makes_the_last_stretch_longer() {
        let mut extents = Extents::default();
        extents.push(shared(1, 16, 10));
        extents.push(shared(1, 26, 10));
        extents.push(shared(2, 36, 10));
        assert_eq!(extents.as_slice(), [shared(1, 16, 20), shared(2, 36, 10)]);
    }

    #[test]
    fn a_full_list_stays_short_and_still_covers_everything() {
        let mut extents = Extents::default();
        let all: Vec<_> =
            (0..1000).map(|n| shared(1 + n / 100, u64::from(n) * 100 + 16, 10)).collect();
        for extent in &all {
            extents.push(*extent);
            assert!(extents.as_slice().len() <= STRETCHES_MAX);
        }
        let covers = |of: &Extent| {
            let inside = |by: &Extent| by.offset <= of.offset && end(of) <= end(by);
            extents.as_slice().iter().any(|by| same_file(by, of) && inside(by))
        };
        assert!(all.iter().all(covers));
        assert_eq!(extents.segments_with(10), 10);
        assert_eq!(extents.segments_with(11), 11);
    }

    #[test]
    fn two_accounts_of_the_same_output_become_one() {
        let own = |own_file, length| Extent { own_file, segment: 0, offset: 16, length };
        let all = vec![
            own(1, 8),
            shared(3, 16, 10),
            shared(1, 20, 10),
            shared(1, 16, 10),
            shared(1, 18, 2),
            shared(2, 16, 5),
            shared(2, 40, 5),
            shared(2, 16, 5),
        ];
        let list = [shared(1, 16, 14), shared(2, 16, 5), shared(2, 40, 5), shared(3, 16, 10)];
        let expected: Vec<_> = list.into_iter().chain([own(1, 8)]).collect();
        assert_eq!(Extents::covering(all).as_slice(), expected);
    }

    #[test]
    fn what_was_not_written_is_taken_back() {
        let mut extents = Extents::default();
        extents.push(shared(1, 16, 10));
        extents.push(shared(2, 16, 30));
        extents.cut(shared(2, 26, 0));
        assert_eq!(extents.as_slice(), [shared(1, 16, 10), shared(2, 16, 10)]);
        extents.cut(shared(2, 16, 0));
        assert_eq!(extents.as_slice(), [shared(1, 16, 10)]);
    }
}
