//! What lies in the output directory, in the pieces that are removed as one.
//!
//! A segment is *sealed* when there is one with a higher number: a writer begins the next only
//! when it is done with the one before, never continues an old one, and is alone in its directory
//! as long as its process lives. So the newest segment is never sealed, and no number is used
//! twice though all others were removed.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use model::Attempt;

use crate::output::frame::{FileId, attempt_of_name, own_dir, segment_number};

/// What a file takes on a disk is a multiple of this.
const BLOCK_BYTES: u64 = 4096;

/// Files that are kept or removed as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which files they are.
    pub kind: PieceKind,
    /// What they take on the disk.
    pub bytes: u64,
    /// How many they are.
    pub files: usize,
    /// When they were written last, Unix time in microseconds.
    pub written_us: u64,
}

/// Which files of the output directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PieceKind {
    /// A segment that many attempts share.
    Segment {
        /// Its number.
        number: u32,
        /// Nothing is written to it any more.
        sealed: bool,
    },
    /// The files that are an attempt's own.
    Own(Attempt),
    /// The list of where the output of an attempt lies whose supervisor was killed.
    Lost(Attempt),
}

/// All pieces, those that were written last at the end.
pub(super) fn pieces(dir: &Path) -> io::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    each(dir, |entry, name| {
        if let (Some(number), Some(metadata)) = (segment_number(name), there(entry.metadata())?) {
            let kind = PieceKind::Segment { number, sealed: true };
            pieces.push(piece(kind, &[metadata]));
        }
        Ok(())
    })?;
    if let Some(newest) = pieces.iter_mut().max_by_key(|piece| piece.kind)
        && let PieceKind::Segment { sealed, .. } = &mut newest.kind
    {
        *sealed = false;
    }
    each(&dir.join("own"), |_, name| {
        if let Some(attempt) = attempt_of_name(name) {
            pieces.push(own(dir, attempt)?);
        }
        Ok(())
    })?;
    each(&dir.join("lost"), |entry, name| {
        if let (Some(attempt), Some(metadata)) = (attempt_of_name(name), there(entry.metadata())?) {
            pieces.push(piece(PieceKind::Lost(attempt), &[metadata]));
        }
        Ok(())
    })?;
    pieces.sort_by_key(|piece| (piece.written_us, piece.kind));
    Ok(pieces)
}

/// An attempt's own files; a directory without any is as old as can be.
fn own(dir: &Path, attempt: Attempt) -> io::Result<Piece> {
    let mut files = Vec::new();
    each(&own_dir(dir, attempt), |entry, _| {
        files.extend(there(entry.metadata())?);
        Ok(())
    })?;
    Ok(piece(PieceKind::Own(attempt), &files))
}

fn piece(kind: PieceKind, files: &[Metadata]) -> Piece {
    let written = |metadata: &Metadata| {
        let micros = metadata.mtime().saturating_mul(1_000_000) + metadata.mtime_nsec() / 1000;
        u64::try_from(micros).unwrap_or(0)
    };
    Piece {
        kind,
        bytes: files.iter().map(|file| file.len().next_multiple_of(BLOCK_BYTES)).sum(),
        files: files.len(),
        written_us: files.iter().map(written).max().unwrap_or(0),
    }
}

/// Goes through the entries of a directory, which need not be there.
pub(super) fn each(
    dir: &Path,
    mut each: impl FnMut(&DirEntry, &str) -> io::Result<()>,
) -> io::Result<()> {
    let Some(entries) = there(fs::read_dir(dir))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str() {
            each(&entry, name)?;
        }
    }
    Ok(())
}

/// Deletes the files of a piece, as far as they are there.
pub(super) fn remove(dir: &Path, kind: PieceKind) -> io::Result<()> {
    match kind {
        PieceKind::Segment { number, .. } => {
            there(fs::remove_file(FileId::Segment(number).path(dir)))?;
        }
        PieceKind::Lost(attempt) => drop(there(fs::remove_file(super::lost::path(dir, attempt)))?),
        PieceKind::Own(attempt) => {
            let own = own_dir(dir, attempt);
            each(&own, |entry, _| there(fs::remove_file(entry.path())).map(drop))?;
            there(fs::remove_dir(own))?;
        }
    }
    Ok(())
}

/// What is not there is no error: others delete as well.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
