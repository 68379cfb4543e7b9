//! The thread that writes history and then publishes: whoever sees a state finds all facts up to
//! it.
//!
//! It takes whatever queued up while it wrote, so that a burst of batches is one write. Writes are
//! not durable one by one: they are made so a second after the last one, and while more keep coming,
//! every ten seconds.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
/// After the last write all are made durable; the journal has the facts all the while.
const DURABLE_AFTER: Duration = Duration::from_secs(1);
/// From the first write that is not durable to one that is, however many follow: until then the
/// database gives no page back, so its file would grow for as long as a node is busy.
const DURABLE_WITHIN: Duration = Duration::from_secs(10);

/// The publisher.
pub(crate) struct Publisher {
    pub(crate) history: Arc<History>,
    pub(crate) views: watch::Sender<Arc<View>>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) live: Arc<LiveOutput>,
}

/// The first and the last write since the last durable one.
#[derive(Clone, Copy, Debug, Default)]
struct Durability(Option<(Instant, Instant)>);

impl Durability {
    /// When to make durable what was written, if nothing more is.
    fn due(self) -> Option<Instant> {
        self.0.map(|(_, last)| last + DURABLE_AFTER)
    }

    /// Something is being written; says whether this write must be durable.
    fn written(&mut self, now: Instant) -> bool {
        let first = self.0.map_or(now, |(first, _)| first);
        let durable = now.saturating_duration_since(first) >= DURABLE_WITHIN;
        self.0 = (!durable).then_some((first, now));
        durable
    }
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
        &self,
        inbox: &mut mpsc::Receiver<Publish>,
        runtime: &Handle,
    ) -> Result<(), history::Error> {
        let mark = self.history.mark()?;
        let mut view = View::default();
        let mut durability = Durability::default();
        loop {
            let first = match durability.due() {
                None => inbox.blocking_recv(),
                Some(due) => {
                    // A timer can only be made inside the runtime, so the future is made there too.
                    let next = async { tokio::time::timeout_at(due.into(), inbox.recv()).await };
                    match runtime.block_on(next) {
                        Ok(first) => first,
                        Err(_) => {
                            self.history.write(view.state.applied(), &[], true)?;
                            durability = Durability::default();
                            give_memory_back();
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
                let durable = durability.written(Instant::now());
                self.history.write(view.state.applied(), &news.facts, durable)?;
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
                    news.runs.extend(view.state.runs().ids());
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

/// Nothing happens just now: what a burst of work needed goes back to the system.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointers and only returns pages that the allocator holds free.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_node_makes_its_history_durable_too() {
        let start = Instant::now();
        let mut durability = Durability::default();
        let durable: Vec<u64> = (0..250)
            .filter(|tenth| durability.written(start + Duration::from_millis(tenth * 100)))
            .collect();
        assert_eq!(durable, [100, 201], "each ten seconds after the first that is not");
        assert_eq!(durability.due(), Some(start + Duration::from_millis(25_900)));
    }
}
