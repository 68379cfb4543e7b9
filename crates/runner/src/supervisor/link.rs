//! The connection to the one daemon there is.
//!
//! Nothing here waits: what the socket does not take stays in the buffer. What may grow without
//! end, notices of output, is held back by the kernel when [`Link::is_full`]; what remains is
//! bounded by the attempts the supervisor holds.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use proto::supervisor::{FromSupervisor, ToSupervisor, from_supervisor::Kind};
use rustix::net::{SendFlags, send};

use crate::frame::{self, Decoder, FrameError};

/// Above this, no notices of output are added.
const FULL_BYTES: usize = 1 << 20;
/// What is read of the socket before others have their turn.
const READS_MAX: usize = 16;

/// The connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("the daemon closed the connection")]
    Closed,
    #[error("cannot read from or write to the daemon")]
    Io(#[from] io::Error),
    #[error("the daemon does not speak this protocol")]
    Protocol(#[from] FrameError),
}

/// A connected daemon.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    pub(super) number: u32,
    /// It has said its greeting, and may hear and ask.
    pub(super) greeted: bool,
    /// It speaks this version of the protocol, so that what it asks for means what is done.
    pub(super) understood: bool,
    decoder: Decoder<ToSupervisor>,
    out: Vec<u8>,
    sent: usize,
    /// Something is to be sent that does not wait for more.
    pub(super) urgent: bool,
    /// Whether the poll tells of room in the socket.
    pub(super) waits_for_room: bool,
}

impl Link {
    /// The newest of those that wait to be connected.
    pub(super) fn accept(listener: &UnixListener, number: u32) -> Option<Link> {
        let mut newest = None;
        while let Ok((stream, _)) = listener.accept() {
            newest = Some(stream);
        }
        let stream = newest?;
        stream.set_nonblocking(true).ok()?;
        Some(Link {
            stream,
            number,
            greeted: false,
            understood: false,
            decoder: Decoder::new(),
            out: Vec::new(),
            sent: 0,
            urgent: false,
            waits_for_room: false,
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Takes what has come; whether more may be there. What came before a fault is taken too.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        messages: &mut Vec<ToSupervisor>,
    ) -> Result<bool, Lost> {
        for _ in 0..READS_MAX {
            let length = match self.stream.read(buffer) {
                Ok(0) => return Err(Lost::Closed),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.decoder.push(&buffer[..length]);
            while let Some(message) = self.decoder.next_message()? {
                messages.push(message);
            }
        }
        Ok(true)
    }

    /// Adds a message to what is to be sent.
    ///
    /// That an attempt has started waits until it is no longer young or something else is said:
    /// a daemon that hears of a short task's start and end at once is woken once for both.
    pub(super) fn say(&mut self, kind: Kind) {
        self.urgent |= !matches!(kind, Kind::Started(_));
        frame::encode_into(&FromSupervisor { kind: Some(kind) }, &mut self.out);
    }

    /// Whether the daemon reads more slowly than it is written to.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() - self.sent > FULL_BYTES
    }

    /// Sends what the socket takes; whether something is left.
    pub(super) fn flush(&mut self) -> Result<bool, Lost> {
        while self.sent < self.out.len() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match send(&self.stream, &self.out[self.sent..], flags) {
                Ok(length) => self.sent += length,
                Err(rustix::io::Errno::AGAIN) => {
                    // What is sent need not be kept, but is moved only now and then.
                    if self.sent > FULL_BYTES {
                        self.out.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Ok(true);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
        self.urgent = false;
        self.out.clear();
        self.out.shrink_to(FULL_BYTES);
        self.sent = 0;
        Ok(false)
    }
}
