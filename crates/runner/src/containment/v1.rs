//! Cgroup v1: a process writes itself in before anything else; the freezer holds the tree still
//! while every process of it is killed, as often as it takes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{Error, Kind, cgroupfs};
use crate::spawn::{Entry, Pid};

/// Empty cgroups kept for the next attempts; more are removed.
const IDLE_MAX: usize = 256;

/// The cgroups of a node.
#[derive(Debug)]
pub(super) struct Pool {
    base: PathBuf,
    freezes: bool,
    idle: Vec<Leaf>,
    next: u32,
}

impl Pool {
    /// `freezes`: whether the hierarchy is that of the freezer.
    pub(super) fn open(base: PathBuf, freezes: bool) -> Result<Pool, Error> {
        cgroupfs::make(&base).map_err(|source| Error::Refused {
            kind: Kind::V1,
            what: "making the cgroup",
            path: base.clone(),
            source,
        })?;
        Ok(Pool { base, freezes, idle: Vec::new(), next: 1 })
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    pub(super) fn take(&mut self) -> io::Result<Leaf> {
        if let Some(leaf) = self.idle.pop() {
            return Ok(leaf);
        }
        let path = self.base.join(self.next.to_string());
        cgroupfs::make(&path)?;
        let dir = cgroupfs::open_dir(&path)?;
        let procs = cgroupfs::open(&dir, "cgroup.procs", OFlags::WRONLY)?;
        self.next += 1;
        Ok(Leaf { path, dir, procs, freezes: self.freezes })
    }

    pub(super) fn put_back(&mut self, leaf: Leaf) {
        if self.idle.len() < IDLE_MAX {
            self.idle.push(leaf);
        } else {
            let _ = cgroupfs::remove(&leaf.path);
        }
    }

    pub(super) fn close(self) {
        let _ = cgroupfs::remove(&self.base);
    }
}

/// The cgroup of one attempt at a time.
#[derive(Debug)]
pub struct Leaf {
    path: PathBuf,
    dir: OwnedFd,
    procs: File,
    freezes: bool,
}

impl Leaf {
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry::Writes(self.procs.as_fd())
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        if self.freezes { cgroupfs::write(&self.dir, "freezer.state", "FROZEN") } else { Ok(()) }
    }

    pub(super) fn is_frozen(&self) -> bool {
        let frozen = |state: String| state.trim() == "FROZEN";
        !self.freezes || cgroupfs::read(&self.dir, "freezer.state").is_ok_and(frozen)
    }

    pub(super) fn thaw(&self) -> io::Result<()> {
        if self.freezes { cgroupfs::write(&self.dir, "freezer.state", "THAWED") } else { Ok(()) }
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(cgroupfs::processes(self.dir.as_fd())?.is_empty())
    }

    pub(super) fn processes(&self) -> Vec<Pid> {
        cgroupfs::processes(self.dir.as_fd()).unwrap_or_default()
    }
}
