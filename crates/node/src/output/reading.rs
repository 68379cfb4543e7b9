//! A reading of output, wherever that lies: pieces come until it ends or is cut off.

use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::Piece;

/// Why a reading ended before all was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// For people.
    pub(crate) why: String,
    /// It may be begun again, from the places that were reached.
    pub(crate) retry: bool,
}

impl Broken {
    /// It was cut off.
    pub(crate) fn cut(why: impl Into<String>) -> Broken {
        Broken { why: why.into(), retry: true }
    }

    /// It would fail again.
    pub(crate) fn failed(why: impl Into<String>) -> Broken {
        Broken { why: why.into(), retry: false }
    }
}

/// Who hears what was taken of a reading; it ends the reading when it is dropped.
pub(super) trait Taken: Send + Sync {
    /// A piece of this cost was taken.
    fn taken(&mut self, cost: usize);
}

/// The reader's end. Dropping it ends the reading.
pub(crate) struct Reading {
    pieces: mpsc::Receiver<Result<Piece, Broken>>,
    taken: Option<Box<dyn Taken>>,
}

impl Reading {
    /// Pieces from a sender that waits for room.
    pub(super) fn new(pieces: mpsc::Receiver<Result<Piece, Broken>>) -> Reading {
        Reading { pieces, taken: None }
    }

    /// Pieces from a sender that is told what it may send.
    pub(super) fn with(
        pieces: mpsc::Receiver<Result<Piece, Broken>>,
        taken: Box<dyn Taken>,
    ) -> Reading {
        Reading { pieces, taken: Some(taken) }
    }

    /// One without anything in it; `follow`: it goes on all the same.
    pub(super) fn nothing(follow: bool) -> Reading {
        let (sender, pieces) = mpsc::channel(1);
        if follow {
            let caught_up = Piece { chunks: Vec::new(), caught_up: true };
            let _ = sender.try_send(Ok(caught_up)); // There is room for one.
            tokio::spawn(async move { sender.closed().await });
        }
        Reading::new(pieces)
    }

    /// Pieces that wait to be taken.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.pieces.len()
    }

    /// The next piece; `None` when all was read.
    pub(crate) async fn next(&mut self) -> Option<Result<Piece, Broken>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Reading::next`].
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, Broken>>> {
        let next = self.pieces.poll_recv(context);
        if let (Poll::Ready(Some(Ok(piece))), Some(taken)) = (&next, &mut self.taken) {
            taken.taken(piece.cost());
        }
        next
    }
}
