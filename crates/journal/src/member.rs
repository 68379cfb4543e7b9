//! Who takes part in a group, and why a lost disk never comes back as the one that it was.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

/// One journal directory of one node: what votes, learns and leads.
///
/// A vote that was forgotten, or an entry that was acknowledged and lost, would break what a group has agreed on.
/// So a directory that joins a group gets a life of its own, drawn once, and with it a number that no other has:
/// a node whose directory was lost comes back as another member, which has never promised anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The node, as its certificate names it.
    pub node: u64,
    /// Which of its directories; 0 for one that founded its group.
    pub life: u64,
}

impl Member {
    /// The number by which the group knows it: [`crate::LeaderId::node`] and the like.
    ///
    /// That of the node itself for the founder, and otherwise a hash of both.
    pub fn number(self) -> u64 {
        match self.life {
            0 => self.node,
            life => mix(self.node ^ mix(life)),
        }
    }

    /// As it stands in a membership.
    pub(crate) fn encode(self) -> String {
        format!("{:x}.{:x}", self.node, self.life)
    }

    /// The same, read; a group of one that is older than the others' life has nothing there.
    pub(crate) fn decode(number: u64, text: &str) -> Self {
        let founder = Self { node: number, life: 0 };
        let Some((node, life)) = text.split_once('.') else { return founder };
        match (u64::from_str_radix(node, 16), u64::from_str_radix(life, 16)) {
            (Ok(node), Ok(life)) => Self { node, life },
            _ => founder,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.node, self.life)
    }
}

/// A life that none has had.
pub(crate) fn draw_life() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

/// Spreads a number over all of 64 bits (the finalizer of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_life_has_a_number_of_its_own() {
        let numbers: std::collections::BTreeSet<_> = (0..100)
            .flat_map(|node| (0..100).map(move |life| Member { node, life }.number()))
            .collect();
        assert_eq!(numbers.len(), 10_000);
        assert_eq!(Member { node: 7, life: 0 }.number(), 7);
        assert_ne!(draw_life(), draw_life());
    }

    #[test]
    fn is_read_as_it_was_written() {
        let member = Member { node: u64::MAX, life: 12 };
        assert_eq!(Member::decode(member.number(), &member.encode()), member);
        assert_eq!(Member::decode(7, ""), Member { node: 7, life: 0 });
    }
}
