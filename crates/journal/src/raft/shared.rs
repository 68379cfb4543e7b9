//! What a running Raft journal tells: who leads, how far one can follow, and that it has ended.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use openraft::error::Fatal;
use openraft::{RaftMetrics, ServerState};
use tokio::sync::{oneshot, watch};

use super::types::{StoredMembership, Types};
use crate::follow::Extent;
use crate::{Index, LeaderId, Leadership};

/// How long the Raft core gets to say why it has ended, once it is known that it has.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

pub(crate) struct Shared {
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) extent: watch::Sender<Extent>,
    pub(crate) membership: watch::Sender<super::membership::Membership>,
    /// What the elections find out.
    hearing: watch::Sender<Hearing>,
    /// Who voted since when, back to the newest snapshot: a checkpoint may be of an older entry than the last.
    memberships: Mutex<Vec<StoredMembership>>,
    /// Makes openraft's worker panic.
    #[cfg(test)]
    pub(crate) panic: std::sync::atomic::AtomicBool,
}

/// What is heard of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Hearing {
    /// Nothing, for longer than a leader is silent.
    silent: bool,
    /// That this member is none any more.
    removed: bool,
}

impl Shared {
    pub(crate) fn new(committed: Index, memberships: Vec<StoredMembership>) -> Self {
        Self {
            leadership: watch::Sender::new(Leadership::Candidate),
            extent: watch::Sender::new(Extent { committed, open: true }),
            membership: watch::Sender::default(),
            hearing: watch::Sender::default(),
            memberships: Mutex::new(memberships),
            #[cfg(test)]
            panic: false.into(),
        }
    }

    pub(crate) fn committed(&self, committed: Index) {
        #[cfg(test)]
        assert!(!self.panic.load(std::sync::atomic::Ordering::SeqCst), "injected");
        self.extent.send_if_modified(|extent| {
            let further = committed > extent.committed;
            extent.committed = extent.committed.max(committed);
            further
        });
    }

    /// Notes who votes from an entry on; the newest comes last.
    pub(crate) fn note_membership(&self, membership: StoredMembership) {
        self.memberships().push(membership);
    }

    /// Who voted at this entry.
    pub(crate) fn membership_at(&self, index: Index) -> StoredMembership {
        let memberships = self.memberships();
        let found = memberships.iter().rev().find(|one| since(one) <= Some(index));
        found.cloned().unwrap_or_default()
    }

    /// Forgets who voted before this entry.
    pub(crate) fn forget_memberships_before(&self, index: Index) {
        let mut memberships = self.memberships();
        let newer = memberships.partition_point(|one| since(one) <= Some(index));
        memberships.drain(..newer.saturating_sub(1));
    }

    fn memberships(&self) -> MutexGuard<'_, Vec<StoredMembership>> {
        self.memberships.lock().expect("no holder of the lock panics")
    }

    /// The dead stay dead, with their first reason.
    pub(crate) fn publish(&self, next: Leadership) {
        let dead = next.dead().is_some();
        self.leadership.send_if_modified(|now| {
            let news = now.dead().is_none() && *now != next;
            if news {
                tracing::info!(leadership = ?next, "the journal's leadership has changed");
                *now = next;
            }
            news
        });
        if dead {
            self.extent.send_if_modified(|extent| std::mem::replace(&mut extent.open, false));
        }
    }

    /// Notes whether a leader is heard of.
    pub(crate) fn hear(&self, leader: bool) {
        self.hearing.send_if_modified(|now| {
            let removed = now.removed && !leader;
            let next = Hearing { silent: !leader, removed };
            std::mem::replace(now, next) != next
        });
    }

    /// Notes that others have said that this member is none any more.
    pub(crate) fn tell_removed(&self) {
        self.hearing.send_if_modified(|now| {
            let news = !now.removed;
            if news {
                tracing::warn!(
                    "the others say that this node takes no part in the journal's group any more"
                );
            }
            now.removed = true;
            news
        });
    }

    /// Waits for the end of the journal.
    pub(crate) async fn dead(&self) -> Arc<str> {
        let mut leadership = self.leadership.subscribe();
        let dead = leadership.wait_for(|now| now.dead().is_some()).await;
        dead.ok().and_then(|now| now.dead()).unwrap_or_else(|| "the journal is gone".into())
    }
}

fn since(membership: &StoredMembership) -> Option<Index> {
    membership.log_id().map(|id| id.index)
}

pub(crate) type Metrics = RaftMetrics<u64, <Types as openraft::RaftTypeConfig>::Node>;

/// Turns what Raft and the disk say into leadership, until the journal has ended.
///
/// A task of its own, owned by the journal. It cannot fail; when the journal stops it ends with the Raft core.
pub(crate) struct Watcher {
    pub(crate) node: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: watch::Receiver<Metrics>,
    /// The disk's failure.
    pub(crate) failure: watch::Receiver<Option<Arc<str>>>,
    /// Resolves when openraft has dropped its state machine.
    pub(crate) applied: oneshot::Receiver<()>,
}

impl Watcher {
    pub(crate) async fn run(mut self) {
        let reason = self.follow().await;
        let disk = self.failure.borrow().clone();
        self.shared.publish(Leadership::Dead(disk.unwrap_or(reason)));
    }

    /// Publishes who leads; returns why that ended.
    async fn follow(&mut self) -> Arc<str> {
        let mut hearing = self.shared.hearing.subscribe();
        loop {
            let hears = *hearing.borrow_and_update();
            // Nothing is published while the metrics are looked at: whoever looks at what is published may want to
            // look at them next, and openraft, which wants to change them, stands between the two.
            let (judged, next) = {
                let metrics = self.metrics.borrow_and_update();
                let next = super::membership::read(&metrics, hears.removed);
                (judge(&metrics, self.node, hears), next)
            };
            match judged {
                Ok(leadership) => self.shared.publish(leadership),
                Err(reason) => return reason,
            }
            self.shared.membership.send_if_modified(|now| {
                let news = *now != next;
                *now = next;
                news
            });
            tokio::select! {
                // The other end is in `self`.
                _ = hearing.changed() => {}
                changed = self.metrics.changed() => if changed.is_err() {
                    return "the raft core has panicked".into();
                },
                _ = self.failure.changed() => if self.failure.borrow().is_some() {
                    return "the disk has failed".into();
                },
                _ = &mut self.applied => break,
            }
        }
        self.last_words().await
    }

    async fn last_words(&mut self) -> Arc<str> {
        let ended = self.metrics.wait_for(|metrics| metrics.running_state.is_err());
        match tokio::time::timeout(LAST_WORDS, ended).await {
            Ok(Ok(metrics)) => judge(&metrics, self.node, Hearing::default()).err(),
            Ok(Err(_)) | Err(_) => None,
        }
        .unwrap_or_else(|| "the raft core has panicked".into())
    }
}

/// Who leads according to Raft; or why it has ended.
fn judge(metrics: &Metrics, node: u64, hears: Hearing) -> Result<Leadership, Arc<str>> {
    match &metrics.running_state {
        Ok(()) => {}
        Err(Fatal::StorageError(error)) => return Err(error.to_string().into()),
        Err(Fatal::Panicked) => return Err("the raft core has panicked".into()),
        Err(Fatal::Stopped) => return Err("the raft core has stopped".into()),
    }
    let term = metrics.vote.leader_id().term;
    let elected = metrics.vote.leader_id().voted_for().filter(|_| metrics.vote.is_committed());
    // A leader is ready once its own first entry is applied: then everything before it is too.
    let ready = metrics.last_applied.is_some_and(|applied| applied.leader_id.term == term);
    Ok(match (elected, metrics.state) {
        (_, ServerState::Shutdown) => return Err("the raft core has stopped".into()),
        (Some(leader), ServerState::Leader) if leader == node && ready => {
            Leadership::Leader(LeaderId { term, node })
        }
        (Some(_), ServerState::Leader) => Leadership::Candidate,
        _ if hears.removed => Leadership::Follower { leader: None },
        (Some(leader), _) if leader != node && !hears.silent => {
            Leadership::Follower { leader: Some(LeaderId { term, node: leader }) }
        }
        (_, ServerState::Learner) | (Some(_), _) => Leadership::Follower { leader: None },
        (_, ServerState::Leader | ServerState::Candidate | ServerState::Follower) => {
            Leadership::Candidate
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// While somebody looks at who leads, openraft can still say something new; else three would wait in a circle.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_openraft_says_is_not_held_up_by_who_looks_at_who_leads() {
        let (sender, metrics) = watch::channel(Metrics::new_initial(1));
        let (_failed, failure) = watch::channel(None);
        let (_dropped, applied) = oneshot::channel();
        let shared = Arc::new(Shared::new(0, Vec::new()));
        let watcher = Watcher { node: 1, shared: shared.clone(), metrics, failure, applied };
        let held = shared.leadership.subscribe();
        let held = held.borrow();
        // It hears of another state, and cannot publish it yet.
        tokio::spawn(watcher.run());
        let said = std::thread::spawn(move || {
            for term in 1..200 {
                sender.send_modify(|metrics| metrics.vote = openraft::Vote::new_committed(term, 2));
                std::thread::yield_now();
            }
            sender
        });
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while !said.is_finished() {
            assert!(std::time::Instant::now() < end, "openraft cannot say what is new");
            std::thread::yield_now();
        }
        let _sender = said.join();
        drop(held);
        let mut leadership = shared.leadership.subscribe();
        let follows = leadership.wait_for(|now| matches!(now, Leadership::Follower { .. }));
        tokio::time::timeout(Duration::from_secs(20), follows).await.unwrap().unwrap();
    }
}
