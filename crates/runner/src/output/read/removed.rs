//! Which segments were removed on purpose, so that a reader can tell that from a loss.
//!
//! ```text
//! removed    "windlass removed" 16 | version 1 | crc of the list 4 | list
//! ```
//!
//! It is written before they are deleted, and replaced by rename. Numbers are removed nearly in
//! their order, so the list of their ranges stays short. For own files no list is needed: their
//! directory goes as a whole, and nothing else takes it away.

use std::fs;
use std::io;
use std::path::Path;

use prost::Message as _;

/// The file in the output directory.
const NAME: &str = "removed";
const HEADER: [u8; 17] = *b"windlass removed\x01";
/// A longer file is none.
const BYTES_MAX: u64 = 64 << 10;
/// Beyond this, neighbours become one, with what lies between them: only what is not there is
/// looked for here.
const RANGES_MAX: usize = 1000;

/// The list.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Removed {
    #[prost(message, repeated, tag = "1")]
    ranges: Vec<Range>,
}

/// Numbers of segments, both ends included, in order.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Range {
    #[prost(uint32, tag = "1")]
    first: u32,
    #[prost(uint32, tag = "2")]
    last: u32,
}

impl Removed {
    /// The list that lies there. A damaged one is as good as none: what it listed is shown as gone.
    pub(super) fn read(dir: &Path) -> Removed {
        let path = dir.join(NAME);
        let short = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= BYTES_MAX);
        let bytes = if short { fs::read(path).unwrap_or_default() } else { Vec::new() };
        Removed::decode_file(&bytes).unwrap_or_default()
    }

    pub(super) fn decode_file(bytes: &[u8]) -> Option<Removed> {
        let (crc, list) = bytes.strip_prefix(&HEADER)?.split_first_chunk()?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c(list) {
            return None;
        }
        Removed::decode(list).ok()
    }

    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let list = self.encode_to_vec();
        let mut bytes = HEADER.to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(&list).to_le_bytes());
        bytes.extend_from_slice(&list);
        let new = dir.join(format!("{NAME}.new"));
        fs::write(&new, bytes)?;
        fs::rename(new, dir.join(NAME))
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.ranges.iter().any(|range| (range.first..=range.last).contains(&number))
    }

    pub(super) fn insert(&mut self, number: u32) {
        if self.contains(number) {
            return;
        }
        let at = self.ranges.partition_point(|range| range.last < number);
        self.ranges.insert(at, Range { first: number, last: number });
        for left in [at, at.wrapping_sub(1)] {
            if let Some([one, other]) = self.ranges.get(left..left.saturating_add(2))
                && one.last.checked_add(1) == Some(other.first)
            {
                self.join(left);
            }
        }
        if self.ranges.len() > RANGES_MAX {
            let gaps =
                self.ranges.windows(2).map(|pair| pair[1].first.saturating_sub(pair[0].last));
            let nearest = gaps.enumerate().min_by_key(|(_, gap)| *gap);
            nearest.into_iter().for_each(|(left, _)| self.join(left));
        }
    }

    fn join(&mut self, left: usize) {
        self.ranges[left].last = self.ranges[left + 1].last;
        self.ranges.remove(left + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_ranges_and_stay_few() {
        let mut removed = Removed::default();
        for number in [3, 1, 2, 7, 5, u32::MAX, 0, 6, 6] {
            removed.insert(number);
        }
        let ranges: Vec<_> = removed.ranges.iter().map(|range| (range.first, range.last)).collect();
        assert_eq!(ranges, [(0, 3), (5, 7), (u32::MAX, u32::MAX)]);
        let mut removed = Removed::default();
        (0..4000).for_each(|number| removed.insert(number * 3));
        assert_eq!(removed.ranges.len(), RANGES_MAX);
        assert!((0..4000).all(|number| removed.contains(number * 3)));
        assert!(removed.encoded_len() < 32 << 10);
    }

    #[test]
    fn a_damaged_list_is_none_and_a_whole_one_is_read() {
        let dir = tempfile::TempDir::new().unwrap();
        assert_eq!(Removed::read(dir.path()), Removed::default());
        let mut removed = Removed::default();
        [4, 9, 10].into_iter().for_each(|number| removed.insert(number));
        removed.write(dir.path()).unwrap();
        assert_eq!(Removed::read(dir.path()), removed);
        let path = dir.path().join(NAME);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(Removed::read(dir.path()), Removed::default(), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(Removed::read(dir.path()), Removed::default(), "cut to {at}");
        }
    }
}
