//! A disk that fails on demand, and one that loses what was not synced.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use crate::log::disk::Operation;

/// What is to fail.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) write: AtomicBool,
    pub(crate) sync: AtomicBool,
    pub(crate) allocate: AtomicBool,
    /// No file can be created any more, until one is removed.
    pub(crate) full: AtomicBool,
    /// After so many operations one fails, and then none.
    pub(crate) once: AtomicI64,
    /// Operations hang as long as this is held.
    pub(crate) stall: Mutex<()>,
    /// How many operations succeed before all of them fail.
    pub(crate) operations: AtomicI64,
    /// How long a sync takes, in microseconds.
    pub(crate) sync_micros: AtomicU64,
    /// Says that a sync has been done without doing it, where a test is not about that.
    pub(crate) pretend_sync: AtomicBool,
    /// Not errors but bugs: of the writer's thread, and of whoever appends.
    pub(crate) panic: AtomicBool,
    pub(crate) panic_append: AtomicBool,
    pub(crate) durable: Mutex<Durable>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            write: false.into(),
            sync: false.into(),
            allocate: false.into(),
            full: false.into(),
            once: i64::MAX.into(),
            stall: Mutex::new(()),
            operations: i64::MAX.into(),
            sync_micros: 0.into(),
            pretend_sync: false.into(),
            panic: false.into(),
            panic_append: false.into(),
            durable: Mutex::default(),
        }
    }
}

impl Faults {
    pub(crate) fn inject(&self, operation: Operation<'_>) -> io::Result<()> {
        assert!(!self.panic.load(SeqCst), "an injected panic");
        if self.operations.fetch_sub(1, SeqCst) <= 0 {
            return Err(rustix::io::Errno::IO.into());
        }
        if self.once.fetch_sub(1, SeqCst) == 0 {
            return Err(rustix::io::Errno::IO.into());
        }
        drop(self.stall.lock().unwrap());
        let slow = Duration::from_micros(self.sync_micros.load(SeqCst));
        if matches!(operation, Operation::Sync(_)) && !slow.is_zero() {
            std::thread::sleep(slow);
            // The power can have gone meanwhile.
            if self.operations.load(SeqCst) <= 0 {
                return Err(rustix::io::Errno::IO.into());
            }
        }
        if matches!(operation, Operation::Remove) {
            self.full.store(false, SeqCst);
        }
        let (fails, error) = match operation {
            Operation::Create => (&self.full, rustix::io::Errno::NOSPC),
            Operation::Write | Operation::Remove => (&self.write, rustix::io::Errno::IO),
            Operation::Sync(_) | Operation::SyncDir(_) => (&self.sync, rustix::io::Errno::IO),
            Operation::Allocate => (&self.allocate, rustix::io::Errno::NOSPC),
        };
        if fails.load(SeqCst) {
            return Err(error.into());
        }
        if self.pretend_sync.load(SeqCst) {
            self.durable.lock().unwrap().note(operation);
        }
        Ok(())
    }
}

/// What a machine that loses its power is sure to keep: the content of files when they were last synced,
/// and the names in the directory when that was.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    content: BTreeMap<Inode, Vec<u8>>,
    names: BTreeMap<String, Inode>,
}

impl Durable {
    /// What is in the directory now has come through.
    pub(crate) fn of(dir: &Path) -> Self {
        let names = names(dir);
        let read = |(name, inode): (&String, &Inode)| (*inode, fs::read(dir.join(name)).unwrap());
        Self { content: names.iter().map(read).collect(), names }
    }

    fn note(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Sync(file) => {
                let metadata = file.metadata().unwrap();
                let mut content = vec![0; metadata.len() as usize];
                file.read_exact_at(&mut content, 0).unwrap();
                self.content.insert(inode(&metadata), content);
            }
            Operation::SyncDir(dir) => self.names = names(dir),
            Operation::Create | Operation::Write | Operation::Remove | Operation::Allocate => {}
        }
    }

    /// Puts into `to` what is left of `from` after a loss of power.
    /// `keeps` says for each sector that was written but not synced, and for the names, whether it came through.
    pub(crate) fn lose_power(&self, from: &Path, to: &Path, mut keeps: impl FnMut() -> bool) {
        let now = names(from);
        let names = if keeps() { &now } else { &self.names };
        for (name, inode) in names {
            let synced = self.content.get(inode).cloned().unwrap_or_default();
            let current = now.iter().find(|(_, now)| *now == inode);
            let current = current.and_then(|(name, _)| fs::read(from.join(name)).ok());
            let current = current.unwrap_or_else(|| synced.clone());
            let mut content = if keeps() { current.clone() } else { synced.clone() };
            for (at, sector) in content.chunks_mut(512).enumerate() {
                let source = if keeps() { &current } else { &synced };
                let range = at * 512..at * 512 + sector.len();
                match source.get(range) {
                    Some(bytes) => sector.copy_from_slice(bytes),
                    None => sector.fill(0),
                }
            }
            fs::write(to.join(name), content).unwrap();
        }
    }
}

/// Numbers are given again, so the time of birth belongs to them.
type Inode = (u64, SystemTime);

fn inode(metadata: &Metadata) -> Inode {
    (metadata.ino(), metadata.created().unwrap())
}

fn names(dir: &Path) -> BTreeMap<String, Inode> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    let named = |file: fs::DirEntry| {
        (file.file_name().into_string().unwrap(), inode(&file.metadata().unwrap()))
    };
    files.map(named).collect()
}

/// Chance that can be repeated.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// A number from 0 on, below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
