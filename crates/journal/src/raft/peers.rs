//! The seam to the network. This crate knows no address, no certificate and no protocol: whoever runs a journal
//! carries its messages, which are opaque bytes, and says truly whom a message came from.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::config::{Cluster, Timing};
use super::wire::{Envelope, Message, Refusal, Reply};
use crate::Member;
use crate::blocking::Blocking;

/// The largest message, in bytes: a record of the greatest size, and what stands around it.
pub const MESSAGE_BYTES_MAX: usize = crate::RECORD_BYTES_MAX + (64 << 10);

/// The answer to a message.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Unreachable>> + Send + 'a>>;

/// Carries messages to other nodes.
///
/// A message may be lost, late, or delivered more than once; it must not be altered, and not be delivered to any other
/// node than the one that is named. On the other side [`super::Raft::receive`] and [`super::Raft::receive_snapshot`]
/// take it, with the name of the sender as its certificate has it.
pub trait Peers: Send + Sync + 'static {
    /// Delivers `message` to the node and brings its answer, within `deadline`. Dropping the future gives up on it.
    fn call(&self, node: u64, message: Bytes, deadline: Duration) -> Answer<'_>;

    /// Delivers a snapshot: the head, and then the chunks (of at most 1 MiB) as they come.
    /// The channel's end is the end of the snapshot, or of the sender; the receiver can tell which.
    fn send_snapshot(&self, node: u64, head: Bytes, chunks: mpsc::Receiver<Bytes>) -> Answer<'_>;
}

/// A node could not be reached, or did not answer in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node {node:x} cannot be reached: {reason}")]
pub struct Unreachable {
    /// The node.
    pub node: u64,
    /// Why, for the operator.
    pub reason: String,
}

/// For a group of one: there is nobody.
pub(crate) struct Nobody;

impl Peers for Nobody {
    fn call(&self, node: u64, _message: Bytes, _deadline: Duration) -> Answer<'_> {
        let reason = "this journal has no connection to other nodes".to_owned();
        Box::pin(std::future::ready(Err(Unreachable { node, reason })))
    }

    fn send_snapshot(&self, node: u64, head: Bytes, _chunks: mpsc::Receiver<Bytes>) -> Answer<'_> {
        self.call(node, head, Duration::ZERO)
    }
}

/// What this member says of itself, to whom, and what it has heard.
pub(crate) struct Link {
    pub(crate) me: Member,
    pub(crate) timing: Timing,
    pub(crate) peers: Arc<dyn Peers>,
    /// Where to do what blocks.
    pub(crate) blocking: Blocking,
    cluster_id: u128,
    incarnation: AtomicU64,
    known: Mutex<BTreeMap<u64, Known>>,
}

/// What is known of another member, by its number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// When it last answered.
    pub(crate) answered: Option<Instant>,
    /// The last entry it has acknowledged to this member, and the term this was in.
    pub(crate) matched: (u64, u64),
    /// It does not have what it had acknowledged.
    pub(crate) lost: bool,
    /// Since when it does not answer.
    failing: Option<Instant>,
    /// The operator knows that it does not answer.
    told: bool,
}

impl Link {
    pub(crate) fn new(
        me: Member,
        cluster: Cluster,
        timing: Timing,
        peers: Arc<dyn Peers>,
        blocking: Blocking,
    ) -> Arc<Self> {
        let incarnation = AtomicU64::new(cluster.incarnation);
        let known = Mutex::default();
        Arc::new(Self { me, timing, peers, blocking, cluster_id: cluster.id, incarnation, known })
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster { id: self.cluster_id, incarnation: self.incarnation.load(Ordering::SeqCst) }
    }

    pub(crate) fn set_incarnation(&self, incarnation: u64) {
        self.incarnation.store(incarnation, Ordering::SeqCst);
    }

    /// What goes around a message to `to`.
    pub(crate) fn envelope(&self, to: u64) -> Envelope {
        Envelope { cluster: self.cluster(), from: self.me, to }
    }

    /// Sends a message and reads the answer. A refusal counts as not reached.
    pub(crate) async fn call(
        &self,
        to: Member,
        message: &Message,
        deadline: Duration,
    ) -> Result<Reply, Unreachable> {
        let bytes = message.encode(self.envelope(to.number()));
        let call = self.peers.call(to.node, bytes, deadline);
        let answer = match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer,
            Err(_) => Err(unreachable(to, format!("no answer within {deadline:?}"))),
        };
        let reply = answer.and_then(|answer| self.read(to, answer));
        if let Err(error) = &reply {
            self.note_failure(to, error);
        }
        reply
    }

    /// Openraft would say this ten times a second; here it is said once.
    fn note_failure(&self, to: Member, error: &Unreachable) {
        let patience = self.timing.election_max * 2;
        let news = {
            let mut known = self.known();
            let known = known.entry(to.number()).or_default();
            let since = *known.failing.get_or_insert_with(Instant::now);
            since.elapsed() > patience && !std::mem::replace(&mut known.told, true)
        };
        if news {
            tracing::warn!(member = %to, %error, "a member of the journal's group does not answer");
        }
    }

    fn note_answer(&self, to: Member) {
        let news = {
            let mut known = self.known();
            let known = known.entry(to.number()).or_default();
            known.answered = Some(Instant::now());
            known.failing = None;
            std::mem::take(&mut known.told)
        };
        if news {
            tracing::info!(member = %to, "a member of the journal's group answers again");
        }
    }

    /// Reads the answer of another member.
    pub(crate) fn read(&self, to: Member, answer: Bytes) -> Result<Reply, Unreachable> {
        match Reply::decode(answer) {
            Some(Reply::Refused(refusal)) => {
                if refusal != Refusal::Busy {
                    tracing::debug!(member = %to, %refusal, "another member refuses our messages");
                }
                Err(unreachable(to, refusal.to_string()))
            }
            Some(reply) => {
                self.note_answer(to);
                Ok(reply)
            }
            None => Err(unreachable(to, "its answer cannot be read".to_owned())),
        }
    }

    /// Notes that it has the log up to `index`, as it told the leader of `term`.
    pub(crate) fn note_matched(&self, member: u64, term: u64, index: u64) {
        let mut known = self.known();
        let known = known.entry(member).or_default();
        known.matched = known.matched.max((term, index));
    }

    /// Whether it has told the leader of `term` that it has this entry.
    pub(crate) fn has_matched(&self, member: u64, term: u64, index: u64) -> bool {
        let matched = self.of(member).matched;
        matched.0 == term && index <= matched.1
    }

    /// Notes that it has lost what it had acknowledged.
    pub(crate) fn note_lost(&self, member: u64) -> bool {
        !std::mem::replace(&mut self.known().entry(member).or_default().lost, true)
    }

    pub(crate) fn of(&self, member: u64) -> Known {
        self.known().get(&member).copied().unwrap_or_default()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.known.lock().expect("no holder of the lock panics")
    }
}

pub(crate) fn unreachable(to: Member, reason: String) -> Unreachable {
    Unreachable { node: to.node, reason }
}
