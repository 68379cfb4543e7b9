//! The socket to the supervisor beside this daemon, and how to reach one.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use model::{NodeId, Resources};
use proto::supervisor::{
    Forget, FromSupervisor, Greeting, Hello, Shutdown, ToSupervisor, from_supervisor, to_supervisor,
};
use runner::client;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::error::StartError;

/// What it takes to reach the supervisor.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) exe: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) node: NodeId,
    pub(crate) capacity: Resources,
    /// The one that was launched from here, to be reaped when it leaves.
    pub(crate) child: Option<Child>,
    /// How many have been launched without one that answered.
    pub(crate) launches: u32,
}

/// A supervisor that has answered.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    decoder: client::Decoder,
    read: Vec<u8>,
    pub(crate) hello: Hello,
}

/// Why there will be no supervisor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    #[error(
        "the supervisor in this data directory speaks version {theirs}, this binary {ours}\nhint: end its tasks with `windlass down` of the version that started it"
    )]
    Version { theirs: u32, ours: u32 },
    #[error(transparent)]
    Client(#[from] client::Error),
}

/// The first wait between two tries, and the longest, in milliseconds.
const WAIT_MS: (u64, u64) = (2, 100);
/// From the second launch in a row on, the wait before each, in milliseconds.
const RELAUNCH_MS: u64 = 2_000;
/// How long the answer to a greeting may take.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 64 << 10;
/// How long a supervisor of a former incarnation gets to end its tasks, which have graces.
const FORMER_WITHIN: Duration = Duration::from_secs(60);

impl Reach {
    /// Finds the supervisor of this data directory, or launches one. It goes on trying: a new
    /// supervisor answers only when it has proved that nothing of the former one is left.
    pub(crate) async fn reach(&mut self) -> Result<Link, Unreachable> {
        let mut wait_ms = WAIT_MS.0;
        loop {
            match self.greet().await {
                Ok(link) if link.hello.version == proto::SUPERVISOR_VERSION => {
                    self.launches = 0;
                    return Ok(link);
                }
                Ok(link) => {
                    let (theirs, ours) = (link.hello.version, proto::SUPERVISOR_VERSION);
                    return Err(Unreachable::Version { theirs, ours });
                }
                Err(error) => tracing::debug!(%error, "no supervisor answers yet"),
            }
            if self.has_left() {
                if self.launches > 0 {
                    tracing::warn!(
                        launches = self.launches,
                        log = %self.data_dir.join(client::LOG).display(),
                        "the supervisor ends before it answers; its log says why; trying again"
                    );
                    tokio::time::sleep(Duration::from_millis(RELAUNCH_MS)).await;
                }
                self.launches += 1;
                self.child = Some(client::launch(&self.exe, &self.data_dir, self.node)?);
            }
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            wait_ms = (wait_ms * 2).min(WAIT_MS.1);
        }
    }

    /// Whether no supervisor of ours is under way.
    fn has_left(&mut self) -> bool {
        match &mut self.child {
            None => true,
            Some(child) => !matches!(child.try_wait(), Ok(None)),
        }
    }

    async fn greet(&self) -> io::Result<Link> {
        let stream = client::connect(&self.data_dir).map_err(io::Error::other)?;
        Link::greet(UnixStream::from_std(stream)?, self.capacity).await
    }
}

/// Ends the supervisor of this directory and its tasks, if there is one; how many tasks there were.
/// One that does not leave in time is killed: the next one proves that nothing of it is left.
pub(crate) async fn end_former(data_dir: &Path) -> Result<u64, StartError> {
    let failed = |error: io::Error| StartError::FormerSupervisor(error.to_string());
    let Ok(stream) = client::connect(data_dir) else { return Ok(0) };
    let stream = UnixStream::from_std(stream).map_err(failed)?;
    // Held from before the end, so that no other process can take its number.
    let pid = stream.peer_cred().map_err(failed)?.pid().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| failed(io::Error::other("its supervisor has no number")))?;
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(0),
        process => process.map_err(|error| failed(error.into()))?,
    };
    let link = Link::greet(stream, Resources::default()).await;
    let held = link.as_ref().map_or(0, |link| link.hello.held.len() as u64);
    tracing::warn!(tasks = held, "the supervisor of a former incarnation ends, with its tasks");
    if let Ok(mut link) = link {
        let _ = tokio::time::timeout(FORMER_WITHIN, link.end()).await;
    }
    match pidfd_send_signal(&process, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(held),
        Err(error) => Err(failed(error.into())),
    }
}

impl Link {
    /// Says a greeting and hears the answer.
    async fn greet(stream: UnixStream, capacity: Resources) -> io::Result<Link> {
        let mut link = Link {
            stream,
            decoder: client::Decoder::new(),
            read: vec![0; READ_BYTES],
            hello: Hello::default(),
        };
        let greeting =
            Greeting { version: proto::SUPERVISOR_VERSION, capacity: Some(capacity.into()) };
        let kind = Some(to_supervisor::Kind::Greeting(greeting));
        link.send(&[ToSupervisor { kind }]).await?;
        let hello = tokio::time::timeout(HELLO_WITHIN, link.receive());
        let first = hello.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        match first.kind {
            Some(from_supervisor::Kind::Hello(hello)) => link.hello = hello,
            _ => return Err(io::Error::other("its first message is no hello")),
        }
        Ok(link)
    }

    /// Lets it stop everything, forget all of it, and leave.
    async fn end(&mut self) {
        let say = |kind| [ToSupervisor { kind: Some(kind) }];
        let mut sent = self.send(&say(to_supervisor::Kind::Shutdown(Shutdown {}))).await;
        while sent.is_ok() {
            let Ok(message) = self.receive().await else { return };
            if let Some(from_supervisor::Kind::Ended(ended)) = message.kind {
                let attempts = ended.attempt.into_iter().collect();
                sent = self.send(&say(to_supervisor::Kind::Forget(Forget { attempts }))).await;
            }
        }
    }

    /// Sends messages in one write.
    pub(crate) async fn send(&mut self, messages: &[ToSupervisor]) -> io::Result<()> {
        let bytes: Vec<u8> = messages.iter().flat_map(client::encode).collect();
        self.stream.write_all(&bytes).await
    }

    /// The next message. It may be dropped while it waits, nothing is lost.
    pub(crate) async fn receive(&mut self) -> io::Result<FromSupervisor> {
        loop {
            if let Some(message) = self.decoded()? {
                return Ok(message);
            }
            let count = self.stream.read(&mut self.read).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.decoder.push(&self.read[..count]);
        }
    }

    /// The next message that has arrived whole already.
    pub(crate) fn decoded(&mut self) -> io::Result<Option<FromSupervisor>> {
        self.decoder.next_message().map_err(io::Error::other)
    }
}
