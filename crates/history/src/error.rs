//! What can go wrong, named for what the operator can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The history could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made, listed or used.
    #[error(
        "cannot {what} `{}` for history; hint: make it readable and writable for this user",
        path.display()
    )]
    Directory {
        /// `create`, `list`, …
        what: &'static str,
        /// The directory or the file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The history could not be written. What is damaged as it is read is no error but a part of the
/// answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot write history in `{}`", path.display())]
pub struct Error {
    /// The directory.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) source: io::Error,
}

impl Error {
    /// Whether the disk has no room, so that freeing some is what helps.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded)
    }
}

/// Says where a write failed.
pub(crate) fn failed(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error { path: path.to_owned(), source }
}
