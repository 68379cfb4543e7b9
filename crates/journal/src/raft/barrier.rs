//! Confirmations of the leadership: one serves all that wait for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::error::{CheckIsLeaderError, RaftError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::types::Types;
use crate::Index;

/// Why the leadership was not confirmed.
#[derive(Debug, Clone)]
pub(crate) enum Unconfirmed {
    NotLeader,
    NoMajority,
    Fatal(openraft::error::Fatal<u64>),
}

/// Who asks the majority.
#[derive(Default)]
pub(crate) struct Barriers {
    /// How many have come.
    came: AtomicU64,
    /// One asks at a time.
    last: Mutex<Confirmed>,
}

#[derive(Default)]
struct Confirmed {
    /// It was begun after so many had come.
    serves: u64,
    result: Option<Result<Index, Unconfirmed>>,
}

impl Barriers {
    /// Lets a majority confirm the leadership, with messages that are sent after this call.
    ///
    /// A majority that is only slow is asked again, for up to `patience`.
    pub(crate) async fn confirm(
        &self,
        raft: &openraft::Raft<Types>,
        patience: Duration,
    ) -> Result<Index, Unconfirmed> {
        let ticket = self.came.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if let Some(result) = last.result.clone().filter(|_| last.serves >= ticket) {
            return result;
        }
        let serves = self.came.load(Ordering::SeqCst);
        let until = Instant::now() + patience;
        let result = loop {
            match raft.get_read_log_id().await {
                Ok((read, _)) => break Ok(read.map_or(0, |id| id.index)),
                Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_))) => {
                    break Err(Unconfirmed::NotLeader);
                }
                Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
                    if Instant::now() >= until {
                        break Err(Unconfirmed::NoMajority);
                    }
                    // Who refuses at once is not asked in a circle.
                    tokio::time::sleep(patience / 20).await;
                }
                Err(RaftError::Fatal(fatal)) => break Err(Unconfirmed::Fatal(fatal)),
            }
        };
        *last = Confirmed { serves, result: Some(result.clone()) };
        result
    }
}
