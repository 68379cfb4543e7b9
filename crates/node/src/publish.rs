//! What adds facts to history and then publishes: whoever sees a state finds all facts
//! up to it.
//!
//! It takes whatever queued up meanwhile, so that a burst of batches is one view. It never waits
//! for a disk, unless far too much waits to be written: that is the keeper's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use history::{Fact, History};
use machine::{Event, State};
use model::{Attempt, RunId};
use reactor::control::Connections;
use tokio::sync::{mpsc, watch};

use crate::copies::{Copier, Filling};
use crate::events::{self, Ring};
use crate::facts::{facts, worst};
use crate::keeper::Keeper;
use crate::live::LiveOutput;
use crate::metrics::Metrics;
use crate::traces::{Commit, Traces};
use crate::view::View;
use crate::watchers::Watchers;

/// What is to be published, in order.
pub(crate) enum Publish {
    /// An entry of the journal is applied; `commit` is there where traces tell of it.
    Happened { events: Vec<Event>, state: State, commit: Option<Commit> },
    /// A snapshot stands for all entries up to this one.
    Restored(u64),
    /// The files of another node's history are here, or could not be had.
    Copied(bool),
    /// The workers' sessions changed.
    Connections(Connections),
}

/// Why nothing more can be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// History cannot be written.
    #[error(transparent)]
    Written(#[from] history::Error),
    /// Another node's history cannot be opened here.
    #[error(transparent)]
    Opened(#[from] history::OpenError),
}

/// Entries taken at once at most.
const ENTRIES_MAX: usize = 1024;

/// The publisher.
pub(crate) struct Publisher {
    pub(crate) history: Arc<History>,
    pub(crate) keeper: Keeper,
    pub(crate) views: watch::Sender<Arc<View>>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) live: Arc<LiveOutput>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Arc<Ring>,
    pub(crate) traces: Option<Arc<Traces>>,
    /// Where a snapshot stands for entries that were never seen here.
    pub(crate) copier: Copier,
    /// Where that is told; it keeps nobody here.
    pub(crate) told: mpsc::WeakSender<Publish>,
}

/// What a stretch of entries amounts to.
#[derive(Default)]
struct News {
    entries: Vec<(u64, Vec<Fact>)>,
    runs: BTreeSet<RunId>,
    ended: Vec<Attempt>,
    /// What changed, by the index of its entry.
    changes: Vec<(u64, Vec<events::Event>)>,
    /// The last entry that a snapshot stands for, and the last that was told before it in this stretch.
    restored: Option<(u64, Option<u64>)>,
    /// The files of another history are here, or not to be had.
    copied: Option<bool>,
}

impl Publisher {
    /// Runs until the control part ends. An error means that history cannot be written.
    pub(crate) async fn run(&self, inbox: &mut mpsc::Receiver<Publish>) -> Result<(), Failed> {
        // No other node, and no other life of this one, counts from here.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let connections_version = since.as_micros() as u64;
        let mut view = View { connections_version, ..View::default() };
        let mut filling: Option<Filling> = None;
        while let Some(first) = inbox.recv().await {
            let mut news = News::default();
            self.take(first, &mut view, &mut news);
            for _ in 1..ENTRIES_MAX {
                let Ok(next) = inbox.try_recv() else { break };
                self.take(next, &mut view, &mut news);
            }
            if filling.is_none()
                && let Some(index) = self.lacks(&news)
            {
                self.history.set_awaiting(true);
                let told = self.told.clone();
                self.copier.begin(index, async move |copied| {
                    if let Some(told) = told.upgrade() {
                        let _ = told.send(Publish::Copied(copied)).await;
                    }
                });
                filling = Some(Filling::default());
            }
            self.keep(news.entries, news.copied, &mut filling)?;
            self.views.send_replace(Arc::new(view.clone()));
            self.live.forget(&news.ended);
            // Whoever hears of a change finds it in the view.
            news.changes.into_iter().for_each(|(index, changes)| self.events.add(index, changes));
            news.runs.iter().for_each(|run| self.watchers.notify(*run));
        }
        self.events.close();
        Ok(())
    }

    /// The entry up to which history has a hole: what a snapshot stands for was never seen here.
    fn lacks(&self, news: &News) -> Option<u64> {
        let (index, before) = news.restored?;
        let lacks = match before {
            Some(before) => index > before,
            None => self.history.lacks_through(index),
        };
        lacks.then_some(index)
    }

    /// Gives facts to history, or keeps them for it while the files of another one come.
    fn keep(
        &self,
        entries: Vec<(u64, Vec<Fact>)>,
        copied: Option<bool>,
        filling: &mut Option<Filling>,
    ) -> Result<(), Failed> {
        let Some(mut waiting) = filling.take() else { return self.add(entries) };
        let may_wait = waiting.add(entries);
        match copied {
            None if may_wait => {
                *filling = Some(waiting);
                return Ok(());
            }
            Some(true) => self.history.adopt()?,
            None | Some(false) => tracing::error!(
                "no other node has given the history of the entries before this node's snapshot: what ended before is not told here"
            ),
        }
        self.add(waiting.entries())?;
        self.history.set_awaiting(false);
        Ok(())
    }

    fn add(&self, entries: Vec<(u64, Vec<Fact>)>) -> Result<(), Failed> {
        let has_facts = entries.iter().any(|(_, facts)| !facts.is_empty());
        self.history.add(entries);
        if has_facts {
            self.keeper.added()?;
        }
        Ok(())
    }

    fn take(&self, publish: Publish, view: &mut View, news: &mut News) {
        match publish {
            Publish::Copied(copied) => news.copied = Some(copied),
            Publish::Restored(index) => {
                news.restored = Some((index, news.entries.last().map(|(last, _)| *last)));
            }
            Publish::Connections(connections) => {
                let state = &view.state;
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now_ms = now.as_millis() as u64;
                let changes = events::connections(&view.connections, &connections, state, now_ms);
                news.changes.push((state.applied(), changes));
                news.runs.extend(state.runs().ids());
                view.connections_version += 1;
                view.connections = connections;
            }
            Publish::Happened { events, state, commit } => {
                let index = state.applied();
                // An entry that is replayed has its facts on disk, unless they were damaged there.
                let facts = match self.history.wants(index) {
                    true => facts(&events, state.time_ms()),
                    false => Vec::new(),
                };
                news.entries.push((index, facts));
                news.changes.push((index, events::describe(&events, &state)));
                self.metrics.work.heard(&events);
                if let (Some(traces), Some(commit)) = (&self.traces, commit) {
                    traces.happened(&events, &state, commit);
                }
                if self.metrics.work.is_new() {
                    events.iter().for_each(|event| log(index, event));
                }
                for event in &events {
                    news.hear(event);
                }
                view.state = state;
            }
        }
    }
}

impl News {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::AttemptEnded(ended) => {
                self.runs.insert(ended.attempt.element.run);
                self.ended.push(ended.attempt);
            }
            Event::Started { attempt } => _ = self.runs.insert(attempt.element.run),
            Event::RunEnded { run, .. }
            | Event::ElementsEnded { run, .. }
            | Event::Assigned { run, .. } => {
                self.runs.insert(*run);
            }
            Event::Stop { attempts, .. } => {
                self.runs.extend(attempts.iter().map(|attempt| attempt.element.run));
            }
            Event::RunCreated { .. }
            | Event::NodeRegistered { .. }
            | Event::NodeLost { .. }
            | Event::NodeVoided { .. }
            | Event::NodeDraining { .. }
            | Event::NodeDrained { .. }
            | Event::NodeResumed { .. }
            | Event::NodeRemoved { .. }
            | Event::Withdraw { .. }
            | Event::PickRefused { .. }
            | Event::Changed(_) => {}
        }
    }
}

/// Logs what an operator looks for, with the entry of the journal that brought it about.
fn log(index: u64, event: &Event) {
    match event {
        Event::RunCreated { run } => tracing::debug!(run = run.0, index, "a run is submitted"),
        Event::RunEnded { run, last, .. } if tracing::enabled!(tracing::Level::DEBUG) => {
            let state = worst(last.counts().into_keys()).name();
            tracing::debug!(run = run.0, index, state, "a run has ended");
        }
        Event::NodeRegistered { node, epoch } => {
            tracing::debug!(%node, epoch, index, "a node is registered");
        }
        Event::NodeLost { node, epoch } => {
            tracing::warn!(%node, epoch, index, "a node is lost: what it ran is returned");
        }
        Event::NodeDraining { node } => {
            tracing::info!(%node, index, "a node is drained from now on");
        }
        Event::NodeDrained { node } => {
            tracing::info!(%node, index, "nothing is left on a drained node");
        }
        Event::NodeResumed { node } => {
            tracing::info!(%node, index, "a node is taken back into work");
        }
        Event::NodeRemoved { node, name } => {
            tracing::info!(%node, name, index, "a node is removed");
        }
        Event::PickRefused { run, reason } => {
            let reason = reason.name();
            tracing::debug!(run = run.0, index, reason, "what a plan picked is refused");
        }
        _ => {}
    }
}
