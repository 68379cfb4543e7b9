//! What each control node keeps on a disk of its own, beside the journal, and gives to the others:
//! lists of items, history, and the last of what attempts wrote.
//!
//! ```text
//!  submit    lists     a majority of the voters has a list before a job that names it is committed
//!  later     lists     whoever lacks one fetches it: when it is asked for, or is seen to be named
//!  read      tails     a node that was away when a tail was handed on asks for it when it is wanted
//!  snapshot  history   a node that goes on from another one's snapshot takes that one's history
//! ```
//!
//! It must never say that something is kept before it is on disk, nor take what does not have the
//! hash, or does not cover the entries, that it was asked for.

mod hand_out;
mod history;
mod lists;
pub(crate) mod tails;

use std::sync::Arc;
use std::time::Duration;

use ::history::History;
use model::{Items, NodeId};
use peer::service::Refused as Turned;
use proto::peer::{Piece, copy_request::Wanted};
use tokio::sync::mpsc;
use tonic::Streaming;

pub(crate) use self::history::{Copier, Filling};
pub(crate) use hand_out::hand_out;
pub(crate) use lists::{Lists, named_by_live_runs};

use crate::output::Tails;

/// Bytes of one piece.
const PIECE_BYTES: usize = 256 << 10;
/// How long a piece may take.
const STALL: Duration = Duration::from_secs(30);

/// The next piece; an error says why there is none, though the last one has not come.
async fn next(pieces: &mut Streaming<Piece>) -> Result<Piece, String> {
    let piece = tokio::time::timeout(STALL, pieces.message()).await;
    let piece = piece.map_err(|_| "it stands still".to_owned())?;
    let piece = piece.map_err(|status| status.message().to_owned())?;
    piece.ok_or_else(|| "it was cut off".to_owned())
}

/// Serves other control nodes.
pub(crate) struct Copies {
    pub(crate) lists: Arc<Lists>,
    pub(crate) history: Arc<History>,
    pub(crate) tails: Arc<Tails>,
}

impl Copies {
    /// Keeps a list, which that node has.
    pub(crate) async fn keep_list(&self, from: NodeId, list: Items) -> Result<(), Turned> {
        let kept = self.lists.count_from(&[from], list).await;
        kept.map(|_| ()).map_err(|fault| Turned::Unavailable(format!("the list: {fault}")))
    }

    /// Sends what is wanted.
    pub(crate) async fn send(
        &self,
        wanted: Wanted,
        pieces: mpsc::Sender<Piece>,
    ) -> Result<(), Turned> {
        match wanted {
            Wanted::List(list) => {
                let list = Items::try_from(list);
                let list = list.map_err(|error| Turned::Unavailable(error.to_string()))?;
                self.lists.send(list, pieces).await
            }
            Wanted::Tails(wanted) => tails::send(self.tails.clone(), wanted, pieces).await,
            Wanted::History(wanted) => {
                history::send(self.history.clone(), wanted.through, pieces).await
            }
        }
    }
}
