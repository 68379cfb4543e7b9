//! What should have worked and did not.

use std::io;
use std::path::PathBuf;

/// Why the identity of a node cannot be made, read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{what} `{path}`")]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A key that others can read is a key of others.
    #[error(
        "the key `{path}` can be read by other users of this machine\nhint: chmod 600 {path}; and if somebody may have read it, replace it"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// What a file holds is not what it should.
    #[error(
        "`{path}` cannot be used: {why}\nhint: restore it from a backup, or join the cluster again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The library that makes certificates refuses.
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// A value that no certificate may have.
    #[error("the certificate cannot be made: {why}")]
    Unfit {
        /// What is wrong.
        why: &'static str,
    },
    /// What was sealed does not open.
    #[error(
        "the authority's key does not open: it was sealed for another node, with another token, or changed"
    )]
    Sealed,
    /// The kernel gives no chance.
    #[error("the system gives no random bytes")]
    NoChance,
}
