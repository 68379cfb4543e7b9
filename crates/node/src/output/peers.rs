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

    fn tails(&self, node: NodeId, attempts: &BTreeSet<Attempt>) -> mpsc::Receiver<Tail> {
        let (sender, found) = mpsc::channel(PIECES_MAX);
        let wanted = KeptTails {
            node_id: node.to_bytes(),
            attempts: attempts.iter().map(|attempt| (*attempt).into()).collect(),
        };
        // All at once: one that is away must not keep what others have.
        for other in self.contacts.others() {
            let (dialer, wanted, sender) = (self.dialer.clone(), wanted.clone(), sender.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = hand_over(&dialer, other, wanted, &sender) => {}
                    () = sender.closed() => {}
                }
            });
        }
        found
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

/// Hands over what one control node has kept.
async fn hand_over(dialer: &Dialer, other: NodeId, wanted: KeptTails, sender: &mpsc::Sender<Tail>) {
    let Ok(mut pieces) = dialer.copy(other, CopyWanted::Tails(wanted)).await else { return };
    while let Ok(Some(Piece { bytes, last: false, .. })) = pieces.message().await {
        let Ok(tail) = Tail::decode(bytes.as_slice()) else { return };
        if sender.send(tail).await.is_err() {
            return;
        }
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
