//! What every handle of a node, and those who read for one, share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use history::History;
use journal::raft::Raft;
use runner::output::Store;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::blobs::Blobs;
use crate::control;
use crate::error::Refused;
use crate::events::Ring;
use crate::info::{Info, Stopped};
use crate::keeper::Keeper;
use crate::live::LiveOutput;
use crate::metrics::Metrics;
use crate::secrets::Secrets;
use crate::token_uses::Uses;
use crate::traces::Traces;
use crate::upkeep::Disk;
use crate::view::View;
use crate::watchers::Watchers;

/// What every handle of a node shares.
pub(crate) struct Shared {
    pub(crate) info: Info,
    pub(crate) journal: Arc<Raft>,
    pub(crate) requests: mpsc::Sender<control::Input>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) history: Arc<History>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) keeper: Keeper,
    pub(crate) output: Arc<Store>,
    pub(crate) disk: Arc<Disk>,
    /// Bounds how many requests read history at once: each takes a thread while it does.
    pub(crate) readers: Semaphore,
    pub(crate) live: Arc<LiveOutput>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Arc<Ring>,
    pub(crate) token_uses: Uses,
    pub(crate) traces: Option<Arc<Traces>>,
    pub(crate) secrets: Arc<Secrets>,
    /// Attempts that run here, as the worker part counts them.
    pub(crate) running: Arc<AtomicU64>,
    /// Set once, to take the node down.
    pub(crate) down: watch::Sender<bool>,
    pub(crate) stopped: watch::Receiver<Option<Stopped>>,
}

impl Shared {
    /// Looks into history, which may take the disk's time: a few at once, and no other call waits
    /// for them.
    pub(crate) async fn aside<T>(&self, look: impl FnOnce() -> T) -> Result<T, Refused> {
        let turn = self.readers.acquire().await;
        let _turn = turn.map_err(|_| Refused::Unavailable("the node stops".to_owned()))?;
        Ok(tokio::task::block_in_place(look))
    }
}
