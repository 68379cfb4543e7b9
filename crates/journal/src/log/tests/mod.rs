//! The log alone: what it keeps, what it refuses, and what every interruption leaves.

pub(crate) mod crash;
mod damage;
pub(crate) mod faults;
mod segments;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::LeaderId;

pub(crate) const NODE: u64 = 7;
/// The smallest segment; it holds five entries of `entry`.
pub(super) const SEGMENT: u64 = 16 << 10;
pub(crate) const ALL: Batch = Batch { entries: usize::MAX, bytes: usize::MAX };

/// A directory and the disk it is on.
pub(crate) struct Env {
    pub(crate) dir: TempDir,
    pub(crate) disk: Disk,
    pub(super) cache_bytes: usize,
}

impl Env {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), disk: Disk::default(), cache_bytes: 1 << 20 }
    }

    /// For tests with thousands of openings, which are not about syncing.
    pub(crate) fn without_sync() -> Self {
        let env = Self::new();
        env.disk.faults.pretend_sync.store(true, SeqCst);
        env
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn open(&self) -> Result<Log, OpenError> {
        Log::open(self.options())
    }

    pub(super) fn options(&self) -> Options {
        Options {
            dir: self.path().to_owned(),
            node: NODE,
            life: 0,
            segment_bytes: SEGMENT,
            cache_bytes: self.cache_bytes,
            disk: self.disk.clone(),
            syncs: Default::default(),
        }
    }

    /// A log with the entries `0..count`, as a crash of the process would leave it.
    pub(super) fn crashed(count: u64) -> Self {
        let env = Self::without_sync();
        let log = env.open().unwrap();
        for index in 0..count {
            append(&log, [entry(index)]).unwrap();
        }
        let copy = Self::without_sync();
        copy_dir(env.path(), copy.path());
        copy
    }
}

/// What is in the directory, but for unused space.
pub(crate) fn read_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    let content = |file: std::fs::DirEntry| {
        (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())
    };
    files.map(content).filter(|(name, _)| name != "spare.segment").collect()
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// An entry of 700 bytes that knows its index.
pub(crate) fn entry(index: Index) -> Entry {
    in_term(1, index)
}

pub(crate) fn in_term(term: u64, index: Index) -> Entry {
    let kind = if index == 0 { Kind::Membership } else { Kind::Record };
    let body = format!("{term}/{index}/").repeat(700).into_bytes();
    let id = EntryId { index, leader: LeaderId { term, node: NODE } };
    Entry { id, kind, body: Bytes::from(body).slice(..700 - record::HEAD) }
}

pub(crate) fn append(log: &Log, entries: impl IntoIterator<Item = Entry>) -> Result<(), Arc<str>> {
    wait(|done| log.append(entries.into_iter().collect(), done))
}

pub(super) fn truncate(log: &Log, from: Index) -> Result<(), Arc<str>> {
    wait(|done| log.truncate(from, done))
}

pub(crate) fn purge(log: &Log, upto: Index) -> Result<(), Arc<str>> {
    wait(|done| log.purge(entry(upto).id, done))?;
    log.sweep();
    Ok(())
}

pub(super) fn vote(log: &Log, term: u64) -> Result<(), Arc<str>> {
    wait(|done| log.save_vote(ballot(term), done))
}

pub(super) fn ballot(term: u64) -> Vote {
    Vote { leader: LeaderId { term, node: NODE }, won: true }
}

fn wait(start: impl FnOnce(Done)) -> Result<(), Arc<str>> {
    let (tell, told) = mpsc::channel();
    start(Box::new(move |result| tell.send(result).unwrap()));
    told.recv().unwrap_or_else(|_| Err("the writer is gone".into()))
}

pub(crate) fn all(log: &Log) -> Vec<Entry> {
    log.read(0..Index::MAX, ALL).unwrap()
}

/// The numbers of the entries, after a check that each is what was written under its number.
pub(super) fn indices(log: &Log) -> Vec<Index> {
    let all = all(log);
    for found in &all {
        assert_eq!(*found, entry(found.id.index));
    }
    all.iter().map(|found| found.id.index).collect()
}

pub(super) fn segment_files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| segment::parse_name(name).is_some()).collect();
    names.sort();
    names
}
