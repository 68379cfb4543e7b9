//! A block of changes: a header with its span and a checksum over all of it, then the changes,
//! compressed.

use crate::bytes::{In, Out};

use super::Position;

/// The first bytes of a block.
const MAGIC: [u8; 4] = *b"WLA1";
/// Magic, checksum, bytes that follow, bytes when they are not compressed.
const HEADER_BYTES: usize = 16;
/// Bytes of a block, not compressed, at most: what claims more is damaged.
const RAW_BYTES_MAX: usize = 64 << 20;

/// A change that somebody made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// When, Unix milliseconds.
    pub time_ms: u64,
    /// What was done: `submit`, `cancel`, …
    pub action: String,
    /// To what.
    pub on: String,
    /// By whom.
    pub actor: String,
    /// Why, as they said.
    pub reason: String,
    /// The id of the token; empty for the data directory's own, or for none.
    pub token: String,
    /// The address it came from; empty for the cluster itself.
    pub address: String,
}

/// A change at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Position,
    pub(super) change: Change,
}

/// A whole block in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) last_ms: u64,
    /// Where the compressed changes begin.
    body: usize,
    raw_bytes: usize,
}

impl Change {
    /// Bytes of memory, about.
    pub(super) fn weight(&self) -> usize {
        let Change { action, on, actor, reason, token, address, .. } = self;
        let texts = [action, on, actor, reason, token, address].map(|text| text.len() + 8);
        std::mem::size_of::<Entry>() + texts.iter().sum::<usize>()
    }
}

pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut raw = Out::default();
    let mut before = (0, 0, 0);
    for Entry { at, change } in entries {
        raw.step(before.0, at.0);
        raw.step(before.1, at.1.into());
        raw.step(before.2, change.time_ms);
        before = (at.0, at.1.into(), change.time_ms);
        let Change { action, on, actor, reason, token, address, .. } = change;
        [action, on, actor, reason, token, address].iter().for_each(|text| raw.text(text));
    }
    let mut body = Out::default();
    for entry in entries.first().into_iter().chain(entries.last()) {
        body.number(entry.at.0);
        body.number(entry.at.1.into());
    }
    body.number(entries.iter().map(|entry| entry.change.time_ms).max().unwrap_or(0));
    body.0.extend_from_slice(&lz4_flex::block::compress(&raw.0));
    let mut block = Vec::with_capacity(HEADER_BYTES + body.0.len());
    block.extend_from_slice(&MAGIC);
    block.extend_from_slice(&[0; 4]);
    block.extend_from_slice(&(body.0.len() as u32).to_le_bytes());
    block.extend_from_slice(&(raw.0.len() as u32).to_le_bytes());
    block.extend_from_slice(&body.0);
    let sum = crc32c::crc32c(&block[8..]);
    block[4..8].copy_from_slice(&sum.to_le_bytes());
    block
}

/// The whole blocks of a file, in order; what is damaged between them is passed over.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at + HEADER_BYTES <= bytes.len() {
        match block_at(bytes, at) {
            Some(block) => {
                at = block.end;
                blocks.push(block);
            }
            None => {
                let next = bytes[at + 1..].windows(MAGIC.len()).position(|four| four == MAGIC);
                let Some(next) = next else { break };
                at += 1 + next;
            }
        }
    }
    blocks
}

fn block_at(bytes: &[u8], start: usize) -> Option<Block> {
    let header = bytes.get(start..start + HEADER_BYTES)?;
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let end = (start + HEADER_BYTES).checked_add(number(8) as usize)?;
    let raw_bytes = number(12) as usize;
    if header[..4] != MAGIC || raw_bytes > RAW_BYTES_MAX {
        return None;
    }
    if crc32c::crc32c(bytes.get(start + 8..end)?) != number(4) {
        return None;
    }
    let mut body = In(&bytes[start + HEADER_BYTES..end]);
    let first = (body.number()?, body.number32()?);
    let last = (body.number()?, body.number32()?);
    let last_ms = body.number()?;
    Some(Block { start, end, first, last, last_ms, body: end - body.0.len(), raw_bytes })
}

impl Block {
    /// Its changes; `None` where the bytes are none.
    pub(super) fn entries(&self, bytes: &[u8]) -> Option<Vec<Entry>> {
        let packed = bytes.get(self.body..self.end)?;
        let raw = lz4_flex::block::decompress(packed, self.raw_bytes).ok()?;
        let mut raw = In(&raw);
        let mut entries = Vec::new();
        let mut before = (0, 0, 0);
        while !raw.is_empty() {
            before = (raw.step(before.0)?, raw.step(before.1)?, raw.step(before.2)?);
            let change = Change {
                time_ms: before.2,
                action: raw.text()?,
                on: raw.text()?,
                actor: raw.text()?,
                reason: raw.text()?,
                token: raw.text()?,
                address: raw.text()?,
            };
            entries.push(Entry { at: (before.0, u32::try_from(before.1).ok()?), change });
        }
        Some(entries)
    }
}
