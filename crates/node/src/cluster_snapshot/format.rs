//! The parts of a snapshot file as bytes.

/// Names the format and its version.
pub(super) const MAGIC: &[u8; 8] = b"WLCLUS01";
/// Bytes in front of a part's own.
pub(super) const PART_HEAD: usize = 20;
/// The most bytes a part has.
pub(super) const PART_MAX: usize = 1 << 20;

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Head = 1,
    State = 2,
    /// The hash of a list, whose bytes follow.
    List = 3,
    Bytes = 4,
    End = 5,
}

/// What is in front of a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartHead {
    crc: u32,
    pub(super) length: usize,
    pub(super) kind: Kind,
}

impl Kind {
    fn of(number: u32) -> Option<Kind> {
        [Kind::Head, Kind::State, Kind::List, Kind::Bytes, Kind::End]
            .into_iter()
            .find(|kind| *kind as u32 == number)
    }
}

/// A part with what is in front of it; and its crc.
pub(super) fn part(kind: Kind, number: u64, body: &[u8], seed: u32) -> (Vec<u8>, u32) {
    let mut out = Vec::with_capacity(PART_HEAD + body.len());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&(kind as u32).to_le_bytes());
    out.extend_from_slice(body);
    let crc = crc32c::crc32c_append(seed, &out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    (out, crc)
}

impl PartHead {
    /// Reads what is in front of part `number`.
    pub(super) fn decode(head: &[u8; PART_HEAD], number: u64) -> Result<PartHead, &'static str> {
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let told = u64::from(word(8)) | u64::from(word(12)) << 32;
        let length = word(4) as usize;
        if length > PART_MAX {
            return Err("a part that is longer than a part can be");
        }
        if told != number {
            return Err("a part of another number");
        }
        let kind = Kind::of(word(16)).ok_or("a part of an unknown kind")?;
        Ok(PartHead { crc: word(0), length, kind })
    }

    /// Whether the checksum is that of the rest; and the checksum.
    pub(super) fn proves(&self, head: &[u8; PART_HEAD], body: &[u8], seed: u32) -> Option<u32> {
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(seed, &head[4..]), body);
        (crc == self.crc).then_some(crc)
    }
}
