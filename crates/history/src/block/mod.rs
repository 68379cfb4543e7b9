//! Blocks: some neighbouring rows of one table, in columns, compressed, each with its own checksum.
//!
//! ```text
//! header: magic 4 | kind 1 | version 1 | states 2 | rows 4 | stored 4 | raw 4 | crc of payload 4
//!         first key 20 | last key 20 | crc of the header 4
//! payload: `stored` bytes; LZ4 of `raw` bytes where the two differ
//! ```
//!
//! A block can be found, judged and read without anything else of its file. Nothing here trusts a
//! byte: what is damaged is `None`, and memory is bounded by the bytes that are there.

mod attempts;
mod heads;
mod jobs;
mod names;
mod spans;

pub(crate) use attempts::Attempts;
pub(crate) use heads::Heads;
pub(crate) use jobs::{Job, Jobs};
pub(crate) use names::{Name, Names, hash_of};
pub(crate) use spans::{Span, Spans};

use crate::fact::States;

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) run: u64,
    pub(crate) task: u32,
    pub(crate) ordinal: u32,
    pub(crate) number: u32,
}

impl Key {
    pub(crate) const MIN: Key = Key { run: 0, task: 0, ordinal: 0, number: 0 };
    pub(crate) const MAX: Key =
        Key { run: u64::MAX, task: u32::MAX, ordinal: u32::MAX, number: u32::MAX };

    /// Of a row that is one of its run.
    pub(crate) fn of_run(run: u64) -> Key {
        Key { run, ..Key::MIN }
    }
}

/// One kind of rows.
pub(crate) trait Table {
    /// A row.
    type Row: Clone + Send + Sync + 'static;
    /// Its number on disk.
    const KIND: Kind;
    /// Whether the same blocks are read again and again, so that it pays to keep the last one.
    const IS_KEPT: bool = false;

    /// The row's place.
    fn key(row: &Self::Row) -> Key;

    /// The last place it covers.
    fn last(row: &Self::Row) -> Key {
        Self::key(row)
    }

    /// The run it belongs to.
    fn run(row: &Self::Row) -> u64 {
        Self::key(row).run
    }

    /// The state it tells of.
    fn states(_: &Self::Row) -> States {
        States::ANY
    }

    /// About how many bytes of memory it takes.
    fn weight(row: &Self::Row) -> usize;

    /// Writes rows that are in the order of their keys.
    fn encode(rows: &[&Self::Row]) -> Vec<u8>;

    /// Reads so many rows; `None` where the bytes are damaged.
    fn decode(bytes: &[u8], rows: usize) -> Option<Vec<Self::Row>>;
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// What the file covers; its first block.
    Cover = 0,
    Attempts = 1,
    Spans = 2,
    Heads = 3,
    Jobs = 4,
    Names = 5,
    /// Runs that were deleted.
    Gone = 6,
    /// The headers of all others; the last block of a file.
    Index = 7,
}

impl Kind {
    pub(crate) const TABLES: [Kind; 5] =
        [Kind::Attempts, Kind::Spans, Kind::Heads, Kind::Jobs, Kind::Names];

    fn of(code: u8) -> Option<Kind> {
        let all = Kind::TABLES.into_iter().chain([Kind::Cover, Kind::Gone, Kind::Index]);
        all.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// What a block's header says, and where the block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: Kind,
    pub(crate) states: States,
    pub(crate) rows: u32,
    pub(crate) stored: u32,
    pub(crate) raw: u32,
    pub(crate) crc: u32,
    pub(crate) first: Key,
    pub(crate) last: Key,
    /// Where its header begins in the file.
    pub(crate) offset: u64,
}

pub(crate) const MAGIC: [u8; 4] = *b"WHB1";
const VERSION: u8 = 1;
pub(crate) const HEADER_BYTES: usize = 68;
/// Rows of a block: few enough to be read for the sake of one, enough to be worth their header.
pub(crate) const ROWS_MAX: usize = 2048;
/// Bytes of memory that the rows of a block may take, where there is more than one.
pub(crate) const WEIGHT_MAX: usize = 1 << 20;
/// LZ4 cannot make more of a byte.
const EXPANSION_MAX: u64 = 255;

impl Meta {
    /// Bytes of the block, header and all.
    pub(crate) fn bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.stored)
    }

    pub(crate) fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&[self.kind as u8, VERSION]);
        header.extend_from_slice(&self.states.bits().to_le_bytes());
        for number in [self.rows, self.stored, self.raw, self.crc] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        for key in [self.first, self.last] {
            header.extend_from_slice(&key.run.to_le_bytes());
            for number in [key.task, key.ordinal, key.number] {
                header.extend_from_slice(&number.to_le_bytes());
            }
        }
        let crc = crc32c::crc32c(&header);
        header.extend_from_slice(&crc.to_le_bytes());
        header.try_into().expect("the fields add up to the header's length")
    }

    /// Reads a header that lies at `offset`.
    pub(crate) fn parse(header: &[u8], offset: u64) -> Option<Meta> {
        let header: &[u8; HEADER_BYTES] = header.try_into().ok()?;
        let (fields, crc) = header.split_at(HEADER_BYTES - 4);
        if header[..4] != MAGIC || crc32c::crc32c(fields).to_le_bytes() != crc {
            return None;
        }
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let key = |at: usize| Key {
            run: u64::from(number(at)) | u64::from(number(at + 4)) << 32,
            task: number(at + 8),
            ordinal: number(at + 12),
            number: number(at + 16),
        };
        (header[5] == VERSION).then_some(())?;
        Some(Meta {
            kind: Kind::of(header[4])?,
            states: States::from_bits(u16::from_le_bytes([header[6], header[7]])),
            rows: number(8),
            stored: number(12),
            raw: number(16),
            crc: number(20),
            first: key(24),
            last: key(44),
            offset,
        })
    }

    /// The bytes that were put into this block's payload; `None` where it is damaged.
    pub(crate) fn unpack(&self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() as u64 != u64::from(self.stored) || crc32c::crc32c(payload) != self.crc {
            return None;
        }
        if self.raw == self.stored {
            return Some(payload.to_vec());
        }
        if u64::from(self.raw) > EXPANSION_MAX * u64::from(self.stored) {
            return None;
        }
        let raw = lz4_flex::block::decompress(payload, self.raw as usize).ok()?;
        (raw.len() as u64 == u64::from(self.raw)).then_some(raw)
    }
}

/// Packs bytes of this kind: the whole block, and its header read back.
pub(crate) fn pack(
    kind: Kind,
    raw: Vec<u8>,
    rows: u32,
    keys: (Key, Key),
    states: States,
    offset: u64,
) -> (Meta, Vec<u8>) {
    let packed = lz4_flex::block::compress(&raw);
    let payload = if packed.len() < raw.len() { &packed } else { &raw };
    let meta = Meta {
        kind,
        states,
        rows,
        stored: payload.len() as u32,
        raw: raw.len() as u32,
        crc: crc32c::crc32c(payload),
        first: keys.0,
        last: keys.1,
        offset,
    };
    let mut block = meta.header().to_vec();
    block.extend_from_slice(payload);
    (meta, block)
}

/// A block of rows, which are not none and in order.
pub(crate) fn pack_rows<T: Table>(rows: &[&T::Row], offset: u64) -> (Meta, Vec<u8>) {
    let first = rows.first().map(|row| T::key(row)).unwrap_or_default();
    let last = rows.iter().map(|row| T::last(row)).max().unwrap_or_default();
    let states = rows
        .iter()
        .fold(States::default(), |all, row| States::from_bits(all.bits() | T::states(row).bits()));
    pack(T::KIND, T::encode(rows), rows.len() as u32, (first, last), states, offset)
}

/// The rows of a block; `None` where it is damaged.
pub(crate) fn rows<T: Table>(meta: &Meta, payload: &[u8]) -> Option<Vec<T::Row>> {
    let raw = meta.unpack(payload)?;
    // Each row takes a byte at least, so a count is never believed that the bytes do not bear.
    let rows = usize::try_from(meta.rows).ok().filter(|rows| *rows <= raw.len())?;
    T::decode(&raw, rows)
}
