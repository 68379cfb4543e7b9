//! The answers that idempotency keys have had, for a day.
//!
//! A key is kept as a hash of itself: a client's key may be long, and there are millions.

use imbl::{OrdMap, Vector};
use model::RunId;
use sha2::{Digest, Sha256};

/// The answers, by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    by_key: OrdMap<KeyHash, KeyAnswer>,
    /// The keys as they came, which is by time.
    in_order: Vector<KeyHash>,
}

/// The first half of the SHA-256 of an owner and their key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyHash(pub(crate) [u8; 16]);

impl KeyHash {
    pub(crate) fn of(owner: &str, key: &str) -> Self {
        let hash = Sha256::new().chain_update(owner).chain_update([0]).chain_update(key).finalize();
        let (half, _) = hash.split_first_chunk().expect("a SHA-256 has 32 bytes");
        Self(*half)
    }
}

/// The first half of the hash of what came with a key.
pub(crate) type PayloadHash = [u8; 16];

/// The first answer of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyAnswer {
    pub(crate) payload_hash: PayloadHash,
    pub(crate) run: RunId,
    pub(crate) at_ms: u64,
}

impl Keys {
    /// Keys kept at once.
    pub(crate) const MAX: usize = 4_000_000;
    /// How long a key is kept: a day and an hour, in milliseconds.
    const KEPT_MS: u64 = 25 * 3_600_000;
    /// Keys forgotten by one submit at most.
    const FORGOTTEN_AT_ONCE: usize = 8;

    pub(crate) fn get(&self, key: KeyHash) -> Option<&KeyAnswer> {
        self.by_key.get(&key)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyHash, &KeyAnswer)> {
        let known = |key: &KeyHash| (*key, self.by_key.get(key).expect("a key in order is known"));
        self.in_order.iter().map(known)
    }

    /// Adds a key that is not there yet.
    pub(crate) fn insert(&mut self, key: KeyHash, answer: KeyAnswer) {
        self.by_key.insert(key, answer);
        self.in_order.push_back(key);
    }

    /// Forgets a few of those that have been kept long enough.
    pub(crate) fn forget_old(&mut self, now_ms: u64) {
        for _ in 0..Self::FORGOTTEN_AT_ONCE {
            let Some(key) = self.in_order.front() else { return };
            let at_ms = self.by_key.get(key).map_or(0, |answer| answer.at_ms);
            if at_ms.saturating_add(Self::KEPT_MS) >= now_ms {
                return;
            }
            self.by_key.remove(key);
            self.in_order.pop_front();
        }
    }

    pub(crate) fn agree(&self) -> bool {
        self.by_key.len() == self.in_order.len()
            && self.in_order.iter().all(|key| self.by_key.contains_key(key))
    }
}
