//! The first byte that a node says in the clear tells whether it speaks as it should.
//!
//! Without it a client that calls a TLS port hears of a frame of the wrong size, and tries for half a minute.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::trouble::Trouble;

/// HTTP/2 begins with the length of its settings, which is less than 64 KiB.
const HTTP2: u8 = 0;
/// An alert of TLS, and `HTTP/1.1 400`, which is what ports of TLS say to plain text.
const TLS: [u8; 2] = [0x15, b'H'];

/// A connection whose first byte is looked at.
pub(crate) struct FirstWord<S> {
    stream: S,
    heard: bool,
}

impl<S> FirstWord<S> {
    pub(crate) fn of(stream: S) -> FirstWord<S> {
        FirstWord { stream, heard: false }
    }
}

fn check(first: u8) -> io::Result<()> {
    match first {
        HTTP2 => Ok(()),
        first if TLS.contains(&first) => Err(io::Error::other(Trouble::SpeaksTls)),
        _ => Err(io::Error::other(Trouble::OtherProtocol)),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstWord<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if !self.heard
            && let Some(first) = buffer.filled().get(before)
        {
            self.heard = true;
            check(*first)?;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstWord<S> {
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
