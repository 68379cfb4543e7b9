//! Which certificates count: those of this cluster, this incarnation, in their time, and not revoked.

use std::collections::BTreeMap;

use model::{ClusterId, NodeId};
use rustls::pki_types::CertificateDer;

use crate::identity::{Certified, Serial};

/// How many revocations are kept; those whose certificates have expired make room.
pub const REVOKED_MAX: usize = 100_000;

/// What a node believes of the certificates of others.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its incarnation now; certificates of another one count for nothing.
    pub incarnation: u16,
    /// The certificate of its authority.
    pub authority: CertificateDer<'static>,
    /// What does not count any more.
    revoked: BTreeMap<(NodeId, Option<Serial>), u64>,
}

/// Why a certificate does not count, for both sides to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not of a node of ours.
    #[error("the certificate is not one of a node of a Windlass cluster")]
    Unreadable,
    /// Another authority has signed it, or it is not good for this.
    #[error("the certificate was not issued by this cluster's authority")]
    Stranger,
    /// It is of another cluster.
    #[error("the certificate is of cluster {found}, and this one is {expected}")]
    Cluster {
        /// Ours.
        expected: ClusterId,
        /// Its.
        found: ClusterId,
    },
    /// It is from before a restore or a recovery, or from after one that we have not heard of.
    #[error(
        "the certificate is of incarnation {found} of the cluster, which is in incarnation {expected}\nhint: after a restore or a recovery a node joins again"
    )]
    Incarnation {
        /// Ours.
        expected: u16,
        /// Its.
        found: u16,
    },
    /// It is another node's.
    #[error("the certificate is of node {found}, and node {expected} was called")]
    AnotherNode {
        /// Who was called.
        expected: NodeId,
        /// Who answers.
        found: NodeId,
    },
    /// It, or its node, was revoked.
    #[error("the certificate {serial} of node {node} was revoked")]
    Revoked {
        /// The node.
        node: NodeId,
        /// The certificate's number.
        serial: Serial,
    },
    /// It is of a node that lets nobody in.
    #[error(
        "the certificate is of a worker, and only control nodes let nodes in\nhint: give the address of a control node"
    )]
    NotControl,
    /// Its time is over.
    #[error(
        "the certificate has expired\nhint: compare the clocks of the two machines; a node that was away for long joins again"
    )]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not good yet\nhint: compare the clocks of the two machines")]
    NotYet,
}

impl Trust {
    /// Trusts what this authority has certified in this incarnation.
    pub fn new(cluster: ClusterId, incarnation: u16, authority: CertificateDer<'static>) -> Trust {
        Trust { cluster, incarnation, authority, revoked: BTreeMap::new() }
    }

    /// Takes back one certificate of a node, or with `None` all of them, whose life ends at `until_s`.
    ///
    /// What has expired at `now_s` makes room. Answers whether there was room.
    pub fn revoke(
        &mut self,
        node: NodeId,
        serial: Option<Serial>,
        until_s: u64,
        now_s: u64,
    ) -> bool {
        if self.revoked.len() >= REVOKED_MAX {
            self.revoked.retain(|_, until_s| *until_s >= now_s);
        }
        let known = self.revoked.contains_key(&(node, serial));
        if !known && self.revoked.len() >= REVOKED_MAX {
            return false;
        }
        self.revoked.insert((node, serial), until_s);
        true
    }

    /// Whether what a certificate says counts now. Its signature is the caller's to check.
    pub fn check(&self, certified: &Certified, now_s: u64) -> Result<(), Refusal> {
        let Certified { identity, serial, from_s, until_s } = *certified;
        if identity.cluster != self.cluster {
            return Err(Refusal::Cluster { expected: self.cluster, found: identity.cluster });
        }
        if identity.incarnation != self.incarnation {
            let (expected, found) = (self.incarnation, identity.incarnation);
            return Err(Refusal::Incarnation { expected, found });
        }
        let node = identity.node;
        if [None, Some(serial)].iter().any(|serial| self.revoked.contains_key(&(node, *serial))) {
            return Err(Refusal::Revoked { node, serial });
        }
        match now_s {
            now_s if now_s > until_s => Err(Refusal::Expired),
            now_s if now_s < from_s => Err(Refusal::NotYet),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::identity::{Identity, Roles};

    fn certified(node: u128) -> Certified {
        let identity = Identity {
            cluster: ClusterId(Uuid::from_u128(1)),
            incarnation: 2,
            node: NodeId(Uuid::from_u128(node)),
            roles: Roles::BOTH,
        };
        Certified { identity, serial: Serial([node as u8; 16]), from_s: 100, until_s: 200 }
    }

    fn trust() -> Trust {
        Trust::new(ClusterId(Uuid::from_u128(1)), 2, CertificateDer::from(vec![]))
    }

    #[test]
    fn only_this_cluster_incarnation_and_time_count() {
        let (trust, good) = (trust(), certified(5));
        let refused = |change: fn(&mut Certified), now_s| {
            let mut one = good;
            change(&mut one);
            trust.check(&one, now_s).unwrap_err()
        };
        assert_eq!(trust.check(&good, 100).and(trust.check(&good, 200)), Ok(()));
        let cluster = refused(|one| one.identity.cluster = ClusterId(Uuid::nil()), 150);
        assert!(matches!(cluster, Refusal::Cluster { .. }));
        for incarnation in [1, 3] {
            let mut one = good;
            one.identity.incarnation = incarnation;
            let refusal = Refusal::Incarnation { expected: 2, found: incarnation };
            assert_eq!(trust.check(&one, 150), Err(refusal));
        }
        assert_eq!(refused(|_| (), 201), Refusal::Expired);
        assert_eq!(refused(|_| (), 99), Refusal::NotYet);
    }

    #[test]
    fn a_revocation_is_of_one_certificate_or_of_a_node() {
        let mut trust = trust();
        let (one, other) = (certified(5), certified(6));
        let renewed = Certified { serial: Serial([77; 16]), ..one };
        assert!(trust.revoke(one.identity.node, Some(one.serial), 200, 100));
        assert!(matches!(trust.check(&one, 150), Err(Refusal::Revoked { .. })));
        assert_eq!(trust.check(&renewed, 150).and(trust.check(&other, 150)), Ok(()));
        assert!(trust.revoke(other.identity.node, None, 200, 100));
        assert!(matches!(trust.check(&other, 150), Err(Refusal::Revoked { .. })));
    }

    #[test]
    fn revocations_are_bounded_and_go_with_what_they_are_about() {
        let mut trust = trust();
        for node in 0..REVOKED_MAX as u128 {
            assert!(trust.revoke(NodeId(Uuid::from_u128(node)), None, 200, 100));
        }
        let more = NodeId(Uuid::from_u128(u128::MAX));
        assert!(!trust.revoke(more, None, 300, 200));
        assert!(trust.revoke(NodeId(Uuid::from_u128(3)), None, 300, 200), "what is there stays");
        assert!(trust.revoke(more, None, 300, 201));
        assert_eq!(trust.revoked.len(), 2);
    }
}
