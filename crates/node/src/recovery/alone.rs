//! A journal of one voter, opened with no node around it: its state, and one more command.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use journal::raft::{self, Raft};
use journal::{Delivered, Follow, Journal, LeaderId, Leadership, SnapshotReader};
use machine::{Answer, State};
use proto::record::{Batch, Command, Header, command::Kind};

use super::Error;

/// How much of a snapshot is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// The journal, led, and all that is in it.
pub(super) struct Alone {
    journal: Raft,
    leader: LeaderId,
    follow: Follow,
    pub(super) state: State,
}

impl Alone {
    /// Opens it and applies all of it.
    pub(super) async fn open(config: raft::Config) -> Result<Alone, Error> {
        let journal = Raft::open(config).await?;
        let mut leadership = journal.leadership();
        let leads = |now: &Leadership| matches!(now, Leadership::Leader(_) | Leadership::Dead(_));
        let now = leadership.wait_for(leads).await.map_err(|error| unusable(&error))?.clone();
        let leader = match now {
            Leadership::Leader(leader) => leader,
            other => return Err(last_words(&other)),
        };
        let upto = journal.barrier().await.map_err(|error| unusable(&error))?;
        let follow = journal.follow_newest();
        let mut alone = Alone { journal, leader, follow, state: State::new() };
        alone.apply_to(upto).await?;
        Ok(alone)
    }

    /// Commits one command, and applies it.
    pub(super) async fn commit(&mut self, command: Kind) -> Result<Answer, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            leader_term: self.leader.term,
            leader_node: self.leader.node,
            level: machine::LEVEL,
            incarnation: self.state.cluster().map_or(0, |cluster| cluster.incarnation.into()),
            time_ms: self.state.time_ms().max(now.as_millis() as u64),
            number: 1,
        };
        let commands = vec![Command { kind: Some(command) }];
        let batch = Batch { header: Some(header), commands };
        let record = Bytes::from(machine::encode(&batch));
        let index = self.journal.propose(self.leader, record).await;
        let index = index.map_err(|error| unusable(&error))?;
        let answers = self.apply_to(index).await?;
        answers.into_iter().next().ok_or_else(|| Error::Unusable("it refuses a batch".to_owned()))
    }

    pub(super) async fn close(self) {
        self.journal.shutdown().await;
    }

    /// Applies everything up to an entry; the answers of the last.
    async fn apply_to(&mut self, upto: u64) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::new();
        while self.state.applied() < upto {
            match self.follow.next().await {
                Some(Delivered::Entry(entry)) if entry.record.is_empty() => {
                    self.state.pass(entry.index);
                }
                Some(Delivered::Entry(entry)) => {
                    let batch = machine::decode(entry.index, &entry.record);
                    let batch = batch.map_err(|error| unusable(&error))?;
                    let leader = (entry.leader.term, entry.leader.node);
                    answers = self.state.apply(entry.index, leader, &batch).answers;
                }
                Some(Delivered::Snapshot { index, reader, .. }) => {
                    let read = tokio::task::spawn_blocking(move || read(reader)).await;
                    self.state = read.map_err(|error| unusable(&error))??;
                    if index > self.state.applied() {
                        self.state.pass(index);
                    }
                }
                None => {
                    return Err(last_words(&self.journal.leadership().borrow()));
                }
            }
        }
        Ok(answers)
    }
}

fn read(mut reader: SnapshotReader) -> Result<State, Error> {
    let mut state = machine::snapshot::Reader::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut piece).map_err(|error| unusable(&error))? {
            0 => return state.finish().map_err(|error| unusable(&error)),
            count => state.push(&piece[..count]).map_err(|error| unusable(&error))?,
        }
    }
}

fn unusable(error: &dyn std::error::Error) -> Error {
    Error::Unusable(error.to_string())
}

fn last_words(leadership: &Leadership) -> Error {
    Error::Unusable(match leadership {
        Leadership::Dead(reason) => reason.to_string(),
        _ => "the journal has ended".to_owned(),
    })
}
