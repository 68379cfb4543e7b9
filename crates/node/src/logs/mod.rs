//! One reader for a run: the output of its attempts merged by time, so far or as it comes, on
//! whatever nodes they ran.
//!
//! Where an attempt ran is known from the state while it lives, and from history when it has ended;
//! how its output comes from there is not looked at here. A reader that is slow keeps only itself
//! waiting: what it has not taken stays where it is.

mod away;
mod reader;
mod whereabouts;

use model::TaskPosition;
use tokio::sync::mpsc;

use crate::error::Refused;
use crate::output::{Chunk, Streams};
use crate::query::Resolved;
use crate::shared::Shared;
use reader::{Desk, Reader};

/// Chunks between the nodes and a reader.
const CHUNKS_MAX: usize = 64;

/// What of a run's output is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogsRequest {
    /// Go on until everything selected has ended.
    pub follow: bool,
    /// Which streams.
    pub streams: Streams,
}

/// Output as it is read.
#[derive(Debug)]
pub struct Logs {
    chunks: mpsc::Receiver<Result<Chunk, Refused>>,
    task_names: Vec<String>,
    many: bool,
}

impl Logs {
    /// The next chunk; `None` when there is no more.
    pub async fn next(&mut self) -> Option<Result<Chunk, Refused>> {
        self.chunks.recv().await
    }

    /// The name of a task of the run.
    pub fn task_name(&self, task: TaskPosition) -> &str {
        self.task_names.get(task as usize).map_or("", String::as_str)
    }

    /// Whether the run has several elements, so that a line needs to say whose it is.
    pub fn is_many(&self) -> bool {
        self.many
    }
}

/// Starts reading.
pub(crate) fn start(shared: &Shared, resolved: Resolved, request: LogsRequest) -> Logs {
    let desk = Desk {
        views: shared.views.clone(),
        watchers: shared.watchers.clone(),
        history: shared.history.clone(),
        readers: shared.readers.clone(),
        ways: shared.outputs.clone(),
        stopped: shared.stopped.clone(),
    };
    start_on(desk, resolved, request)
}

fn start_on(desk: Desk, resolved: Resolved, request: LogsRequest) -> Logs {
    let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
    let task_names = resolved.spec.tasks.iter().map(|task| task.name.clone()).collect();
    let elements: u64 =
        (resolved.spec.tasks.iter()).map(|task| u64::from(task.indices().count())).sum();
    let reader = Reader::new(desk, resolved, request, sender.clone());
    tokio::spawn(async move {
        if let Err(refused) = reader.run().await {
            let _ = sender.send(Err(refused)).await; // The reader may have gone.
        }
    });
    Logs { chunks, task_names, many: elements > 1 }
}

#[cfg(test)]
mod tests;
