//! What is kept of the output of nodes, for another control node that lacks some of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Attempt, NodeId};
use peer::service::Refused as Turned;
use prost::Message;
use proto::peer::Piece;
use proto::peer::copy_request::KeptTails;
use tokio::sync::mpsc;

use crate::output::{ASKED_MAX, Tails};

/// Sends those that are here.
pub(crate) async fn send(
    tails: Arc<Tails>,
    wanted: KeptTails,
    pieces: mpsc::Sender<Piece>,
) -> Result<(), Turned> {
    let turned = |why: &str| Turned::Unavailable(format!("the tails: {why}"));
    let node = NodeId::from_bytes(&wanted.node_id).ok_or_else(|| turned("no node has this id"))?;
    let attempts = wanted.attempts.into_iter().take(ASKED_MAX).map(Attempt::from);
    let attempts: BTreeSet<Attempt> = attempts.collect();
    let sent = tokio::task::spawn_blocking(move || {
        let piece = |bytes, last| Piece { file: None, bytes, last };
        tails.each(node, &attempts, |tail| {
            pieces.blocking_send(piece(tail.encode_to_vec(), false)).is_ok()
        });
        let _ = pieces.blocking_send(piece(Vec::new(), true)); // Whoever asked may have gone.
    });
    sent.await.map_err(|error| turned(&error.to_string()))
}
