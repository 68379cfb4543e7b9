//! How far an array has come, asked for beside its output; only a person at a terminal wants it.

use proto::api::wait_event::Kind;
use proto::api::{WaitProgress, WaitRequest};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::show::progress::Progress;

/// The bar under the output. It is a comfort: where the node does not tell, there is none.
pub(super) struct Bar {
    progress: Progress,
    wanted: bool,
    source: Option<Source>,
}

struct Source {
    latest: watch::Receiver<WaitProgress>,
    task: JoinHandle<()>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bar {
    pub(super) fn new(wanted: bool) -> Bar {
        let progress = Progress::new();
        Bar { wanted: wanted && progress.is_seen(), progress, source: None }
    }

    /// The run has a number, under which the node can be asked; `client` may be a new connection.
    pub(super) fn begin(&mut self, client: &Client, run: u64) {
        if !self.wanted {
            return;
        }
        let (sender, latest) = watch::channel(WaitProgress::default());
        let mut rpc = client.rpc.clone();
        let task = tokio::spawn(async move {
            let request = WaitRequest { ids: vec![run.to_string()] };
            let Ok(answer) = rpc.wait(request).await else { return };
            let mut events = answer.into_inner();
            while let Ok(Some(event)) = events.message().await {
                if let Some(Kind::Progress(at)) = event.kind {
                    sender.send_replace(at);
                }
            }
        });
        self.source = Some(Source { latest, task });
    }

    /// Waits for the next step, and shows it. Never ends where there is nothing more to come.
    pub(super) async fn step(&mut self) {
        let Some(source) = &mut self.source else { return std::future::pending().await };
        if source.latest.changed().await.is_err() {
            self.source = None;
            return;
        }
        let at = *source.latest.borrow_and_update();
        self.progress.update("ended", at.ended, at.total);
    }

    /// Writes to the terminal with the bar out of the way.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.progress.beside(write)
    }

    /// Takes it away, until the next step; whether it was there.
    pub(super) fn clear(&mut self) -> bool {
        self.progress.clear()
    }
}
