//! What an earlier supervisor of the same node left behind: found, killed and proved gone.
//!
//! Each supervisor writes down where its trees lie before it makes the first. The file names the
//! start of the machine too, for after another start nothing can be left. No process can slip in
//! afterwards: until a child is in its cgroup or executed, it holds the dead supervisor's lock on
//! the data directory, without which nobody gets here.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use model::NodeId;

use super::{Kind, bases, cgroupfs, procfs};
use crate::env;
use crate::spawn::Pid;

/// The record in the data directory.
pub const RECORD: &str = "supervisor.trees";

/// What earlier supervisors may have left.
#[derive(Debug)]
pub struct Predecessor {
    cgroups: Vec<(Kind, PathBuf)>,
    marked: Option<String>,
}

impl Predecessor {
    /// Reads what is recorded, and where this node's cgroups would lie if nothing were.
    pub fn read(data_dir: &Path, node_id: NodeId) -> Predecessor {
        let mut cgroups = bases(node_id);
        let mut weak = false;
        let record = fs::read_to_string(data_dir.join(RECORD)).unwrap_or_default();
        let mut lines = record.lines();
        if lines.next() == Some(procfs::boot_id().as_str()) {
            for (kind, path) in lines.filter_map(|line| line.split_once(' ')) {
                match kind.parse() {
                    Ok(Kind::Weak) => weak = true,
                    Ok(kind) if !cgroups.contains(&(kind, path.into())) => {
                        cgroups.push((kind, path.into()));
                    }
                    _ => {}
                }
            }
        }
        let marked = weak.then(|| format!("{}={node_id}", env::NODE_ID));
        Predecessor { cgroups, marked }
    }

    /// How often in a row nothing must be found. A process that has just been executed shows no
    /// variables for a moment.
    pub fn looks(&self) -> u32 {
        if self.marked.is_some() { 2 } else { 1 }
    }

    /// Kills what is left; the numbers of what is still there, none where it is proved gone.
    pub fn kill(&self) -> io::Result<Vec<Pid>> {
        let mut left = Vec::new();
        for (kind, base) in &self.cgroups {
            match kill_cgroup(*kind, base) {
                Ok(mut pids) => left.append(&mut pids),
                // It is gone, or its hierarchy is no longer mounted and nobody can be in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(mark) = &self.marked {
            left.append(&mut kill_marked(mark)?);
        }
        Ok(left)
    }
}

/// Writes down what this supervisor is going to use.
pub fn record(data_dir: &Path, kind: Kind, base: Option<&Path>) -> io::Result<()> {
    let base = base.map(|base| base.display().to_string()).unwrap_or_default();
    let text = format!("{}\n{kind} {base}\n", procfs::boot_id());
    let path = data_dir.join(RECORD);
    if fs::read_to_string(&path).is_ok_and(|recorded| recorded == text) {
        return Ok(());
    }
    let new = data_dir.join("supervisor.trees.new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}

fn kill_cgroup(kind: Kind, base: &Path) -> io::Result<Vec<Pid>> {
    let dir = cgroupfs::open_dir(base)?;
    let pids = cgroupfs::processes(dir.as_fd())?;
    let empty = match kind {
        Kind::V2 => {
            cgroupfs::write(&dir, "cgroup.kill", "1")?;
            cgroupfs::read(&dir, "cgroup.events")?.contains("populated 0")
        }
        Kind::V1 | Kind::Weak => {
            // A hierarchy without a freezer does without.
            let _ = cgroupfs::write(&dir, "freezer.state", "FROZEN");
            for pid in cgroupfs::processes(dir.as_fd())? {
                procfs::signal(pid, libc::SIGKILL);
            }
            thaw_all(base);
            pids.is_empty()
        }
    };
    if !empty {
        return Ok(if pids.is_empty() { vec![0] } else { pids });
    }
    match cgroupfs::remove(base) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(vec![0]),
        removed => removed.map(|()| Vec::new()),
    }
}

/// The dead supervisor may have left one frozen; frozen processes do not die in v1.
fn thaw_all(path: &Path) {
    let _ = fs::write(path.join("freezer.state"), "THAWED");
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            thaw_all(&entry.path());
        }
    }
}

fn kill_marked(mark: &str) -> io::Result<Vec<Pid>> {
    let own = std::process::id() as Pid;
    let wanted = [mark.to_owned()];
    let living = procfs::processes()?.into_iter().filter(|(_, process)| !process.ended);
    let marked = living.map(|(pid, _)| pid).filter(|pid| *pid > 1 && *pid != own);
    let found: Vec<Pid> = marked.filter(|pid| procfs::has_variables(*pid, &wanted)).collect();
    found.iter().for_each(|pid| procfs::signal(*pid, libc::SIGKILL));
    Ok(found)
}
