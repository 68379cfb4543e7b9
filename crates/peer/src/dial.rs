//! Calls to peers: one connection a node and lane, made when it is needed, again when it is gone, and after a failure
//! only after a while, so that a node that is away costs nothing.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use hyper_util::rt::TokioIo;
use model::NodeId;
use proto::peer::ForwardRequest;
use proto::peer::peer_client::PeerClient;
use proto::session::{ToControl, ToWorker};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status, Streaming};
use tower::Service;

use crate::adapter::{
    CONNECTION_WINDOW, HOPS_MAX, MESSAGE_BYTES_MAX, PING, PONG, RELAYED, STREAM_WINDOW,
};
use crate::connection::{End, From, Guarded};
use crate::credentials::Credentials;
use crate::handed::{self, REQUESTS_OF_NODE_MAX};
use crate::listen::why;
use crate::simulated::{self, Network};
use crate::{Certified, verify};

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(3);
/// How long it is not tried again after a failure: this, doubled each time, up to that.
const AGAIN: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// What may be under way of one answer that is handed back.
const PEOPLE_WINDOW: u32 = 128 << 10;

/// What a connection is for. What is large does not stand in the way of what is urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Messages of the journal: votes and heartbeats among them.
    Urgent,
    /// Snapshots, requests that are forwarded, renewals.
    Bulk,
    /// The session of a worker.
    Session,
    /// Requests of people and programs that a node which only works hands on.
    People,
}

/// Why a node cannot be called, or has not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncallable {
    /// Nobody has told where it is.
    #[error("no address of node {0} is known")]
    NoAddress(NodeId),
    /// There is no connection: the call did not arrive.
    #[error("node {node} cannot be reached: {why}")]
    Unconnected {
        /// The node.
        node: NodeId,
        /// Why, for people.
        why: String,
    },
    /// The connection broke off, or no answer came: whether the call arrived is not known.
    #[error("node {node} has not answered: {why}")]
    Unreachable {
        /// The node.
        node: NodeId,
        /// Why, for people.
        why: String,
    },
    /// It has answered that it does not do that.
    #[error("node {node} refuses: {why}")]
    Refused {
        /// The node.
        node: NodeId,
        /// Why, in its words.
        why: String,
    },
}

/// Calls peers.
pub struct Dialer {
    credentials: Arc<Credentials>,
    /// In place of TLS over TCP.
    network: Option<Arc<dyn Network>>,
    known: Mutex<HashMap<NodeId, Known>>,
}

struct Known {
    /// `HOST:PORT`; changes with the node's machine.
    address: Arc<Mutex<String>>,
    channels: HashMap<Lane, Channel>,
}

impl Dialer {
    /// Knows nobody yet.
    pub fn new(credentials: Arc<Credentials>) -> Arc<Dialer> {
        Arc::new(Dialer { credentials, network: None, known: Mutex::default() })
    }

    /// The same over a simulated network.
    pub fn over(network: Arc<dyn Network>, credentials: Arc<Credentials>) -> Arc<Dialer> {
        Arc::new(Dialer { credentials, network: Some(network), known: Mutex::default() })
    }

    /// Says where a node is: `HOST:PORT`. Connections that are open stay; the next one goes there.
    pub fn set_address(&self, node: NodeId, address: &str) {
        let mut known = self.known();
        let channels = HashMap::new;
        let entry = known.entry(node);
        let entry =
            entry.or_insert_with(|| Known { address: Arc::default(), channels: channels() });
        *entry.address.lock().expect("no holder of the lock panics") = address.to_owned();
    }

    /// Forgets a node, and closes the connections to it once their calls have ended.
    pub fn remove(&self, node: NodeId) {
        self.known().remove(&node);
    }

    /// The nodes whose address is known.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.known().keys().copied().collect()
    }

    /// The client for calls to a node, over the connection of this lane.
    pub fn client(&self, node: NodeId, lane: Lane) -> Result<PeerClient<Channel>, Uncallable> {
        Ok(PeerClient::new(self.connection(node, lane)?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// The connection of this lane to a node, which is made with the first call.
    pub(crate) fn connection(&self, node: NodeId, lane: Lane) -> Result<Channel, Uncallable> {
        let mut known = self.known();
        let known = known.get_mut(&node).ok_or(Uncallable::NoAddress(node))?;
        if let Some(channel) = known.channels.get(&lane) {
            return Ok(channel.clone());
        }
        let channel = self.channel(node, lane, known.address.clone())?;
        known.channels.insert(lane, channel.clone());
        Ok(channel)
    }

    /// Hands a request to the leader. `hops` is how often it was forwarded before: 0 for one of a client's own.
    pub async fn forward(
        &self,
        node: NodeId,
        hops: u32,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, Uncallable> {
        if hops >= HOPS_MAX {
            let why = "it was forwarded already, and this node does not lead either".to_owned();
            return Err(Uncallable::Refused { node, why });
        }
        let mut client = self.client(node, Lane::Bulk)?;
        let message = ForwardRequest { hops: hops + 1, request: request.into() };
        let call = client.forward(within(message, deadline));
        let reply = tokio::time::timeout(deadline, call).await;
        let reply = reply.map_err(|_| too_late(node, deadline))?;
        Ok(reply.map_err(|status| unanswered(node, &status))?.into_inner().answer.into())
    }

    /// Opens a session of this node, or where `relayed` names one, hands on that one's.
    ///
    /// It ends with the words, with the answers, or with the connection.
    pub async fn session(
        &self,
        node: NodeId,
        relayed: Option<NodeId>,
        words: impl Stream<Item = ToControl> + Send + 'static,
    ) -> Result<Streaming<ToWorker>, Uncallable> {
        let mut client = self.client(node, Lane::Session)?;
        let mut request = Request::new(words);
        let answer = match relayed {
            None => client.session(request).await,
            Some(worker) => {
                let name = MetadataValue::from_bytes(&worker.to_bytes());
                request.metadata_mut().insert_bin(RELAYED, name);
                client.relay(request).await
            }
        };
        Ok(answer.map_err(|status| unanswered(node, &status))?.into_inner())
    }

    /// Has a control node answer a request. Its host does not count, for another node is called.
    ///
    /// Where the answer is dropped the other side hears of it. Of an error [`Uncallable::Unreachable`] alone leaves
    /// open whether the request was looked at.
    pub async fn hand_on(
        &self,
        node: NodeId,
        mut request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Uncallable> {
        let Some(uri) = handed::below(request.uri()) else {
            return Err(Uncallable::Refused { node, why: "the request names no path".to_owned() });
        };
        *request.uri_mut() = uri;
        let mut channel = self.connection(node, Lane::People)?;
        let gone = |error| unanswered(node, &Status::from_error(Box::new(error)));
        if let Err(error) = std::future::poll_fn(|context| channel.poll_ready(context)).await {
            // It will not be ready again.
            self.forget(node, Lane::People);
            let why = error.to_string();
            return Err(Uncallable::Unconnected { node, why });
        }
        let answer = channel.call(request).await.map_err(gone)?;
        match handed::unserved(&answer) {
            Some(why) => Err(Uncallable::Refused { node, why }),
            None => Ok(answer),
        }
    }

    /// Lets a connection go once its calls have ended; the next call makes another.
    pub fn forget(&self, node: NodeId, lane: Lane) {
        if let Some(known) = self.known().get_mut(&node) {
            known.channels.remove(&lane);
        }
    }

    fn channel(
        &self,
        node: NodeId,
        lane: Lane,
        address: Arc<Mutex<String>>,
    ) -> Result<Channel, Uncallable> {
        let endpoint = match lane {
            // Readers that take nothing must not use up what others are answered by: all that may be under way fits.
            Lane::People => endpoint()
                .initial_stream_window_size(PEOPLE_WINDOW)
                .initial_connection_window_size(PEOPLE_WINDOW * REQUESTS_OF_NODE_MAX),
            Lane::Urgent | Lane::Bulk | Lane::Session => endpoint(),
        };
        let backoff = Arc::default();
        if let Some(network) = &self.network {
            let connector = Connector { way: network.clone(), address, backoff };
            return Ok(endpoint.connect_with_connector_lazy(connector));
        }
        let config = verify::client(&self.credentials, node);
        let config = config
            .map_err(|error| Uncallable::Unconnected { node, why: verify::explain(&error) })?;
        let credentials = Some(self.credentials.clone());
        let connector = Connector { way: Tls { config, credentials }, address, backoff };
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<NodeId, Known>> {
        self.known.lock().expect("no holder of the lock panics")
    }
}

/// A request with its deadline, which the other side is told as well.
pub(crate) fn within<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

pub(crate) fn too_late(node: NodeId, deadline: Duration) -> Uncallable {
    Uncallable::Unreachable { node, why: format!("no answer within {deadline:?}") }
}

/// What a status means: a word of the node, or of the way to it.
pub(crate) fn unanswered(node: NodeId, status: &Status) -> Uncallable {
    let mut why = status.message().to_owned();
    let mut source = status.source();
    let is_of_the_way = source.is_some();
    let mut is_connected = true;
    while let Some(error) = source {
        why = error.to_string();
        let io = error.downcast_ref::<io::Error>();
        is_connected &= io.is_none_or(|io| io.kind() != io::ErrorKind::NotConnected);
        source = error.source();
    }
    match (is_of_the_way, is_connected) {
        (true, false) => Uncallable::Unconnected { node, why },
        (false, _) if refuses(status.code()) => Uncallable::Refused { node, why },
        _ => Uncallable::Unreachable { node, why },
    }
}

/// Whether it is a code that a node refuses with. With any other gRPC itself ends a call that may have
/// been heard: its time is over, or a part of the answer is lost.
fn refuses(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::PermissionDenied
            | Code::InvalidArgument
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Unauthenticated
            | Code::Unimplemented
    )
}

pub(crate) fn endpoint() -> Endpoint {
    // The name is nobody's: who answers is what the certificate says.
    Endpoint::from_static("https://peer.windlass.invalid")
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

/// How a connection comes about.
pub(crate) trait Connect: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects, or says why there is no connection.
    fn connect(&self, address: &str) -> impl Future<Output = Result<Self::Stream, String>> + Send;
}

/// By TLS over TCP.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// Whose trust ends the connection; none for a machine that joins.
    pub(crate) credentials: Option<Arc<Credentials>>,
}

impl Connect for Tls {
    type Stream = Guarded<TlsStream<TcpStream>>;

    async fn connect(&self, address: &str) -> Result<Self::Stream, String> {
        let Tls { config, credentials } = self.clone();
        let at = |error: io::Error| format!("{address}: {}", why(&error));
        let stream = TcpStream::connect(address).await.map_err(at)?;
        // Small messages are not to wait for others.
        let _ = stream.set_nodelay(true);
        let name = ServerName::try_from("peer.windlass.invalid").expect("it is a name");
        let mut stream = TlsConnector::from(config).connect(name, stream).await.map_err(at)?;
        // In TLS 1.3 a client is done before the server has looked at its certificate. The server speaks first once it
        // has, so the first byte, which stays where it is, says that it is content. What it says before, anybody on the
        // way could say.
        let refused = |error: io::Error| {
            if let (true, Some(credentials)) = (verify::is_revoked(&error), &credentials) {
                credentials.set_removed();
            }
            at(error)
        };
        if stream.fill_buf().await.map_err(refused)?.is_empty() {
            return Err(format!("{address}: the other side ended the connection"));
        }
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certified = certificate.and_then(Certified::read);
        let end: End = match (credentials, certified) {
            (Some(credentials), Some(certified)) => {
                Box::pin(async move { credentials.refused(certified).await.to_string() })
            }
            _ => Box::pin(std::future::pending()),
        };
        Ok(Guarded { stream, end, from: From(certified), _held: None })
    }
}

impl Connect for Arc<dyn Network> {
    type Stream = simulated::Stream;

    async fn connect(&self, address: &str) -> Result<simulated::Stream, String> {
        let connected = Network::connect(&**self, address).await;
        connected.map_err(|error| format!("{address}: {error}"))
    }
}

/// Makes connections to one node.
pub(crate) struct Connector<C> {
    pub(crate) way: C,
    pub(crate) address: Arc<Mutex<String>>,
    pub(crate) backoff: Arc<Mutex<Backoff>>,
}

/// When it is tried again.
#[derive(Default)]
pub(crate) struct Backoff {
    not_before: Option<Instant>,
    pause: Duration,
    why: String,
}

impl<C: Connect> Service<Uri> for Connector<C> {
    type Response = TokioIo<C::Stream>;
    type Error = io::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let way = self.way.clone();
        let address = self.address.lock().expect("no holder of the lock panics").clone();
        let backoff = self.backoff.clone();
        Box::pin(async move {
            let state = || backoff.lock().expect("no holder of the lock panics");
            if state().not_before.is_some_and(|at| Instant::now() < at) {
                return Err(unconnected(state().why.clone()));
            }
            let connected = tokio::time::timeout(CONNECT, way.connect(&address));
            let connected = connected
                .await
                .unwrap_or_else(|_| Err(format!("no connection to {address} within {CONNECT:?}")));
            let mut state = state();
            match connected {
                Ok(stream) => {
                    *state = Backoff::default();
                    Ok(TokioIo::new(stream))
                }
                Err(why) => {
                    let pause = (state.pause * 2).clamp(AGAIN, AGAIN_MAX);
                    let not_before = Some(Instant::now() + pause);
                    *state = Backoff { not_before, pause, why: why.clone() };
                    Err(unconnected(why))
                }
            }
        })
    }
}

/// The one error of this kind: by it is known that nothing was sent.
fn unconnected(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, why)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_what_a_node_says_itself_is_a_refusal() {
        let node = NodeId(Uuid::from_u128(7));
        let is_refusal =
            |status: Status| matches!(unanswered(node, &status), Uncallable::Refused { .. });
        assert!(is_refusal(Status::unavailable("it is starting")));
        assert!(is_refusal(Status::permission_denied("it is no control node")));
        // A server whose time is over says so in an answer like any other.
        assert!(!is_refusal(Status::cancelled("Timeout expired")));
        assert!(!is_refusal(Status::internal("Missing response message.")));
    }
}
