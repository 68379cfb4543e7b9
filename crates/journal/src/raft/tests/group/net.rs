//! A network in memory: each direction between two nodes can be cut, and messages can be late, lost or doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::*;
use crate::log::tests::faults::Chance;
use crate::raft::peers::Answer;

/// What happens to messages on their way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// The longest delay, in milliseconds.
    pub(super) delay_ms: u64,
    /// One message in so many is lost; 0 for none.
    pub(super) lost_of: u64,
    /// One in so many comes twice; 0 for none.
    pub(super) twice_of: u64,
}

pub(super) struct Net {
    inner: Mutex<Inner>,
}

struct Inner {
    journals: BTreeMap<u64, Weak<Raft>>,
    /// Rises with each start and each loss of power of a node.
    lives: BTreeMap<u64, u64>,
    /// From, to.
    cut: BTreeSet<(u64, u64)>,
    weather: Weather,
    chance: Chance,
}

/// What becomes of one message.
struct Fate {
    arrives: bool,
    delay: Duration,
    again: Option<Duration>,
}

impl Net {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let inner = Inner {
            journals: BTreeMap::new(),
            lives: BTreeMap::new(),
            cut: BTreeSet::new(),
            weather: Weather::default(),
            chance: Chance(seed | 1),
        };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    pub(super) fn connect(&self, node: u64, journal: &Arc<Raft>) {
        self.inner.lock().unwrap().journals.insert(node, Arc::downgrade(journal));
    }

    /// The end of a node that starts. What an earlier one of it still says is not heard.
    pub(super) fn end(self: &Arc<Self>, node: u64) -> End {
        End { node, life: self.disconnect(node), net: self.clone() }
    }

    /// Nothing comes from the node any more, not even what it is about to answer.
    pub(super) fn disconnect(&self, node: u64) -> u64 {
        let mut inner = self.inner.lock().unwrap();
        inner.journals.remove(&node);
        let life = inner.lives.entry(node).or_default();
        *life += 1;
        *life
    }

    fn life(&self, node: u64) -> u64 {
        self.inner.lock().unwrap().lives.get(&node).copied().unwrap_or_default()
    }

    pub(super) fn set(&self, weather: Weather) {
        self.inner.lock().unwrap().weather = weather;
    }

    /// Nothing gets from one to the other any more, but the other way round it does.
    pub(super) fn cut(&self, from: u64, to: u64) {
        self.inner.lock().unwrap().cut.insert((from, to));
    }

    pub(super) fn isolate(&self, node: u64) {
        for other in (0..10).filter(|other| *other != node) {
            self.cut(node, other);
            self.cut(other, node);
        }
    }

    pub(super) fn heal(&self) {
        self.inner.lock().unwrap().cut.clear();
    }

    fn journal(&self, node: u64) -> Option<Arc<Raft>> {
        self.inner.lock().unwrap().journals.get(&node).and_then(Weak::upgrade)
    }

    fn fate(&self, from: u64, to: u64) -> Fate {
        let mut inner = self.inner.lock().unwrap();
        let Weather { delay_ms, lost_of, twice_of } = inner.weather;
        let mut one_of = |count: u64| count > 0 && inner.chance.below(count) == 0;
        let (lost, twice) = (one_of(lost_of), one_of(twice_of));
        let mut delay = || Duration::from_millis(inner.chance.below(delay_ms + 1));
        let (delay, again) = (delay(), twice.then(&mut delay));
        Fate { arrives: !lost && !inner.cut.contains(&(from, to)), delay, again }
    }
}

/// One node's end of it.
pub(super) struct End {
    node: u64,
    life: u64,
    net: Arc<Net>,
}

impl End {
    /// Silence, until the caller has had enough.
    async fn silence<T>(&self) -> T {
        std::future::pending().await
    }

    async fn on_the_way(&self, from: u64, to: u64) -> Option<Duration> {
        let Fate { arrives, delay, again } = self.net.fate(from, to);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match arrives {
            true => again,
            false => self.silence().await,
        }
    }

    fn gone(&self, node: u64) -> Unreachable {
        Unreachable { node, reason: "connection refused".to_owned() }
    }
}

impl Peers for End {
    fn call(&self, node: u64, message: Bytes, _deadline: Duration) -> Answer<'_> {
        Box::pin(async move {
            let again = self.on_the_way(self.node, node).await;
            let theirs = self.net.life(node);
            if self.net.life(self.node) != self.life {
                self.silence::<()>().await;
            }
            let journal = self.net.journal(node).ok_or_else(|| self.gone(node))?;
            if let Some(later) = again {
                let (journal, message, from) =
                    (Arc::downgrade(&journal), message.clone(), self.node);
                tokio::spawn(async move {
                    tokio::time::sleep(later).await;
                    if let Some(journal) = journal.upgrade() {
                        journal.receive(from, message).await;
                    }
                });
            }
            let answer = journal.receive(self.node, message).await;
            drop(journal);
            if self.net.life(node) != theirs {
                self.silence::<()>().await;
            }
            self.on_the_way(node, self.node).await;
            Ok(answer)
        })
    }

    fn send_snapshot(
        &self,
        node: u64,
        head: Bytes,
        mut chunks: mpsc::Receiver<Bytes>,
    ) -> Answer<'_> {
        Box::pin(async move {
            if self.net.life(self.node) != self.life {
                self.silence::<()>().await;
            }
            let theirs = self.net.life(node);
            let journal = self.net.journal(node).ok_or_else(|| self.gone(node))?;
            let (out, into) = mpsc::channel(2);
            let carry = async {
                while let Some(chunk) = chunks.recv().await {
                    self.on_the_way(self.node, node).await;
                    if out.send(chunk).await.is_err() {
                        break;
                    }
                }
                drop(out);
                self.silence::<()>().await;
            };
            tokio::select! {
                answer = journal.receive_snapshot(self.node, head, into) => {
                    if self.net.life(node) != theirs {
                        self.silence::<()>().await;
                    }
                    self.on_the_way(node, self.node).await;
                    Ok(answer)
                }
                () = carry => unreachable!("silence does not end"),
            }
        })
    }
}
