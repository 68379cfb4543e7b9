//! A snapshot of the whole cluster in one file: what is needed to go on somewhere else.
//!
//! ```text
//! magic    8 bytes, which name the format and its version
//! part     crc, length, number, kind, bytes       the head, the state, the lists, the end
//! ```
//!
//! The head is JSON and says of what the snapshot is; the state is the machine's own form
//! ([`machine::snapshot`]); behind it come the lists of items that runs still need, each by its
//! hash. Every crc but the head's begins with that of the head, and parts are numbered, so a part of
//! another snapshot, or one too few, is told; the end says that nothing is missing behind it.
//!
//! It must never hold a key: secrets of jobs are in it sealed, as they are in the journal. And
//! nothing of it is believed before its checksum was proved.

mod format;
mod read;
mod take;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use std::io;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use read::{Checked, check};
pub(crate) use read::{Lists, read};
pub use take::Taking;
pub(crate) use write::write;

/// Of what a snapshot is. What a later version adds is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The cluster.
    pub cluster_id: Uuid,
    /// Its incarnation.
    pub incarnation: u16,
    /// The last entry of the journal whose effect it holds.
    pub index: u64,
    /// When it was taken, Unix milliseconds.
    pub taken_ms: u64,
    /// The version that took it.
    pub version: String,
    /// The level of records that a binary needs to read it.
    pub level: u32,
}

/// What stands at the end of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// How many lists are in it.
    pub(crate) lists: u64,
    /// The hashes of lists that a run names, and that were not to be had, or damaged.
    pub(crate) missing: Vec<String>,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is something else, or of a version that this one does not know.
    #[error(
        "this is no snapshot of a cluster that this version can read: {found}\nhint: a snapshot is made by `windlass cluster snapshot save FILE`"
    )]
    Other {
        /// What is there instead.
        found: String,
    },
    /// It ends before its end.
    #[error(
        "the snapshot is cut off: it ends at byte {at}, before its own end\nhint: use another copy of it, or an older snapshot"
    )]
    Cut {
        /// Where.
        at: u64,
    },
    /// It is not what was written.
    #[error(
        "the snapshot is damaged at byte {at}: {found}\nhint: use another copy of it, or an older snapshot"
    )]
    Damaged {
        /// Where.
        at: u64,
        /// What was found there.
        found: String,
    },
    /// A newer version made it.
    #[error(
        "the snapshot was taken by version {version}, and needs level {level}, which this one does not know\nhint: use that version, or a later one"
    )]
    TooNew {
        /// That version.
        version: String,
        /// What it needs.
        level: u32,
    },
    /// It cannot be read.
    #[error("cannot read the snapshot")]
    Io(#[from] io::Error),
}
