//! Reading what holds everything acknowledged before: the leader lets a majority confirm it, and the
//! answer comes from this node's own state once that is as far.

use std::sync::Arc;
use std::time::Duration;

use journal::raft::Progress;
use journal::{Journal, JournalError};
use proto::peer::{Barrier, ask, told};
use tokio::time::Instant;

use crate::cluster::ways::{LEADER_WITHIN, Unasked, Way, no_leader};
use crate::cluster::wire;
use crate::error::Refused;
use crate::handle::Handle;
use crate::view::View;

/// How long this node's own state may stay behind.
const APPLIED_WITHIN: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(20);

impl Handle {
    /// A view that holds everything acknowledged before it was asked for.
    pub async fn view(&self) -> Result<Arc<View>, Refused> {
        self.view_and_progress(false).await.map(|(view, _)| view)
    }

    /// As [`Handle::view`]; where it is asked for, with how far the leader knows the journals of the
    /// others to be.
    pub(crate) async fn view_and_progress(
        &self,
        progress: bool,
    ) -> Result<(Arc<View>, Vec<Progress>), Refused> {
        if self.is_stale {
            return Ok((self.view_here(), Vec::new()));
        }
        let until = Instant::now() + LEADER_WITHIN;
        loop {
            let why = match self.shared.ways.wait().await? {
                Way::Here => match self.shared.journal.barrier().await {
                    Ok(index) => {
                        let view = self.applied(index).await?;
                        let known = progress.then(|| self.shared.journal.progress());
                        return Ok((view, known.unwrap_or_default()));
                    }
                    Err(error @ JournalError::Dead { .. }) => {
                        return Err(Refused::Unavailable(error.to_string()));
                    }
                    Err(error) => Refused::Unavailable(error.to_string()),
                },
                Way::There(leader) => {
                    let barrier = Barrier { connections: self.shared.told.version(), progress };
                    match self.shared.ways.ask(leader, ask::Kind::Barrier(barrier)).await {
                        Ok(told::Kind::Confirmed(mut confirmed)) => {
                            let view = self.applied(confirmed.index).await?;
                            let known = std::mem::take(&mut confirmed.progress);
                            let known = known.iter().map(wire::progress_told).collect();
                            let (connections_version, connections) =
                                self.shared.told.take(confirmed);
                            let state = view.state.clone();
                            let view = View { state, connections, connections_version };
                            return Ok((Arc::new(view), known));
                        }
                        Err(Unasked::Refused(refused)) => refused,
                        Ok(_) | Err(Unasked::Nothing | Unasked::Unknown) => no_leader(),
                    }
                }
            };
            if Instant::now() >= until {
                return Err(why);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// What this node has applied by now, which may lack what was acknowledged since.
    pub fn view_now(&self) -> Arc<View> {
        self.shared.views.borrow().clone()
    }

    /// The same, with the connections that the leader has told last, where another node leads.
    fn view_here(&self) -> Arc<View> {
        let view = self.view_now();
        match self.shared.ways.now() {
            Some(Way::Here) => view,
            Some(Way::There(_)) | None => {
                let (connections_version, connections) = self.shared.told.known();
                Arc::new(View { state: view.state.clone(), connections, connections_version })
            }
        }
    }

    async fn applied(&self, index: u64) -> Result<Arc<View>, Refused> {
        let mut views = self.shared.views.clone();
        let applied = views.wait_for(|view| view.state.applied() >= index);
        match tokio::time::timeout(APPLIED_WITHIN, applied).await {
            Ok(Ok(view)) => Ok(view.clone()),
            Ok(Err(_)) => Err(Refused::Unavailable("the node stops".to_owned())),
            Err(_) => Err(Refused::Unavailable(
                "this node is far behind the leader; ask another one, or later".to_owned(),
            )),
        }
    }
}
