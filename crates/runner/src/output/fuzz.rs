//! What a fuzzer throws at the readers: whatever lies on the disk, nothing panics, nothing is
//! shown that is not there, and the work has an end.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use model::{Attempt, OutputRef};
use proto::supervisor::Extent;

use super::frame::{
    FILE_HEADER, FRAME_HEADER, FRAME_MAGIC, FileId, Header, Kind, PAYLOAD_MAX, mended,
};
use super::read::fuzz::{frames_of, list};
use super::{Limits, Store, Stream};

/// Attempts of one file that are read.
const ATTEMPTS_MAX: usize = 16;
/// Stretches of one end that are read.
const EXTENTS_MAX: usize = 64;

/// The bytes as a segment: as they are, and with every checksum made right, so that what lies
/// behind the checksums is reached too.
pub fn segment(bytes: &[u8]) {
    check(bytes);
    check(&mend(bytes));
}

/// The bytes as each of the small lists beside the segments.
pub fn lists(bytes: &[u8]) {
    list(bytes);
}

fn check(bytes: &[u8]) {
    let dir = Dir::new();
    let id = FileId::Segment(1);
    fs::write(id.path(&dir.0), bytes).expect("a temporary file can be written");
    fs::write(FileId::Segment(2).path(&dir.0), FILE_HEADER).expect("and another");
    let store = Store::open(&dir.0);
    let (mut attempts, mut ends) = (BTreeSet::new(), Vec::new());
    frames_of(&dir.0, id, |offset, header: &Header| {
        assert!(offset + header.frame_length() <= bytes.len() as u64, "a frame beyond the file");
        if attempts.len() < ATTEMPTS_MAX {
            attempts.insert(header.attempt);
        }
        if header.kind == Kind::End && ends.len() < ATTEMPTS_MAX {
            ends.push((header.attempt, OutputRef { segment: 1, offset }));
        }
    });
    let found = store.recover(&attempts);
    assert!(found.keys().all(|attempt| attempts.contains(attempt)));
    let all = [id.extent(FILE_HEADER.len() as u64, u64::MAX)];
    for attempt in &attempts {
        read(&store, *attempt, &all, bytes.len());
    }
    for (attempt, at) in ends {
        if let Ok(mut extents) = store.ended(at) {
            extents.truncate(EXTENTS_MAX);
            read(&store, attempt, &extents, bytes.len());
        }
    }
    let first = attempts.first().copied();
    let limits = Limits { bytes_max: 0, oldest_us: 0 };
    let kept = |store: &Store| {
        let swept = store.sweep(&limits, &|attempt| Some(attempt) == first);
        swept.expect("a temporary file can be removed").files == 0
    };
    assert_eq!(kept(&store), first.is_some(), "a segment is kept by the attempts in it");
    assert!(kept(&store), "nothing is removed twice");
}

/// Reads it all. However the stretches lie, no more is shown than there is in each of them.
fn read(store: &Store, attempt: Attempt, extents: &[Extent], length: usize) {
    let mut bytes = 0;
    for chunk in store.read(attempt, extents) {
        let Ok(chunk) = chunk else { continue };
        assert_eq!(chunk.attempt, attempt);
        assert!(chunk.data.len() <= PAYLOAD_MAX);
        bytes += if chunk.stream == Stream::Mark { 0 } else { chunk.data.len() };
    }
    assert!(bytes <= length * extents.len().max(1), "{bytes} bytes of output in {length}");
}

/// The same bytes with the checksums of whatever looks like a frame made right.
fn mend(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|four| four == FRAME_MAGIC) {
        at += found;
        let Some(length) = mended(&mut bytes[at..], FileId::Segment(1), at as u64) else { break };
        at += FRAME_HEADER + length;
    }
    bytes
}

/// A directory that is gone when this is.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("windlass-fuzz-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).expect("a temporary directory can be made");
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _: io::Result<()> = fs::remove_dir_all(Path::new(&self.0));
    }
}
