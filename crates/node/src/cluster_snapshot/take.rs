//! Taking a snapshot of the cluster from a node that serves.
//!
//! It is of everything that was acknowledged before it was asked for. The work goes on meanwhile: a
//! view of the state costs nothing, and a thread of its own writes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, mpsc};

use super::Head;
use super::write::{Broken, write};
use crate::copies::named_by_live_runs;
use crate::error::Refused;
use crate::handle::Handle;

/// Snapshots on their way out at one time.
static PLACES: Semaphore = Semaphore::const_new(2);
/// When to try again where others are on their way.
const PLACE_WITHIN: Duration = Duration::from_secs(10);
/// Pieces that wait for a slow reader; beyond them the writing waits.
const WAITING_MAX: usize = 4;

/// A snapshot on its way out.
pub struct Taking {
    /// Of what it is.
    pub head: Head,
    pieces: mpsc::Receiver<Vec<u8>>,
}

impl Taking {
    /// The next bytes; `None` behind the last. Cut off where the node ends, which its reader is told
    /// by the bytes themselves.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.pieces.recv().await
    }
}

impl Handle {
    /// Takes a snapshot of the cluster.
    pub async fn take_snapshot(&self) -> Result<Taking, Refused> {
        let Ok(place) = PLACES.try_acquire() else {
            return Err(Refused::Overloaded {
                why: "as many snapshots as may be are on their way out".to_owned(),
                retry_after: PLACE_WITHIN,
            });
        };
        let view = self.view().await?;
        for list in named_by_live_runs(&view) {
            // Where it is nowhere the snapshot goes without it, and says so.
            let _ = self.shared.lists.count(list).await;
        }
        let founded = || Refused::Unavailable("the cluster is not founded yet".to_owned());
        let cluster = view.state.cluster().ok_or_else(founded)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = Head {
            cluster_id: cluster.id.0,
            incarnation: cluster.incarnation,
            index: view.state.applied(),
            taken_ms: now.as_millis() as u64,
            version: self.info().version.clone(),
            level: machine::LEVEL,
        };
        let (sender, pieces) = mpsc::channel(WAITING_MAX);
        let (blobs, told) = (self.shared.blobs.clone(), head.clone());
        let state = view.state.clone();
        tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut sink = |piece| sender.blocking_send(piece).map_err(|_| Broken);
            let lists = |items| blobs.verified(items);
            if write(&told, &state, &lists, &mut sink).is_err() {
                tracing::debug!("a snapshot was broken off");
            }
        });
        Ok(Taking { head, pieces })
    }
}
