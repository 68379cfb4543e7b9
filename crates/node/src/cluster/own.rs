//! Who this node is: what its data directory says, what a join has brought, or the first of a new
//! cluster.
//!
//! ```text
//!  up, empty directory     found: an id, a cluster, its authority
//!  join, empty directory   join: an id, a certificate of the cluster
//!  either, later           restart: what is kept
//!  join, out of date       join again: same id, new certificate; what the journal had is set aside
//!  the same, still known   restart: a control node certifies itself
//!  join, worker forgotten  join again: same id, certificate of the new incarnation
//! ```
//!
//! It must never found a cluster where one was joined, and never keep half of an identity.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use journal::raft;
use model::{ClusterId, NodeId, Roles};
use peer::files::{Files, Own as Shown};
use peer::{
    Authority, Clock, Credentials, Dialer, Identity as Certificate, JoinError, JoinToken, Joined,
    Joining, NodeKey, Trust,
};
use uuid::Uuid;

use super::contacts::Contacts;
use crate::data_dir::{DataDir, Identity};
use crate::error::StartError;

/// With what a node comes into a cluster.
#[derive(Clone, Debug)]
pub struct Join {
    /// A control node of the cluster, `HOST:PORT`.
    pub address: String,
    /// The text of the token.
    pub token: JoinToken,
}

/// What a node is told of its place in the cluster.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it is there for; `None`: both, or what it was before.
    pub roles: Option<Roles>,
    /// Where it listens for peers.
    pub peer: SocketAddr,
    /// That was said, and is not only the default: it listens from the start.
    pub peer_named: bool,
    /// Where others reach that listener, `HOST:PORT`; `None`: found out.
    pub advertise: Option<String>,
    /// With what it comes in, where it is not in yet.
    pub join: Option<Join>,
    /// How long a voter has to be silent before another one takes its place.
    pub away: Duration,
    /// How long a certificate that is issued here is good for.
    pub certificate_life: Duration,
}

impl Place {
    /// What the node is asked to be there for; `None`: both, or what it was before.
    pub fn asked_roles(&self) -> Option<Roles> {
        self.roles.or(self.join.as_ref().map(|join| join.token.roles))
    }
}

/// Who this node is.
pub(crate) struct Own {
    pub(crate) identity: Identity,
    pub(crate) roles: Roles,
    pub(crate) files: Files,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) contacts: Arc<Contacts>,
}

/// How often a join is tried where nobody answers, and the pause in between.
const JOIN_TRIES: u32 = 20;
const JOIN_AGAIN: Duration = Duration::from_millis(500);
/// How long a node may ask that can start as the one it was. What it runs has a lease meanwhile.
const JOIN_WITHIN: Duration = Duration::from_secs(5);

impl Own {
    /// Reads, founds or joins.
    pub(crate) async fn open(
        data_dir: &DataDir,
        name: &str,
        place: &Place,
    ) -> Result<Own, StartError> {
        let files = Files::open(&data_dir.path)?;
        let identity = data_dir.identity()?;
        match (identity, &place.join) {
            (None, Some(join)) => {
                let joining = joining(None, name, place, join);
                let joined = knock(&files, join, &joining).await?;
                enter(data_dir, files, joined, place, &joining)
            }
            (Some(identity), Some(join)) => {
                join.token.check(
                    Some(identity.cluster()),
                    place.asked_roles().unwrap_or(Roles::BOTH),
                    0,
                )?;
                let joining = joining(Some(identity), name, place, join);
                let Some(own) = current(&files)? else {
                    // A control node certifies itself, unless the cluster has forgotten it.
                    let joined = match files.authority(identity.cluster())? {
                        None => knock(&files, join, &joining).await?,
                        Some(_) => {
                            match tokio::time::timeout(JOIN_WITHIN, knock(&files, join, &joining))
                                .await
                            {
                                Ok(Ok(joined)) => joined,
                                _ => return restart(data_dir, files, identity, place),
                            }
                        }
                    };
                    set_aside(data_dir)?;
                    return enter(data_dir, files, joined, place, &joining);
                };
                // A cluster that was restored or recovered has forgotten its nodes, of which the directory
                // does not know. A control node has a journal, which is never set aside unasked.
                if !own.roles.control {
                    match tokio::time::timeout(JOIN_WITHIN, knock(&files, join, &joining)).await {
                        Ok(Ok(joined)) if joined.trust.incarnation > own.incarnation => {
                            return enter(data_dir, files, joined, place, &joining);
                        }
                        Ok(Err(why)) => tracing::info!(%why, "the node starts as the one it was"),
                        _ => tracing::info!("the node starts as the one it was"),
                    }
                }
                restart(data_dir, files, identity, place)
            }
            (None, None) => found(data_dir, files, place),
            (Some(identity), None) => restart(data_dir, files, identity, place),
        }
    }

    /// From here on the cluster is in this incarnation, of which the state tells: after a restore or
    /// a recovery what was certified before counts no more. This node's own is renewed by itself.
    pub(crate) fn enter(&self, incarnation: u16) {
        self.credentials.change_trust(|trust| trust.incarnation = incarnation);
    }

    /// Notes that there are others: this node never founds a cluster again.
    pub(crate) fn has_others(&self, data_dir: &Path) -> Result<(), StartError> {
        if self.identity.joined {
            return Ok(());
        }
        let joined = Identity { joined: true, ..self.identity };
        crate::data_dir::keep_identity(data_dir, &joined)
    }
}

/// The first node of a new cluster.
fn found(data_dir: &DataDir, files: Files, place: &Place) -> Result<Own, StartError> {
    if place.roles.is_some_and(|roles| !roles.control) {
        return Err(StartError::Roles {
            why: "the first node of a cluster has the role `control`".to_owned(),
            hint: "leave out `--roles`, or join a cluster with `windlass join`",
        });
    }
    let identity = Identity { node_id: Uuid::new_v4(), cluster_id: Uuid::new_v4(), joined: false };
    // The certificates first: who finds the identity finds them too.
    let roles = place.roles.unwrap_or(Roles::BOTH);
    certify_first(&files, &identity, roles, place)?;
    data_dir.keep_identity(&identity)?;
    restart(data_dir, files, identity, place)
}

/// Makes the authority of a cluster, and the certificate of its first node.
fn certify_first(
    files: &Files,
    identity: &Identity,
    roles: Roles,
    place: &Place,
) -> Result<(), StartError> {
    let now_s = Clock::wall().now_s();
    let authority = Authority::found(identity.cluster(), now_s)?;
    files.keep_authority(&authority)?;
    certify(files, &authority, of(identity, 1, roles), place.certificate_life)
}

fn of(identity: &Identity, incarnation: u16, roles: Roles) -> Certificate {
    Certificate { cluster: identity.cluster(), incarnation, node: identity.node(), roles }
}

/// Issues this node's own certificate, of a new key.
fn certify(
    files: &Files,
    authority: &Authority,
    certificate: Certificate,
    life: Duration,
) -> Result<(), StartError> {
    let key = NodeKey::draw()?;
    let now_s = Clock::wall().now_s();
    let issued = authority.certify(&certificate, &key.public(), life, now_s)?;
    files.keep_own(&Shown::new(issued, key)?)?;
    Ok(())
}

/// What is kept.
fn restart(
    data_dir: &DataDir,
    files: Files,
    identity: Identity,
    place: &Place,
) -> Result<Own, StartError> {
    let authority = files.authority(identity.cluster())?;
    let own = match (files.own()?, &authority) {
        (Some(own), _) => own,
        // A directory of a version that knew no certificates.
        (None, None) if !identity.joined => {
            let roles = place.roles.unwrap_or(Roles::BOTH);
            certify_first(&files, &identity, roles, place)?;
            return restart(data_dir, files, identity, place);
        }
        (None, Some(authority)) => {
            let roles = place.roles.unwrap_or(Roles::BOTH);
            certify(&files, authority, of(&identity, 1, roles), place.certificate_life)?;
            return restart(data_dir, files, identity, place);
        }
        (None, None) => return Err(StartError::NoCertificate),
    };
    let certificate = files.certificate()?.ok_or(StartError::NoCertificate)?;
    let Certificate { cluster, incarnation, node, roles } = own.certified.identity;
    if node != identity.node() || cluster != identity.cluster() {
        return Err(StartError::ForeignCertificate);
    }
    if place.roles.is_some_and(|wanted| wanted != roles) {
        return Err(StartError::Roles {
            why: format!("this node is in its cluster as `{roles}`"),
            hint: "leave out `--roles`; for other roles remove the node and join anew, with an empty data directory",
        });
    }
    let now_s = Clock::wall().now_s();
    if own.certified.until_s < now_s {
        // A control node certifies itself; others are told to join again.
        let Some(authority) = &authority else {
            return Err(StartError::CertificateExpired {
                days: (now_s - own.certified.until_s) / 86_400,
            });
        };
        certify(&files, authority, own.certified.identity, place.certificate_life)?;
        return restart(data_dir, files, identity, place);
    }
    let trust = Trust::new(cluster, incarnation, certificate);
    let credentials = Credentials::new(trust, &own, Clock::wall())?;
    let dialer = Dialer::new(credentials.clone());
    let contacts = Contacts::open(&data_dir.path, node, dialer.clone());
    let authority = authority.map(Arc::new);
    let contacts = Arc::new(contacts);
    Ok(Own { identity, roles, files, credentials, authority, dialer, contacts })
}

/// What the node shows, if it can still be taken for good.
fn current(files: &Files) -> Result<Option<Certificate>, StartError> {
    let now_s = Clock::wall().now_s();
    let own = files.own()?.filter(|own| own.certified.until_s > now_s);
    Ok(own.map(|own| own.certified.identity))
}

/// What it says of itself, with the id the directory has or a new one.
fn joining(known: Option<Identity>, name: &str, place: &Place, join: &Join) -> Joining {
    let node = known.map_or_else(|| NodeId(Uuid::new_v4()), |identity| identity.node());
    let roles = place.roles.unwrap_or(join.token.roles);
    let address = match roles.control {
        true => advertised(place, Some(&join.address)),
        false => String::new(),
    };
    Joining { node, name: name.to_owned(), roles, address }
}

/// Keeps what the cluster has given, and starts with it.
fn enter(
    data_dir: &DataDir,
    files: Files,
    joined: Joined,
    place: &Place,
    joining: &Joining,
) -> Result<Own, StartError> {
    joined.keep(&files)?;
    files.forget_joining_key()?;
    let (node_id, cluster_id) = (joining.node.0, joined.trust.cluster.0);
    let identity = Identity { node_id, cluster_id, joined: true };
    data_dir.keep_identity(&identity)?;
    let own = restart(data_dir, files, identity, place)?;
    own.contacts.set(joined.members.into_iter());
    Ok(own)
}

/// Asks until somebody answers, always with the same key, another time too: so an answer that was lost
/// is no loss.
async fn knock(files: &Files, join: &Join, joining: &Joining) -> Result<Joined, StartError> {
    let der = files.joining_key()?.to_der();
    let mut tries = 1;
    loop {
        let key = NodeKey::from_der(&der)?;
        match peer::join(&join.address, &join.token, joining, key, &Clock::wall()).await {
            Err(JoinError::Unreachable { address, why }) if tries < JOIN_TRIES => {
                tracing::info!(address, why, "nobody answers the join yet");
                tries += 1;
                tokio::time::sleep(JOIN_AGAIN).await;
            }
            Err(JoinError::Refused { why, .. }) if is_passing(&why) && tries < JOIN_TRIES => {
                tries += 1;
                tokio::time::sleep(JOIN_AGAIN).await;
            }
            answer => return Ok(answer?),
        }
    }
}

/// Words with which a node says that it cannot answer just now.
pub(crate) const NOT_NOW: &str = "not just now: ";

fn is_passing(why: &str) -> bool {
    why.starts_with(NOT_NOW)
}

/// What belongs to another incarnation is kept apart, for people.
fn set_aside(data_dir: &DataDir) -> Result<(), StartError> {
    let journal = data_dir.path.join("journal");
    if journal.exists() {
        raft::set_aside(&journal)?;
    }
    let history = data_dir.path.join("history");
    let aside = (1..).map(|number| data_dir.path.join(format!("history-aside-{number}")));
    let mut aside = aside;
    let aside = aside.find(|path| !path.exists()).unwrap_or_default();
    match std::fs::rename(&history, &aside) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => {
            Err(StartError::DataDir { path: history, what: "cannot set it aside", source })
        }
    }
}

/// Where others reach the listener for peers, as far as that can be known before it is open.
///
/// `towards`: whoever has to reach it, `HOST:PORT`.
pub(crate) fn advertised(place: &Place, towards: Option<&str>) -> String {
    if let Some(address) = &place.advertise {
        return address.clone();
    }
    reached_at(place.peer, towards).to_string()
}

/// The listener's address as others see it: the machine's own on the way to `towards` where it
/// listens on all of them. No packet is sent for it.
pub fn reached_at(bound: SocketAddr, towards: Option<&str>) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let of_the_way = |towards: &str| -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.connect(towards)?;
        Ok(socket.local_addr()?.ip())
    };
    // Where no other is known: whichever way leads to the rest of the world.
    let ip = of_the_way(towards.unwrap_or("192.0.2.1:9"));
    let ip = ip.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    SocketAddr::new(ip, bound.port())
}

impl Own {
    pub(crate) fn cluster(&self) -> ClusterId {
        self.identity.cluster()
    }

    pub(crate) fn node(&self) -> NodeId {
        self.identity.node()
    }

    pub(crate) fn incarnation(&self) -> u16 {
        self.credentials.trust().incarnation
    }
}
