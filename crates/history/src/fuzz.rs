//! Entries for whoever throws arbitrary bytes at what is read from disk.

use crate::block::{self, Attempts, HEADER_BYTES, Heads, Jobs, Meta, Names, Spans, Table};
use crate::bytes::In;
use crate::cover::Ranges;

/// Reads bytes as a block, and as what lies below its checksums: never a panic, and no memory that
/// the bytes do not bear.
pub fn block(bytes: &[u8]) {
    if let Some((header, payload)) = bytes.split_at_checked(HEADER_BYTES)
        && let Some(meta) = Meta::parse(header, 0)
    {
        let _ = meta.unpack(payload);
    }
    let Some((&[kind, low, high], body)) = bytes.split_first_chunk::<3>() else { return };
    let rows = usize::from(u16::from_le_bytes([low, high])).min(body.len());
    match kind % 6 {
        0 => check::<Attempts>(body, rows),
        1 => check::<Spans>(body, rows),
        2 => check::<Heads>(body, rows),
        3 => check::<Jobs>(body, rows),
        4 => check::<Names>(body, rows),
        _ => _ = Ranges::read(&mut In(body)),
    }
}

/// What can be read can be written, and is the same when it is read again.
fn check<T: Table>(body: &[u8], rows: usize) {
    let Some(found) = T::decode(body, rows) else { return };
    let references: Vec<&T::Row> = found.iter().collect();
    if references.is_empty() {
        return;
    }
    let (meta, packed) = block::pack_rows::<T>(&references, 0);
    let again = block::rows::<T>(&meta, &packed[HEADER_BYTES..]);
    assert_eq!(again.map(|again| again.len()), Some(found.len()), "what is written is read");
}
