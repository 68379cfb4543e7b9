//! The other side of a join: a machine that has a token, and is no node yet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::NodeId;
use proto::peer::door_client::DoorClient;
use proto::peer::{JoinRequest, join_reply};
use rustls::pki_types::CertificateDer;

use crate::clock::Clock;
use crate::dial::{Connector, Tls, endpoint, unanswered, within};
use crate::files::{Files, Own};
use crate::token::Fault;
use crate::trust::Trust;
use crate::{Authority, Error, JoinToken, NodeKey, Roles, Uncallable, seal, verify};

/// How long one try may take.
const JOIN: Duration = Duration::from_secs(30);

/// What a machine says of itself when it joins.
#[derive(Clone, Debug)]
pub struct Joining {
    /// Its id: drawn by itself, and kept in its data directory.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// The roles it wants.
    pub roles: Roles,
    /// Where its own listener can be reached; empty for a worker behind NAT.
    pub address: String,
}

/// What it has then.
#[derive(Debug)]
pub struct Joined {
    /// Whom to believe.
    pub trust: Trust,
    /// What to show.
    pub own: Own,
    /// For a control node: what to certify others with.
    pub authority: Option<Authority>,
    /// The control nodes, and where they are.
    pub members: Vec<(NodeId, String)>,
}

/// Why it is not in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The token is not for this; nobody was asked.
    #[error(transparent)]
    Token(#[from] Fault),
    /// No connection to a node of the token's cluster, or it broke off. The same call may be made again.
    #[error("cannot join at `{address}`: {why}")]
    Unreachable {
        /// Who was called.
        address: String,
        /// Why, for people.
        why: String,
    },
    /// The cluster has said no.
    #[error("`{address}` does not let this node in: {why}")]
    Refused {
        /// Who was called.
        address: String,
        /// Why, in its words.
        why: String,
    },
    /// What came cannot be used or kept.
    #[error("cannot use what the cluster answered")]
    Own(#[from] Error),
}

/// Asks the node at `address` to let this machine in, with a key that stays the same when it is asked again.
///
/// Only with the same key is a lost answer made good: try again with it, within the life of the token.
pub async fn join(
    address: &str,
    token: &JoinToken,
    joining: &Joining,
    key: NodeKey,
    clock: &Clock,
) -> Result<Joined, JoinError> {
    token.check(None, joining.roles, clock.now_s())?;
    let unreachable = |why| JoinError::Unreachable { address: address.to_owned(), why };
    let (config, pinned) = verify::joiner(token, clock.now_s())
        .map_err(|error| unreachable(verify::explain(&error)))?;
    let connector = Connector {
        way: Tls { config, credentials: None },
        address: Arc::new(Mutex::new(address.to_owned())),
        backoff: Arc::default(),
    };
    let mut door = DoorClient::new(endpoint().connect_with_connector_lazy(connector));
    let request = JoinRequest {
        token_id: token.id.0.to_vec(),
        secret: token.secret.as_bytes().to_vec(),
        node_id: joining.node.to_bytes(),
        name: joining.name.clone(),
        control: joining.roles.control,
        worker: joining.roles.worker,
        public_key: key.public().as_bytes().to_vec(),
        proof: key.prove(token.cluster, joining.node)?,
        address: joining.address.clone(),
    };
    let reply = tokio::time::timeout(JOIN, door.join(within(request, JOIN))).await;
    let reply = reply.map_err(|_| unreachable(format!("no answer within {JOIN:?}")))?;
    let reply = reply.map_err(|status| match unanswered(joining.node, &status) {
        Uncallable::Refused { why, .. }
        | Uncallable::Unconnected { why, .. }
        | Uncallable::Unreachable { why, .. } => unreachable(why),
        Uncallable::NoAddress(_) => unreachable(status.to_string()),
    })?;
    let joined = match reply.into_inner().outcome {
        Some(join_reply::Outcome::Joined(joined)) => joined,
        Some(join_reply::Outcome::Refused(why)) => {
            return Err(JoinError::Refused { address: address.to_owned(), why });
        }
        None => return Err(unreachable("its answer cannot be read".to_owned())),
    };
    let (authority, _) = pinned.found().ok_or_else(|| unreachable("nobody answered".to_owned()))?;
    take(token, joining, key, authority, joined, clock.now_s())
}

/// Checks that the answer is what was asked for.
fn take(
    token: &JoinToken,
    joining: &Joining,
    key: NodeKey,
    authority: CertificateDer<'static>,
    joined: proto::peer::Joined,
    now_s: u64,
) -> Result<Joined, JoinError> {
    let unfit = |why| JoinError::Own(Error::Unfit { why });
    let incarnation = u16::try_from(joined.incarnation);
    let incarnation = incarnation.map_err(|_| unfit("the incarnation is out of range"))?;
    let trust = Trust::new(token.cluster, incarnation, authority.clone());
    let certificate = CertificateDer::from(joined.certificate);
    let usage = webpki::KeyUsage::client_auth();
    let certified = verify::check(&trust, &certificate, usage, now_s);
    let certified =
        certified.map_err(|_| unfit("the certificate does not count in its own cluster"))?;
    if certified.identity.node != joining.node || certified.identity.roles != joining.roles {
        return Err(unfit("the certificate is of another node, or of other roles"));
    }
    let sealed = match joining.roles.control {
        true => {
            let opened = seal::open(
                &joined.sealed_key,
                &token.secret,
                &key.public(),
                token.cluster,
                authority,
            );
            Some(opened?)
        }
        false => None,
    };
    let members = joined.members.into_iter();
    let members = members
        .filter_map(|member| Some((NodeId::from_bytes(&member.node_id)?, member.address)))
        .collect();
    Ok(Joined { trust, own: Own::new(certificate, key)?, authority: sealed, members })
}

impl Joined {
    /// Keeps all of it in the data directory.
    pub fn keep(&self, files: &Files) -> Result<(), Error> {
        match &self.authority {
            Some(authority) => files.keep_authority(authority)?,
            None => files.keep_certificate(&self.trust.authority)?,
        }
        files.keep_own(&self.own)
    }
}
