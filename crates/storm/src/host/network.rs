//! The network between hosts: `turmoil`'s connections, which also break when the weather says so.
//!
//! Who connects says which node it is; that stands for the certificate of a real connection, and like there the one
//! that is called speaks first once it is content.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use model::{ClusterId, NodeId, Roles};
use peer::simulated::{Connecting, Network, Stream};
use peer::{Certified, Identity, Serial};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;
use turmoil::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::{CLUSTER, id_of, name};
use crate::shared::{Reset, Shared};

/// Where every host listens for the others.
const PORT: u16 = 7401;
/// Connections that wait to be served.
const WAITING_MAX: usize = 16;
/// What whoever is called says first.
const CONTENT: u8 = 1;

/// One host's way to the others.
pub(super) struct Wires {
    pub(super) host: u64,
    pub(super) shared: Arc<Shared>,
}

/// Where a host is reached by the others.
pub(super) fn address(host: u64) -> String {
    name(host)
}

impl Network for Wires {
    fn connect(&self, address: &str) -> Connecting {
        let (host, shared, address) = (self.host, self.shared.clone(), address.to_owned());
        Box::pin(async move {
            let unknown = || io::Error::other(format!("no host is called {address}"));
            let other = address.strip_prefix('h').and_then(|number| number.parse().ok());
            let other = other.ok_or_else(unknown)?;
            let stream = TcpStream::connect((address.as_str(), PORT)).await?;
            let mut wire = Wire::new(host, other, stream, shared);
            wire.write_all(&host.to_be_bytes()).await?;
            wire.flush().await?;
            match wire.read_u8().await? {
                CONTENT => Ok(Box::new(wire) as Stream),
                said => Err(io::Error::other(format!("the other side says {said}"))),
            }
        })
    }
}

/// Takes connections of other hosts, for as long as the host lives.
pub(super) async fn listen(
    host: u64,
    shared: Arc<Shared>,
    accepted: mpsc::Sender<(Certified, Stream)>,
) -> String {
    accept(PORT, |stream| {
        let (shared, accepted) = (shared.clone(), accepted.clone());
        tokio::spawn(async move {
            // What goes wrong on a connection is its other end's to notice.
            if let Ok(connection) = admit(host, stream, shared).await {
                let _ = accepted.send(connection).await;
            }
        });
    })
    .await
}

/// Takes whoever comes to this port; answers why nobody is taken any more.
pub(super) async fn accept(port: u16, mut take: impl FnMut(TcpStream)) -> String {
    let listener = match TcpListener::bind(("0.0.0.0", port)).await {
        Ok(listener) => listener,
        Err(error) => return error.to_string(),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(stream),
            Err(error) => return error.to_string(),
        }
    }
}

/// A connection, and who is at its other end.
type Accepted = (Certified, Stream);

/// What has come over connections, for whoever serves them.
pub(super) fn incoming() -> (mpsc::Sender<Accepted>, mpsc::Receiver<Accepted>) {
    mpsc::channel(WAITING_MAX)
}

async fn admit(
    host: u64,
    mut stream: TcpStream,
    shared: Arc<Shared>,
) -> io::Result<(Certified, Stream)> {
    let other = stream.read_u64().await?;
    let mut wire = Wire::new(host, other, stream, shared);
    wire.write_all(&[CONTENT]).await?;
    wire.flush().await?;
    Ok((certified(id_of(other)), Box::new(wire)))
}

/// What a certificate would say.
fn certified(node: NodeId) -> Certified {
    let cluster = ClusterId(Uuid::from_u128(CLUSTER));
    let roles = Roles { control: true, worker: false };
    let identity = Identity { cluster, incarnation: 1, node, roles };
    Certified { identity, serial: Serial([0; 16]), from_s: 0, until_s: u64::MAX }
}

/// One end of a connection.
struct Wire {
    from: u64,
    to: u64,
    stream: TcpStream,
    reset: Reset,
    shared: Arc<Shared>,
}

impl Wire {
    fn new(from: u64, to: u64, stream: TcpStream, shared: Arc<Shared>) -> Self {
        let reset = shared.reset_of(from, to);
        Self { from, to, stream, reset, shared }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reset.poll(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.reset.poll(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.shared.sent(self.from, self.to, &bytes[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
