//! The nodes that belong to the cluster, and what lets others in.
//!
//! A member is certified; whether it has a session, or has ever had one, says [`crate::Node`]. Of a
//! join token the hash of its secret alone is here. A node that was removed is remembered until the
//! certificates it may still hold have ended.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use model::{NodeId, Roles};

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, for people.
    pub name: String,
    /// What it is there for.
    pub roles: Roles,
    /// Where its listener for peers is reached, `HOST:PORT`; empty: nowhere.
    pub address: String,
    /// Where people and programs reach it, `HOST:PORT`; empty: only on its own machine.
    pub api_address: String,
    /// Which of its journals takes part in the group; `None`: none yet.
    pub journal_life: Option<u64>,
    /// When it came in, Unix milliseconds.
    pub joined_ms: u64,
}

/// By which a join token is found.
pub type JoinTokenId = [u8; 8];

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// The SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// The roles its nodes may have.
    pub roles: Roles,
    /// When it lets nobody in any more, Unix milliseconds.
    pub expires_ms: u64,
    /// How many nodes it lets in.
    pub uses_max: u32,
    /// Whom it has let in, each with the hash of its key.
    pub used_by: Vec<(NodeId, [u8; 32])>,
}

/// Everything of this module, as the state has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    by_id: OrdMap<NodeId, Arc<Member>>,
    join_tokens: OrdMap<JoinTokenId, Arc<JoinToken>>,
    /// Those that are over, the next first.
    expiries: OrdSet<(u64, JoinTokenId)>,
    /// Nodes that were removed, until when, Unix milliseconds.
    revoked: OrdMap<NodeId, u64>,
}

impl Members {
    /// Nodes at once.
    pub const MAX: usize = 10_000;
    /// Join tokens at once.
    pub const TOKENS_MAX: usize = 1_000;
    /// No join token lets in more nodes.
    pub const USES_MAX: u32 = 1_000;
    /// Removed nodes that are remembered at once.
    pub const REVOKED_MAX: usize = 100_000;
    /// For so long a removed node is remembered, in milliseconds: no certificate lives longer.
    pub const REVOKED_MS: u64 = 366 * 24 * 3600 * 1000;

    /// A member.
    pub fn get(&self, node: NodeId) -> Option<&Arc<Member>> {
        self.by_id.get(&node)
    }

    /// All of them, by their ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Arc<Member>)> {
        self.by_id.iter().map(|(node, member)| (*node, member))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none: the cluster is new, or was recovered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// A join token.
    pub fn join_token(&self, id: JoinTokenId) -> Option<&Arc<JoinToken>> {
        self.join_tokens.get(&id)
    }

    /// The join tokens, by their ids.
    pub fn join_tokens(&self) -> impl Iterator<Item = (JoinTokenId, &Arc<JoinToken>)> {
        self.join_tokens.iter().map(|(id, token)| (*id, token))
    }

    /// The nodes whose certificates count no more, and until when that has to be known.
    pub fn revoked(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.revoked.iter().map(|(node, until_ms)| (*node, *until_ms))
    }

    /// Whether two states have the same members in the same place; it costs nothing.
    pub fn is_same(&self, other: &Members) -> bool {
        self.by_id.ptr_eq(&other.by_id) && self.revoked.ptr_eq(&other.revoked)
    }

    /// When the next join token expires, Unix milliseconds.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.expiries.get_min().map(|(at_ms, _)| *at_ms)
    }

    pub(crate) fn set(&mut self, node: NodeId, member: Member) {
        self.by_id.insert(node, Arc::new(member));
    }

    /// Whether one more removal can be remembered; those whose time is over make room.
    pub(crate) fn can_revoke(&self, now_ms: u64) -> bool {
        let kept = || self.revoked.values().filter(|until_ms| **until_ms > now_ms).count();
        self.revoked.len() < Self::REVOKED_MAX || kept() < Self::REVOKED_MAX
    }

    /// Takes a member out. Its certificates, which all end by then, count no more.
    pub(crate) fn revoke(&mut self, node: NodeId, now_ms: u64) -> Option<Arc<Member>> {
        if self.revoked.len() >= Self::REVOKED_MAX {
            let kept = self.revoked.iter().filter(|(_, until_ms)| **until_ms > now_ms);
            self.revoked = kept.map(|(node, until_ms)| (*node, *until_ms)).collect();
        }
        self.revoked.insert(node, now_ms.saturating_add(Self::REVOKED_MS));
        self.by_id.remove(&node)
    }

    /// Forgets all: after a recovery everybody joins again.
    pub(crate) fn clear(&mut self) {
        *self = Members::default();
    }

    pub(crate) fn is_revoked(&self, node: NodeId) -> bool {
        self.revoked.contains_key(&node)
    }

    pub(crate) fn insert_token(&mut self, id: JoinTokenId, token: JoinToken) {
        self.expiries.insert((token.expires_ms, id));
        self.join_tokens.insert(id, Arc::new(token));
    }

    pub(crate) fn token_mut(&mut self, id: JoinTokenId) -> Option<&mut JoinToken> {
        self.join_tokens.get_mut(&id).map(Arc::make_mut)
    }

    /// Drops the next join token that has expired; whether there was one.
    pub(crate) fn expire(&mut self, now_ms: u64) -> bool {
        let Some((at_ms, id)) = self.expiries.get_min().copied() else { return false };
        if at_ms > now_ms {
            return false;
        }
        self.expiries.remove(&(at_ms, id));
        self.join_tokens.remove(&id);
        true
    }

    /// Puts a removal back that a snapshot knows.
    pub(crate) fn restore_revoked(&mut self, node: NodeId, until_ms: u64) {
        self.revoked.insert(node, until_ms);
    }

    pub(crate) fn agree(&self) -> bool {
        let expiring: OrdSet<_> =
            self.join_tokens.iter().map(|(id, token)| (token.expires_ms, *id)).collect();
        expiring == self.expiries && !self.by_id.keys().any(|node| self.revoked.contains_key(node))
    }
}
