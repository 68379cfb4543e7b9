//! Which runs a name has, so that the latest is found without looking at those of all others.

use super::{Key, Kind, Table};
use crate::bytes::{In, Out};

/// The table of named runs, by the hash of the name and the run.
pub(crate) struct Names;

/// A run of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The name's hash; the run's head has the name.
    pub(crate) hash: u64,
    pub(crate) run: u64,
}

/// FNV-1a: it must be the same in every version, and whoever wants two names to collide gets two
/// look-ups instead of one.
pub(crate) fn hash_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Name {
    pub(crate) fn key(hash: u64, run: u64) -> Key {
        Key { run: hash, task: (run >> 32) as u32, ordinal: run as u32, number: 0 }
    }
}

impl Table for Names {
    type Row = Name;
    const KIND: Kind = Kind::Names;

    fn key(row: &Name) -> Key {
        Name::key(row.hash, row.run)
    }

    fn run(row: &Name) -> u64 {
        row.run
    }

    fn weight(_: &Name) -> usize {
        std::mem::size_of::<Name>()
    }

    fn encode(rows: &[&Name]) -> Vec<u8> {
        let mut out = Out::default();
        let mut last = Name { hash: 0, run: 0 };
        for row in rows {
            out.number(row.hash.wrapping_sub(last.hash));
            let from = if row.hash == last.hash { last.run } else { 0 };
            out.number(row.run.wrapping_sub(from));
            last = **row;
        }
        out.0
    }

    fn decode(bytes: &[u8], rows: usize) -> Option<Vec<Name>> {
        let mut bytes = In(bytes);
        let mut last = Name { hash: 0, run: 0 };
        let mut found = Vec::with_capacity(rows);
        for _ in 0..rows {
            let hash = last.hash.wrapping_add(bytes.number()?);
            let from = if hash == last.hash { last.run } else { 0 };
            last = Name { hash, run: from.wrapping_add(bytes.number()?) };
            found.push(last);
        }
        bytes.is_empty().then_some(found)
    }
}
