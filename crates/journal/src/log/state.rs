//! The state file: what is about the whole log and not about one entry.
//!
//! Written whole each time and replaced by rename, so it is never half written;
//! a wrong checksum therefore means damage, and a vote that cannot be read must never be taken for no vote.

use std::fs;
use std::io;
use std::path::Path;

use super::disk::Disk;
use super::error::{DiskError, OpenError};
use super::record::{EntryId, long, word};
use crate::LeaderId;

const NAME: &str = "state";
const MAGIC: &[u8; 8] = b"WLSTATE1";
const LEN: usize = 80;

/// Whom a node has voted for, and whether that one has won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) leader: LeaderId,
    pub(crate) won: bool,
}

/// The content of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// The number of the member whose log it is.
    pub(crate) node: u64,
    /// Which of its node's directories this is; see [`crate::Member`].
    pub(crate) life: u64,
    pub(crate) vote: Option<Vote>,
    /// The last entry that was purged.
    pub(crate) purged: Option<EntryId>,
}

impl State {
    /// Makes it durable.
    pub(crate) fn save(&self, disk: &Disk, dir: &Path) -> Result<(), DiskError> {
        disk.replace(dir, NAME, &self.encode())
    }

    /// Reads the file; `None` where there is none.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DiskError::on("read", &path)(error).into()),
        };
        let sound = bytes.len() == LEN
            && bytes.starts_with(MAGIC)
            && word(&bytes, LEN - 4) == crc32c::crc32c(&bytes[..LEN - 4]);
        if !sound {
            return Err(OpenError::damaged(&path, 0, "the checksum of the vote does not fit"));
        }
        Ok(Some(Self::decode(&bytes)))
    }

    fn encode(&self) -> Vec<u8> {
        let vote = self.vote.unwrap_or(Vote { leader: LeaderId::default(), won: false });
        let purged = self.purged.unwrap_or(EntryId { index: 0, leader: LeaderId::default() });
        let flags = u64::from(self.vote.is_some())
            | u64::from(vote.won) << 1
            | u64::from(self.purged.is_some()) << 2;
        let mut out = MAGIC.to_vec();
        for number in [
            self.node,
            flags,
            vote.leader.term,
            vote.leader.node,
            purged.index,
            purged.leader.term,
            purged.leader.node,
            self.life,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.resize(LEN - 4, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Self {
        let number = |n: usize| long(bytes, 8 + n * 8);
        let flags = number(1);
        let vote =
            Vote { leader: LeaderId { term: number(2), node: number(3) }, won: flags & 2 != 0 };
        let purged =
            EntryId { index: number(4), leader: LeaderId { term: number(5), node: number(6) } };
        Self {
            node: number(0),
            life: number(7),
            vote: (flags & 1 != 0).then_some(vote),
            purged: (flags & 4 != 0).then_some(purged),
        }
    }
}
