//! A snapshot as bytes.
//!
//! ```text
//! header   magic, crc, length of the membership, index, term, node, flags, membership
//! chunk    crc, length, number, bytes        as many as are needed
//! footer   crc, ffffffff, count of chunks, count of bytes
//! ```
//!
//! Every crc32c but the first begins with that of the header, so a chunk of another snapshot does not fit.
//! The footer is what tells a whole snapshot from one that was cut between two chunks; nothing may follow it.

use crate::log::EntryId;
use crate::log::record::{long, word};
use crate::{Index, LeaderId};

/// Names the format and its version.
const MAGIC: &[u8; 8] = b"WLSNAP01";
/// Bytes of a header in front of the membership.
pub(crate) const HEADER: usize = 48;
/// Bytes in front of a chunk's own.
pub(crate) const CHUNK_HEAD: usize = 16;
/// Bytes of a footer behind what it has in common with a chunk.
pub(crate) const FOOTER_BODY: usize = 8;
/// The most bytes a chunk has.
pub(crate) const CHUNK_MAX: usize = 1 << 20;
/// The most bytes a membership has.
pub(crate) const MEMBERSHIP_MAX: usize = 1 << 20;
/// The length that says "this is the footer".
const FOOTER: u32 = u32::MAX;
const INSTALLED: u64 = 1;

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last entry whose effect it holds.
    pub(crate) id: EntryId,
    /// Who votes at that entry, as Raft writes it.
    pub(crate) membership: Vec<u8>,
    /// It came from another node, so this node's log may end before it.
    pub(crate) installed: bool,
}

/// What is in front of a chunk, or a footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Chunk { len: usize },
    Footer,
}

impl Head {
    /// The header, and the crc that all that follows begins with.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        assert!(self.membership.len() <= MEMBERSHIP_MAX, "a membership is a few hundred bytes");
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.membership.len() as u32).to_le_bytes());
        let flags = if self.installed { INSTALLED } else { 0 };
        for number in [self.id.index, self.id.leader.term, self.id.leader.node, flags] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.membership);
        let crc = crc32c::crc32c(&out[12..]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        (out, crc)
    }

    /// How long the membership behind the fixed part is.
    pub(crate) fn membership_len(fixed: &[u8; HEADER]) -> Result<usize, &'static str> {
        if !fixed.starts_with(MAGIC) {
            return Err("this is not the beginning of a snapshot");
        }
        let len = word(fixed, 12) as usize;
        if len > MEMBERSHIP_MAX {
            return Err("a header that is longer than a header can be");
        }
        Ok(len)
    }

    /// Reads the header, and the crc that all that follows begins with.
    pub(crate) fn decode(
        fixed: &[u8; HEADER],
        membership: Vec<u8>,
    ) -> Result<(Self, u32), &'static str> {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&fixed[12..]), &membership);
        if crc != word(fixed, 8) {
            return Err("a header whose checksum does not fit");
        }
        let flags = long(fixed, 40);
        if flags & !INSTALLED != 0 {
            return Err("a header with a flag that this version does not know");
        }
        let leader = LeaderId { term: long(fixed, 24), node: long(fixed, 32) };
        let id = EntryId { index: long(fixed, 16), leader };
        Ok((Self { id, membership, installed: flags == INSTALLED }, crc))
    }
}

impl Next {
    pub(crate) fn decode(head: &[u8; CHUNK_HEAD], number: u64) -> Result<Self, &'static str> {
        if long(head, 8) != number {
            return Err("a chunk of another number");
        }
        match word(head, 4) {
            FOOTER => Ok(Self::Footer),
            0 => Err("an empty chunk"),
            len if len as usize > CHUNK_MAX => Err("a chunk that is longer than a chunk can be"),
            len => Ok(Self::Chunk { len: len as usize }),
        }
    }
}

/// Whether the checksum in front is that of the rest.
pub(crate) fn proves(head: &[u8; CHUNK_HEAD], body: &[u8], seed: u32) -> bool {
    let crc = crc32c::crc32c_append(seed, &head[4..]);
    crc32c::crc32c_append(crc, body) == word(head, 0)
}

/// Fills in what is in front of a chunk; `chunk` begins with the space for it.
pub(crate) fn seal_chunk(chunk: &mut [u8], number: u64, seed: u32) {
    let len = (chunk.len() - CHUNK_HEAD) as u32;
    seal(chunk, len, number, seed);
}

/// The footer of a snapshot with this many chunks and bytes.
pub(crate) fn footer(chunks: u64, bytes: u64, seed: u32) -> Vec<u8> {
    let mut out = vec![0; CHUNK_HEAD + FOOTER_BODY];
    out[CHUNK_HEAD..].copy_from_slice(&bytes.to_le_bytes());
    seal(&mut out, FOOTER, chunks, seed);
    out
}

fn seal(out: &mut [u8], len: u32, number: u64, seed: u32) {
    out[4..8].copy_from_slice(&len.to_le_bytes());
    out[8..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c_append(seed, &out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
}

/// The file name of the snapshot of everything up to `index`.
pub(crate) fn name(index: Index) -> String {
    format!("{index:020}.snapshot")
}

/// What the snapshot is of, by its file name.
pub(crate) fn parse_name(name: &str) -> Option<Index> {
    name.strip_suffix(".snapshot").filter(|digits| digits.len() == 20)?.parse().ok()
}

/// Whether a file by this name is a snapshot whose writing was broken off.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(".new").is_some_and(|name| parse_name(name).is_some())
}
