//! Reading a part, whole or damaged.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Part, TRAILER_BYTES, TRAILER_MAGIC};
use crate::block::{self, HEADER_BYTES, Kind, MAGIC, Meta, Table};
use crate::bytes::In;
use crate::cover::Ranges;

/// Bytes read at once while blocks are looked for.
const SEARCH_BYTES: usize = 64 << 10;

impl Part {
    pub(super) fn of(
        path: PathBuf,
        flushes: (u64, u64),
        file: File,
        bytes: u64,
        cover: Ranges,
        oldest_ms: u64,
        metas: Vec<Meta>,
    ) -> Part {
        let mut tables: [Vec<Meta>; Kind::TABLES.len()] = Default::default();
        for meta in metas {
            if let Some(at) = Kind::TABLES.iter().position(|table| *table == meta.kind) {
                tables[at].push(meta);
            }
        }
        for table in &mut tables {
            table.sort_by_key(|meta| (meta.first, meta.last, meta.crc));
            // A block that stands there twice, as only damage leaves it, tells what it tells once.
            table.dedup_by_key(|meta| (meta.first, meta.last, meta.crc, meta.rows));
            table.shrink_to_fit();
        }
        Part {
            flushes,
            path,
            file,
            tables,
            cover,
            oldest_ms,
            bytes,
            damaged: AtomicBool::new(false),
            dead_bytes: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    /// Opens a part. `Ok(None)`: it is so damaged that nothing says what it covers.
    pub(crate) fn open(path: &Path, flushes: (u64, u64)) -> io::Result<Option<Part>> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let path = path.to_owned();
        if let Some((cover, oldest_ms, metas)) = read_index(&file, bytes) {
            let oldest_ms = if metas.iter().any(|meta| meta.kind == Kind::Heads) {
                oldest_ms
            } else {
                u64::MAX
            };
            let part = Part::of(path, flushes, file, bytes, cover, oldest_ms, metas);
            if part.blocks_overrun() {
                part.note_damage();
            }
            return Ok(Some(part));
        }
        let metas = search(&file, bytes);
        let cover = metas.iter().find(|meta| meta.kind == Kind::Cover).and_then(|meta| {
            let raw = meta.unpack(&payload(&file, meta, bytes)?)?;
            Ranges::read(&mut In(&raw))
        });
        let Some(cover) = cover else { return Ok(None) };
        let part = Part::of(path, flushes, file, bytes, cover, 0, metas);
        part.note_damage();
        Ok(Some(part))
    }

    fn blocks_overrun(&self) -> bool {
        self.all_blocks().any(|meta| meta.offset.saturating_add(meta.bytes()) > self.bytes)
    }

    /// The payload of a block, as it lies there; `None` where it cannot be read or is damaged.
    pub(crate) fn payload(&self, meta: &Meta) -> Option<Vec<u8>> {
        let payload = payload(&self.file, meta, self.bytes)?;
        (crc32c::crc32c(&payload) == meta.crc).then_some(payload)
    }

    /// The rows of a block, perhaps those that are kept of an earlier look; `None` where it cannot
    /// be read or is damaged.
    pub(crate) fn rows_of<T: Table>(&self, meta: &Meta) -> Option<Arc<Vec<T::Row>>> {
        if !T::IS_KEPT {
            return self.read_rows::<T>(meta).map(Arc::new);
        }
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((offset, rows)) = kept().clone()
            && offset == meta.offset
            && let Ok(rows) = rows.downcast()
        {
            return Some(rows);
        }
        let rows = Arc::new(self.read_rows::<T>(meta)?);
        *kept() = Some((meta.offset, rows.clone()));
        Some(rows)
    }

    /// The rows of a block, as they are on disk; `None` where it cannot be read or is damaged.
    pub(crate) fn read_rows<T: Table>(&self, meta: &Meta) -> Option<Vec<T::Row>> {
        block::rows::<T>(meta, &payload(&self.file, meta, self.bytes)?)
    }
}

fn payload(file: &File, meta: &Meta, file_bytes: u64) -> Option<Vec<u8>> {
    let end = meta.offset.checked_add(meta.bytes())?;
    if end > file_bytes {
        return None;
    }
    let mut payload = vec![0; meta.stored as usize];
    file.read_exact_at(&mut payload, meta.offset + HEADER_BYTES as u64).ok()?;
    Some(payload)
}

/// What the end of the file says: what is covered, the oldest end, and where the blocks lie.
fn read_index(file: &File, bytes: u64) -> Option<(Ranges, u64, Vec<Meta>)> {
    let mut trailer = [0; TRAILER_BYTES as usize];
    let trailer_at = bytes.checked_sub(TRAILER_BYTES)?;
    file.read_exact_at(&mut trailer, trailer_at).ok()?;
    let (offset, rest) = trailer.split_first_chunk::<8>()?;
    let crc = crc32c::crc32c(offset).to_le_bytes();
    if rest[..4] != crc || rest[4..] != TRAILER_MAGIC {
        return None;
    }
    let at = u64::from_le_bytes(*offset);
    let meta = header(file, at).filter(|meta| meta.kind == Kind::Index)?;
    let raw = meta.unpack(&payload(file, &meta, trailer_at)?)?;
    let mut raw = In(&raw);
    let cover = Ranges::read(&mut raw)?;
    let oldest_ms = raw.number()?;
    let mut metas = Vec::new();
    for _ in 0..raw.count()? {
        let offset = raw.number()?;
        metas.push(Meta::parse(raw.take(HEADER_BYTES)?, offset)?);
    }
    raw.is_empty().then_some((cover, oldest_ms, metas))
}

fn header(file: &File, at: u64) -> Option<Meta> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, at).ok()?;
    Meta::parse(&header, at)
}

/// All blocks that can be found one after the other; what is no block is passed over.
fn search(file: &File, bytes: u64) -> Vec<Meta> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes {
        match header(file, at) {
            Some(meta) => {
                // Believed, for its header has a checksum; where it is cut, reading it will tell.
                at = at.saturating_add(meta.bytes());
                found.push(meta);
            }
            None => match next_magic(file, at + 1, bytes) {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    found
}

fn next_magic(file: &File, mut at: u64, bytes: u64) -> Option<u64> {
    let mut buffer = vec![0; SEARCH_BYTES];
    while at + (MAGIC.len() as u64) <= bytes {
        let length = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(SEARCH_BYTES);
        file.read_exact_at(&mut buffer[..length], at).ok()?;
        if let Some(here) = buffer[..length].windows(MAGIC.len()).position(|four| four == MAGIC) {
            return Some(at + here as u64);
        }
        at += (length - (MAGIC.len() - 1)) as u64;
    }
    None
}
