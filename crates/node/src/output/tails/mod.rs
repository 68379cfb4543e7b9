//! The last of what attempts wrote on other nodes, kept here so that it outlives those nodes.
//!
//! Tails lie one after the other in few files, so that a million of them are not a million files.
//! They are looked for when a node is gone, which is rare: there is no index. The name of a file
//! says from which run to which its tails are, and one that is looked into is read whole.
//! Like all output they are not synced, and taken for nothing that their checksum does not say.

mod fetching;
mod format;
mod keeping;
mod segment;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use model::{Attempt, NodeId, RunId};
use proto::session::Tail;

pub(crate) use fetching::ASKED_MAX;
pub(super) use fetching::fetch;
pub(crate) use keeping::Keeping;

use format::Header;
use segment::{Name, Segment};

/// A file has so many bytes, beyond its last tail.
const FILE_BYTES: u64 = 8 << 20;
/// A longer tail is none.
const TAIL_BYTES_MAX: usize = 512 << 10;

/// The tails of a node.
#[derive(Debug)]
pub(crate) struct Tails {
    dir: PathBuf,
    writer: Mutex<Option<Segment>>,
}

/// Where a tail lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    file: u32,
    offset: u64,
    /// When its first chunk was written, Unix microseconds.
    pub(super) time_us: u64,
}

impl Tails {
    /// Those in this directory, which need not be there yet.
    pub(crate) fn open(dir: impl Into<PathBuf>) -> Tails {
        Tails { dir: dir.into(), writer: Mutex::new(None) }
    }

    /// Keeps tails of attempts of a node. One that is kept already is kept again: the latest counts.
    pub(super) fn keep(&self, node: NodeId, tails: &[Tail]) -> io::Result<()> {
        let records = tails.iter().filter_map(|tail| {
            let attempt = Attempt::from(tail.attempt?);
            let time_us = tail.chunks.first().map_or(0, |chunk| chunk.time_us);
            let payload = prost::Message::encode_to_vec(tail);
            (payload.len() <= TAIL_BYTES_MAX).then(|| Header::new(node, attempt, time_us, payload))
        });
        let mut writer = self.writer();
        for (header, payload) in records {
            let segment = match &mut *writer {
                Some(segment) if segment.bytes() < FILE_BYTES => segment,
                _ => {
                    if let Some(full) = writer.take() {
                        full.seal(&self.dir)?;
                    }
                    writer.insert(Segment::begin(&self.dir)?)
                }
            };
            if let Err(error) = segment.append(&header, &payload) {
                // What the disk took of it is passed over; the next goes to another file.
                *writer = None;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Where the tails of these attempts of a run lie, of those that are kept.
    pub(super) fn find(
        &self,
        node: NodeId,
        run: RunId,
        wanted: &BTreeSet<Attempt>,
    ) -> BTreeMap<Attempt, Kept> {
        let mut found = BTreeMap::new();
        let mut names: Vec<Name> = segment::names(&self.dir).collect();
        names.sort_unstable_by_key(|name| name.number);
        for name in names.into_iter().filter(|name| name.may_have(run)) {
            // A file that is gone or cannot be read has none; the reader is told what is missing.
            let Ok(bytes) = std::fs::read(self.dir.join(name.to_string())) else { continue };
            for (offset, header) in format::headers(&bytes) {
                if header.node == node && wanted.contains(&header.attempt) {
                    let (file, time_us) = (name.number, header.time_us);
                    found.insert(header.attempt, Kept { file, offset, time_us });
                }
            }
        }
        found
    }

    /// Gives the tails of these attempts of one run, of those that are kept, until somebody wants no more.
    pub(crate) fn each(
        &self,
        node: NodeId,
        wanted: &BTreeSet<Attempt>,
        give: impl FnMut(Tail) -> bool,
    ) {
        let Some(first) = wanted.first() else { return };
        let found = self.find(node, first.element.run, wanted);
        let mut tails = found.into_values().filter_map(|kept| self.load(kept));
        let _ = tails.all(give);
    }

    /// A tail that was found; `None` where it is not whole any more.
    pub(super) fn load(&self, kept: Kept) -> Option<Tail> {
        // It may have been given its last name since.
        let mut names = segment::names(&self.dir);
        let name = names.find(|name| name.number == kept.file)?;
        segment::read(&self.dir.join(name.to_string()), kept.offset)
    }

    /// Removes the oldest files until all have no more than `bytes_max`, and those that were written
    /// last before `kept_for`.
    pub(crate) fn sweep(&self, bytes_max: u64, kept_for: Duration) -> io::Result<()> {
        let oldest = SystemTime::now().checked_sub(kept_for).unwrap_or(SystemTime::UNIX_EPOCH);
        // Nothing is begun or sealed meanwhile.
        let mut writer = self.writer();
        let mut names: Vec<Name> = segment::names(&self.dir).collect();
        names.sort_unstable_by_key(|name| name.number);
        let mut files = Vec::new();
        for name in names {
            let metadata = std::fs::metadata(self.dir.join(name.to_string()))?;
            files.push((name, metadata.len(), metadata.modified()?));
        }
        let mut left: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (name, bytes, written) in files {
            if left <= bytes_max && written >= oldest {
                break;
            }
            if writer.as_ref().is_some_and(|segment| segment.number() == name.number) {
                *writer = None;
            }
            std::fs::remove_file(self.dir.join(name.to_string()))?;
            left -= bytes;
        }
        Ok(())
    }

    /// A panic elsewhere leaves nothing half done in here that could do harm.
    fn writer(&self) -> MutexGuard<'_, Option<Segment>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
