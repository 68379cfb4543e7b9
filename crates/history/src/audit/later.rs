//! Changes behind a journal index, the earliest first: for whoever follows the audit.

use std::fs;

use super::block::{self, Entry};
use super::{Audit, Change, ChangeFilter, FILES_A_PAGE, path};

/// Changes behind an index, the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Later {
    /// Each with the index of its journal entry. Of an entry there are all that are wanted.
    pub changes: Vec<(u64, Change)>,
    /// Everything up to this index was looked at.
    pub index: u64,
    /// Stretches of the files that are damaged and may have held some.
    pub damaged: u64,
}

impl Audit {
    /// Changes behind `after`, entry by entry until there are `limit`. An error where what came
    /// right after it is gone: the lowest index there is to go on after. 0 is before everything.
    pub(crate) fn later(
        &self,
        filter: &ChangeFilter,
        after: u64,
        limit: usize,
    ) -> Result<Later, u64> {
        let mut found = Later { index: after, ..Later::default() };
        let (files, waiting, last) = {
            let inner = self.lock();
            let from = inner.waiting.partition_point(|entry| entry.at.0 <= after);
            let files = if after < inner.written { inner.files.clone() } else { Vec::new() };
            // Few wait at any time: they are written within seconds.
            (files, inner.waiting[from..].to_vec(), inner.last)
        };
        if let Some(first) = files.first().filter(|first| after > 0 && after + 1 < **first) {
            return Err(first - 1);
        }
        let begin = files.partition_point(|first| *first <= after + 1).saturating_sub(1);
        for (nth, first) in files[begin..].iter().enumerate() {
            if nth == FILES_A_PAGE {
                found.index = found.index.max(first - 1);
                return Ok(found);
            }
            let bytes = fs::read(path(&self.dir, *first)).unwrap_or_default();
            if !found.read(&bytes, filter, after, limit) {
                return Ok(found);
            }
        }
        // What was written meanwhile was found in its file.
        let seen = found.index;
        for entry in waiting.into_iter().filter(|entry| entry.at.0 > seen) {
            if !found.take(entry, filter, limit) {
                return Ok(found);
            }
        }
        found.index = found.index.max(last);
        Ok(found)
    }
}

impl Later {
    /// Takes what is wanted of a file; `false`: there are enough.
    fn read(&mut self, bytes: &[u8], filter: &ChangeFilter, after: u64, limit: usize) -> bool {
        let blocks = block::blocks(bytes);
        let whole: usize = blocks.iter().map(|block| block.end - block.start).sum();
        self.damaged += u64::from(whole < bytes.len() || bytes.is_empty());
        for block in blocks.iter().filter(|block| block.last.0 > after) {
            let Some(entries) = block.entries(bytes) else {
                self.damaged += 1;
                continue;
            };
            for entry in entries.into_iter().filter(|entry| entry.at.0 > after) {
                if !self.take(entry, filter, limit) {
                    return false;
                }
            }
        }
        true
    }

    /// Takes a change, if it is wanted; `false`: there are enough, and a new entry begins.
    fn take(&mut self, entry: Entry, filter: &ChangeFilter, limit: usize) -> bool {
        let index = entry.at.0;
        if self.changes.len() >= limit && index > self.index {
            return false;
        }
        self.index = index;
        if entry.change.time_ms >= filter.since_ms && filter.wants(&entry.change) {
            self.changes.push((index, entry.change));
        }
        true
    }
}
