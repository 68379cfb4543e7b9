//! The listener for peers: TLS handshakes beside each other, each with an end, and none for long.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::adapter;
use crate::calls::Calls;
use crate::connection::{From, Guarded};
use crate::credentials::Credentials;
use crate::service::Service;
use crate::{Certified, verify};

/// Connections at a time, of all peers.
const CONNECTIONS_MAX: usize = 4096;
/// Of one node.
const CONNECTIONS_OF_NODE_MAX: u32 = 16;
/// Handshakes that are under way, and, apart, those who have no certificate: they must not keep nodes out.
const HANDSHAKES_MAX: usize = 256;
const STRANGERS_MAX: usize = 64;
/// How long a handshake may take, and how long somebody without a certificate may stay.
const HANDSHAKE: Duration = Duration::from_secs(5);
const STRANGER_STAYS: Duration = Duration::from_secs(30);
/// How long nothing is accepted after the system refused to.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

type Connection = Guarded<TlsStream<TcpStream>>;

/// The last peer that was refused in its handshake, and why; for `status` and for tests.
pub type Refusals = watch::Receiver<Option<(SocketAddr, String)>>;

/// Serves peers until it is closed or dropped.
pub struct Listener {
    local_addr: SocketAddr,
    closing: Arc<watch::Sender<bool>>,
    refusals: Refusals,
    tasks: Vec<JoinHandle<()>>,
}

impl Listener {
    /// Serves on this socket. Must be called within a runtime of tokio.
    pub fn open(
        socket: std::net::TcpListener,
        credentials: Arc<Credentials>,
        service: Arc<dyn Service>,
    ) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let local_addr = socket.local_addr()?;
        let config = verify::server(&credentials).map_err(io::Error::other)?;
        let closing = Arc::new(watch::Sender::new(false));
        let (sender, refusals) = watch::channel(None);
        let (connections, incoming) = mpsc::channel(16);
        let cluster = credentials.trust().cluster;
        let accepting = Accepting {
            credentials,
            config,
            closing: closing.clone(),
            refusals: sender,
            all: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            of_node: Calls::new(CONNECTIONS_OF_NODE_MAX),
            connections,
        };
        let serving = adapter::serve(ReceiverStream::new(incoming), cluster, service);
        let serving = async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "peers are not served any more");
            }
        };
        let accepting = tokio::spawn(Arc::new(accepting).run(socket));
        Ok(Listener {
            local_addr,
            closing,
            refusals,
            tasks: vec![accepting, tokio::spawn(serving)],
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Who was refused.
    pub fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Ends every connection and frees the address. Calls that are under way fail.
    pub async fn close(mut self) {
        self.closing.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // Cancelled is what it is meant to be.
            let _ = task.await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Accepting {
    credentials: Arc<Credentials>,
    config: Arc<ServerConfig>,
    closing: Arc<watch::Sender<bool>>,
    refusals: watch::Sender<Option<(SocketAddr, String)>>,
    all: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    of_node: Arc<Calls>,
    connections: mpsc::Sender<io::Result<Connection>>,
}

impl Accepting {
    async fn run(self: Arc<Self>, socket: TcpListener) {
        loop {
            let (stream, remote) = match socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a peer cannot be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let all = self.all.clone().try_acquire_owned();
            let handshake = self.handshakes.clone().try_acquire_owned();
            let (Ok(one), Ok(handshake)) = (all, handshake) else {
                self.refuse(remote, "too many connections".to_owned());
                continue;
            };
            tokio::spawn(self.clone().admit(stream, remote, one, handshake));
        }
    }

    async fn admit(
        self: Arc<Self>,
        stream: TcpStream,
        remote: SocketAddr,
        one: OwnedSemaphorePermit,
        under_way: OwnedSemaphorePermit,
    ) {
        // Small messages are not to wait for others.
        let _ = stream.set_nodelay(true);
        let handshake = TlsAcceptor::from(self.config.clone()).accept(stream);
        let mut closing = self.closing.subscribe();
        let handshake = tokio::select! {
            handshake = tokio::time::timeout(HANDSHAKE, handshake) => handshake,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        let stream = match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.refuse(remote, why(&error)),
            Err(_) => return self.refuse(remote, format!("no handshake within {HANDSHAKE:?}")),
        };
        drop(under_way);
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certified = certificate.and_then(Certified::read);
        let (held, refused): (Box<dyn Send>, _) = match certified {
            Some(certified) => {
                let Some(call) = self.of_node.begin(certified.identity.node) else {
                    return self.refuse(remote, "the node has too many connections".to_owned());
                };
                (Box::new((one, call)), Some(self.credentials.clone().refused(certified)))
            }
            None => {
                let Ok(stranger) = self.strangers.clone().try_acquire_owned() else {
                    return self.refuse(remote, "too many join at this moment".to_owned());
                };
                (Box::new((one, stranger)), None)
            }
        };
        let end = async move {
            let refused = async {
                match refused {
                    Some(refused) => refused.await.to_string(),
                    None => {
                        tokio::time::sleep(STRANGER_STAYS).await;
                        "nobody stays for long without a certificate".to_owned()
                    }
                }
            };
            tokio::select! {
                _ = closing.wait_for(|closing| *closing) => "the listener is closed".to_owned(),
                why = refused => {
                    tracing::info!(%remote, why, "the connection of a peer ends");
                    why
                }
            }
        };
        let from = From(certified);
        let guarded = Guarded { stream, end: Box::pin(end), from, _held: Some(held) };
        // Nobody serves any more: the connection ends with this.
        let _ = self.connections.send(Ok(guarded)).await;
    }

    fn refuse(&self, remote: SocketAddr, why: String) {
        tracing::warn!(%remote, why, "a peer is refused");
        self.refusals.send_replace(Some((remote, why)));
    }
}

/// What TLS has to say, in words of ours.
pub(crate) fn why(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(error) => verify::explain(error),
        None => error.to_string(),
    }
}
