//! The other control nodes, asked over the transport between nodes.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use model::{Attempt, NodeId};
use peer::Dialer;
use prost::Message;
use proto::peer::Piece;
use proto::peer::copy_request::{KeptTails, Wanted as CopyWanted};
use proto::session::{Tail, Tails};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::elsewhere::Elsewhere;
use super::reading::{Broken, Reading};
use super::{Piece as Output, Wanted, wire};

/// Pieces between the connection and a reader, beside what the connection has under way.
const PIECES_MAX: usize = 1;
/// How long a control node may take to keep tails; nobody waits as long.
const KEEP_WITHIN: Duration = Duration::from_secs(5);

/// Whom to ask.
pub(crate) trait Contacts: Send + Sync {
    /// The control node that leads; `None` where this one does, or none is known.
    fn leader(&self) -> Option<NodeId>;

    /// All control nodes but this one.
    fn others(&self) -> Vec<NodeId>;
}

/// The other control nodes.
pub(crate) struct Peers {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) contacts: Arc<dyn Contacts>,
}

impl Elsewhere for Peers {
    fn read(&self, node: NodeId, wanted: &Wanted) -> Option<Reading> {
        let leader = self.contacts.leader()?;
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let (dialer, wanted) = (self.dialer.clone(), wanted.clone());
        // It ends with its reader, or with the connection.
        tokio::spawn(async move {
            let end = tokio::select! {
                end = pump(&dialer, leader, node, wanted, &sender) => end,
                () = sender.closed() => return,
            };
            if let Err(broken) = end {
                let _ = sender.send(Err(broken)).await; // The reader may have gone.
            }
        });
        Some(Reading::new(pieces))
    }

    fn tails(
        &self,
        node: NodeId,
        attempts: &BTreeSet<Attempt>,
    ) -> Pin<Box<dyn Future<Output = Vec<Tail>> + Send + '_>> {
        let mut missing = attempts.clone();
        Box::pin(async move {
            let mut found = Vec::new();
            for other in self.contacts.others() {
                if missing.is_empty() {
                    break;
                }
                let asked = KeptTails {
                    node_id: node.to_bytes(),
                    attempts: missing.iter().map(|attempt| (*attempt).into()).collect(),
                };
                let Ok(mut pieces) = self.dialer.copy(other, CopyWanted::Tails(asked)).await else {
                    continue;
                };
                while let Ok(Some(Piece { bytes, last: false, .. })) = pieces.message().await {
                    let tail = Tail::decode(bytes.as_slice()).ok();
                    let Some(attempt) = tail.as_ref().and_then(|tail| tail.attempt) else { break };
                    missing.remove(&Attempt::from(attempt));
                    found.extend(tail);
                }
            }
            found
        })
    }

    fn keep(
        &self,
        node: NodeId,
        tails: Arc<Tails>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut calls = JoinSet::new();
        for other in self.contacts.others() {
            let (dialer, tails) = (self.dialer.clone(), tails.clone());
            calls.spawn(async move {
                let tails = Tails::clone(&tails);
                if let Err(error) = dialer.keep_tails(other, node, tails, KEEP_WITHIN).await {
                    tracing::debug!(%error, "tails of output are not kept there");
                }
            });
        }
        Box::pin(async move { while calls.join_next().await.is_some() {} })
    }
}

async fn pump(
    dialer: &Dialer,
    leader: NodeId,
    node: NodeId,
    wanted: Wanted,
    sender: &mpsc::Sender<Result<Output, Broken>>,
) -> Result<(), Broken> {
    let run = wanted.run;
    let answers = dialer.read_output(leader, 0, node, wanted.to_message()).await;
    let mut answers = answers.map_err(|error| Broken::cut(error.to_string()))?;
    loop {
        let answer = answers.message().await;
        let answer = answer.map_err(|status| Broken::cut(status.message()))?;
        let answer = answer.ok_or_else(|| Broken::cut("the control node that leads broke off"))?;
        let (piece, end) = wire::piece(run, answer);
        if let Some(piece) = piece
            && sender.send(Ok(piece)).await.is_err()
        {
            return Ok(());
        }
        if let Some(end) = end {
            return end;
        }
    }
}
