//! The few file operations a log needs, each durable in the way its name says.
//!
//! They go through one type so that a test can make them fail, and a simulation can lose what was not synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FallocateFlags, FlockOperation};

use super::error::DiskError;
use crate::blocking::Blocking;
use crate::simulated::{self, Operation};

/// How much of a large file is given back at once, and the pause behind it.
const SHRINK_BYTES: u64 = 16 << 20;
const SHRINK_PAUSE: Duration = Duration::from_millis(2);

/// The disk, or a simulated one, or in a test one that fails on demand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    simulated: Option<Arc<dyn simulated::Disk>>,
    #[cfg(test)]
    pub(crate) faults: std::sync::Arc<super::tests::faults::Faults>,
}

impl Disk {
    pub(crate) fn simulated(disk: Arc<dyn simulated::Disk>) -> Self {
        Self {
            simulated: Some(disk),
            #[cfg(test)]
            faults: Arc::default(),
        }
    }

    /// Where to do what blocks for it.
    pub(crate) fn blocking(&self) -> Blocking {
        match self.simulated {
            None => Blocking::OnThreads,
            Some(_) => Blocking::InPlace,
        }
    }

    /// How long a simulated disk lets the next batch wait.
    pub(crate) fn delay(&self) -> Duration {
        self.simulated.as_ref().map_or(Duration::ZERO, |disk| disk.delay())
    }

    pub(crate) fn write(
        &self,
        file: &File,
        path: &Path,
        bytes: &[u8],
        at: u64,
    ) -> Result<(), DiskError> {
        self.injected(Operation::Write)
            .and_then(|()| file.write_all_at(bytes, at))
            .map_err(DiskError::on("write to", path))
    }

    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<(), DiskError> {
        self.injected(Operation::Sync(file))
            .and_then(|()| match self.pretends() {
                true => Ok(()),
                false => Ok(rustix::fs::fdatasync(file)?),
            })
            .map_err(DiskError::on("sync", path))
    }

    /// Gives the file `len` bytes of space, for certain.
    pub(crate) fn allocate(&self, file: &File, path: &Path, len: u64) -> Result<(), DiskError> {
        self.injected(Operation::Allocate)
            .and_then(|()| match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
                // A file system that cannot allocate ahead: the space is found when it is written to.
                Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(len.max(file.metadata()?.len())),
                done => Ok(done?),
            })
            .map_err(DiskError::on("allocate space for", path))
    }

    /// Writes what is there from `from` to `to` once more.
    pub(crate) fn rewrite(
        &self,
        file: &File,
        path: &Path,
        from: u64,
        to: u64,
    ) -> Result<(), DiskError> {
        let mut bytes = vec![0; to.saturating_sub(from) as usize];
        file.read_exact_at(&mut bytes, from).map_err(DiskError::on("read", path))?;
        self.write(file, path, &bytes, from)
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
        let wiped = self.injected(Operation::Write).and_then(|()| zero());
        wiped.map_err(DiskError::on("wipe the tail of", path))
    }

    /// Makes names that came or went in the directory durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.injected(Operation::SyncDir(dir))
            .and_then(|()| match self.pretends() {
                true => Ok(()),
                false => File::open(dir)?.sync_all(),
            })
            .map_err(DiskError::on("sync the directory", dir))
    }

    /// Creates the directory, and those above it, so that they last. Only their owner can read them.
    pub(crate) fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let missing: Vec<_> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(DiskError::on("create the directory", dir))?;
        for parent in missing.into_iter().filter_map(Path::parent) {
            let here = parent.as_os_str().is_empty();
            self.sync_dir(if here { Path::new(".") } else { parent })?;
        }
        Ok(())
    }

    /// Creates the file, empty; only its owner can read it.
    pub(crate) fn create(&self, path: &Path) -> Result<File, DiskError> {
        self.injected(Operation::Create).map_err(DiskError::on("create", path))?;
        create(path)
    }

    /// Removes a large file of which nothing is needed any more.
    ///
    /// Freeing hundreds of MiB at once makes the next sync of any file wait for it; so, where nobody reads
    /// the file (`shrink`), it goes a part at a time.
    pub(crate) fn discard(&self, path: &Path, shrink: bool) -> Result<(), DiskError> {
        if shrink {
            let file = open(path)?;
            let mut len = file.metadata().map_err(DiskError::on("look at", path))?.len();
            while len > SHRINK_BYTES {
                len -= SHRINK_BYTES;
                self.injected(Operation::Write)
                    .and_then(|()| file.set_len(len))
                    .map_err(DiskError::on("shorten", path))?;
                std::thread::sleep(SHRINK_PAUSE);
            }
        }
        self.remove(path)
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.injected(Operation::Remove)
            .and_then(|()| fs::remove_file(path))
            .map_err(DiskError::on("remove", path))
    }

    /// Gives the file another name, replacing what has it. Durable with the next sync of the directory.
    pub(crate) fn rename(&self, old: &Path, new: &Path) -> Result<(), DiskError> {
        self.injected(Operation::Write)
            .and_then(|()| fs::rename(old, new))
            .map_err(DiskError::on("replace", new))
    }

    /// Replaces a small file whole: after a crash there is the old content or the new one.
    pub(crate) fn replace(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let path = dir.join(name);
        let new = dir.join(format!("{name}.new"));
        let file = self.create(&new)?;
        self.write(&file, &new, bytes, 0)?;
        self.sync(&file, &new)?;
        self.rename(&new, &path)?;
        self.sync_dir(dir)
    }

    /// Whether nothing is synced in truth.
    fn pretends(&self) -> bool {
        #[cfg(test)]
        if self.faults.pretend_sync.load(std::sync::atomic::Ordering::SeqCst) {
            return true;
        }
        self.simulated.is_some()
    }

    fn injected(&self, operation: Operation<'_>) -> io::Result<()> {
        #[cfg(test)]
        self.faults.inject(operation)?;
        self.simulated.as_ref().map_or(Ok(()), |disk| disk.about_to(operation))
    }
}

/// Creates the file, empty; only its owner can read it.
pub(crate) fn create(path: &Path) -> Result<File, DiskError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(DiskError::on("create", path))
}

/// Opens space that was allocated before and never written to behind its first `head` bytes, if that is what it is.
pub(crate) fn open_unused(path: &Path, len: u64, head: u64) -> Option<File> {
    let file =
        open(path).ok().filter(|file| file.metadata().is_ok_and(|found| found.len() == len))?;
    let data = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(head));
    matches!(data, Err(rustix::io::Errno::NXIO)).then_some(file)
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
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = from;
    while at < to {
        let len = (to - at).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..len as usize], at)?;
        at += len;
    }
    Ok(())
}
