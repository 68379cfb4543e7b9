//! Writing a part: under another name until it is whole and on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Part, TRAILER_MAGIC, name_of};
use crate::block::{self, Key, Kind, Meta, Table};
use crate::bytes::Out;
use crate::cover::Ranges;
use crate::fact::States;

/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// A part in the making. Dropped before it is finished, it leaves nothing.
pub(crate) struct Writer {
    dir: PathBuf,
    interim: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    offset: u64,
    metas: Vec<Meta>,
    cover: Ranges,
    pub(crate) oldest_ms: u64,
}

impl Writer {
    /// Begins a part that covers these journal entries. One of a name at a time.
    pub(crate) fn begin(dir: &Path, interim: &str, cover: Ranges) -> io::Result<Writer> {
        let interim = dir.join(interim);
        let file =
            File::options().create(true).truncate(true).read(true).write(true).open(&interim)?;
        let mut writer = Writer {
            dir: dir.to_owned(),
            interim,
            file: Some(file),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            offset: 0,
            metas: Vec::new(),
            cover,
            oldest_ms: u64::MAX,
        };
        let mut out = Out::default();
        writer.cover.write(&mut out);
        writer.put(Kind::Cover, out.0)?;
        Ok(writer)
    }

    /// Adds a block of rows, if there are any; they follow all before them of their table.
    pub(crate) fn rows<T: Table>(&mut self, rows: &[&T::Row]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let (meta, block) = block::pack_rows::<T>(rows, self.offset);
        self.add(meta, &block)
    }

    /// Adds rows in as many blocks as they need.
    pub(crate) fn all_rows<T: Table>(&mut self, rows: &[&T::Row]) -> io::Result<()> {
        let mut rest = rows;
        while !rest.is_empty() {
            let mut weight = 0;
            let fits = rest.iter().take(block::ROWS_MAX).take_while(|row| {
                weight += T::weight(row);
                weight <= block::WEIGHT_MAX
            });
            let (some, others) = rest.split_at(fits.count().max(1));
            self.rows::<T>(some)?;
            rest = others;
        }
        Ok(())
    }

    /// Adds a block as it is.
    pub(crate) fn copy(&mut self, meta: &Meta, payload: &[u8]) -> io::Result<()> {
        let meta = Meta { offset: self.offset, ..*meta };
        let mut block = meta.header().to_vec();
        block.extend_from_slice(payload);
        self.add(meta, &block)
    }

    fn put(&mut self, kind: Kind, raw: Vec<u8>) -> io::Result<()> {
        let keys = (Key::MIN, Key::MIN);
        let (meta, block) = block::pack(kind, raw, 0, keys, States::default(), self.offset);
        self.add(meta, &block)
    }

    fn add(&mut self, meta: Meta, block: &[u8]) -> io::Result<()> {
        self.metas.push(meta);
        self.offset += block.len() as u64;
        self.write(block)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.write_buffer() } else { Ok(()) }
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(&self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn finish(mut self, flushes: (u64, u64)) -> io::Result<Part> {
        let index_at = self.offset;
        let metas = std::mem::take(&mut self.metas);
        let mut out = Out::default();
        self.cover.write(&mut out);
        out.number(if self.oldest_ms == u64::MAX { 0 } else { self.oldest_ms });
        let tables = || metas.iter().filter(|meta| Kind::TABLES.contains(&meta.kind));
        out.number(tables().count() as u64);
        for meta in tables() {
            out.number(meta.offset);
            out.0.extend_from_slice(&meta.header());
        }
        self.put(Kind::Index, out.0)?;
        let mut trailer = index_at.to_le_bytes().to_vec();
        trailer.extend_from_slice(&crc32c::crc32c(&trailer).to_le_bytes());
        trailer.extend_from_slice(&TRAILER_MAGIC);
        self.write(&trailer)?;
        self.write_buffer()?;
        let file = self.file.take().expect("it is taken here alone");
        file.sync_all()?;
        let path = self.dir.join(name_of(flushes));
        fs::rename(&self.interim, &path)?;
        File::open(&self.dir)?.sync_all()?;
        let bytes = self.offset + trailer.len() as u64;
        Ok(Part::of(
            path,
            flushes,
            file,
            bytes,
            std::mem::take(&mut self.cover),
            self.oldest_ms,
            metas,
        ))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.interim); // It is removed at the next start otherwise.
        }
    }
}
