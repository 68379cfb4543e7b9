//! The few file operations a log needs, each durable in the way its name says.
//!
//! They go through one type so that a test can make them fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation};

use super::error::DiskError;

/// The disk, or in a test one that fails on demand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) faults: std::sync::Arc<Faults>,
}

/// What is to fail.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) write: std::sync::atomic::AtomicBool,
    pub(crate) sync: std::sync::atomic::AtomicBool,
    pub(crate) allocate: std::sync::atomic::AtomicBool,
    /// Not an error: a bug.
    pub(crate) panic: std::sync::atomic::AtomicBool,
}

impl Disk {
    pub(crate) fn write(
        &self,
        file: &File,
        path: &Path,
        bytes: &[u8],
        at: u64,
    ) -> Result<(), DiskError> {
        self.injected(Fault::Write)
            .and_then(|()| file.write_all_at(bytes, at))
            .map_err(DiskError::on("write to", path))
    }

    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<(), DiskError> {
        self.injected(Fault::Sync)
            .and_then(|()| Ok(rustix::fs::fdatasync(file)?))
            .map_err(DiskError::on("sync", path))
    }

    /// Gives the file `len` bytes of space, for certain.
    pub(crate) fn allocate(&self, file: &File, path: &Path, len: u64) -> Result<(), DiskError> {
        self.injected(Fault::Allocate)
            .and_then(|()| match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
                // A file system that cannot allocate ahead: the space is found when it is written to.
                Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(len.max(file.metadata()?.len())),
                done => Ok(done?),
            })
            .map_err(DiskError::on("allocate space for", path))
    }

    /// Makes everything from `from` to `to` zero, without writing it where the file system can do so.
    pub(crate) fn wipe(
        &self,
        file: &File,
        path: &Path,
        from: u64,
        to: u64,
    ) -> Result<(), DiskError> {
        if from >= to {
            return Ok(());
        }
        let zero = || match rustix::fs::fallocate(file, FallocateFlags::ZERO_RANGE, from, to - from)
        {
            Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(file, from, to),
            done => Ok(done?),
        };
        zero().map_err(DiskError::on("wipe the tail of", path))
    }

    /// Makes names that came or went in the directory durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.injected(Fault::Sync)
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(DiskError::on("sync the directory", dir))
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(DiskError::on("remove", path))
    }

    /// Replaces a small file whole: after a crash there is the old content or the new one.
    pub(crate) fn replace(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let path = dir.join(name);
        let new = dir.join(format!("{name}.new"));
        let file = create(&new)?;
        self.write(&file, &new, bytes, 0)?;
        self.sync(&file, &new)?;
        fs::rename(&new, &path).map_err(DiskError::on("replace", &path))?;
        self.sync_dir(dir)
    }

    #[cfg(not(test))]
    fn injected(&self, _fault: Fault) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn injected(&self, fault: Fault) -> io::Result<()> {
        use std::sync::atomic::Ordering::SeqCst;
        assert!(!self.faults.panic.load(SeqCst), "an injected panic");
        let (flag, error) = match fault {
            Fault::Write => (&self.faults.write, rustix::io::Errno::IO),
            Fault::Sync => (&self.faults.sync, rustix::io::Errno::IO),
            Fault::Allocate => (&self.faults.allocate, rustix::io::Errno::NOSPC),
        };
        if flag.load(SeqCst) { Err(error.into()) } else { Ok(()) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Write,
    Sync,
    Allocate,
}

/// Creates the file, empty.
pub(crate) fn create(path: &Path) -> Result<File, DiskError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(DiskError::on("create", path))
}

/// Opens the file to read and write.
pub(crate) fn open(path: &Path) -> Result<File, DiskError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(DiskError::on("open", path))
}

/// Takes the lock that is held as long as the file is open, or `None` if another process has it.
pub(crate) fn lock(path: &Path) -> Result<Option<File>, DiskError> {
    let file = create(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(DiskError::on("lock", path)(error.into())),
    }
}

fn write_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    const ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = from;
    while at < to {
        let len = (to - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..len as usize], at)?;
        at += len;
    }
    Ok(())
}
