//! From gRPC to [`Service`], and what holds for every call: who may make it, how large it is, and how many there are.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use model::{ClusterId, NodeId};
use proto::peer::door_server::{Door, DoorServer};
use proto::peer::peer_server::{Peer, PeerServer};
use proto::peer::raft_snapshot_part::Part;
use proto::peer::{
    CopyRequest, ForwardReply, ForwardRequest, JoinReply, JoinRequest, KeepListReply,
    KeepListRequest, KeepTailsReply, KeepTailsRequest, Piece, RaftReply, RaftRequest,
    RaftSnapshotPart, ReadOutputRequest, RenewReply, RenewRequest, join_reply, renew_reply,
};
use proto::session::{Output, ToControl, ToWorker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};

use crate::calls::{Call, Calls};
use crate::connection::{From, Guarded};
use crate::handed;
use crate::service::{Newcomer, Refused, Service};
use crate::streams;
use crate::token::{Secret, TokenId};
use crate::{Certified, PublicKey, Roles};

/// A message of the journal is the largest there is.
pub(crate) const MESSAGE_BYTES_MAX: usize = journal::raft::MESSAGE_BYTES_MAX + (64 << 10);
/// Of a message of somebody without a certificate.
const STRANGER_BYTES_MAX: usize = 16 << 10;
/// A request to the leader crosses one node at most, or two that take each other for the leader would play ball.
pub(crate) const HOPS_MAX: u32 = 1;
/// Calls of one node, its readings of output, and its sessions, at a time.
const CALLS_OF_NODE_MAX: u32 = 256;
const READINGS_OF_NODE_MAX: u32 = 1024;
const SESSIONS_OF_NODE_MAX: u32 = 8;
const JOINS_MAX: usize = 16;
/// Messages of output that wait for their reader, beside what the stream has under way.
const OUTPUTS_MAX: usize = 1;
/// The same of what is copied.
const PIECES_MAX: usize = 2;
/// Streams on one connection.
const STREAMS_MAX: u32 = 4096;
/// How long a snapshot may stand still, and how long a join may take.
const STALL: Duration = Duration::from_secs(60);
const JOIN: Duration = Duration::from_secs(20);
/// A peer that answers no ping for so long is not there.
pub(crate) const PING: Duration = Duration::from_secs(5);
pub(crate) const PONG: Duration = Duration::from_secs(5);
/// What may be under way before it is acknowledged.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW: u32 = 8 << 20;
/// Which node's session a control node hands on.
pub(crate) const RELAYED: &str = "windlass-node-bin";
/// Names of nodes are for people.
const NAME_BYTES_MAX: usize = 256;

/// Serves the connections until they end.
pub(crate) async fn serve<S>(
    connections: impl Stream<Item = io::Result<Guarded<S>>>,
    cluster: ClusterId,
    service: Arc<dyn Service>,
) -> Result<(), tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let calls = Calls::new(CALLS_OF_NODE_MAX);
    let sessions = Calls::new(SESSIONS_OF_NODE_MAX);
    let readings = Calls::new(READINGS_OF_NODE_MAX);
    let adapter = Adapter { service: service.clone(), calls, readings, sessions };
    let peer = PeerServer::new(adapter)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let joins = Arc::new(tokio::sync::Semaphore::new(JOINS_MAX));
    let door = DoorServer::new(Porter { cluster, service: service.clone(), joins })
        .max_decoding_message_size(STRANGER_BYTES_MAX);
    let calls = Routes::new(InterceptedService::new(peer, known)).add_service(door);
    let routes = handed::beside(calls.into_axum_router(), service);
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PONG))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .add_routes(routes.into())
        .serve_with_incoming(connections)
        .await
}

/// Only nodes with a certificate get further; nothing of what others send is read.
// The type of a refusal is tonic's, and as large as that is.
#[allow(clippy::result_large_err)]
fn known(request: Request<()>) -> Result<Request<()>, Status> {
    from(&request)?;
    Ok(request)
}

#[allow(clippy::result_large_err)]
fn from<T>(request: &Request<T>) -> Result<Certified, Status> {
    let from = request.extensions().get::<From>().and_then(|from| from.0);
    from.ok_or_else(|| {
        Status::unauthenticated("only nodes of the cluster may call this\nhint: windlass join")
    })
}

fn status(refused: Refused) -> Status {
    match refused {
        Refused::Unavailable(why) => Status::unavailable(why),
        Refused::Forbidden(why) => Status::permission_denied(why),
    }
}

/// Peers with a certificate.
struct Adapter {
    service: Arc<dyn Service>,
    calls: Arc<Calls>,
    /// Apart, for they may last: no reader keeps a request from the leader.
    readings: Arc<Calls>,
    sessions: Arc<Calls>,
}

#[allow(clippy::result_large_err)]
impl Adapter {
    /// Who calls, and that there is room for it.
    fn begin<T>(&self, request: &Request<T>) -> Result<(Certified, Call), Status> {
        let from = from(request)?;
        let call = self.calls.begin(from.identity.node);
        let call = call.ok_or_else(|| {
            Status::resource_exhausted("the node has too many calls under way here")
        })?;
        Ok((from, call))
    }

    fn begin_control<T>(&self, request: &Request<T>) -> Result<(Certified, Call), Status> {
        let (from, call) = self.begin(request)?;
        if !from.identity.roles.control {
            return Err(Status::permission_denied("only control nodes do that"));
        }
        Ok((from, call))
    }

    fn begin_reading<T>(&self, request: &Request<T>) -> Result<(Certified, Call), Status> {
        let from = from(request)?;
        if !from.identity.roles.control {
            return Err(Status::permission_denied("only control nodes read the output of others"));
        }
        let call = self.readings.begin(from.identity.node);
        let call =
            call.ok_or_else(|| Status::resource_exhausted("the node reads too much output here"))?;
        Ok((from, call))
    }
}

#[tonic::async_trait]
impl Peer for Adapter {
    async fn raft(&self, request: Request<RaftRequest>) -> Result<Response<RaftReply>, Status> {
        let (from, _call) = self.begin_control(&request)?;
        let message = request.into_inner().message.into();
        let answer = self.service.raft(from, message).await.map_err(status)?;
        Ok(Response::new(RaftReply { answer: answer.into() }))
    }

    async fn raft_snapshot(
        &self,
        request: Request<Streaming<RaftSnapshotPart>>,
    ) -> Result<Response<RaftReply>, Status> {
        let (from, _call) = self.begin_control(&request)?;
        let mut parts = request.into_inner();
        let Some(Part::Head(head)) = next(&mut parts).await?.and_then(|part| part.part) else {
            return Err(Status::invalid_argument("a snapshot begins with its head"));
        };
        let (sender, chunks) = mpsc::channel(4);
        // The journal can tell the end of a snapshot from the end of its sender.
        let pump = async move {
            while let Ok(Some(RaftSnapshotPart { part: Some(Part::Chunk(chunk)) })) =
                next(&mut parts).await
            {
                if sender.send(Bytes::from(chunk)).await.is_err() {
                    return;
                }
            }
        };
        let taking = self.service.raft_snapshot(from, head.into(), chunks);
        let (answer, ()) = tokio::join!(taking, pump);
        Ok(Response::new(RaftReply { answer: answer.map_err(status)?.into() }))
    }

    type SessionStream = streams::Answers<ToWorker>;

    async fn session(
        &self,
        request: Request<Streaming<ToControl>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let from = from(&request)?;
        if !from.identity.roles.worker {
            return Err(Status::permission_denied("only workers have sessions"));
        }
        let node = from.identity.node;
        let call = begin_session(&self.sessions, node)?;
        let service = self.service.clone();
        let words = request.into_inner();
        Ok(Response::new(streams::last(node, words, call, async move |said, answers| {
            service.session(from, said, answers).await.map_err(status)
        })))
    }

    type RelayStream = Self::SessionStream;

    async fn relay(
        &self,
        request: Request<Streaming<ToControl>>,
    ) -> Result<Response<Self::RelayStream>, Status> {
        let from = from(&request)?;
        if !from.identity.roles.control {
            return Err(Status::permission_denied("only control nodes hand sessions on"));
        }
        let named = request.metadata().get_bin(RELAYED).and_then(|node| node.to_bytes().ok());
        let node = named.and_then(|bytes| NodeId::from_bytes(&bytes));
        let node = node.ok_or_else(|| {
            Status::invalid_argument("a session that is handed on names its node")
        })?;
        // The limit of a node holds for it by whatever way its sessions come.
        let call = begin_session(&self.sessions, node)?;
        let service = self.service.clone();
        let words = request.into_inner();
        Ok(Response::new(streams::last(node, words, call, async move |said, answers| {
            service.relay(from, node, said, answers).await.map_err(status)
        })))
    }

    async fn forward(
        &self,
        request: Request<ForwardRequest>,
    ) -> Result<Response<ForwardReply>, Status> {
        let (from, _call) = self.begin(&request)?;
        let ForwardRequest { hops, request } = request.into_inner();
        check_hops(hops)?;
        let answer = self.service.forward(from, request.into()).await.map_err(status)?;
        Ok(Response::new(ForwardReply { answer: answer.into() }))
    }

    type ReadOutputStream = streams::Answers<Output>;

    async fn read_output(
        &self,
        request: Request<ReadOutputRequest>,
    ) -> Result<Response<Self::ReadOutputStream>, Status> {
        let (from, call) = self.begin_reading(&request)?;
        let ReadOutputRequest { hops, node_id, wanted } = request.into_inner();
        check_hops(hops)?;
        let node = named(&node_id)?;
        let wanted = wanted.ok_or_else(|| Status::invalid_argument("it says what is wanted"))?;
        let service = self.service.clone();
        Ok(Response::new(streams::answers(OUTPUTS_MAX, async move |answers| {
            let _call = call;
            service.read_output(from, node, wanted, answers).await.map_err(status)
        })))
    }

    async fn keep_tails(
        &self,
        request: Request<KeepTailsRequest>,
    ) -> Result<Response<KeepTailsReply>, Status> {
        let (from, _call) = self.begin_control(&request)?;
        let KeepTailsRequest { node_id, tails } = request.into_inner();
        let node = named(&node_id)?;
        self.service.keep_tails(from, node, tails.unwrap_or_default()).await.map_err(status)?;
        Ok(Response::new(KeepTailsReply {}))
    }

    async fn keep_list(
        &self,
        request: Request<KeepListRequest>,
    ) -> Result<Response<KeepListReply>, Status> {
        let (from, _call) = self.begin_control(&request)?;
        let list = request.into_inner().list.and_then(|list| list.try_into().ok());
        let list = list.ok_or_else(|| Status::invalid_argument("it names no list"))?;
        self.service.keep_list(from, list).await.map_err(status)?;
        Ok(Response::new(KeepListReply {}))
    }

    type CopyStream = streams::Answers<Piece>;

    async fn copy(
        &self,
        request: Request<CopyRequest>,
    ) -> Result<Response<Self::CopyStream>, Status> {
        let (from, call) = self.begin_control(&request)?;
        let wanted = request.into_inner().wanted;
        let wanted = wanted.ok_or_else(|| Status::invalid_argument("it says what is wanted"))?;
        let service = self.service.clone();
        Ok(Response::new(streams::answers(PIECES_MAX, async move |pieces| {
            let _call = call;
            service.copy(from, wanted, pieces).await.map_err(status)
        })))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let (from, _call) = self.begin(&request)?;
        let RenewRequest { public_key, proof } = request.into_inner();
        let key = PublicKey::from_bytes(&public_key);
        let key =
            key.filter(|key| key.is_proved(&proof, from.identity.cluster, from.identity.node));
        let outcome = match key {
            None => Err(Refused::Forbidden("the key is not proved".to_owned())),
            Some(key) => self.service.renew(from, key).await,
        };
        let outcome = match outcome {
            Ok(certificate) => renew_reply::Outcome::Certificate(certificate.to_vec()),
            Err(refused) => renew_reply::Outcome::Refused(refused.to_string()),
        };
        Ok(Response::new(RenewReply { outcome: Some(outcome) }))
    }
}

#[allow(clippy::result_large_err)]
fn check_hops(hops: u32) -> Result<(), Status> {
    let why = || format!("the request was forwarded {hops} times, and may be {HOPS_MAX} time(s)");
    (1..=HOPS_MAX).contains(&hops).then_some(()).ok_or_else(|| Status::failed_precondition(why()))
}

#[allow(clippy::result_large_err)]
fn named(node_id: &[u8]) -> Result<NodeId, Status> {
    NodeId::from_bytes(node_id).ok_or_else(|| Status::invalid_argument("it names no node"))
}

#[allow(clippy::result_large_err)]
async fn next(parts: &mut Streaming<RaftSnapshotPart>) -> Result<Option<RaftSnapshotPart>, Status> {
    let part = tokio::time::timeout(STALL, parts.message()).await;
    part.map_err(|_| Status::deadline_exceeded("the snapshot stands still"))?
}

#[allow(clippy::result_large_err)]
fn begin_session(sessions: &Arc<Calls>, node: NodeId) -> Result<Call, Status> {
    let call = sessions.begin(node);
    call.ok_or_else(|| Status::resource_exhausted("the node has too many sessions here"))
}

/// Those without one.
struct Porter {
    cluster: ClusterId,
    service: Arc<dyn Service>,
    joins: Arc<tokio::sync::Semaphore>,
}

#[tonic::async_trait]
impl Door for Porter {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinReply>, Status> {
        let Ok(_one) = self.joins.try_acquire() else {
            return Err(Status::resource_exhausted("too many nodes join at this moment"));
        };
        let (cluster, request) = (self.cluster, request.into_inner());
        let outcome = match newcomer(request, cluster) {
            Err(why) => Err(Refused::Forbidden(why.to_owned())),
            Ok(newcomer) => match tokio::time::timeout(JOIN, self.service.join(newcomer)).await {
                Ok(joined) => joined,
                Err(_) => Err(Refused::Unavailable(format!("not done within {JOIN:?}"))),
            },
        };
        let outcome = match outcome {
            Ok(joined) => join_reply::Outcome::Joined(joined),
            Err(refused) => join_reply::Outcome::Refused(refused.to_string()),
        };
        Ok(Response::new(JoinReply { outcome: Some(outcome) }))
    }
}

/// Reads a request to join, and checks that its maker has the key.
fn newcomer(request: JoinRequest, cluster: ClusterId) -> Result<Newcomer, &'static str> {
    let unreadable = "the request to join cannot be read";
    let node = NodeId::from_bytes(&request.node_id).ok_or(unreadable)?;
    let key = PublicKey::from_bytes(&request.public_key).ok_or(unreadable)?;
    let token = request.token_id.try_into().map_err(|_| unreadable)?;
    let secret = Secret::from_bytes(&request.secret).ok_or(unreadable)?;
    let roles = Roles { control: request.control, worker: request.worker };
    let (name, address) = (request.name, request.address);
    if name.len() > NAME_BYTES_MAX || address.len() > NAME_BYTES_MAX {
        return Err("name and address have at most 256 bytes");
    }
    if !key.is_proved(&request.proof, cluster, node) {
        return Err("the key is not proved");
    }
    Ok(Newcomer { token: TokenId(token), secret, node, name, roles, key, address })
}
