//! A small cache of file blocks, shared by all readers of a store.
//!
//! Attempts that ran side by side lie side by side: when ten thousand of them are merged by time,
//! the readers go through the same blocks together. So the memory is here, once, and a reader has
//! none; and no file stays open, for an open file that was deleted would keep its room.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::removed::Removed;
use crate::output::frame::{FileId, own_dir};
use crate::output::mark::Reason;

const BLOCK_BYTES: u64 = 64 << 10;
const BLOCKS_MAX: usize = 64;

pub(super) struct Blocks {
    dir: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    blocks: HashMap<(FileId, u64), Block>,
    uses: u64,
}

struct Block {
    /// As much of the block as was known to be written when it was read: what lies behind may
    /// still change.
    bytes: Arc<[u8]>,
    used: u64,
}

impl Blocks {
    pub(super) fn new(dir: PathBuf) -> Blocks {
        Blocks { dir, cache: Mutex::default() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Why a file is not there.
    pub(super) fn why_gone(&self, file: FileId) -> Reason {
        match file {
            FileId::Segment(number) if Removed::read(&self.dir).contains(number) => Reason::Removed,
            FileId::Segment(_) => Reason::Gone,
            FileId::Own(attempt, _) if own_dir(&self.dir, attempt).exists() => Reason::Rotated,
            FileId::Own(..) => Reason::Removed,
        }
    }

    /// Fills `into` from `offset` on; fewer bytes only where the file ends. The file up to `known`
    /// must be known to be written.
    pub(super) fn read(
        &self,
        file: FileId,
        offset: u64,
        known: u64,
        into: &mut [u8],
    ) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            let at = offset + done as u64;
            let number = at / BLOCK_BYTES;
            let inside = (at % BLOCK_BYTES) as usize;
            let wanted = (into.len() - done).min(BLOCK_BYTES as usize - inside);
            let block = self.block(file, number, inside + wanted, known)?;
            let Some(bytes) = block.get(inside..).filter(|bytes| !bytes.is_empty()) else { break };
            let bytes = &bytes[..bytes.len().min(wanted)];
            into[done..done + bytes.len()].copy_from_slice(bytes);
            done += bytes.len();
            if bytes.len() < wanted {
                break;
            }
        }
        Ok(done)
    }

    /// A block with at least `length` bytes, unless the file or what is known of it is shorter.
    fn block(&self, file: FileId, number: u64, length: usize, known: u64) -> io::Result<Arc<[u8]>> {
        let key = (file, number);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.uses += 1;
        let uses = cache.uses;
        if let Some(block) = cache.blocks.get_mut(&key).filter(|block| block.bytes.len() >= length)
        {
            block.used = uses;
            return Ok(Arc::clone(&block.bytes));
        }
        drop(cache);
        let bytes: Arc<[u8]> = self.load(file, number, known)?.into();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.blocks.len() >= BLOCKS_MAX && !cache.blocks.contains_key(&key) {
            let oldest = cache.blocks.iter().min_by_key(|(_, block)| block.used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                cache.blocks.remove(&oldest);
            }
        }
        cache.blocks.insert(key, Block { bytes: Arc::clone(&bytes), used: uses });
        Ok(bytes)
    }

    fn load(&self, file: FileId, number: u64, known: u64) -> io::Result<Vec<u8>> {
        let start = number * BLOCK_BYTES;
        let length = known.saturating_sub(start).min(BLOCK_BYTES) as usize;
        let mut bytes = vec![0; length];
        let done = read_at(&File::open(file.path(&self.dir))?, &mut bytes, start)?;
        bytes.truncate(done);
        Ok(bytes)
    }
}

/// Fills `into` from `offset` on; fewer bytes only where the file ends.
pub(super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_may_still_change_is_not_kept() {
        let dir = tempfile::TempDir::new().unwrap();
        let blocks = Blocks::new(dir.path().to_owned());
        let file = FileId::Segment(1);
        let mut into = [0; 4];
        fs::write(file.path(dir.path()), b"keptlost").unwrap();
        assert_eq!(blocks.read(file, 0, 4, &mut into).unwrap(), 4);
        fs::write(file.path(dir.path()), b"keptnew!").unwrap();
        assert_eq!(blocks.read(file, 4, 8, &mut into).unwrap(), 4);
        assert_eq!(&into, b"new!");
        assert_eq!(blocks.read(file, 6, 100, &mut into).unwrap(), 2);
    }

    #[test]
    fn a_long_file_is_read_through_a_small_cache() {
        let dir = tempfile::TempDir::new().unwrap();
        let blocks = Blocks::new(dir.path().to_owned());
        let file = FileId::Segment(1);
        let bytes: Vec<u8> = (0..80 * BLOCK_BYTES).map(|at| (at / 7) as u8).collect();
        fs::write(file.path(dir.path()), &bytes).unwrap();
        let mut into = vec![0; 100_000];
        for (at, piece) in bytes.chunks(into.len()).enumerate() {
            let offset = (at * into.len()) as u64;
            let into = &mut into[..piece.len()];
            assert_eq!(blocks.read(file, offset, bytes.len() as u64, into).unwrap(), piece.len());
            assert_eq!(into, piece);
        }
        assert_eq!(blocks.cache.lock().unwrap().blocks.len(), BLOCKS_MAX);
    }
}
