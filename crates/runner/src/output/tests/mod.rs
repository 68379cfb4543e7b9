//! Output from `append` to `read`, over good disks and bad ones.
//!
//! Most tests write numbered words: each 8 bytes say at which position of the attempt's output they
//! stand, so that [`check_account`] sees for every chunk whether it belongs where it is shown.

mod damage;
mod faults;
mod fuzzed;
mod limits;
mod lost;
mod many;
mod places;
mod retention;
mod round_trip;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use model::{Attempt, Ending, Outcome, RunId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use super::write::{Disk, Open, RealDisk};
use super::{Chunk, Config, Store, Stream, Writer, Written};

const PATIENCE: Duration = Duration::from_secs(60);

fn attempt(index: u32) -> Attempt {
    let element = model::Element { run: RunId(812), task: 1, index };
    Attempt { element, number: 2 }
}

fn done() -> Outcome {
    let mut outcome = Outcome::bare(Ending::Exited { code: 0 });
    outcome.ended_us = 77;
    outcome
}

/// Small limits, so that everything happens soon.
fn small(dir: &TempDir) -> Config {
    Config {
        dir: dir.path().to_owned(),
        segment_bytes: 20_000,
        shared_bytes_max: 4096,
        own_file_bytes: 8192,
        own_files: 3,
        queue_bytes_max: 1 << 20,
    }
}

/// A writer and what was asked of it.
struct Bench {
    writer: Writer,
    positions: BTreeMap<Attempt, u64>,
    ended: BTreeMap<Attempt, Outcome>,
    /// The extents that were told, of live attempts and ended ones.
    told: BTreeMap<Attempt, Vec<proto::supervisor::Extent>>,
    /// The index of the attempt whose end stalls next.
    stalls: u32,
}

impl Bench {
    fn new(config: Config) -> Bench {
        Bench::on(config, Box::new(RealDisk))
    }

    fn on(config: Config, disk: Box<dyn Disk>) -> Bench {
        let writer = Writer::start_on(config, disk).unwrap();
        let (positions, ended, told) = Default::default();
        Bench { writer, positions, ended, told, stalls: 1_000_000 }
    }

    /// Appends so many numbered words.
    fn words(&mut self, attempt: Attempt, stream: Stream, time_us: u64, count: u64) {
        let position = self.positions.entry(attempt).or_default();
        let words: Vec<u8> =
            (0..count).flat_map(|word| (*position + word * 8).to_le_bytes()).collect();
        *position += count * 8;
        self.writer.append(attempt, stream, time_us, &words);
    }

    fn end(&mut self, attempt: Attempt) {
        self.writer.end(attempt, done());
    }

    fn poll(&mut self) {
        for written in self.writer.poll() {
            match written {
                Written::Output { attempt, extents } => {
                    assert!(!self.ended.contains_key(&attempt), "output after the end");
                    self.told.entry(attempt).or_default().extend(extents);
                }
                Written::Ended { attempt, outcome } => {
                    assert_eq!(outcome.output_bytes, *self.positions.entry(attempt).or_default());
                    assert!(self.ended.insert(attempt, outcome).is_none(), "ended twice");
                }
            }
        }
    }

    /// Waits for the disk until the condition holds.
    fn wait(&mut self, what: &str, mut holds: impl FnMut(&Bench) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        self.poll();
        while !holds(self) {
            let left = deadline.checked_duration_since(Instant::now());
            let left = left.unwrap_or_else(|| panic!("waited too long for {what}"));
            let timeout = Timespec::try_from(left).unwrap();
            let fd = self.writer.wake_fd();
            poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout)).unwrap();
            self.poll();
        }
    }

    fn wait_ended(&mut self, attempt: Attempt) -> Outcome {
        self.wait("an end", |bench| bench.ended.contains_key(&attempt));
        self.ended[&attempt].clone()
    }
}

/// All chunks of an ended attempt.
fn read(store: &Store, attempt: Attempt, outcome: &Outcome) -> Vec<Chunk> {
    let Some(at) = outcome.output else { return Vec::new() };
    store.read(attempt, &store.ended(at).unwrap()).map(Result::unwrap).collect()
}

/// Checks that every word stands in its place, that marks stand exactly where words are missing,
/// and that nothing is missing that was not counted as dropped.
fn check_account(chunks: &[Chunk], outcome: &Outcome) {
    let words = |chunk: &Chunk| String::from_utf8_lossy(&chunk.data).into_owned();
    let marks = chunks.iter().filter(|chunk| chunk.stream == Stream::Mark).map(words);
    for mark in marks {
        assert!(!mark.contains("may be") && !mark.contains("damaged"), "{mark}");
    }
    let kept = check_places(chunks, outcome.output_bytes);
    assert_eq!(kept + outcome.output_dropped_bytes, outcome.output_bytes, "kept and dropped");
}

/// Checks that no word is shown out of place and none is missing without marks that say how much;
/// how many bytes there are.
fn check_places(chunks: &[Chunk], written: u64) -> u64 {
    let (mut position, mut kept, mut marks) = (0, 0, Vec::new());
    for chunk in chunks {
        if chunk.stream == Stream::Mark {
            marks.push(std::str::from_utf8(&chunk.data).unwrap());
            continue;
        }
        let words = chunk.data.chunks_exact(8);
        assert!(words.remainder().is_empty());
        let words: Vec<u64> =
            words.map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        check_gap(position, words[0], &std::mem::take(&mut marks));
        position = words[0];
        for word in words {
            assert_eq!(word, position, "a word out of place");
            position += 8;
        }
        kept += chunk.data.len() as u64;
    }
    check_gap(position, written, &marks);
    kept
}

/// Bytes side by side may be missing for several reasons, each with its mark: their sum counts.
fn check_gap(from: u64, to: u64, marks: &[&str]) {
    assert!(from <= to, "words again: {to} after {from}");
    let missing = (to - from) as f64;
    let Some(sizes) = marks.iter().map(|mark| marked(mark)).collect::<Option<Vec<_>>>() else {
        return;
    };
    let (told, rounded) =
        sizes.iter().fold((0.0, 0.0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
    assert!((missing - told).abs() <= rounded, "{missing} missing: {marks:?}");
}

/// How many bytes a mark tells to be missing, and by how much that may be rounded; `None` if it
/// does not know.
fn marked(mark: &str) -> Option<(f64, f64)> {
    let mut words = mark.strip_prefix("[windlass: ").expect("a mark").split(' ');
    let size: f64 = words.next()?.parse().ok()?;
    assert!(size > 0.0, "a mark without a gap: {mark}");
    let unit: f64 = match words.next()? {
        "byte" | "bytes" => return Some((size, 0.0)),
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        unit => panic!("{unit} in {mark}"),
    };
    // The rounding, and a hair for the way the quotient itself is kept.
    Some((size * unit, 0.0501 * unit))
}

/// A disk that can be told to fail.
#[derive(Clone, Default)]
struct BadDisk(Arc<(Mutex<Faults>, Condvar)>);

#[derive(Clone, Default)]
struct Faults {
    /// Writes wait.
    stalled: bool,
    /// One does.
    waiting: bool,
    /// Bytes until the disk is full.
    room: Option<u64>,
    /// The error of every write.
    write: Option<i32>,
    /// The error of every open.
    open: Option<i32>,
    /// The error of every truncation.
    truncate: Option<i32>,
    /// Writes take everything and then say that they failed.
    lie: bool,
    /// No write takes more.
    piece: Option<usize>,
    /// Writes so far.
    writes: u64,
}

impl BadDisk {
    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Lets writes wait, and waits until one does.
    fn stall(&self, bench: &mut Bench) {
        self.set(|faults| faults.stalled = true);
        bench.end(attempt(bench.stalls));
        bench.stalls += 1;
        let (faults, changed) = &*self.0;
        let guard = faults.lock().unwrap();
        let (guard, _) =
            changed.wait_timeout_while(guard, PATIENCE, |faults| !faults.waiting).unwrap();
        assert!(guard.waiting);
    }

    fn writes(&self) -> u64 {
        self.0.0.lock().unwrap().writes
    }
}

fn fail(errno: Option<i32>) -> io::Result<()> {
    errno.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
}

impl Disk for BadDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<File> {
        fail(self.0.0.lock().unwrap().open)?;
        RealDisk.open(path, how)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut faults = self.0.0.lock().unwrap();
        faults.waiting = true;
        self.0.1.notify_all();
        let mut faults = self.0.1.wait_while(faults, |faults| faults.stalled).unwrap();
        faults.waiting = false;
        faults.writes += 1;
        fail(faults.write)?;
        if faults.lie {
            RealDisk.write_at(file, bytes, offset)?;
            fail(Some(libc::EIO))?;
        }
        let mut length = bytes.len().min(faults.piece.unwrap_or(usize::MAX));
        if let Some(room) = &mut faults.room {
            length = length.min(*room as usize);
            *room -= length as u64;
            fail((length == 0).then_some(libc::ENOSPC))?;
        }
        RealDisk.write_at(file, &bytes[..length], offset)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        fail(self.0.0.lock().unwrap().truncate)?;
        RealDisk.truncate(file, length)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}
