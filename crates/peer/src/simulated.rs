//! A simulated network under the calls between nodes, in place of TLS over TCP.
//!
//! It exists for the tests of whole clusters that a seed repeats; no node uses it. Everything above a connection is
//! the real thing: lanes, deadlines, limits, pauses after a failure, and what a call that was not answered means.
//! Who is at the other end is the network's to say, as it is a certificate's otherwise.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use model::ClusterId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::connection::{From, Guarded};
use crate::service::Service;
use crate::{Certified, adapter};

/// What a connection has to be.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub type Stream = Box<dyn Io>;

/// A connection in the making.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

/// Makes connections.
pub trait Network: Send + Sync {
    /// Connects to whoever listens there, who knows then which node this is.
    fn connect(&self, address: &str) -> Connecting;
}

/// Serves the connections that come, each with who it is from.
pub async fn serve(
    incoming: mpsc::Receiver<(Certified, Stream)>,
    cluster: ClusterId,
    service: Arc<dyn Service>,
) -> io::Result<()> {
    let guarded = |(from, stream)| {
        let end = Box::pin(std::future::pending());
        Ok(Guarded { stream, end, from: From(Some(from)), _held: None })
    };
    let connections = ReceiverStream::new(incoming).map(guarded);
    adapter::serve(connections, cluster, service).await.map_err(io::Error::other)
}
