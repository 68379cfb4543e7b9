//! One supervisor at a time serves a directory: it holds a lock until its process has ended, and so
//! does each child until it executes its program.
//!
//! So whoever has the lock knows that no child of a dead supervisor is still on its way into a
//! cgroup. A child whose program hangs would keep everybody out for as long as that takes; where
//! such children are all that is left of a supervisor, they are killed.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid as KernelPid, Signal, kill_process};

use super::startup::{Error, keep_open};
use super::{clock, log};
use crate::containment::has_executed;
use crate::spawn::Pid;

/// How long another supervisor, which may be about to leave, is waited for.
const WAIT_US: u64 = 10_000_000;
/// How long children may take to execute before it is looked who they are.
const LATE_US: u64 = 1_000_000;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Takes the lock, which is never given back but by the end of this process.
pub(super) fn take(path: &Path) -> Result<(), Error> {
    let fail = |source| Error::Path { what: "open", path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(fail)?;
    let begin = clock::boot_us();
    let mut late_at = begin + LATE_US;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let now = clock::boot_us();
        if now >= begin + WAIT_US {
            return Err(Error::Locked(path.to_owned()));
        }
        if now >= late_at {
            late_at = now + LATE_US;
            kill_late_children(&file);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    keep_open(file);
    Ok(())
}

/// Kills the children of a supervisor that is no more, if nobody else holds the lock: a supervisor
/// has executed its program, and its children no longer hold the lock when they have.
fn kill_late_children(file: &File) {
    let holders = holders(file).unwrap_or_default();
    if holders.iter().any(|pid| has_executed(*pid)) {
        return;
    }
    for pid in holders {
        log::line(format_args!("kills {pid}, which a dead supervisor left before its program"));
        if let Some(pid) = KernelPid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The processes that hold the lock. Links are compared, not files: to ask for a file on a dead
/// server would be one more that hangs.
fn holders(file: &File) -> io::Result<Vec<Pid>> {
    let wanted = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if holds(&entry.path(), &wanted) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Whether a process has the file open with the lock; one that waits for it has not.
fn holds(process: &Path, wanted: &PathBuf) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let mut same = files.filter(|file| fs::read_link(file.path()).is_ok_and(|to| to == *wanted));
    same.any(|file| {
        let info = fs::read_to_string(process.join("fdinfo").join(file.file_name()));
        info.is_ok_and(|info| info.contains("FLOCK"))
    })
}
