//! The form of a tail in its file.
//!
//! ```text
//! tail    magic 4 | crc of the header 4 | crc of the payload 4 | length 4 |
//!         number 4 | task 4 | index 4 | zero 4 | run 8 | time_us 8 | node 16 | payload
//! ```
//!
//! Integers are little-endian, checksums crc32c. What is not whole is passed over, and the next is
//! looked for behind it.

use model::{Attempt, Element, NodeId, RunId};

/// Length of a header.
pub(super) const HEADER: usize = 64;
const MAGIC: [u8; 4] = [0xf7, b'W', b't', 0x01];

/// A tail without its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) node: NodeId,
    pub(super) attempt: Attempt,
    pub(super) time_us: u64,
    /// Of the payload.
    pub(super) length: u32,
    payload_crc: u32,
}

impl Header {
    pub(super) fn new(
        node: NodeId,
        attempt: Attempt,
        time_us: u64,
        payload: Vec<u8>,
    ) -> (Header, Vec<u8>) {
        let length = u32::try_from(payload.len()).expect("longer tails are not kept");
        let payload_crc = crc32c::crc32c(&payload);
        (Header { node, attempt, time_us, length, payload_crc }, payload)
    }

    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let element = self.attempt.element;
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.attempt.number.to_le_bytes());
        bytes[20..24].copy_from_slice(&element.task.to_le_bytes());
        bytes[24..28].copy_from_slice(&element.index.to_le_bytes());
        bytes[32..40].copy_from_slice(&element.run.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.time_us.to_le_bytes());
        bytes[48..].copy_from_slice(self.node.0.as_bytes());
        let crc = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// What these bytes begin with, if it is a header.
    pub(super) fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let u32_at = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4]));
        let u64_at = |at: usize| u64::from_le_bytes(array(&bytes[at..at + 8]));
        if bytes[..4] != MAGIC || u32_at(4) != crc32c::crc32c(&bytes[8..]) {
            return None;
        }
        let element = Element { run: RunId(u64_at(32)), task: u32_at(20), index: u32_at(24) };
        Some(Header {
            node: NodeId::from_bytes(&bytes[48..])?,
            attempt: Attempt { element, number: u32_at(16) },
            time_us: u64_at(40),
            length: u32_at(12),
            payload_crc: u32_at(8),
        })
    }

    /// Whether this is the payload that was written with it.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() == self.length as usize && crc32c::crc32c(payload) == self.payload_crc
    }
}

/// The whole tails in a file, and where each lies.
pub(super) fn headers(bytes: &[u8]) -> impl Iterator<Item = (u64, Header)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER) {
            let header = Header::decode(rest);
            let end = header.map_or(0, |header| HEADER + header.length as usize);
            if let Some(header) = header
                && rest.get(HEADER..end).is_some_and(|payload| header.fits(payload))
            {
                let offset = at as u64;
                at += end;
                return Some((offset, header));
            }
            let next = rest[1..].windows(MAGIC.len()).position(|four| four == MAGIC)?;
            at += 1 + next;
        }
        None
    })
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}
