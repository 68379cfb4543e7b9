//! Old output goes, whole pieces at a time and the oldest first.
//!
//! Nothing goes that somebody may still need: not the segment that is written to, nothing of an
//! attempt that is not over or whose end is not kept elsewhere. A segment says itself whose frames
//! it holds, so it is looked through before it is removed; whoever keeps it is remembered, and it
//! is looked through once in all, however often it is tried. One call removes few files and reads
//! a bounded part, so that no call is long.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use model::Attempt;

use super::pieces::{Piece, PieceKind, pieces, remove};
use super::recover::frames_from;
use super::removed::Removed;
use crate::output::frame::FileId;

/// Files that one call removes, unless a single attempt has more of its own.
const FILES_MAX: usize = 64;
/// Bytes of segments that one call reads, beyond the last.
const READ_BYTES_MAX: u64 = 256 << 20;
/// Lists of lost output stay until their runs are purged, but no more than this.
const LISTS_MAX: usize = 20_000;

/// How much output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The oldest goes until all takes no more than this.
    pub bytes_max: u64,
    /// What was written last before this time goes, Unix time in microseconds; 0 for nothing.
    pub oldest_us: u64,
}

/// What one call removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many files.
    pub files: usize,
    /// What they took on the disk.
    pub bytes: u64,
    /// What is left.
    pub left_bytes: u64,
    /// There is more to remove: call again.
    pub more: bool,
}

/// What is known of segments that were looked through: where the first frame lies that still keeps
/// each, and whose it is. No frame before it does, nor will one ever.
#[derive(Debug, Default)]
pub(super) struct Keepers(BTreeMap<u32, (u64, Option<Attempt>)>);

/// One step towards the limits.
pub(super) fn sweep(
    dir: &Path,
    keepers: &mut Keepers,
    limits: &Limits,
    live: &dyn Fn(Attempt) -> bool,
) -> io::Result<Swept> {
    let pieces = pieces(dir)?;
    let is_list = |piece: &&Piece| matches!(piece.kind, PieceKind::Lost(_));
    let mut lists = pieces.iter().filter(is_list).count();
    let mut step = Step::new(&pieces);
    let mut read_bytes = 0;
    for piece in &pieces {
        let list = matches!(piece.kind, PieceKind::Lost(_));
        let beyond = match list {
            true => lists > LISTS_MAX,
            false => step.left() > limits.bytes_max || piece.written_us < limits.oldest_us,
        };
        if !beyond {
            continue;
        }
        if !step.has_room(piece) || read_bytes > READ_BYTES_MAX {
            step.swept.more = true;
            break;
        }
        let kept = match piece.kind {
            PieceKind::Segment { sealed: false, .. } => true,
            PieceKind::Segment { number, .. } => keepers.keep(dir, number, live, &mut read_bytes),
            PieceKind::Own(attempt) | PieceKind::Lost(attempt) => live(attempt),
        };
        if !kept {
            lists -= usize::from(list);
            step.take(piece);
        }
    }
    step.remove(dir)
}

/// One step of removing what belongs to the attempts of purged runs alone.
pub(super) fn purge(dir: &Path, purged: &dyn Fn(Attempt) -> bool) -> io::Result<Swept> {
    let pieces = pieces(dir)?;
    let mut step = Step::new(&pieces);
    for piece in &pieces {
        if let PieceKind::Own(attempt) | PieceKind::Lost(attempt) = piece.kind
            && purged(attempt)
        {
            if !step.has_room(piece) {
                step.swept.more = true;
                break;
            }
            step.take(piece);
        }
    }
    step.remove(dir)
}

/// What one call is going to remove.
struct Step {
    swept: Swept,
    gone: Vec<PieceKind>,
}

impl Step {
    fn new(pieces: &[Piece]) -> Step {
        let left_bytes = pieces.iter().map(|piece| piece.bytes).sum();
        Step { swept: Swept { left_bytes, ..Swept::default() }, gone: Vec::new() }
    }

    fn left(&self) -> u64 {
        self.swept.left_bytes
    }

    fn has_room(&self, piece: &Piece) -> bool {
        self.gone.is_empty()
            || self.gone.len() < FILES_MAX && self.swept.files + piece.files <= FILES_MAX
    }

    fn take(&mut self, piece: &Piece) {
        self.swept.files += piece.files;
        self.swept.bytes += piece.bytes;
        self.swept.left_bytes -= piece.bytes;
        self.gone.push(piece.kind);
    }

    /// Says what goes before it goes: what is missing without a word is a loss.
    fn remove(self, dir: &Path) -> io::Result<Swept> {
        let segments = self.gone.iter().filter_map(|kind| match kind {
            PieceKind::Segment { number, .. } => Some(*number),
            PieceKind::Own(_) | PieceKind::Lost(_) => None,
        });
        let segments: Vec<u32> = segments.collect();
        if !segments.is_empty() {
            let mut removed = Removed::read(dir);
            segments.into_iter().for_each(|number| removed.insert(number));
            // A full disk takes no list, and is the one that needs room most.
            let _ = removed.write(dir);
        }
        for kind in self.gone {
            remove(dir, kind)?;
        }
        Ok(self.swept)
    }
}

impl Keepers {
    /// Whether a sealed segment holds frames of a live attempt. One that cannot be read is kept,
    /// for nobody knows.
    fn keep(
        &mut self,
        dir: &Path,
        number: u32,
        live: &dyn Fn(Attempt) -> bool,
        read_bytes: &mut u64,
    ) -> bool {
        let (from, keeper) = self.0.get(&number).copied().unwrap_or_default();
        if keeper.is_some_and(live) {
            return true;
        }
        let mut found = None;
        let mut at = from;
        let result = frames_from(dir, FileId::Segment(number), from, |_, offset, header| {
            at = offset + header.frame_length();
            if live(header.attempt) {
                found = Some((offset, Some(header.attempt)));
            }
            Ok(found.is_none())
        });
        *read_bytes += at.saturating_sub(from);
        match (result, found) {
            (Ok(()), None) => {
                self.0.remove(&number);
                false
            }
            (_, keeper) => {
                self.0.insert(number, keeper.unwrap_or((from, None)));
                true
            }
        }
    }
}
