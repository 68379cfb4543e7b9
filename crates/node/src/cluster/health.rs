//! On each control node: how the machines of the nodes that vote are, by their clocks and disks.
//!
//! A node whose clock is wrong lets others lead: a leader gives the cluster its time. It is known
//! before a node stamps anything, for a stamp is never taken back. So does one whose disk is nearly
//! full where another has room, for a leader places nothing then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::raft::Raft;
use journal::{Journal, Leadership};
use model::NodeId;
use peer::journal_number;
use proto::peer::{AskHealth, ask, told};
use reactor::clocks::{is_wrong, median_ms};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::contacts::Contacts;
use super::ways::{Ways, ask_at};
use crate::clock::Clock;
use crate::disk::Disk;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// How long another node may take to answer; what took longer says little.
const TOLD_WITHIN: Duration = Duration::from_millis(300);
/// For so long a look is good.
const GOOD_FOR: Duration = Duration::from_secs(15);
/// For so long a node that had better not lead leaves elections to others: until it has looked again.
const QUIET: Duration = Duration::from_secs(7);

/// What the last look has shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// When it was; `None`: there was none yet.
    at: Option<Instant>,
    /// How far each voter's clock is ahead of the median, in milliseconds; empty: nobody can tell.
    pub(crate) ahead_ms: BTreeMap<NodeId, i64>,
    /// This node's own is wrong.
    is_wrong: bool,
    /// The voters whose disks are nearly full, or were when they last answered.
    pub(crate) full: BTreeSet<NodeId>,
    /// How many vote.
    voters: usize,
}

impl Seen {
    /// Whether this node may give the cluster its time; `None`: it has to be looked first.
    pub(crate) fn may_stamp(&self) -> Option<bool> {
        let is_good = self.at.is_some_and(|at| at.elapsed() < GOOD_FOR);
        is_good.then_some(!self.is_wrong)
    }

    /// Whether so many voters' disks are nearly full that the rest is no majority.
    pub(crate) fn is_full(&self) -> bool {
        self.voters > 0 && (self.voters - self.full.len().min(self.voters)) * 2 <= self.voters
    }
}

/// What the voters that answer, and this node itself, have told.
#[derive(Default)]
struct Told {
    /// How far each clock is ahead of this node's, in milliseconds.
    ahead_ms: BTreeMap<NodeId, i64>,
    full: BTreeSet<NodeId>,
}

/// The task.
pub(crate) struct Health {
    pub(crate) node: NodeId,
    pub(crate) journal: Arc<Raft>,
    pub(crate) ways: Ways,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<Disk>,
    pub(crate) seen: watch::Sender<Seen>,
}

impl Health {
    /// Runs until the journal ends.
    pub(crate) async fn run(self) {
        let mut leadership = self.journal.leadership();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                changed = leadership.changed() => {
                    // Whoever comes to lead is waited for; others have time.
                    let leads = matches!(*leadership.borrow_and_update(), Leadership::Leader(_));
                    match changed {
                        Err(_) => return,
                        Ok(()) if !leads => continue,
                        Ok(()) => {}
                    }
                }
            }
            if let Leadership::Dead(_) = *leadership.borrow() {
                return;
            }
            self.look().await;
        }
    }

    async fn look(&self) {
        let voters = self.voters();
        let told = self.ask(&voters).await;
        let is_voter = |node: &NodeId| voters.contains(&journal_number(*node));
        let ahead_ms = ahead_of_median(&told.ahead_ms, is_voter);
        let was_wrong = self.seen.borrow().is_wrong;
        let own = ahead_ms.get(&self.node).copied();
        let is_wrong = match own {
            Some(own) => is_wrong(own),
            // Nobody can tell just now: it is as it was, unless another one agrees with it.
            None => was_wrong && voters.len() > 1 && !agrees(&told.ahead_ms, self.node),
        };
        if is_wrong && !was_wrong {
            tracing::error!(
                ahead_ms = own,
                "this machine's clock is wrong by what the other voters' say, so this node does not lead; set the clock"
            );
        } else if was_wrong && !is_wrong {
            tracing::info!("this machine's clock is right again");
        }
        let before = self.seen.borrow().full.clone();
        // Whoever does not answer in time is as it was.
        let silent = before.into_iter().filter(|node| !told.ahead_ms.contains_key(node));
        let full: BTreeSet<NodeId> = told.full.into_iter().chain(silent).filter(is_voter).collect();
        let has_room = |node: &NodeId| is_voter(node) && !full.contains(node);
        let others_have_room =
            told.ahead_ms.keys().any(|node| *node != self.node && has_room(node));
        let stands_back = is_wrong || full.contains(&self.node) && others_have_room;
        let voters = voters.len();
        self.seen.send_replace(Seen { at: Some(Instant::now()), ahead_ms, is_wrong, full, voters });
        if stands_back {
            self.journal.stay_quiet(QUIET);
            let leads = matches!(*self.journal.leadership().borrow(), Leadership::Leader(_));
            if leads {
                self.journal.resign().await;
            }
        }
    }

    async fn ask(&self, voters: &[u64]) -> Told {
        let mut asked = JoinSet::new();
        for (node, _) in self.contacts.all() {
            if voters.contains(&journal_number(node)) {
                let (dialer, clock) = (self.ways.dialer.clone(), self.clock.clone());
                asked.spawn(async move {
                    let begun = Instant::now();
                    let ask = ask::Kind::Health(AskHealth {});
                    let told = tokio::time::timeout(TOLD_WITHIN, ask_at(&dialer, node, ask));
                    let Ok(Ok(told::Kind::Health(theirs))) = told.await else { return None };
                    // They told it about half way between.
                    let ours =
                        clock.now().unix_ms as i64 - (begun.elapsed().as_millis() / 2) as i64;
                    let ahead_ms = (theirs.unix_ms as i64).saturating_sub(ours);
                    Some((node, ahead_ms, theirs.disk_is_low))
                });
            }
        }
        let mut told = Told::default();
        told.add(self.node, 0, self.disk.is_low());
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some((node, ahead_ms, disk_is_low))) = answer {
                told.add(node, ahead_ms, disk_is_low);
            }
        }
        told
    }

    fn voters(&self) -> Vec<u64> {
        let membership = self.journal.membership();
        let membership = membership.borrow();
        membership.voters().map(|role| role.member.node).collect()
    }
}

impl Told {
    fn add(&mut self, node: NodeId, ahead_ms: i64, disk_is_low: bool) {
        self.ahead_ms.insert(node, ahead_ms);
        if disk_is_low {
            self.full.insert(node);
        }
    }
}

/// The same clocks by the median of the voters'; nothing where those are too few.
fn ahead_of_median(
    ahead_ms: &BTreeMap<NodeId, i64>,
    is_voter: impl Fn(&NodeId) -> bool,
) -> BTreeMap<NodeId, i64> {
    let of_voters = ahead_ms.iter().filter(|(node, _)| is_voter(node));
    let of_voters: Vec<i64> = of_voters.map(|(_, ahead_ms)| *ahead_ms).collect();
    let Some(median) = median_ms(&of_voters) else { return BTreeMap::new() };
    let of_median = |(node, ahead_ms): (&NodeId, &i64)| (*node, ahead_ms.saturating_sub(median));
    ahead_ms.iter().map(of_median).collect()
}

/// Whether another clock says about what this node's says.
fn agrees(ahead_ms: &BTreeMap<NodeId, i64>, node: NodeId) -> bool {
    ahead_ms.iter().any(|(other, ahead_ms)| *other != node && !is_wrong(*ahead_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(voters: usize, full: usize) -> Seen {
        let full = (0..full).map(|number| NodeId(uuid::Uuid::from_u128(number as u128)));
        Seen { full: full.collect(), voters, ..Seen::default() }
    }

    #[test]
    fn it_is_full_where_no_majority_has_room() {
        assert!(!seen(0, 0).is_full() && !seen(1, 0).is_full() && seen(1, 1).is_full());
        assert!(!seen(3, 1).is_full() && seen(3, 2).is_full());
        assert!(!seen(5, 2).is_full() && seen(5, 3).is_full());
        assert!(seen(2, 1).is_full());
    }
}
