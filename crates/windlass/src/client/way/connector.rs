//! Makes the connections of a channel: the first one, and those after a node was away.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tonic::transport::Uri;

use super::Way;
use super::believe;
use super::first_word::FirstWord;
use super::trouble::Trouble;

/// How long a handshake may take; a node gives it no longer.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Connects to one node, whatever the channel believes its address to be.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) addr: String,
    pub(crate) way: Way,
}

impl Connector {
    async fn connect(self) -> io::Result<TokioIo<Stream>> {
        let stream = TcpStream::connect(&self.addr).await?;
        // Small messages must not wait for others.
        stream.set_nodelay(true)?;
        let Way::Tls { name, ca } = self.way else {
            return Ok(TokioIo::new(Either::Left(FirstWord::of(stream))));
        };
        // Anew each time: a node that was away may be back with another certificate.
        let config = believe::config(&self.addr, ca.as_deref())?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its handshake takes too long");
        let stream = tokio::time::timeout(HANDSHAKE, handshake).await.map_err(late)??;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other(Trouble::OtherProtocol));
        }
        Ok(TokioIo::new(Either::Right(Box::new(stream))))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// A connection to a node, as it is or secured.
pub(crate) type Stream = Either<FirstWord<TcpStream>, Box<TlsStream<TcpStream>>>;
