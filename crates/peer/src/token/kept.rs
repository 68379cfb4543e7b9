//! What the cluster keeps of a join token, and whom it admits by it.
//!
//! Pure: it is told the time, and gives answers as values, so that the replicated state can hold it.

use std::time::Duration;

use model::{ClusterId, NodeId};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::{JoinToken, Secret, TokenId, equal};
use crate::ca::fingerprint;
use crate::chance::random;
use crate::{Error, PublicKey, Roles};

/// How long a token is good for unless told otherwise.
pub const LIFE: Duration = Duration::from_secs(3600);
/// No token is good for longer.
pub const LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// No token lets in more nodes than this.
pub const USES_MAX: u32 = 1000;

/// A join token, as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// By which it is found.
    pub id: TokenId,
    /// The SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// The roles its nodes may have.
    pub roles: Roles,
    /// Until when, in seconds since 1970.
    pub expires_s: u64,
    /// How many nodes it lets in.
    pub uses_max: u32,
    /// Those that it has let in, each with a hash of its key.
    pub used_by: Vec<(NodeId, [u8; 32])>,
}

/// What a node that joins asks for.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The secret that it shows.
    pub secret: &'a Secret,
    /// Who it says it is: an id of its own making.
    pub node: NodeId,
    /// The roles it wants.
    pub roles: Roles,
    /// The key it wants certified, and has proved that it holds.
    pub key: PublicKey,
}

/// How a node is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// For the first time: commit [`Kept::note`] before it is certified.
    First,
    /// Once more, for the answer was lost on its way; nothing is used up.
    Again,
}

/// Why a node is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such token, or not its secret: which of the two is not told.
    #[error(
        "the cluster does not know this join token\nhint: `windlass cluster token` prints a new one"
    )]
    Unknown,
    /// Its time is over.
    #[error("the join token has expired\nhint: `windlass cluster token` prints a new one")]
    Expired,
    /// It has let in as many as it may.
    #[error(
        "the join token was used up: it was for {uses_max} node(s)\nhint: `windlass cluster token` prints a new one"
    )]
    UsedUp {
        /// How many it was for.
        uses_max: u32,
    },
    /// It does not let nodes in for this.
    #[error(
        "the join token is for nodes with {allowed}, not with {asked}\nhint: ask for `--roles {allowed}`, or for another token"
    )]
    Roles {
        /// What it is for.
        allowed: Roles,
        /// What was asked.
        asked: Roles,
    },
    /// There is a node with this id, and nothing shows that it is the same.
    #[error(
        "node {node} is a member already\nhint: a copied data directory is no node of its own: join with an empty one"
    )]
    Member {
        /// The id.
        node: NodeId,
    },
}

impl Kept {
    /// Makes a token for `uses_max` nodes, and what is kept of it. `now_s` is in seconds since 1970.
    pub fn make(
        cluster: ClusterId,
        authority: &CertificateDer<'_>,
        roles: Roles,
        life: Duration,
        uses_max: u32,
        now_s: u64,
    ) -> Result<(JoinToken, Kept), Error> {
        if life > LIFE_MAX || life.as_secs() == 0 {
            return Err(Error::Unfit { why: "a join token lives between a second and 7 days" });
        }
        if !(1..=USES_MAX).contains(&uses_max) || !(roles.control || roles.worker) {
            return Err(Error::Unfit { why: "a join token is for 1 to 1,000 nodes with a role" });
        }
        let (id, secret) = (TokenId(random()?), Secret::draw()?);
        let expires_s = now_s + life.as_secs();
        let secret_hash = secret.hash();
        let authority = fingerprint(authority);
        let kept = Kept { id, secret_hash, roles, expires_s, uses_max, used_by: Vec::new() };
        Ok((JoinToken { cluster, roles, expires_s, id, secret, authority }, kept))
    }

    /// Whether the node may come in. `is_member`: the cluster has a node with this id.
    pub fn admit(
        &self,
        asked: &Asked<'_>,
        is_member: bool,
        now_s: u64,
    ) -> Result<Admission, Refused> {
        if !equal(&asked.secret.hash(), &self.secret_hash) {
            return Err(Refused::Unknown);
        }
        if now_s > self.expires_s {
            return Err(Refused::Expired);
        }
        if !asked.roles.within(self.roles) {
            return Err(Refused::Roles { allowed: self.roles, asked: asked.roles });
        }
        let node = asked.node;
        // The same node with the same key: it asks again, and nobody else could.
        if self.used_by.contains(&(node, hash(&asked.key))) {
            return Ok(Admission::Again);
        }
        if is_member || self.used_by.iter().any(|(used, _)| *used == node) {
            return Err(Refused::Member { node });
        }
        if self.used_by.len() >= self.uses_max as usize {
            return Err(Refused::UsedUp { uses_max: self.uses_max });
        }
        Ok(Admission::First)
    }

    /// Notes that the node was let in.
    pub fn note(&mut self, node: NodeId, key: &PublicKey) {
        self.used_by.push((node, hash(key)));
    }
}

fn hash(key: &PublicKey) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::NodeKey;

    const NOW_S: u64 = 1000;

    fn make(roles: Roles, uses_max: u32) -> (JoinToken, Kept) {
        let authority = CertificateDer::from(vec![1, 2, 3]);
        let cluster = ClusterId(Uuid::from_u128(1));
        Kept::make(cluster, &authority, roles, LIFE, uses_max, NOW_S).unwrap()
    }

    fn node(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    fn asked(token: &JoinToken, number: u128, key: PublicKey) -> Asked<'_> {
        Asked { secret: &token.secret, node: node(number), roles: Roles::WORKER, key }
    }

    fn key() -> PublicKey {
        NodeKey::draw().unwrap().public()
    }

    #[test]
    fn a_token_lets_in_as_many_as_it_was_made_for_and_each_once() {
        let (token, mut kept) = make(Roles::BOTH, 2);
        let first = key();
        for (number, key) in [(1, first), (2, key())] {
            let asked = asked(&token, number, key);
            assert_eq!(kept.admit(&asked, false, NOW_S), Ok(Admission::First));
            kept.note(asked.node, &key);
        }
        let third = kept.admit(&asked(&token, 3, key()), false, NOW_S);
        assert_eq!(third, Err(Refused::UsedUp { uses_max: 2 }));
        // The answer was lost: the node asks again, by now a member, and uses nothing up.
        let again = kept.admit(&asked(&token, 1, first), true, NOW_S);
        assert_eq!(again, Ok(Admission::Again));
    }

    #[test]
    fn nobody_becomes_a_node_that_is_there() {
        let (token, mut kept) = make(Roles::BOTH, 5);
        let refused = Err(Refused::Member { node: node(1) });
        assert_eq!(kept.admit(&asked(&token, 1, key()), true, NOW_S), refused);
        kept.note(node(1), &key());
        assert_eq!(kept.admit(&asked(&token, 1, key()), false, NOW_S), refused);
    }

    #[test]
    fn a_secret_a_time_and_a_role_are_held_to() {
        let (token, kept) = make(Roles::WORKER, 1);
        let (other, _) = make(Roles::WORKER, 1);
        let wrong = kept.admit(&asked(&other, 1, key()), false, NOW_S);
        assert_eq!(wrong, Err(Refused::Unknown));
        let late = NOW_S + LIFE.as_secs() + 1;
        assert_eq!(kept.admit(&asked(&token, 1, key()), false, late), Err(Refused::Expired));
        let more = Asked { roles: Roles::BOTH, ..asked(&token, 1, key()) };
        let refused = Refused::Roles { allowed: Roles::WORKER, asked: Roles::BOTH };
        assert_eq!(kept.admit(&more, false, NOW_S), Err(refused));
        assert!(token.names(&CertificateDer::from(vec![1, 2, 3])));
        assert!(!token.names(&CertificateDer::from(vec![1, 2, 4])));
    }

    #[test]
    fn a_token_has_limits() {
        let make = |life, uses_max| {
            let authority = CertificateDer::from(vec![]);
            let cluster = ClusterId(Uuid::nil());
            Kept::make(cluster, &authority, Roles::BOTH, life, uses_max, NOW_S).is_err()
        };
        assert!(make(LIFE_MAX * 2, 1) && make(Duration::ZERO, 1));
        assert!(make(LIFE, 0) && make(LIFE, USES_MAX + 1));
    }
}
