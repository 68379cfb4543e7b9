//! For fuzzing: arbitrary bytes as one of the journal's files must neither panic nor take memory without bound.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use crate::log::record;
use crate::log::segment::Segment;
use crate::snapshot::Chunks;

/// Reads the bytes as a snapshot file.
pub fn snapshot(bytes: &[u8]) {
    if let Ok(mut chunks) = Chunks::new(bytes) {
        // What is wrong with it is of no interest here.
        let _ = chunks.verify();
    }
}

/// Reads the bytes as a segment of the log.
pub fn segment(bytes: &[u8]) {
    let first = if bytes.len() < 16 { 0 } else { record::long(bytes, 8) };
    let file = rustix::fs::memfd_create("segment", rustix::fs::MemfdFlags::CLOEXEC).map(File::from);
    let Ok(mut file) = file else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    if let Ok(segment) = Segment::of(file, PathBuf::from("segment"), first) {
        let _ = segment.scan();
        let _ = segment.scan_below_mark();
    }
}
