//! The thread that writes history and then publishes: whoever sees a state finds all facts up to
//! it.
//!
//! It takes whatever queued up while it wrote, so that a burst of batches is one write. Writes are
//! not durable one by one; a second after the last one they are made so.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use history::{Fact, History};
use machine::{Event, State};
use model::{Attempt, NodeId, RunId};
use reactor::control::Connection;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::facts::facts;
use crate::live::LiveOutput;
use crate::view::View;
use crate::watchers::Watchers;

/// What is to be published, in order.
pub(crate) enum Publish {
    /// An entry of the journal is applied.
    Happened { events: Vec<Event>, state: State },
    /// The workers' sessions changed.
    Connections(Arc<BTreeMap<NodeId, Connection>>),
}

/// Entries written at once at most.
const ENTRIES_MAX: usize = 1024;
/// How long facts may stay without being durable; the journal has them all the while.
const DURABLE_AFTER: Duration = Duration::from_secs(1);

/// The publisher.
pub(crate) struct Publisher {
    pub(crate) history: Arc<History>,
    pub(crate) views: watch::Sender<Arc<View>>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) live: Arc<LiveOutput>,
}

/// What a stretch of entries amounts to.
#[derive(Default)]
struct News {
    facts: Vec<(u64, Fact)>,
    runs: BTreeSet<RunId>,
    ended: Vec<Attempt>,
}

impl Publisher {
    /// Runs until the control part ends. An error means that history cannot be written.
    pub(crate) fn run(
        self,
        mut inbox: mpsc::Receiver<Publish>,
        runtime: &Handle,
    ) -> Result<(), history::Error> {
        let mark = self.history.mark()?;
        let mut view = View::default();
        let mut durable = true;
        loop {
            let first = match durable {
                true => inbox.blocking_recv(),
                false => {
                    // A timer can only be made inside the runtime, so the future is made there too.
                    let next = async { tokio::time::timeout(DURABLE_AFTER, inbox.recv()).await };
                    match runtime.block_on(next) {
                        Ok(first) => first,
                        Err(_) => {
                            self.history.write(view.state.applied(), &[], true)?;
                            durable = true;
                            continue;
                        }
                    }
                }
            };
            let Some(first) = first else { break };
            let mut news = News::default();
            self.take(first, mark, &mut view, &mut news);
            for _ in 1..ENTRIES_MAX {
                let Ok(next) = inbox.try_recv() else { break };
                self.take(next, mark, &mut view, &mut news);
            }
            if !news.facts.is_empty() {
                self.history.write(view.state.applied(), &news.facts, false)?;
                durable = false;
            }
            self.views.send_replace(Arc::new(view.clone()));
            self.live.forget(&news.ended);
            news.runs.iter().for_each(|run| self.watchers.notify(*run));
        }
        self.history.write(view.state.applied(), &[], true)
    }

    fn take(&self, publish: Publish, mark: u64, view: &mut View, news: &mut News) {
        match publish {
            Publish::Connections(connections) => {
                let changed = view.connections != connections;
                view.connections = connections;
                if changed {
                    news.runs.extend(view.state.runs().keys().copied());
                }
            }
            Publish::Happened { events, state } => {
                let index = state.applied();
                if index > mark {
                    let facts = facts(&events, state.time_ms());
                    news.facts.extend(facts.into_iter().map(|fact| (index, fact)));
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
            Event::ElementsEnded { run, .. }
            | Event::RunEnded { run, .. }
            | Event::Assigned { run, .. } => _ = self.runs.insert(*run),
            Event::Stop { attempts, .. } => {
                self.runs.extend(attempts.iter().map(|attempt| attempt.element.run));
            }
            Event::RunCreated { .. } | Event::NodeRegistered { .. } => {}
        }
    }
}
