//! What comes from other members: checked, and handed to openraft.
//!
//! Nothing here is an error: what is not for us, or not from whom it says, is refused, and the answer says why.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use openraft::Snapshot;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::applied::SnapshotFile;
use super::election::{Contact, is_committed};
use super::peers::Link;
use super::shared::{Metrics, Shared};
use super::types::Types;
use super::wire::{Appended, Ask, Envelope, Head, Message, Opinion, Refusal, Reply};
use crate::Leadership;
use crate::blocking::Blocking;
use crate::log::Log;

/// Takes messages.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) link: Arc<Link>,
    pub(crate) log: Arc<Log>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) contact: Contact,
    /// Held while a snapshot comes in.
    pub(crate) gate: Arc<Mutex<()>>,
}

impl Receiver {
    pub(crate) async fn receive(&self, from: u64, message: Bytes) -> Bytes {
        let taken = async {
            let (sender, message) = self.check(from, message)?;
            self.take(sender, message).await
        };
        taken.await.unwrap_or_else(Reply::Refused).encode()
    }

    pub(crate) async fn receive_snapshot(
        &self,
        from: u64,
        head: Bytes,
        chunks: mpsc::Receiver<Bytes>,
    ) -> Bytes {
        let taken = async {
            match self.check(from, head)? {
                (_, Message::Snapshot(head)) => self.install(head, chunks).await,
                _ => Err(Refusal::Malformed),
            }
        };
        taken.await.unwrap_or_else(Reply::Refused).encode()
    }

    /// Whether the message is for this member, of its cluster, and of the one it says it is of: its number.
    fn check(&self, from: u64, message: Bytes) -> Result<(u64, Message), Refusal> {
        let (Envelope { cluster, from: sender, to }, message) = Message::decode(message)?;
        let ours = self.link.cluster();
        if cluster.id != ours.id {
            return Err(Refusal::Stranger);
        }
        if cluster.incarnation != ours.incarnation {
            return Err(Refusal::Incarnation { known: ours.incarnation });
        }
        let number = sender.number();
        let speaks_for = |vote: &openraft::Vote<u64>| vote.leader_id().voted_for();
        let claims = message.vote().map_or(Some(number), speaks_for);
        if sender.node != from || claims != Some(number) {
            return Err(Refusal::Impostor);
        }
        let me = self.link.me.number();
        if to != me {
            return Err(Refusal::OtherMember { known: me });
        }
        if self.shared.leadership.borrow().dead().is_some() {
            return Err(Refusal::Dead);
        }
        Ok((number, message))
    }

    async fn take(&self, sender: u64, message: Message) -> Result<Reply, Refusal> {
        match message {
            Message::Vote(request) => {
                let response = self.raft.vote(request).await.map_err(|_| Refusal::Dead)?;
                if response.vote_granted {
                    self.contact.note_vote();
                }
                Ok(Reply::Vote(response))
            }
            Message::Append(request) => {
                // One term has one leader; openraft relies on it.
                let vote = self.raft.metrics().borrow().vote;
                let other = vote.is_committed()
                    && request.vote.is_committed()
                    && vote.leader_id().term == request.vote.leader_id().term
                    && vote.leader_id() != request.vote.leader_id();
                if other || !request.vote.is_committed() {
                    return Err(Refusal::Impostor);
                }
                let arrived = Instant::now();
                let response = self.raft.append_entries(request).await;
                let appended = Appended::from(response.map_err(|_| Refusal::Dead)?);
                if !matches!(appended, Appended::Higher(_)) {
                    self.contact.note(arrived);
                }
                Ok(Reply::Append(appended))
            }
            Message::Ask(ask) => Ok(Reply::Opinion(self.opinion(sender, &ask))),
            Message::Snapshot(_) => Err(Refusal::Malformed),
        }
    }

    fn opinion(&self, sender: u64, ask: &Ask) -> Opinion {
        let last = self.log.positions().last.map(super::types::log_id);
        let leads = matches!(*self.shared.leadership.borrow(), Leadership::Leader(_));
        let removed = is_removed(&self.raft.metrics().borrow(), ask, sender);
        let votes = !leads && !removed && ask.last >= last && self.contact.is_silent();
        Opinion { votes, removed }
    }

    async fn install(
        &self,
        Head { vote, meta }: Head,
        chunks: mpsc::Receiver<Bytes>,
    ) -> Result<Reply, Refusal> {
        let _one = self.gate.clone().try_lock_owned().map_err(|_| Refusal::Busy)?;
        let theirs = self.raft.metrics().borrow().vote;
        if theirs > vote {
            return Ok(Reply::Snapshot(theirs));
        }
        let receiving = self.raft.begin_receiving_snapshot().await;
        let SnapshotFile { file, .. } = *receiving.map_err(|_| Refusal::Dead)?;
        let stall = self.link.timing.stall;
        let file = receive(file, chunks, stall, self.link.blocking).await.map_err(|error| {
            tracing::warn!(%error, "a snapshot of another node could not be taken");
            Refusal::Cut
        })?;
        let snapshot = Snapshot { meta, snapshot: Box::new(file.into()) };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        let vote = installed.map_err(|_| Refusal::Dead)?.vote;
        self.contact.note(Instant::now());
        Ok(Reply::Snapshot(vote))
    }
}

/// Whether this member's committed membership is as new as what the asking one knows, and is without it.
fn is_removed(metrics: &Metrics, ask: &Ask, number: u64) -> bool {
    let membership = &metrics.membership_config;
    is_committed(metrics)
        && *membership.log_id() >= ask.membership
        && membership.membership().get_node(&number).is_none()
}

/// Writes the chunks to the file, which must be a whole snapshot then.
async fn receive(
    file: File,
    mut chunks: mpsc::Receiver<Bytes>,
    stall: std::time::Duration,
    blocking: Blocking,
) -> io::Result<File> {
    let mut file = file;
    loop {
        let chunk = tokio::time::timeout(stall, chunks.recv()).await;
        let Some(chunk) = chunk.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))? else {
            break;
        };
        let written = blocking.run(move || {
            file.write_all(&chunk)?;
            Ok::<_, io::Error>(file)
        });
        file = written.await.map_err(io::Error::other)??;
    }
    let checked = blocking.run(move || crate::snapshot::verify(file));
    checked.await.map_err(io::Error::other)?
}
