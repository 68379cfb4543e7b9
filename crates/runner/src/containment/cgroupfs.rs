//! The few things done with files of a cgroup directory, v1 and v2 alike.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, openat};

use crate::spawn::Pid;

/// Cgroups that tasks make inside their own are followed this deep; the kernel's own limits are
/// what bounds their number.
const DEPTH_MAX: u32 = 32;

pub(super) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

pub(super) fn open(dir: impl AsFd, name: &str, flags: OFlags) -> io::Result<File> {
    Ok(File::from(openat(dir, name, flags | OFlags::CLOEXEC, Mode::empty())?))
}

pub(super) fn write(dir: impl AsFd, name: &str, text: &str) -> io::Result<()> {
    let file = open(dir, name, OFlags::WRONLY)?;
    rustix::io::write(file, text.as_bytes())?;
    Ok(())
}

/// A short file's text.
pub(super) fn read(dir: impl AsFd, name: &str) -> io::Result<String> {
    io::read_to_string(open(dir, name, OFlags::RDONLY)?)
}

/// Whether a kept-open file of `name value` lines has `line` in it.
pub(super) fn has_line(file: BorrowedFd<'_>, line: &[u8]) -> io::Result<bool> {
    let mut buffer = [0; 256];
    let length = rustix::io::pread(file, &mut buffer, 0)?;
    Ok(buffer[..length].split(|byte| *byte == b'\n').any(|found| found == line))
}

/// The processes of a cgroup and of all inside it.
///
/// The list is opened anew each time: v1 gives an open file the same list for up to a second.
pub(super) fn processes(dir: BorrowedFd<'_>) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    collect(dir, DEPTH_MAX, &mut found)?;
    Ok(found)
}

fn collect(dir: BorrowedFd<'_>, depth: u32, found: &mut Vec<Pid>) -> io::Result<()> {
    let text = read(dir, "cgroup.procs")?;
    // 0 stands for a process of another pid namespace, which cannot be signalled from here.
    let pids = text.lines().filter_map(|line| line.parse::<Pid>().ok());
    found.extend(pids.filter(|pid| *pid > 0));
    if depth > 0 {
        for inner in inner(dir)? {
            // What is removed meanwhile has no processes.
            if let Ok(inner) =
                openat(dir, &*inner, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            {
                collect(inner.as_fd(), depth - 1, found)?;
            }
        }
    }
    Ok(())
}

/// The names of the cgroups directly inside.
fn inner(dir: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    // Each directory inside adds one link.
    if rustix::fs::fstat(dir)?.st_nlink <= 2 {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type() == FileType::Directory && name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

/// Removes a cgroup and all inside it, none of which may have a process.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Makes the node's own cgroup; one that is there already is as good.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
