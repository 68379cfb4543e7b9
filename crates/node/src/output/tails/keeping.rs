//! Keeps the tails that nodes send, here and on the other control nodes.
//!
//! Here is a promise, which a report waits for; elsewhere is a favour with a limit. A cluster that
//! lost a worker and the control node it spoke to has the others' copies.

use std::sync::Arc;
use std::time::Duration;

use model::NodeId;
use proto::session::Tails as Message;
use tokio::sync::Semaphore;

use super::Tails;
use crate::output::elsewhere::Elsewhere;

/// How long the other control nodes are waited for.
const HAND_ON: Duration = Duration::from_millis(300);
/// Messages that are handed on at a time, which bounds the memory that they take; others stay here.
const HANDED_ON_MAX: usize = 16;

/// Keeps what nodes send.
pub(crate) struct Keeping {
    tails: Arc<Tails>,
    elsewhere: Option<Arc<dyn Elsewhere>>,
    room: Semaphore,
}

impl Keeping {
    /// Keeps in `tails`, and on the other control nodes where there are any.
    pub(crate) fn new(tails: Arc<Tails>, elsewhere: Option<Arc<dyn Elsewhere>>) -> Arc<Keeping> {
        Arc::new(Keeping { tails, elsewhere, room: Semaphore::new(HANDED_ON_MAX) })
    }

    /// Keeps tails of a node; what is not kept is said.
    pub(crate) async fn keep(&self, node: NodeId, message: Message) {
        let message = Arc::new(message);
        tokio::join!(self.keep_here(node, message.clone()), self.hand_on(node, message));
    }

    /// As [`Keeping::keep`], for what another control node hands on.
    pub(crate) async fn keep_here(&self, node: NodeId, message: Arc<Message>) {
        let tails = self.tails.clone();
        let kept = tokio::task::spawn_blocking(move || tails.keep(node, &message.tails)).await;
        let error = match kept {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(%node, error, "the last of some output of the node cannot be kept here");
    }

    async fn hand_on(&self, node: NodeId, message: Arc<Message>) {
        let Some(elsewhere) = &self.elsewhere else { return };
        let handed = async {
            let _room = self.room.acquire().await.ok()?;
            elsewhere.keep(node, message).await;
            Some(())
        };
        // It is kept here; the next may find them in time.
        let _ = tokio::time::timeout(HAND_ON, handed).await;
    }
}
