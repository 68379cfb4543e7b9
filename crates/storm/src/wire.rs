//! What clients say to hosts: frames with their length before them, one exchange a connection.
//!
//! It stands for the interface for people, and must stay as dull as it is: what is tried here is what lies behind.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::TcpStream;

/// Where every host listens for clients.
pub(crate) const PORT: u16 = 7402;
/// The largest frame.
const FRAME_BYTES_MAX: usize = 64 << 10;

/// What clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// A job of that name; see [`Ask::has_key`].
    Submit { name: u64 },
    /// Cancel the run.
    Cancel { run: u64 },
    /// What has become of the run of the job of that name.
    Named { name: u64 },
    /// What has become of the run.
    Status { run: u64 },
}

impl Ask {
    /// Whether a job of that name is submitted under a key, its name, and may be again. The others are
    /// submitted once, and must not become two runs whatever their host tries.
    pub(crate) fn has_key(name: u64) -> bool {
        !name.is_multiple_of(4)
    }
}

/// The answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The job is taken, or was before.
    Submitted { run: u64, repeated: bool },
    /// The run has ended by this.
    Canceled,
    /// It had ended before.
    HadEnded,
    /// What was asked about, and how it is.
    Run { run: u64, status: Status },
    /// There is no such thing.
    NotThere,
    /// Nothing was done, and nothing will be.
    NotDone,
    /// It may or may not be done.
    Unknown,
    /// Something that nobody should ever be told.
    Unfit,
}

/// What a host knows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    GoesOn,
    Ended,
}

/// Asks a host one thing, and hears the answer.
pub(crate) async fn exchange(host: &str, ask: Ask) -> io::Result<Reply> {
    let mut stream = TcpStream::connect((host, PORT)).await?;
    send(&mut stream, &ask).await?;
    receive(&mut stream).await
}

pub(crate) async fn send(stream: &mut TcpStream, what: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(what).map_err(io::Error::other)?;
    let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&bytes);
    stream.write_all(&frame).await
}

pub(crate) async fn receive<T: for<'a> Deserialize<'a>>(stream: &mut TcpStream) -> io::Result<T> {
    let len = stream.read_u32().await? as usize;
    if len > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {len} bytes is too large")));
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}
