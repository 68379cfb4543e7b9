//! Numbers as bytes, little-endian, and back; nothing is read that is not there.

use bytes::{Buf, BufMut, Bytes};
use openraft::{CommittedLeaderId, LogId, Vote};

pub(crate) struct Reader(pub(crate) Bytes);

impl Reader {
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.0.try_get_u8().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.0.try_get_u32_le().ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.0.try_get_u64_le().ok()
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.0.try_get_u128_le().ok()
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A part of the message, not copied.
    pub(crate) fn bytes(&mut self) -> Option<Bytes> {
        let len = self.u32()? as usize;
        (len <= self.0.len()).then(|| self.0.split_to(len))
    }

    pub(crate) fn vote(&mut self) -> Option<Vote<u64>> {
        let (term, node, flags) = (self.u64()?, self.u64()?, self.u8()?);
        match flags {
            0 if term == 0 && node == 0 => Some(Vote::default()),
            1 => Some(Vote::new(term, node)),
            2 => Some(Vote::new_committed(term, node)),
            _ => None,
        }
    }

    pub(crate) fn log_id(&mut self) -> Option<Option<LogId<u64>>> {
        let there = self.flag()?;
        let (index, term) = (self.u64()?, self.u64()?);
        Some(there.then(|| LogId::new(CommittedLeaderId::new(term, 0), index)))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

pub(crate) fn put_vote(out: &mut impl BufMut, vote: &Vote<u64>) {
    let node = vote.leader_id().voted_for();
    out.put_u64_le(vote.leader_id().term);
    out.put_u64_le(node.unwrap_or_default());
    out.put_u8(match (node, vote.is_committed()) {
        (None, _) => 0,
        (Some(_), false) => 1,
        (Some(_), true) => 2,
    });
}

pub(crate) fn put_log_id(out: &mut impl BufMut, id: &Option<LogId<u64>>) {
    out.put_u8(u8::from(id.is_some()));
    out.put_u64_le(id.map_or(0, |id| id.index));
    out.put_u64_le(id.map_or(0, |id| id.leader_id.term));
}

pub(crate) fn put_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}
