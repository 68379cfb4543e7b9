//! What can go wrong, named for what the operator can do about it.

use std::path::PathBuf;

/// The history could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or used.
    #[error("cannot create the directory `{}` for history", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not, or no longer, a history.
    #[error(
        "cannot open the history in `{}`; hint: it can be moved away, the journal makes it anew",
        path.display()
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

/// The history could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} history")]
pub struct Error {
    /// `read` or `write`.
    pub(crate) what: &'static str,
    /// Why.
    pub(crate) source: Box<redb::Error>,
}

impl Error {
    /// Whether the disk has no room, so that freeing some is what helps.
    pub fn is_disk_full(&self) -> bool {
        matches!(&*self.source, redb::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull)
    }
}

/// Turns the database's errors into ours.
pub(crate) fn failed<E: Into<redb::Error>>(what: &'static str) -> impl Fn(E) -> Error {
    move |source| Error { what, source: Box::new(source.into()) }
}
