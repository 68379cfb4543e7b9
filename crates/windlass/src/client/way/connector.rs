//! Makes the connections of a channel: the first one, and those after a node was away.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
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
            return Ok(TokioIo::new(Stream::Plain(FirstWord::of(stream))));
        };
        // Anew each time: a node that was away may be back with another certificate.
        let config = believe::config(&self.addr, ca.as_deref())?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its handshake takes too long");
        let stream = tokio::time::timeout(HANDSHAKE, handshake).await.map_err(late)??;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other(Trouble::OtherProtocol));
        }
        Ok(TokioIo::new(Stream::Tls(Box::new(stream))))
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

/// A connection to a node.
pub(crate) enum Stream {
    Plain(FirstWord<TcpStream>),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Calls the same method of whichever it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::Tls(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
