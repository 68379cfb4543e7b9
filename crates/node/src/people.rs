//! Requests of people and programs at a node that only works: it has no state to answer them from, so a control node
//! does.
//!
//! It must never ask twice: what may have arrived is said to be unknown, and only whoever made the request knows
//! whether it may be made again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::NodeId;
use peer::{Dialer, Uncallable};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;

use crate::cluster::contacts::Contacts;
use crate::error::Refused;

/// How long a control node that has answered is taken to be there.
const FRESH: Duration = Duration::from_secs(1);
/// How long one may take to say that it is there.
const THERE: Duration = Duration::from_secs(2);

/// An answer that is on its way.
pub type Answer<'a> = Pin<Box<dyn Future<Output = http::Response<Body>> + Send + 'a>>;

/// Answers requests that were made at other nodes. It knows HTTP, which the node does not.
pub trait People: Send + Sync + 'static {
    /// Answers one, which the node has handed on. That says nothing about who made it.
    fn answer(&self, from: NodeId, request: http::Request<Body>) -> Answer<'_>;
}

/// The way to a control node that answers.
pub(crate) struct HandOn {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) contacts: Arc<Contacts>,
    /// Where the session is, which is left where nobody leads.
    pub(crate) session: watch::Receiver<Option<NodeId>>,
    pub(crate) last: Mutex<Option<(NodeId, Instant)>>,
}

impl HandOn {
    /// Has a control node answer.
    pub(crate) async fn answer(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Refused> {
        let node = self.node().await.ok_or_else(nobody)?;
        let answered = self.dialer.hand_on(node, request).await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = answered.is_ok().then(|| (node, Instant::now()));
        answered.map_err(|error| match error {
            Uncallable::NoAddress(_) | Uncallable::Unconnected { .. } => nobody(),
            Uncallable::Refused { why, .. } => Refused::Unavailable(why),
            Uncallable::Unreachable { .. } => Refused::OutcomeUnknown,
        })
    }

    /// One that is there: the one that has answered just now, or that the session is with, or any.
    async fn node(&self) -> Option<NodeId> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((node, at)) = last
            && at.elapsed() < FRESH
        {
            return Some(node);
        }
        let session = *self.session.borrow();
        let others = self.contacts.all().into_iter().map(|(node, _)| node);
        for node in session.into_iter().chain(others.filter(|node| Some(*node) != session)) {
            // Of the way that the request will take: whatever is answered, somebody answers.
            let asked = self.dialer.hand_on(node, http::Request::new(Body::empty()));
            if let Ok(Ok(_)) = tokio::time::timeout(THERE, asked).await {
                return Some(node);
            }
        }
        None
    }
}

fn nobody() -> Refused {
    Refused::Unavailable(
        "this node only works, and no control node answers it\nhint: try again; `windlass cluster status` at a control node tells which are there"
            .to_owned(),
    )
}
