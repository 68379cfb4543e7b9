//! Parts: the files of history. Each is written once, whole, and never changed.
//!
//! ```text
//! cover block | blocks of attempts, spans, heads, jobs, names, each table in order | index block
//! offset of the index 8 | its crc 4 | magic 4
//! ```
//!
//! A part is named by the numbers of the flushes that are in it: a merge of `1-1`, `2-2` and `3-3`
//! is `1-3` and takes their place by being there. So no list of files is kept that could disagree.
//! Where the end of a file is damaged or cut off, its blocks are found one by one.

mod read;
mod write;

pub(crate) use write::Writer;

use std::any::Any;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::block::{Key, Kind, Meta};
use crate::cover::Ranges;

const SUFFIX: &str = ".part";
const TRAILER_BYTES: u64 = 16;
const TRAILER_MAGIC: [u8; 4] = *b"WHE1";

/// One file of history.
#[derive(Debug)]
pub(crate) struct Part {
    /// The flushes that are in it.
    pub(crate) flushes: (u64, u64),
    pub(crate) path: PathBuf,
    file: File,
    /// The blocks of each table, in order.
    tables: [Vec<Meta>; Kind::TABLES.len()],
    /// The journal entries whose facts are in it.
    pub(crate) cover: Ranges,
    /// When the first of its runs ended, Unix milliseconds; 0 where that is not known.
    pub(crate) oldest_ms: u64,
    pub(crate) bytes: u64,
    /// Something in it cannot be read; so it is left as it is.
    damaged: AtomicBool,
    /// About how many of its bytes are of runs that are gone.
    pub(crate) dead_bytes: AtomicU64,
    /// The rows of one block: the last that was read of the table whose blocks are kept.
    kept: Mutex<Option<(u64, Arc<dyn Any + Send + Sync>)>>,
}

/// The name of a part's file.
pub(crate) fn name_of(flushes: (u64, u64)) -> String {
    format!("{:012}-{:012}{SUFFIX}", flushes.0, flushes.1)
}

/// The flushes that a file's name tells of; `None` for any other file.
pub(crate) fn flushes_of(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let flushes: (u64, u64) = (number(first)?, number(last)?);
    (flushes.0 <= flushes.1).then_some(flushes)
}

impl Part {
    /// The blocks of a table, in order.
    pub(crate) fn blocks(&self, kind: Kind) -> &[Meta] {
        let at = Kind::TABLES.iter().position(|table| *table == kind);
        at.map_or(&[], |at| &self.tables[at])
    }

    /// The positions of the blocks of a table that may hold something from `from` to `to`.
    pub(crate) fn within(&self, kind: Kind, from: Key, to: Key) -> std::ops::Range<usize> {
        let blocks = self.blocks(kind);
        let first = blocks.partition_point(|meta| meta.last < from);
        let end = blocks.partition_point(|meta| meta.first <= to);
        first..end.max(first)
    }

    pub(crate) fn all_blocks(&self) -> impl Iterator<Item = &Meta> {
        self.tables.iter().flatten()
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Remembers that something of it cannot be read; says whether that is news.
    pub(crate) fn note_damage(&self) -> bool {
        !self.damaged.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn dead_bytes(&self) -> u64 {
        self.dead_bytes.load(Ordering::Relaxed).min(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_parts_name_is_one() {
        assert_eq!(flushes_of(&name_of((1, 12))), Some((1, 12)));
        assert_eq!(flushes_of(&name_of((u64::MAX, u64::MAX))), Some((u64::MAX, u64::MAX)));
        for other in
            ["merge.tmp", "2-1.part", "-.part", "+1-2.part", "1-2.part.damaged-5", "1.part"]
        {
            assert_eq!(flushes_of(other), None, "{other}");
        }
    }
}
