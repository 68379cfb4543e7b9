//! Cgroup v2: the kernel makes the process inside, kills the whole tree in one step, and says when
//! it is empty.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
    makes_inside: bool,
    idle: Vec<Leaf>,
    next: u32,
}

impl Pool {
    pub(super) fn open(base: PathBuf, makes_inside: bool) -> Result<Pool, Error> {
        cgroupfs::make(&base).map_err(|source| Error::Refused {
            kind: Kind::V2,
            what: "making the cgroup",
            path: base.clone(),
            source,
        })?;
        let able = ["cgroup.kill", "cgroup.freeze"].iter().all(|file| base.join(file).exists());
        if !able {
            let _ = fs::remove_dir(&base);
            let why = "the kernel lacks `cgroup.kill` (Linux 5.14)";
            return Err(Error::Missing { kind: Kind::V2, why });
        }
        Ok(Pool { base, makes_inside, idle: Vec::new(), next: 1 })
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    pub(super) fn take(&mut self) -> io::Result<Leaf> {
        if let Some(leaf) = self.idle.pop() {
            return Ok(leaf);
        }
        let leaf = Leaf::make(self.base.join(self.next.to_string()), self.makes_inside)?;
        self.next += 1;
        Ok(leaf)
    }

    /// Keeps it for the next attempt, unless it was killed: Linux from 6.14 on compares how often
    /// the cgroup was killed with that of the parent's own, and so kills each later child that is
    /// made inside it at once.
    pub(super) fn put_back(&mut self, leaf: Leaf) {
        if self.idle.len() < IDLE_MAX && !leaf.killed {
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
    events: File,
    /// Open where a process has to write itself in.
    procs: Option<File>,
    killed: bool,
}

impl Leaf {
    fn make(path: PathBuf, makes_inside: bool) -> io::Result<Leaf> {
        cgroupfs::make(&path)?;
        let dir = cgroupfs::open_dir(&path)?;
        let events = cgroupfs::open(&dir, "cgroup.events", OFlags::RDONLY)?;
        let procs = (!makes_inside).then(|| cgroupfs::open(&dir, "cgroup.procs", OFlags::WRONLY));
        Ok(Leaf { path, dir, events, procs: procs.transpose()?, killed: false })
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        match &self.procs {
            None => Entry::Made(self.dir.as_fd()),
            Some(procs) => Entry::Writes(procs.as_fd()),
        }
    }

    pub(super) fn freeze(&self) -> io::Result<()> {
        cgroupfs::write(&self.dir, "cgroup.freeze", "1")
    }

    pub(super) fn is_frozen(&self) -> bool {
        cgroupfs::has_line(self.events.as_fd(), b"frozen 1").unwrap_or(false)
    }

    pub(super) fn thaw(&self) -> io::Result<()> {
        cgroupfs::write(&self.dir, "cgroup.freeze", "0")
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.killed = true;
        cgroupfs::write(&self.dir, "cgroup.kill", "1")
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        cgroupfs::has_line(self.events.as_fd(), b"populated 0")
    }

    pub(super) fn changes(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    pub(super) fn processes(&self) -> Vec<Pid> {
        cgroupfs::processes(self.dir.as_fd()).unwrap_or_default()
    }
}
