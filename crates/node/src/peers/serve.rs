//! What this control node does for its peers.
//!
//! Who asks is what its certificate says. A worker is answered what concerns itself; only control
//! nodes may commit, read and learn keys.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use journal::Journal;
use journal::raft::Raft;
use model::{Items, NodeId, SupervisorId};
use peer::service::{Answer, Newcomer, Refused as Turned};
use peer::{CertificateDer, Certified, Identity, PublicKey, Service, journal_number};
use prost::Message;
use proto::peer::{
    Ask, Barrier, Confirmed, Connection, ContactList, Health, Joined, PlacedList, Told, ask, told,
};
use proto::peer::{Piece, copy_request};
use proto::record::command::Kind;
use proto::session::{Output, OutputWanted, Tails, ToControl, ToWorker};
use tokio::sync::mpsc;
use tonic::body::Body;

use crate::clock::Clock;
use crate::cluster::{ways, ways::Way, wire};
use crate::copies::Copies;
use crate::disk::Disk;
use crate::error::Refused;
use crate::handle::Handle;
use crate::session::Host;

/// Answers peers: the journal from the first moment, the rest once the node has its state.
pub(crate) struct Serve {
    pub(crate) journal: Arc<Raft>,
    pub(crate) host: Arc<Host>,
    pub(crate) copies: Arc<Copies>,
    pub(crate) handle: OnceLock<Handle>,
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<Disk>,
}

impl Serve {
    fn handle(&self) -> Result<&Handle, Turned> {
        self.handle.get().ok_or_else(|| Turned::Unavailable("the node is starting".to_owned()))
    }

    async fn told(&self, from: Identity, ask: ask::Kind) -> Result<told::Kind, Refused> {
        if let (true, ask::Kind::Health(_)) = (from.roles.control, &ask) {
            let (unix_ms, disk_is_low) = (self.clock.now().unix_ms, self.disk.is_low());
            return Ok(told::Kind::Health(Health { unix_ms, disk_is_low }));
        }
        let handle = self.handle().map_err(|turned| Refused::Unavailable(turned.to_string()))?;
        let control = from.roles.control;
        match ask {
            ask::Kind::Command(command) => {
                let command = command.kind.ok_or_else(|| unfit("there is no command"))?;
                let answer = match (control, &command) {
                    (true, _) => handle.commit_for_another(command).await?,
                    (false, Kind::SetMember(set)) if is_of(set, from.node) => {
                        handle.commit(command).await?
                    }
                    (false, _) => return Err(forbidden()),
                };
                let committed = wire::committed(&answer);
                committed.map(told::Kind::Committed).ok_or_else(|| unfit("nobody waits for that"))
            }
            ask::Kind::Barrier(barrier) if control => {
                let confirmed = self.confirmed(handle, &barrier).await?;
                Ok(told::Kind::Confirmed(confirmed))
            }
            ask::Kind::Keys(_) if control => {
                Ok(told::Kind::Keys(handle.shared.secrets.text().into_bytes()))
            }
            ask::Kind::Contacts(_) => Ok(told::Kind::Contacts(contacts(handle))),
            ask::Kind::Placed(placed) => {
                let supervisor = SupervisorId::from_bytes(&placed.supervisor_id);
                let supervisor = supervisor.ok_or_else(|| unfit("no supervisor has this id"))?;
                let view = match handle.shared.ways.now() {
                    Some(Way::There(_)) if control => return Err(ways::no_leader()),
                    _ => handle.view().await?,
                };
                let attempts = crate::worker::placed(&view, from.node, supervisor);
                let attempts = attempts.into_iter().map(Into::into).collect();
                Ok(told::Kind::Placed(PlacedList { attempts }))
            }
            ask::Kind::Barrier(_) | ask::Kind::Keys(_) | ask::Kind::Health(_) => Err(forbidden()),
        }
    }

    async fn confirmed(&self, handle: &Handle, asked: &Barrier) -> Result<Confirmed, Refused> {
        let index = self.journal.barrier().await;
        let index = index.map_err(|error| Refused::Unavailable(error.to_string()))?;
        let view = handle.shared.views.borrow().clone();
        let version = view.connections_version;
        let connections =
            (version != asked.connections).then(|| view.connections.iter().map(connection));
        let connections = connections.into_iter().flatten().collect();
        let progress = asked.progress.then(|| self.journal.progress());
        let progress = progress.iter().flatten().map(wire::progress).collect();
        Ok(Confirmed { index, version, connections, progress })
    }
}

fn connection((node, connection): (&NodeId, &reactor::control::Connection)) -> Connection {
    Connection {
        node_id: node.to_bytes(),
        ready: connection.ready,
        degraded: connection.degraded.clone(),
    }
}

/// The control nodes, as far as this one has applied what was committed.
fn contacts(handle: &Handle) -> ContactList {
    let view = handle.shared.views.borrow().clone();
    let control = view.state.members().iter().filter(|(_, member)| member.roles.control);
    let members = control.map(|(node, member)| proto::peer::Member {
        node_id: node.to_bytes(),
        address: member.address.clone(),
    });
    ContactList { members: members.collect() }
}

fn is_of(set: &proto::record::SetMember, node: NodeId) -> bool {
    set.member.as_ref().is_some_and(|member| NodeId::from_bytes(&member.node_id) == Some(node))
}

fn unfit(why: &str) -> Refused {
    Refused::Unfit(why.to_owned())
}

fn forbidden() -> Refused {
    Refused::Forbidden("only a control node may ask that of another node".to_owned())
}

impl Service for Serve {
    fn raft(&self, from: Certified, message: Bytes) -> Answer<'_, Result<Bytes, Turned>> {
        Box::pin(async move {
            Ok(self.journal.receive(journal_number(from.identity.node), message).await)
        })
    }

    fn raft_snapshot(
        &self,
        from: Certified,
        head: Bytes,
        chunks: mpsc::Receiver<Bytes>,
    ) -> Answer<'_, Result<Bytes, Turned>> {
        Box::pin(async move {
            let from = journal_number(from.identity.node);
            Ok(self.journal.receive_snapshot(from, head, chunks).await)
        })
    }

    fn session(
        &self,
        from: Certified,
        from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Answer<'_, Result<(), Turned>> {
        let node = from.identity.node;
        Box::pin(async move { self.host.serve(node, from_worker, to_worker).await })
    }

    fn relay(
        &self,
        _from: Certified,
        node: NodeId,
        from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Answer<'_, Result<(), Turned>> {
        Box::pin(async move { self.host.lead(node, from_worker, to_worker).await })
    }

    fn forward(&self, from: Certified, request: Bytes) -> Answer<'_, Result<Bytes, Turned>> {
        Box::pin(async move {
            let ask = Ask::decode(request).ok().and_then(|ask| ask.kind);
            let told = match ask {
                Some(ask) => self.told(from.identity, ask).await,
                None => Err(unfit("the request cannot be read; it may be of a newer version")),
            };
            let kind = told.unwrap_or_else(|refused| told::Kind::Refused(wire::refusal(&refused)));
            Ok(Told { kind: Some(kind) }.encode_to_vec().into())
        })
    }

    fn read_output(
        &self,
        _from: Certified,
        node: NodeId,
        wanted: OutputWanted,
        answers: mpsc::Sender<Output>,
    ) -> Answer<'_, Result<(), Turned>> {
        Box::pin(async move {
            self.host.outputs().answer(node, wanted, answers).await;
            Ok(())
        })
    }

    fn keep_tails(
        &self,
        _from: Certified,
        node: NodeId,
        tails: Tails,
    ) -> Answer<'_, Result<(), Turned>> {
        Box::pin(async move {
            self.host.keeping().keep_here(node, Arc::new(tails)).await;
            Ok(())
        })
    }

    fn keep_list(&self, from: Certified, list: Items) -> Answer<'_, Result<(), Turned>> {
        Box::pin(self.copies.keep_list(from.identity.node, list))
    }

    fn copy(
        &self,
        _from: Certified,
        wanted: copy_request::Wanted,
        pieces: mpsc::Sender<Piece>,
    ) -> Answer<'_, Result<(), Turned>> {
        Box::pin(self.copies.send(wanted, pieces))
    }

    fn people(
        &self,
        from: Certified,
        request: http::Request<Body>,
    ) -> Answer<'_, Result<http::Response<Body>, Turned>> {
        Box::pin(async move {
            let people = self.handle()?.shared.people();
            let starting = || Turned::Unavailable("the node is starting".to_owned());
            Ok(people.ok_or_else(starting)?.answer(from.identity.node, request).await)
        })
    }

    fn renew(
        &self,
        from: Certified,
        key: PublicKey,
    ) -> Answer<'_, Result<CertificateDer<'static>, Turned>> {
        Box::pin(async move {
            let handle = self.handle()?;
            let view = handle.view().await;
            let view = view.map_err(|refused| Turned::Unavailable(refused.to_string()))?;
            if view.state.members().get(from.identity.node).is_none() {
                return Err(Turned::Forbidden("the node is no member of the cluster".to_owned()));
            }
            handle.certify_again(from.identity, &key)
        })
    }

    fn join(&self, newcomer: Newcomer) -> Answer<'_, Result<Joined, Turned>> {
        Box::pin(async move { self.handle()?.admit(newcomer).await })
    }
}
