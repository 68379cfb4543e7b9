//! Join tokens: making them, and letting nodes in by them.
//!
//! Any control node may be asked: what counts is committed before a certificate is made, and each
//! of them has the authority.

use std::time::Duration;

use machine::Answer;
use model::{Because, NodeId, Roles};
use peer::service::{Newcomer, Refused as Turned};
use peer::token::{Admission, Asked, Kept, TokenId};
use peer::{CertificateDer, Identity, JoinToken, PublicKey, journal_number};
use proto::peer::Joined;
use proto::record::{self, command::Kind};
use sha2::{Digest, Sha256};

use crate::cluster::own::NOT_NOW;
use crate::error::Refused;
use crate::handle::{Handle, unexpected};
use crate::view::View;

/// What a join token is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewJoinToken {
    /// The roles its nodes may have.
    pub roles: Roles,
    /// How long it is good for.
    pub life: Duration,
    /// How many nodes it lets in.
    pub uses_max: u32,
}

impl Handle {
    /// Makes a join token, and opens the listener for those who come with it. Only the answer has
    /// the token.
    pub async fn create_join_token(
        &self,
        new: NewJoinToken,
        because: Because,
    ) -> Result<(JoinToken, String), Refused> {
        let own = &self.shared.own;
        let authority = own.authority.as_ref().ok_or_else(|| {
            Refused::Failed(
                "this node does not have the key of the cluster's authority\nhint: ask another control node"
                    .to_owned(),
            )
        })?;
        let now_s = own.credentials.clock().now_s();
        let NewJoinToken { roles, life, uses_max } = new;
        let made = Kept::make(own.cluster(), authority.certificate(), roles, life, uses_max, now_s);
        let (token, kept) = made.map_err(|error| Refused::Unfit(error.to_string()))?;
        let opened = self.shared.door.open(None).await;
        opened.map_err(|error| {
            Refused::Unfit(format!(
                "nobody could come in: cannot listen for peers: {error}\nhint: start the node with another `--peer ADDR`"
            ))
        })?;
        let create = record::CreateJoinToken {
            token: Some(as_record(&kept)),
            because: Some(because.into()),
            from: self.from.clone(),
        };
        match self.commit(Kind::CreateJoinToken(create)).await? {
            Answer::JoinTokenCreated => {}
            other => return Err(unexpected(other)),
        }
        let address = self.shared.door.address().borrow().clone();
        Ok((token, address))
    }

    /// Lets a node in, or says why not. Its key is proved.
    pub(crate) async fn admit(&self, newcomer: Newcomer) -> Result<Joined, Turned> {
        let view = self.view().await.map_err(|refused| not_now(&refused))?;
        let now_s = self.shared.own.credentials.clock().now_s();
        check(&view, &newcomer, now_s)?;
        let Newcomer { token, node, ref name, roles, ref key, ref address, .. } = newcomer;
        let member = record::Member {
            node_id: node.to_bytes(),
            name: name.clone(),
            control: roles.control,
            worker: roles.worker,
            address: address.clone(),
            ..record::Member::default()
        };
        let admit = record::AdmitNode {
            token_id: token.0.to_vec(),
            key_hash: Sha256::digest(key.as_bytes()).to_vec(),
            member: Some(member),
        };
        match self.commit(Kind::AdmitNode(admit)).await {
            Ok(Answer::Admitted) => {}
            Ok(other) => return Err(Turned::Unavailable(unexpected(other).to_string())),
            Err(Refused::Unavailable(why)) => {
                return Err(Turned::Unavailable(format!("{NOT_NOW}{why}")));
            }
            Err(Refused::OutcomeUnknown) => {
                return Err(Turned::Unavailable(format!("{NOT_NOW}the leader has changed")));
            }
            Err(refused) => return Err(Turned::Forbidden(refused.to_string())),
        }
        self.certify(&view, &newcomer, now_s)
    }

    fn certify(&self, view: &View, newcomer: &Newcomer, now_s: u64) -> Result<Joined, Turned> {
        let own = &self.shared.own;
        let failed = |error: &dyn std::error::Error| Turned::Unavailable(error.to_string());
        let authority = own.authority.as_ref();
        let authority = authority
            .ok_or_else(|| Turned::Unavailable("this node certifies nobody".to_owned()))?;
        let (cluster, incarnation) = (own.cluster(), own.incarnation());
        let identity =
            Identity { cluster, incarnation, node: newcomer.node, roles: newcomer.roles };
        let life = self.shared.certificate_life;
        let certificate = authority.certify(&identity, &newcomer.key, life, now_s);
        let certificate = certificate.map_err(|error| failed(&error))?;
        let sealed_key = match newcomer.roles.control {
            true => peer::seal::seal(authority, &newcomer.secret, &newcomer.key),
            false => Ok(Vec::new()),
        };
        let members = view.state.members().iter();
        let members = members.filter(|(_, member)| member.roles.control).map(|(node, member)| {
            proto::peer::Member { node_id: node.to_bytes(), address: member.address.clone() }
        });
        Ok(Joined {
            certificate: certificate.to_vec(),
            incarnation: incarnation.into(),
            sealed_key: sealed_key.map_err(|error| failed(&error))?,
            members: members.collect(),
        })
    }
}

impl Handle {
    /// A new certificate for a member, with the roles it has.
    pub(crate) fn certify_again(
        &self,
        known: Identity,
        key: &PublicKey,
    ) -> Result<CertificateDer<'static>, Turned> {
        let own = &self.shared.own;
        let authority = own.authority.as_ref();
        let authority = authority
            .ok_or_else(|| Turned::Unavailable("this node certifies nobody".to_owned()))?;
        let identity = Identity { incarnation: own.incarnation(), ..known };
        let now_s = own.credentials.clock().now_s();
        let made = authority.certify(&identity, key, self.shared.certificate_life, now_s);
        made.map_err(|error| Turned::Unavailable(error.to_string()))
    }

    /// Where this node's listener for peers is reached; empty while there is none.
    pub fn peer_address(&self) -> String {
        self.shared.door.address().borrow().clone()
    }
}

/// What can be known before it is committed; the commit looks again.
fn check(view: &View, newcomer: &Newcomer, now_s: u64) -> Result<(), Turned> {
    let members = view.state.members();
    let kept = members.join_token(newcomer.token.0).map(|token| as_kept(newcomer.token, token));
    let unknown = || Turned::Forbidden(peer::token::Refused::Unknown.to_string());
    let kept = kept.ok_or_else(unknown)?;
    let Newcomer { ref secret, node, roles, key, .. } = *newcomer;
    let asked = Asked { secret, node, roles, key };
    let admission = kept.admit(&asked, members.get(node).is_some(), now_s);
    let admission = admission.map_err(|refused| Turned::Forbidden(refused.to_string()))?;
    let number = journal_number(node);
    let alike = |(other, _): &(NodeId, &std::sync::Arc<machine::Member>)| {
        *other != node && journal_number(*other) == number
    };
    if admission == Admission::First && members.iter().any(|member| alike(&member)) {
        return Err(Turned::Forbidden(
            "another node has the same number in the journal\nhint: remove the data directory and join again: it draws another"
                .to_owned(),
        ));
    }
    Ok(())
}

fn as_record(kept: &Kept) -> record::JoinToken {
    record::JoinToken {
        id: kept.id.0.to_vec(),
        secret_hash: kept.secret_hash.to_vec(),
        control: kept.roles.control,
        worker: kept.roles.worker,
        expires_ms: kept.expires_s.saturating_mul(1000),
        uses_max: kept.uses_max,
        used_by: Vec::new(),
    }
}

fn as_kept(id: TokenId, token: &machine::JoinToken) -> Kept {
    Kept {
        id,
        secret_hash: token.secret_hash,
        roles: token.roles,
        expires_s: token.expires_ms / 1000,
        uses_max: token.uses_max,
        used_by: token.used_by.clone(),
    }
}

fn not_now(refused: &Refused) -> Turned {
    Turned::Unavailable(format!("{NOT_NOW}{refused}"))
}
