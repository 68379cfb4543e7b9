//! Accepts connections, a bounded number at a time, and secures them where TLS is spoken.
//!
//! Who comes when all places are taken waits in the kernel's queue. A failing `accept` (no file
//! descriptors left, say) is logged and tried again; it never ends the server. Whoever has not shown a
//! token by the time it takes to send one loses the place again: there are callers who want nothing
//! but places.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;

use crate::metrics::InFlight;
use crate::tls::{self, Handshakes};

/// Connections at one time. Each costs a few file descriptors and some 100 KiB at most.
const CONNECTIONS_MAX: usize = 1024;
/// Handshakes at one time: fewer, so that those who begin one and leave it take up no more places.
const HANDSHAKES_MAX: usize = 256;
/// How long a caller may take to say its first word: one that says none must not keep a place.
const FIRST_WORD_WITHIN: Duration = Duration::from_secs(10);
/// And how long to show a token.
const TOKEN_WITHIN: Duration = Duration::from_secs(30);
/// When it is looked again whether another node has looked at a token.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Before `accept` is tried again after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A caller's connection, with the place it takes up.
pub(crate) struct Connection {
    stream: tls::Stream,
    peer: Peer,
    begun: Instant,
    has_spoken: bool,
    /// Until the caller is known.
    ends: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
    _counted: InFlight,
}

/// Where a caller is, which comes with each of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) addr: Option<SocketAddr>,
    known: Arc<AtomicBool>,
    /// Requests whose token another node looks at.
    asked: Arc<AtomicUsize>,
}

/// Another node looks at a token, until this is dropped.
pub(crate) struct Asked(Arc<AtomicUsize>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Peer {
    /// The time of the connection does not run out meanwhile: the answer may be the first word of it.
    pub(crate) fn is_asked_for(&self) -> Asked {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Asked(self.asked.clone())
    }

    /// One of its requests had a token: the connection may stay.
    pub(crate) fn is_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }
}

/// The connections of `listener`, without end.
pub(crate) fn connections(
    listener: TcpListener,
    handshakes: Handshakes,
    open: Gauge,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepted = futures::stream::unfold((listener, places), |(listener, places)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let stream = accept(&listener).await;
        Some(((stream, place), (listener, places)))
    });
    let secured = accepted.map(move |(stream, place)| {
        let (handshakes, counted) = (handshakes.clone(), InFlight::new(&open));
        async move {
            let from = stream.peer_addr().ok();
            match handshakes.secure(stream).await {
                Ok(stream) => Some(Ok(Connection::new(stream, place, counted))),
                // Anybody can cause it, as often as they like.
                Err(error) => {
                    tracing::debug!(?from, %error, "a connection is not secured");
                    None
                }
            }
        }
    });
    secured.buffer_unordered(HANDSHAKES_MAX).filter_map(std::future::ready)
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

impl Connection {
    fn new(stream: tls::Stream, place: OwnedSemaphorePermit, counted: InFlight) -> Connection {
        let peer = Peer {
            addr: tls::tcp(&stream).peer_addr().ok(),
            known: Arc::default(),
            asked: Arc::default(),
        };
        let begun = Instant::now();
        let ends = Some(Box::pin(tokio::time::sleep_until(begun + FIRST_WORD_WITHIN)));
        let (_place, _counted) = (place, counted);
        Connection { stream, peer, begun, has_spoken: false, ends, _place, _counted }
    }

    /// Whether the time of a caller that is not known is over.
    fn poll_ends(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ends) = &mut self.ends else { return Poll::Pending };
        if ends.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if self.peer.known.load(Ordering::Relaxed) {
            self.ends = None;
            return Poll::Pending;
        }
        if self.peer.asked.load(Ordering::Relaxed) == 0 {
            return Poll::Ready(());
        }
        ends.as_mut().reset(Instant::now() + ASK_AGAIN);
        ends.as_mut().poll(cx).map(|()| ())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
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
        if !self.has_spoken && buffer.filled().len() > before {
            self.has_spoken = true;
            let until = self.begun + TOKEN_WITHIN;
            if let Some(ends) = &mut self.ends {
                ends.as_mut().reset(until);
            }
        }
        if read.is_pending() && self.poll_ends(cx).is_ready() {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn connected() -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connections = connections(listener, Handshakes::none(), Gauge::default());
        let connection = Box::pin(connections).next().await.unwrap().unwrap();
        (caller, connection)
    }

    /// The caller has said its first word.
    async fn spoken() -> (TcpStream, Connection) {
        let (mut caller, mut connection) = connected().await;
        caller.write_all(b"hello").await.unwrap();
        connection.read_exact(&mut [0; 5]).await.unwrap();
        (caller, connection)
    }

    /// Reads in vain until the connection ends, after how long.
    async fn ends_after(mut connection: Connection) -> Duration {
        let read = connection.read(&mut [0; 8]).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
        connection.begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_says_nothing_loses_its_place() {
        let (_caller, connection) = connected().await;
        let after = ends_after(connection).await;
        assert!((FIRST_WORD_WITHIN..TOKEN_WITHIN).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_shows_no_token_loses_it_later() {
        let (_caller, connection) = spoken().await;
        let after = ends_after(connection).await;
        assert!(after >= TOKEN_WITHIN, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_token_is_looked_at_elsewhere_stays_as_long_as_that_takes() {
        let (_caller, mut connection) = spoken().await;
        let asked = connection.peer.is_asked_for();
        let read = tokio::time::timeout(TOKEN_WITHIN * 10, connection.read(&mut [0; 8])).await;
        assert!(read.is_err(), "it stays");
        drop(asked);
        let begun = Instant::now();
        ends_after(connection).await;
        assert!(begun.elapsed() <= ASK_AGAIN, "nobody has said that the token is good");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_known_may_be_silent() {
        let (_caller, mut connection) = spoken().await;
        connection.peer.is_known();
        let read = tokio::time::timeout(TOKEN_WITHIN * 100, connection.read(&mut [0; 8])).await;
        assert!(read.is_err(), "it stays");
    }
}
