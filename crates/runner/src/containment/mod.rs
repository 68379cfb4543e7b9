//! Knows a task's whole tree of processes, signals it, kills it, and proves it gone.
//!
//! | kind | knows the tree by | proof that it is gone |
//! | --- | --- | --- |
//! | `cgroup-v2` | a cgroup the process was made in | `populated 0` |
//! | `cgroup-v1` | a cgroup of the freezer (or pids) hierarchy it entered first | no process listed |
//! | `weak` | descent, session, process group, variables in the environment | none found |
//!
//! Cgroups are a pool: one that is empty is used for the next attempt, so that a short task costs
//! no directory. A bare process id proves nothing: it is only ever signalled while a frozen
//! cgroup, or a parent that has not reaped it, keeps it from meaning another process.

mod cgroupfs;
mod mounts;
pub mod predecessor;
mod procfs;
mod v1;
mod v2;
mod weak;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use model::{Attempt, NodeId};

use crate::spawn::{Entry, Pid, Spawner};

/// How trees are contained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Cgroup v2: complete, and the cheapest.
    V2,
    /// Cgroup v1: complete.
    V1,
    /// No cgroups: a task that means to can escape.
    Weak,
}

impl Kind {
    /// Every kind, the best first.
    pub const ALL: [Kind; 3] = [Kind::V2, Kind::V1, Kind::Weak];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::V2 => "cgroup-v2",
            Kind::V1 => "cgroup-v1",
            Kind::Weak => "weak",
        })
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Kind, UnknownKind> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.to_string() == text);
        kind.ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// The text names no kind of containment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no containment: expected `cgroup-v2`, `cgroup-v1` or `weak`")]
pub struct UnknownKind(String);

/// A kind of containment cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such hierarchy, or it lacks what is needed.
    #[error("{kind} cannot be used: {why}")]
    Missing {
        /// Which kind.
        kind: Kind,
        /// What is missing.
        why: &'static str,
    },
    /// The cgroup of the node cannot be made or used.
    #[error("{kind} cannot be used: {what} `{}` failed", path.display())]
    Refused {
        /// Which kind.
        kind: Kind,
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Where a node's cgroups lie, whether they are there or not.
pub fn bases(node_id: NodeId) -> Vec<(Kind, PathBuf)> {
    let mounts = mounts::Mounts::read();
    let name = base_name(node_id);
    let v2 = mounts.v2().map(|own| (Kind::V2, own.join(&name)));
    let v1 = mounts.v1().map(|(own, _)| (Kind::V1, own.join(&name)));
    v2.into_iter().chain(v1).collect()
}

fn base_name(node_id: NodeId) -> String {
    let id = node_id.0.simple().to_string();
    format!("windlass-{}", &id[id.len() - 12..])
}

/// The containment of a node's tasks.
#[derive(Debug)]
pub struct Containment {
    node_id: NodeId,
    pool: Pool,
}

#[derive(Debug)]
enum Pool {
    V2(v2::Pool),
    V1(v1::Pool),
    Weak,
}

impl Containment {
    /// Opens this kind and tries it out with a process that does nothing.
    pub fn open(kind: Kind, node_id: NodeId, spawner: &mut Spawner) -> Result<Containment, Error> {
        let base = bases(node_id).into_iter().find(|(found, _)| *found == kind);
        let missing = |why| Error::Missing { kind, why };
        let pool = match (kind, base) {
            (Kind::Weak, _) => Pool::Weak,
            (_, None) => return Err(missing("no such hierarchy is mounted")),
            (Kind::V2, Some((_, base))) => Pool::V2(v2::Pool::open(base, spawner.makes_inside())?),
            (Kind::V1, Some((_, base))) => {
                let freezes = mounts::Mounts::read().v1().is_some_and(|(_, freezes)| freezes);
                Pool::V1(v1::Pool::open(base, freezes)?)
            }
        };
        let mut containment = Containment { node_id, pool };
        match containment.try_out(spawner) {
            Ok(()) => Ok(containment),
            Err(source) => {
                let path = containment.base().map(Path::to_owned).unwrap_or_default();
                containment.close();
                Err(Error::Refused { kind, what: "starting a process in", path, source })
            }
        }
    }

    fn try_out(&mut self, spawner: &mut Spawner) -> io::Result<()> {
        let tree = self.take()?;
        let tried = spawner.probe(tree.entry());
        if let Ok(pid) | Err(crate::spawn::Failure { pid: Some(pid), .. }) = tried {
            procfs::wait_for(pid);
        }
        tried.map_err(|failure| failure.error)?;
        // The last process may be counted for a moment after it was waited for.
        for _ in 0..1000 {
            if tree.is_empty()? {
                self.put_back(tree);
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Err(io::Error::other("a process that has left is still counted"))
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self.pool {
            Pool::V2(_) => Kind::V2,
            Pool::V1(_) => Kind::V1,
            Pool::Weak => Kind::Weak,
        }
    }

    /// The directory all its cgroups lie in.
    pub fn base(&self) -> Option<&Path> {
        match &self.pool {
            Pool::V2(pool) => Some(pool.base()),
            Pool::V1(pool) => Some(pool.base()),
            Pool::Weak => None,
        }
    }

    /// An empty tree for an attempt.
    pub fn take(&mut self) -> io::Result<Tree> {
        Ok(match &mut self.pool {
            Pool::V2(pool) => Tree::V2(pool.take()?),
            Pool::V1(pool) => Tree::V1(pool.take()?),
            Pool::Weak => Tree::Weak(weak::Tree::new(self.node_id)),
        })
    }

    /// Gives back a tree that is empty.
    pub fn put_back(&mut self, tree: Tree) {
        match (&mut self.pool, tree) {
            (Pool::V2(pool), Tree::V2(leaf)) => pool.put_back(leaf),
            (Pool::V1(pool), Tree::V1(leaf)) => pool.put_back(leaf),
            _ => {}
        }
    }

    /// Removes the cgroups, all of which must be empty.
    pub fn close(self) {
        match self.pool {
            Pool::V2(pool) => pool.close(),
            Pool::V1(pool) => pool.close(),
            Pool::Weak => {}
        }
    }
}

/// One attempt's processes.
#[derive(Debug)]
pub enum Tree {
    /// In a cgroup v2.
    V2(v2::Leaf),
    /// In a cgroup v1.
    V1(v1::Leaf),
    /// Only known by what they are.
    Weak(weak::Tree),
}

impl Tree {
    /// How the first process gets in.
    pub fn entry(&self) -> Entry<'_> {
        match self {
            Tree::V2(leaf) => leaf.entry(),
            Tree::V1(leaf) => leaf.entry(),
            Tree::Weak(_) => Entry::Free,
        }
    }

    /// The first process is there.
    pub fn begun(&mut self, attempt: Attempt, main: Pid) {
        if let Tree::Weak(tree) = self {
            tree.begun(attempt, main);
        }
    }

    /// Whether the first process must not be reaped before the tree is empty, because its number
    /// names the tree.
    pub fn needs_main(&self) -> bool {
        matches!(self, Tree::Weak(_))
    }

    /// Begins to stop all processes where they are, so that none outruns the next step by forking.
    pub fn freeze(&mut self) -> io::Result<()> {
        match self {
            Tree::V2(leaf) => leaf.freeze(),
            Tree::V1(leaf) => leaf.freeze(),
            Tree::Weak(tree) => tree.freeze(),
        }
    }

    /// Whether all have stopped.
    pub fn is_frozen(&self) -> bool {
        match self {
            Tree::V2(leaf) => leaf.is_frozen(),
            Tree::V1(leaf) => leaf.is_frozen(),
            Tree::Weak(_) => true,
        }
    }

    /// Lets them go on.
    pub fn thaw(&mut self) -> io::Result<()> {
        match self {
            Tree::V2(leaf) => leaf.thaw(),
            Tree::V1(leaf) => leaf.thaw(),
            Tree::Weak(tree) => tree.thaw(),
        }
    }

    /// Asks every process to end, also those that are stopped.
    pub fn terminate(&self) {
        for pid in self.processes() {
            procfs::signal(pid, libc::SIGTERM);
            procfs::signal(pid, libc::SIGCONT);
        }
    }

    /// Sends every process a signal.
    pub fn signal(&self, signal: i32) {
        self.processes().into_iter().for_each(|pid| procfs::signal(pid, signal));
    }

    /// Whether [`Tree::kill`] alone gets every process, also of a tree that forks as it dies. If
    /// not, it has to be frozen before and the killing repeated until the tree is empty.
    pub fn kills_at_once(&self) -> bool {
        matches!(self, Tree::V2(_))
    }

    /// Kills every process.
    pub fn kill(&mut self) -> io::Result<()> {
        match self {
            Tree::V2(leaf) => leaf.kill(),
            Tree::V1(_) | Tree::Weak(_) => {
                for pid in self.processes() {
                    procfs::signal(pid, libc::SIGKILL);
                }
                self.thaw()
            }
        }
    }

    /// Whether no process is left, one that nobody has waited for not counted.
    pub fn is_empty(&self) -> io::Result<bool> {
        match self {
            Tree::V2(leaf) => leaf.is_empty(),
            Tree::V1(leaf) => leaf.is_empty(),
            Tree::Weak(tree) => tree.is_empty(),
        }
    }

    /// A descriptor with priority data whenever [`Tree::is_empty`] may have changed, where there is
    /// such a thing.
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Tree::V2(leaf) => Some(leaf.changes()),
            Tree::V1(_) | Tree::Weak(_) => None,
        }
    }

    /// The processes in it.
    pub fn processes(&self) -> Vec<Pid> {
        match self {
            Tree::V2(leaf) => leaf.processes(),
            Tree::V1(leaf) => leaf.processes(),
            Tree::Weak(tree) => tree.processes(),
        }
    }
}

pub use procfs::{boot_id, has_executed, lower_oom_score, reap_strays};
