//! One reader for a run: the output of its attempts merged by time, so far or as it comes.
//!
//! What has ended is listed by the last frame of each attempt, what has not by the supervisor. A
//! reader that is slow keeps only itself waiting: what it has not taken stays on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use history::{States, Told};
use model::{Attempt, Element, Ending, Outcome, OutputRef, TaskPosition};
use proto::supervisor::Extent;
use runner::output::{Merge, Stream};
use tokio::sync::mpsc;

use crate::error::Refused;
use crate::live::News;
use crate::query::{self, Resolved};
use crate::shared::Shared;
use crate::view::View;

/// Chunks between the disk and a reader.
const CHUNKS_MAX: usize = 64;
/// Chunks that one stay on a blocking thread reads.
const READ_AT_ONCE: usize = 16;

/// What of a run's output is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogsRequest {
    /// Go on until everything selected has ended.
    pub follow: bool,
    /// Which streams.
    pub streams: Streams,
}

/// Which streams are wanted. Marks of Windlass itself are always shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streams {
    /// Both.
    #[default]
    Both,
    /// Standard output alone.
    Stdout,
    /// Standard error alone.
    Stderr,
}

/// Some output of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Who wrote it.
    pub attempt: Attempt,
    /// 1: standard output, 2: standard error, 3: a mark of Windlass itself.
    pub stream: u8,
    /// When, Unix microseconds.
    pub time_us: u64,
    /// The bytes as they were written.
    pub data: Vec<u8>,
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
pub(crate) fn start(shared: Arc<Shared>, resolved: Resolved, request: LogsRequest) -> Logs {
    let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
    let task_names = resolved.spec.tasks.iter().map(|task| task.name.clone()).collect();
    let elements: u64 =
        (resolved.spec.tasks.iter()).map(|task| u64::from(task.indices().count())).sum();
    let reader = Reader { shared, resolved, request, sender, merge: Some(Merge::default()) };
    tokio::spawn(async move {
        let sender = reader.sender.clone();
        if let Err(refused) = reader.run().await {
            let _ = sender.send(Err(refused)).await; // The reader may have gone.
        }
    });
    Logs { chunks, task_names, many: elements > 1 }
}

/// What is said in place of output whose facts are damaged.
const DAMAGED: &str = "history is damaged there: the output of this element, and perhaps of some that follow, cannot be found";

/// Ended attempts, each with what lists its output and how many bytes it wrote.
type Ended = Vec<(Attempt, List, u64)>;

/// What lists the output of an attempt that has ended.
#[derive(Clone, Copy)]
enum List {
    /// Its last frame.
    End(OutputRef),
    /// Its supervisor was killed before that; what was found of it then was kept, if any was.
    Lost,
    /// Nothing: its facts are damaged.
    Damaged,
}

/// More of an attempt's output.
enum More {
    /// It lies there.
    Extents(Vec<Extent>),
    /// All that was found of an attempt that ended with its supervisor lies there.
    Lost(Vec<Extent>),
    /// Nothing says where it lies, for this reason.
    Unlisted(String),
}

struct Reader {
    shared: Arc<Shared>,
    resolved: Resolved,
    request: LogsRequest,
    sender: mpsc::Sender<Result<Chunk, Refused>>,
    /// `None` while a blocking thread reads with it.
    merge: Option<Merge>,
}

impl Reader {
    async fn run(mut self) -> Result<(), Refused> {
        let shared = self.shared.clone();
        let run = self.resolved.run;
        let mut news = shared.watchers.subscribe(run);
        // Followed first and looked up then: what ends in between is found by the look-up.
        let (live, follower) = shared.live.follow(run);
        let view = shared.views.borrow().clone();
        self.refresh(&view).await?;
        let ended = shared.aside(|| self.ended_output(&shared)).await?;
        let mut found = listed(&shared, ended).await?;
        for (attempt, extents) in live {
            found.entry(attempt).or_insert(More::Extents(extents));
        }
        self.read(found).await?;
        let mut stopped = shared.stopped.clone();
        while self.request.follow {
            news.mark_unchanged();
            let view = shared.views.borrow().clone();
            let over = self.is_over(&view).await?;
            let fresh = follower.take();
            if fresh.is_empty() && over {
                return self.read_rest(&shared).await;
            }
            let more = |(attempt, news): (Attempt, News)| match news.lost {
                true => (attempt, More::Lost(news.extents)),
                false => (attempt, More::Extents(news.extents)),
            };
            self.read(fresh.into_iter().map(more).collect()).await?;
            if self.sender.is_closed() {
                return Ok(());
            }
            if over {
                continue;
            }
            tokio::select! {
                () = follower.rung() => {}
                _ = news.changed() => {}
                () = self.sender.closed() => return Ok(()),
                _ = stopped.wait_for(|stopped| stopped.is_some()) => {
                    return Err(Refused::Unavailable("the node stops".to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Reads what a follower was never told of: a supervisor does not speak of output while its
    /// daemon is slow to listen, nor when it is killed. The last frame lists all, or what was found
    /// when it was missing.
    async fn read_rest(&mut self, shared: &Shared) -> Result<(), Refused> {
        let mut ended = shared.aside(|| self.ended_output(shared)).await?;
        let Some(merge) = &self.merge else { return Ok(()) };
        ended.retain(|(attempt, list, bytes)| {
            matches!(list, List::Lost) || merge.position(*attempt) < *bytes
        });
        let rest = listed(shared, ended).await?;
        self.read(rest).await
    }

    /// What lists the output of the selected attempts that history knows, and its length.
    fn ended_output(&self, shared: &Shared) -> Ended {
        let run = self.resolved.run;
        let mut found = Vec::new();
        for (task, ordinals) in &self.resolved.tasks {
            let array = self.resolved.spec.tasks[*task as usize].indices();
            let attempt = |ordinal, number| {
                let element = Element { run, task: *task, index: array.index(ordinal) };
                Attempt { element, number }
            };
            for told in shared.history.elements(run, *task, ordinals, States::ANY) {
                match told {
                    Told::Attempt(fact) => {
                        let attempt = attempt(fact.ordinal, fact.number);
                        if let Some(list) = list(&fact.outcome).filter(|_| self.selects(attempt)) {
                            found.push((attempt, list, fact.outcome.output_bytes));
                        }
                    }
                    Told::Ended(..) => {}
                    Told::Damaged(range) => {
                        // One word for all of them, where the first of them would be.
                        if let Some(first) = ordinals.ranges_from(*range.start()).next() {
                            let first = (*first.start()).max(*range.start());
                            let number = self.resolved.attempt.unwrap_or(1);
                            found.push((attempt(first, number), List::Damaged, u64::MAX));
                        }
                    }
                }
            }
        }
        found
    }

    fn selects(&self, attempt: Attempt) -> bool {
        let element = attempt.element;
        self.resolved.attempt.is_none_or(|number| number == attempt.number)
            && self.resolved.tasks.iter().any(|(task, ordinals)| {
                let array = self.resolved.spec.tasks[*task as usize].indices();
                *task == element.task
                    && array.ordinal(element.index).is_some_and(|at| ordinals.contains(at))
            })
    }

    async fn refresh(&mut self, view: &View) -> Result<(), Refused> {
        if !self.resolved.is_current(view) {
            self.shared.aside(|| self.resolved.refresh(&self.shared.history)).await??;
        }
        Ok(())
    }

    async fn is_over(&mut self, view: &View) -> Result<bool, Refused> {
        self.refresh(view).await?;
        let progress = query::progress(view, &self.resolved);
        Ok(progress.ended >= progress.total)
    }

    /// Reads these stretches and sends them. A thread that may wait reads, but never for whoever
    /// takes what was read: many who do not would use up all of those threads.
    async fn read(&mut self, mut found: BTreeMap<Attempt, More>) -> Result<(), Refused> {
        found.retain(|attempt, _| self.selects(*attempt));
        if found.is_empty() {
            return Ok(());
        }
        loop {
            let Some(mut merge) = self.merge.take() else { return Ok(()) };
            let (output, found) = (self.shared.output.clone(), std::mem::take(&mut found));
            let reading = tokio::task::spawn_blocking(move || {
                for (attempt, more) in found {
                    match more {
                        More::Extents(extents) => merge.extend(&output, attempt, &extents),
                        More::Lost(extents) => merge.lost(&output, attempt, &extents),
                        More::Unlisted(why) => merge.unlisted(&output, attempt, &why),
                    }
                }
                let chunks: Vec<_> = merge.by_ref().take(READ_AT_ONCE).collect();
                (merge, chunks)
            });
            let (merge, chunks) =
                reading.await.map_err(|error| Refused::Failed(error.to_string()))?;
            self.merge = Some(merge);
            let more = chunks.len() == READ_AT_ONCE;
            for chunk in chunks {
                let chunk = match chunk {
                    Ok(chunk) if !wanted(self.request.streams, chunk.stream) => continue,
                    Ok(chunk) => Ok(Chunk {
                        attempt: chunk.attempt,
                        stream: chunk.stream as u8,
                        time_us: chunk.time_us,
                        data: chunk.data,
                    }),
                    Err(error) => Err(Refused::Failed(describe(&error))),
                };
                if self.sender.send(chunk).await.is_err() {
                    return Ok(());
                }
            }
            if !more || self.sender.is_closed() {
                return Ok(());
            }
        }
    }
}

/// What lists an ended attempt's output, if it may have any.
fn list(outcome: &Outcome) -> Option<List> {
    match outcome.output {
        Some(at) => Some(List::End(at)),
        None => (outcome.ending == Ending::Gone).then_some(List::Lost),
    }
}

/// Reads where all output of these lies: a file is opened for each, so a thread that may wait does.
/// What cannot be found for one is said of that one, and keeps nobody from the others.
async fn listed(shared: &Shared, ended: Ended) -> Result<BTreeMap<Attempt, More>, Refused> {
    let output = shared.output.clone();
    let more = move |attempt, list| match list {
        List::End(at) => output.ended(at).map(|extents| Some(More::Extents(extents))),
        List::Lost => output.lost(attempt).map(|extents| extents.map(More::Lost)),
        List::Damaged => Ok(Some(More::Unlisted(DAMAGED.to_owned()))),
    };
    let read = move || {
        let each = ended.into_iter().filter_map(|(attempt, list, _)| {
            let found = more(attempt, list);
            let more = found.unwrap_or_else(|error| Some(More::Unlisted(describe(&error))));
            Some((attempt, more?))
        });
        each.collect()
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| Refused::Failed(error.to_string()))
}

fn wanted(streams: Streams, stream: Stream) -> bool {
    match streams {
        Streams::Both => true,
        Streams::Stdout => stream != Stream::Stderr,
        Streams::Stderr => stream != Stream::Stdout,
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
