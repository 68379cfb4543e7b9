//! A connection that ends when its peer's certificate does not count any more, or the node closes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use crate::Certified;

/// What ends a connection, and why.
pub(crate) type End = Pin<Box<dyn Future<Output = String> + Send>>;

/// Who is at the other end: nobody who is known, where there is no certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From(pub(crate) Option<Certified>);

/// A stream with an end of its own. Whoever serves a connection always reads, so reading is where it is noticed.
pub(crate) struct Guarded<S> {
    pub(crate) stream: S,
    pub(crate) end: End,
    pub(crate) from: From,
    /// Held as long as the connection lives.
    pub(crate) _held: Option<Box<dyn Send>>,
}

impl<S> Connected for Guarded<S> {
    type ConnectInfo = From;

    fn connect_info(&self) -> From {
        self.from
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(why) = self.end.as_mut().poll(context) {
            // It is not asked again once it has answered.
            self.end = Box::pin(std::future::ready(why.clone()));
            return Poll::Ready(Err(io::Error::other(why)));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
