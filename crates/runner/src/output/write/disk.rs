//! The few things the writer asks of a disk, as a trait so that tests can have a bad one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// What tasks of one user write is not for the others on the machine.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// Makes a directory and those above it, where they are not there.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path)
}

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::output) enum Open {
    /// It must not exist yet.
    New,
    /// It is made, or emptied.
    Anew,
    /// It must exist.
    Again,
}

/// A disk. Every call may take for ever, except in the thread that must not wait.
pub(in crate::output) trait Disk: Send {
    /// Opens a file for writing, making its directory if need be.
    fn open(&self, path: &Path, how: Open) -> io::Result<File>;
    /// Writes some of the bytes at an offset; how many.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file.
    fn truncate(&self, file: &File, length: u64) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The disk there is.
pub(in crate::output) struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).mode(PRIVATE_FILE);
        match how {
            Open::New => options.create_new(true),
            Open::Anew => options.create(true).truncate(true),
            Open::Again => &mut options,
        };
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && how != Open::Again => {
                create_dir(path.parent().expect("files lie in the output directory"))?;
                options.open(path)
            }
            result => result,
        }
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        file.write_at(bytes, offset)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
