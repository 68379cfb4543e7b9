//! Accepts connections, a bounded number at a time.
//!
//! Who comes when all places are taken waits in the kernel's queue. A failing `accept` (no file
//! descriptors left, say) is logged and tried again; it never ends the server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::metrics::InFlight;

/// Connections at one time. Each costs a few file descriptors and some 100 KiB at most.
const CONNECTIONS_MAX: usize = 1024;
/// How long a caller may take to say its first word: one that says none must not keep a place.
const FIRST_WORD_WITHIN: Duration = Duration::from_secs(10);
/// Before `accept` is tried again after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A caller's connection, with the place it takes up.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Until the caller has said something.
    silent: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
    _counted: InFlight,
}

/// Where a caller is, which comes with each of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) Option<SocketAddr>);

/// The connections of `listener`, without end.
pub(crate) fn connections(
    listener: TcpListener,
    open: Gauge,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    futures::stream::unfold((listener, places, open), |(listener, places, open)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let stream = accept(&listener).await;
        let silent = Some(Box::pin(tokio::time::sleep(FIRST_WORD_WITHIN)));
        let _counted = InFlight::new(&open);
        let connection = Connection { stream, silent, _place: place, _counted };
        Some((Ok(connection), (listener, places, open)))
    })
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        let accepted = match listener.accept().await {
            // Small answers must not wait for a full segment.
            Ok((stream, _)) => stream.set_nodelay(true).map(|()| stream),
            Err(error) => Err(error),
        };
        match accepted {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.stream.peer_addr().ok())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.silent = None;
        } else if let Some(silent) = &mut self.silent
            && read.is_pending()
            && silent.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn connected() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection =
            Box::pin(connections(listener, Gauge::default())).next().await.unwrap().unwrap();
        (caller, connection)
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_says_nothing_loses_its_place() {
        let (_caller, mut connection) = connected().await;
        let read = connection.read(&mut [0; 8]).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_that_has_spoken_may_be_silent() {
        let (mut caller, mut connection) = connected().await;
        caller.write_all(b"hello").await.unwrap();
        connection.read_exact(&mut [0; 5]).await.unwrap();
        assert!(connection.silent.is_none());
    }
}
