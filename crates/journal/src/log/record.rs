//! An entry as bytes.
//!
//! ```text
//!  0  crc32c of everything behind it     16  term           40  kind
//!  4  length of the body                 24  node           41  zero
//!  8  index                              32  committed + 1  48  body
//! ```
//!
//! `committed` is how far the log was known to be committed when the record was written.
//! It rides along so that an opened log knows a safe part of itself without a write of its own.
//! Zeros are not a valid record, so unwritten space ends a log.

use bytes::Bytes;

use crate::{Index, LeaderId, RECORD_BYTES_MAX};

/// Bytes in front of a body.
pub(crate) const HEAD: usize = 48;
/// The longest body: a record, or a membership.
pub(crate) const BODY_MAX: usize = RECORD_BYTES_MAX;

/// What unwritten space is, as something found where a record should be.
pub(crate) const ZEROS: &str = "zeros";

/// Names an entry: no two entries with the same id differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryId {
    pub(crate) index: Index,
    pub(crate) leader: LeaderId,
}

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first of a leader.
    Blank = 1,
    /// Proposed from above.
    Record = 2,
    /// Who votes from here on.
    Membership = 3,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) kind: Kind,
    pub(crate) body: Bytes,
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    crc: u32,
    pub(crate) len: usize,
    pub(crate) id: EntryId,
    pub(crate) committed: Option<Index>,
    pub(crate) kind: Kind,
}

impl Entry {
    /// How many bytes it takes on disk.
    pub(crate) fn size(&self) -> u64 {
        (HEAD + self.body.len()) as u64
    }

    /// Appends the record to `out`.
    pub(crate) fn encode(&self, committed: Option<Index>, out: &mut Vec<u8>) {
        assert!(self.body.len() <= BODY_MAX, "the size of a record is checked where it comes in");
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.id.index.to_le_bytes());
        out.extend_from_slice(&self.id.leader.term.to_le_bytes());
        out.extend_from_slice(&self.id.leader.node.to_le_bytes());
        out.extend_from_slice(&committed.map_or(0, |index| index + 1).to_le_bytes());
        out.extend_from_slice(&[self.kind as u8, 0, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&self.body);
        let crc = crc32c::crc32c(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

impl Head {
    /// Reads the fixed part. An error says what is wrong with it.
    pub(crate) fn decode(head: &[u8; HEAD]) -> Result<Self, &'static str> {
        if head.iter().all(|byte| *byte == 0) {
            return Err(ZEROS);
        }
        let len = word(head, 4) as usize;
        if len > BODY_MAX {
            return Err("a record that is longer than a record can be");
        }
        let kind = match head[40] {
            1 => Kind::Blank,
            2 => Kind::Record,
            3 => Kind::Membership,
            _ => return Err("a record of an unknown kind"),
        };
        let leader = LeaderId { term: long(head, 16), node: long(head, 24) };
        Ok(Self {
            crc: word(head, 0),
            len,
            id: EntryId { index: long(head, 8), leader },
            committed: long(head, 32).checked_sub(1),
            kind,
        })
    }

    /// Whether the checksum is that of this head and body.
    pub(crate) fn proves(&self, head: &[u8; HEAD], body: &[u8]) -> bool {
        crc32c::crc32c_append(crc32c::crc32c(&head[4..]), body) == self.crc
    }
}

/// Four bytes at `at` as a number.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

/// Eight bytes at `at` as a number.
pub(crate) fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}
