//! What every handle of a node, and those who read for one, share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use history::History;
use journal::raft::Raft;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::beside::in_place;
use crate::blobs::Blobs;
use crate::cluster::door::Door;
use crate::cluster::health::Seen;
use crate::cluster::own::Own;
use crate::cluster::ways::Ways;
use crate::connected::Told;
use crate::control;
use crate::copies::Lists;
use crate::disk::Disk;
use crate::error::Refused;
use crate::events::Ring;
use crate::info::{Info, Stopped};
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::output;
use crate::people::People;
use crate::secrets::Secrets;
use crate::token_uses::Uses;
use crate::traces::Traces;
use crate::view::View;
use crate::watchers::Watchers;

/// What every handle of a node shares.
pub(crate) struct Shared {
    pub(crate) info: Info,
    /// Who this node is to others.
    pub(crate) own: Arc<Own>,
    /// The way to the leader.
    pub(crate) ways: Ways,
    /// How the machines of the voters are.
    pub(crate) health: watch::Receiver<Seen>,
    pub(crate) door: Arc<Door>,
    /// What the leader has told of who is connected.
    pub(crate) told: Told,
    /// How long a certificate that is issued here is good for.
    pub(crate) certificate_life: Duration,
    pub(crate) journal: Arc<Raft>,
    pub(crate) requests: mpsc::Sender<control::Input>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) history: Arc<History>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) lists: Arc<Lists>,
    pub(crate) keeper: Keeper,
    pub(crate) outputs: Arc<output::Ways>,
    pub(crate) disk: Arc<Disk>,
    /// Bounds how many requests read history at once: each takes a thread while it does.
    pub(crate) readers: Arc<Semaphore>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Arc<Ring>,
    pub(crate) token_uses: Uses,
    pub(crate) traces: Option<Arc<Traces>>,
    pub(crate) secrets: Arc<Secrets>,
    /// Who answers what nodes that only work hand on, once there is somebody.
    pub(crate) people: Mutex<Option<Arc<dyn People>>>,
    /// Attempts that run here, as the worker part counts them.
    pub(crate) running: Arc<AtomicU64>,
    /// Set once, to take the node down.
    pub(crate) down: watch::Sender<bool>,
    pub(crate) stopped: watch::Receiver<Option<Stopped>>,
}

impl Shared {
    /// Who answers what other nodes hand on.
    pub(crate) fn people(&self) -> Option<Arc<dyn People>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this answers it; it may hold a handle, so that it has to be taken back at the end.
    pub(crate) fn set_people(&self, people: Option<Arc<dyn People>>) {
        *self.people.lock().unwrap_or_else(PoisonError::into_inner) = people;
    }

    /// As [`aside`], with the turns of all requests of this node.
    pub(crate) async fn aside<T>(&self, look: impl FnOnce() -> T) -> Result<T, Refused> {
        aside(&self.readers, look).await
    }
}

/// Looks into history, which may take the disk's time: a few at once, and no other call waits for
/// them.
pub(crate) async fn aside<T>(turns: &Semaphore, look: impl FnOnce() -> T) -> Result<T, Refused> {
    let turn = turns.acquire().await;
    let _turn = turn.map_err(|_| Refused::Unavailable("the node stops".to_owned()))?;
    Ok(in_place(look))
}
