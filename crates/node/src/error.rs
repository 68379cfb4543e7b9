//! Why a node did not start, and why it refused a request.

use std::path::PathBuf;
use std::time::Duration;

use model::RunId;
use model::job::Fault;
use model::selector::NotASelector;

/// Why a node did not start. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another node serves from this directory.
    #[error(
        "the data directory `{}` is in use by the node with pid {pid}\nhint: use that node, end it with `windlass down`, or name another directory with `--data-dir`",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other node's process.
        pid: u32,
    },
    /// The directory cannot be made or written.
    #[error(
        "cannot use the data directory `{}`: {what}\nhint: make it writable for this user, or name another one with `--data-dir`",
        path.display()
    )]
    DataDir {
        /// The directory or the file in it.
        path: PathBuf,
        /// What was attempted.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The disk is full, or nearly.
    #[error(
        "the disk of `{}` has {} free, a node needs {}\nhint: free some space there, or name another directory with `--data-dir`",
        path.display(),
        model::text::size(*free_bytes),
        model::text::size(*needed_bytes)
    )]
    DiskFull {
        /// The data directory.
        path: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
    },
    /// The node's identity is unreadable.
    #[error(
        "`{}` does not tell which node this is: {why}\nhint: restore it from a copy, or start with an empty data directory",
        path.display()
    )]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A restore or a recovery of the directory did not come to its end.
    #[error(
        "{what} of the data directory `{}` was broken off\nhint: run `windlass {again}` again; nothing can go on before",
        path.display()
    )]
    Unfinished {
        /// The directory.
        path: PathBuf,
        /// What was broken off.
        what: &'static str,
        /// The command that does it again.
        again: &'static str,
    },
    /// What runs under the supervisor of a former incarnation cannot be ended.
    #[error("cannot end the tasks of the former incarnation: {0}")]
    FormerSupervisor(String),
    /// The journal cannot be opened.
    #[error("cannot open the journal")]
    Journal(#[from] journal::OpenError),
    /// The journal died while the node started.
    #[error("the journal ended while the node started: {0}")]
    JournalDied(String),
    /// History cannot be opened.
    #[error(transparent)]
    History(#[from] history::OpenError),
    /// The node's certificates cannot be read, made or kept.
    #[error(transparent)]
    Certificates(#[from] peer::Error),
    /// The node is not let in.
    #[error(transparent)]
    Join(#[from] peer::JoinError),
    /// The token is not for this node.
    #[error(transparent)]
    JoinToken(#[from] peer::JoinTokenFault),
    /// The node cannot have these roles.
    #[error("{why}\nhint: {hint}")]
    Roles {
        /// Why not.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Peers cannot be listened to.
    #[error("cannot listen for peers at {address}\nhint: name another address with `--peer ADDR`")]
    Peer {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The node belongs to a cluster and has no certificate of it.
    #[error(
        "the data directory has no certificate of its cluster\nhint: restore `peer` in it from a copy, or join again: `windlass join HOST:PORT --token TOKEN`"
    )]
    NoCertificate,
    /// What is in the data directory does not belong together.
    #[error(
        "the certificate in the data directory is of another node\nhint: restore `peer` in it from a copy, or join again: `windlass join HOST:PORT --token TOKEN`"
    )]
    ForeignCertificate,
    /// The node was away for too long.
    #[error(
        "the node's certificate expired {days} day(s) ago: it was away for too long\nhint: forget it at a control node, `windlass node rm NAME`, then `windlass join` with a new token and an empty data directory"
    )]
    CertificateExpired {
        /// How long ago.
        days: u64,
    },
    /// No control node answers a node that has just come in.
    #[error(
        "no control node of the cluster can be reached\nhint: start this again once one is; `windlass cluster status` there tells who is up"
    )]
    NoControlNode,
    /// A part of the node ended while it started.
    #[error("the node ended while it started: {0}")]
    Ended(String),
    /// A thread could not be made.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// Why a request was refused. None of it was done, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The job has faults.
    #[error("the job is not valid: {}", list(.0))]
    Invalid(Vec<Fault>),
    /// The text points at nothing that could be.
    #[error(transparent)]
    NotASelector(#[from] NotASelector),
    /// The request asks for what cannot be done so; it says what can.
    #[error("{0}")]
    Unfit(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Whoever asks may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The idempotency key was used for another payload.
    #[error("the idempotency key was used for another job, which is run {run}")]
    KeyUsed {
        /// That run.
        run: RunId,
    },
    /// Something is in the way; it says what, and what to do.
    #[error("{0}")]
    InTheWay(String),
    /// Too much is waiting.
    #[error("{why}; try again in {} s", retry_after.as_secs().max(1))]
    Overloaded {
        /// What there is too much of.
        why: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// There is no room on the disk for it.
    #[error("{why}; try again in {} s", retry_after.as_secs().max(1))]
    NoSpace {
        /// Which room is missing where, and what makes some.
        why: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// What happened after the index given is not all kept any more.
    #[error(
        "what happened right after that index is not kept any more; the oldest index to go on after is {oldest}"
    )]
    TooOld {
        /// The lowest index that a watcher can resume after.
        oldest: u64,
    },
    /// The node cannot answer now. It may be asked again.
    #[error("{0}")]
    Unavailable(String),
    /// It may or may not have been done; asking again with the same idempotency key is safe.
    #[error("the outcome is unknown; ask again with the same idempotency key")]
    OutcomeUnknown,
    /// Something that should have worked did not.
    #[error("{0}")]
    Failed(String),
}

fn list(faults: &[Fault]) -> String {
    let texts: Vec<String> = faults.iter().map(Fault::to_string).collect();
    texts.join("; ")
}
