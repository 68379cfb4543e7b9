//! Why a log could not be opened or written, in words for the operator.

use std::io;
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} `{}`", path.display())]
pub struct DiskError {
    verb: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl DiskError {
    /// For `map_err`: what was attempted, and on what.
    pub(crate) fn on(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { verb, path: path.to_owned(), source }
    }

    /// Whether there was no space for it.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded)
    }

    /// All of it in one sentence, with what to do about it.
    pub(crate) fn reason(&self) -> String {
        let Self { source, path, .. } = self;
        if self.is_full() {
            let dir = path.parent().unwrap_or(path).display();
            return format!(
                "the disk is full: {self} ({source}); free space on the file system of `{dir}`, then start again"
            );
        }
        format!(
            "{self}: {source}; the journal does not write again after a failed write, \
             check the disk and the kernel log, then start again"
        )
    }
}

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the journal in `{}` is open in another process", dir.display())]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// The journal was made by another node.
    #[error(
        "the journal in `{}` belongs to node {found:x}, not to node {asked:x}; \
         a journal cannot change its node: give every node a directory of its own",
        dir.display()
    )]
    WrongNode {
        /// The journal's directory.
        dir: PathBuf,
        /// The node the journal was made by.
        found: u64,
        /// The node that opened it.
        asked: u64,
    },
    /// Something that was once safely on disk is bad or missing. Nothing was changed.
    #[error(
        "the journal is damaged: `{}` at byte {offset}: {found}; nothing was cut or changed. \
         What is there was synced once, so the disk or a person has altered it: check the disk, \
         put the file back from a backup of the whole directory, or move the directory away to start with an empty journal",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        found: String,
    },
    /// The log was trimmed, and none of the snapshots that stand for its beginning is sound.
    /// Nothing that was acknowledged was changed.
    #[error(
        "the journal in `{}` cannot be opened: its log begins behind entry {purged}, and there is no sound snapshot \
         of what came before ({}); nothing that was acknowledged was cut or changed. \
         Put one of these files, or the whole directory, back from a backup and start again, \
         or move the directory away to start with an empty journal; and check the disk",
        dir.display(), list(.unusable)
    )]
    NoSnapshot {
        /// The journal's directory.
        dir: PathBuf,
        /// The last entry that is not in the log.
        purged: u64,
        /// What there is, and what is wrong with it.
        unusable: Vec<Unusable>,
    },
    /// There is no room for the next segment.
    #[error(
        "the disk is full: no room for the journal's next segment of {bytes} bytes; \
         free space on the file system of `{}`, then start again",
        dir.display()
    )]
    Full {
        /// The journal's directory.
        dir: PathBuf,
        /// How much is needed.
        bytes: u64,
    },
    /// A setting is out of its range.
    #[error("the journal's `{name}` is {value}, which is not within {range}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: u64,
        /// What is possible.
        range: &'static str,
    },
    /// The file system refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The writer's thread could not be started.
    #[error("cannot start the journal's writer thread")]
    Thread(#[source] io::Error),
    /// Raft refused what it found.
    #[error("cannot start raft on the journal: {reason}")]
    Raft {
        /// What it said.
        reason: String,
    },
}

/// A snapshot that a journal cannot start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub found: String,
}

fn list(unusable: &[Unusable]) -> String {
    let each = unusable.iter().map(|one| format!("`{}`: {}", one.path.display(), one.found));
    each.collect::<Vec<_>>().join("; ")
}

impl OpenError {
    pub(crate) fn damaged(file: &Path, offset: u64, found: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), offset, found: found.into() }
    }
}
