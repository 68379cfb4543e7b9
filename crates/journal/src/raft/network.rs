//! Openraft's way to other members.
//!
//! Openraft gives an append as long as a heartbeat and then sends the same entries again. A large record, or a slow disk
//! on the other side, takes longer than that, and would never arrive. So an append with entries goes on in a task of its
//! own, and whoever asks for the same entries again waits for it.

mod snapshot;

#[cfg(test)]
mod tests;

use std::time::Duration;

use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError,
    Unreachable as RaftUnreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, LogId, RaftLogId, Snapshot, Vote};
use std::sync::Arc;
use tokio::task::JoinHandle;

use super::peers::{Link, Unreachable, unreachable};
use super::types::{Entry, Types};
use super::wire::{Appended, Message, Reply};
use crate::Member;

type Refused = RPCError<u64, BasicNode, RaftError<u64>>;
/// An answer that openraft gets as an error. The type is openraft's, and as large as that is.
type Judged = Result<AppendEntriesResponse<u64>, Box<Refused>>;

/// Makes connections to members.
#[derive(Clone)]
pub(crate) struct Network(pub(crate) Arc<Link>);

/// The connection of one replication, vote or barrier to one member.
pub(crate) struct Connection {
    target: Member,
    link: Arc<Link>,
    under_way: Option<UnderWay>,
    /// How often in a row entries were not answered in time.
    late: u32,
}

/// Entries that have been sent, and are not answered yet.
struct UnderWay {
    vote: Vote<u64>,
    prev: Option<LogId<u64>>,
    last: LogId<u64>,
    /// The other side had acknowledged `prev` before this was sent.
    had: bool,
    task: JoinHandle<Result<Reply, Unreachable>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Connection {
        let target = Member::decode(target, &node.addr);
        Connection { target, link: self.0.clone(), under_way: None, late: 0 }
    }
}

impl RaftNetwork<Types> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Refused> {
        let (vote, prev) = (request.vote, request.prev_log_id);
        let last = request.entries.last().map(|entry| *entry.get_log_id());
        let Some(last) = last else {
            let had = self.had(&vote, prev);
            let message = Message::Append(request);
            let reply = self.link.call(self.target, &message, option.hard_ttl()).await;
            return self.judge(&vote, prev, prev, had, reply).map_err(|error| *error);
        };
        let same = |sent: &UnderWay| sent.vote == vote && sent.prev == prev;
        if !self.under_way.as_ref().is_some_and(same) {
            self.under_way = Some(self.send(request, last));
        }
        let sent = self.under_way.as_mut().expect("it was just put there");
        // Openraft may drop this future here; the task goes on, and is found by the next one.
        let reply = (&mut sent.task).await;
        let (upto, had) = (Some(sent.last), sent.had);
        self.under_way = None;
        self.late = if matches!(reply, Ok(Ok(_))) { 0 } else { self.late.saturating_add(1) };
        let reply = reply.unwrap_or_else(|error| Err(unreachable(self.target, error.to_string())));
        let response = self.judge(&vote, prev, upto, had, reply).map_err(|error| *error)?;
        // It was asked for more, or for less, than what was under way.
        Ok(match response {
            AppendEntriesResponse::Success if upto < Some(last) => {
                AppendEntriesResponse::PartialSuccess(upto)
            }
            other => other,
        })
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let upto = snapshot.meta.last_log_id;
        let sent = tokio::select! {
            closed = cancel => return Err(StreamingError::Closed(closed)),
            sent = snapshot::send(&self.link, self.target, vote, snapshot) => sent,
        };
        match sent {
            Ok(Reply::Snapshot(theirs)) => {
                if let Some(upto) = upto.filter(|_| theirs <= vote) {
                    self.note_matched(&vote, upto);
                }
                Ok(SnapshotResponse::new(theirs))
            }
            Ok(other) => Err(StreamingError::Unreachable(self.unexpected(&other))),
            Err(error) => Err(StreamingError::Unreachable(RaftUnreachable::new(&error))),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, Refused> {
        let reply = self.link.call(self.target, &Message::Vote(request), option.hard_ttl()).await;
        match reply {
            Ok(Reply::Vote(response)) => Ok(response),
            Ok(other) => Err(RPCError::Unreachable(self.unexpected(&other))),
            Err(error) => Err(RPCError::Unreachable(RaftUnreachable::new(&error))),
        }
    }

    /// Somebody who is back is found soon.
    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.link.timing.heartbeat.min(Duration::from_millis(200))))
    }
}

impl Connection {
    fn send(&self, request: AppendEntriesRequest<Types>, last: LogId<u64>) -> UnderWay {
        let (vote, prev) = (request.vote, request.prev_log_id);
        let (link, target) = (self.link.clone(), self.target);
        let bytes: usize = request.entries.iter().map(Entry::bytes).sum();
        // What is lost on the way is soon sent again, and what is large or meets a slow disk gets its time.
        let base = link.timing.election_min + Duration::from_micros(bytes as u64);
        let deadline = base.saturating_mul(1 << self.late.min(8)).min(link.timing.append);
        let had = self.had(&vote, prev);
        let message = Message::Append(request);
        let task = tokio::spawn(async move { link.call(target, &message, deadline).await });
        UnderWay { vote, prev, last, had, task }
    }

    /// What openraft may believe of an answer.
    fn judge(
        &self,
        vote: &Vote<u64>,
        prev: Option<LogId<u64>>,
        upto: Option<LogId<u64>>,
        had: bool,
        reply: Result<Reply, Unreachable>,
    ) -> Judged {
        let unreachable_for = |error| Err(Box::new(RPCError::Unreachable(error)));
        let appended = match reply {
            Ok(Reply::Append(appended)) => appended,
            Ok(other) => return unreachable_for(self.unexpected(&other)),
            Err(error) => return unreachable_for(RaftUnreachable::new(&error)),
        };
        match appended {
            Appended::Success => {
                if let Some(upto) = upto {
                    self.note_matched(vote, upto);
                }
                Ok(AppendEntriesResponse::Success)
            }
            Appended::Partial(id) if prev <= id && id <= upto => {
                if let Some(id) = id {
                    self.note_matched(vote, id);
                }
                Ok(AppendEntriesResponse::PartialSuccess(id))
            }
            Appended::Conflict if had => {
                if self.link.note_lost(self.target.number()) {
                    tracing::error!(
                        member = %self.target,
                        "a member of the group has lost entries that it had acknowledged: its directory was put back \
                         from a copy, or its disk lies; it is not counted any more. Stop it, set its journal aside, \
                         and let it join again"
                    );
                }
                unreachable_for(RaftUnreachable::new(&self.lost()))
            }
            Appended::Conflict if prev.is_some() => Ok(AppendEntriesResponse::Conflict),
            Appended::Higher(higher) if higher > *vote => {
                Ok(AppendEntriesResponse::HigherVote(higher))
            }
            Appended::Partial(_) | Appended::Conflict | Appended::Higher(_) => {
                let text = format!("an answer that does not fit: {appended:?}");
                let error = NetworkError::new(&unreachable(self.target, text));
                Err(Box::new(RPCError::Network(error)))
            }
        }
    }

    fn note_matched(&self, vote: &Vote<u64>, id: LogId<u64>) {
        self.link.note_matched(self.target.number(), vote.leader_id().term, id.index);
    }

    fn had(&self, vote: &Vote<u64>, id: Option<LogId<u64>>) -> bool {
        let (member, term) = (self.target.number(), vote.leader_id().term);
        id.is_some_and(|id| self.link.has_matched(member, term, id.index))
    }

    fn lost(&self) -> Unreachable {
        unreachable(self.target, "it has lost entries that it had acknowledged".to_owned())
    }

    fn unexpected(&self, reply: &Reply) -> RaftUnreachable {
        let text = format!("an answer to another question: {reply:?}");
        RaftUnreachable::new(&unreachable(self.target, text))
    }
}
