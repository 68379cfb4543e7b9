//! On each control node: how far its clock is from those of the nodes that vote.
//!
//! A node whose clock is wrong lets others lead: a leader gives the cluster its time. It is known
//! before a node stamps anything, for a stamp is never taken back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::raft::Raft;
use journal::{Journal, Leadership};
use model::NodeId;
use peer::journal_number;
use proto::peer::{AskClock, ask, told};
use reactor::clocks::{is_wrong, median_ms};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::contacts::Contacts;
use super::ways::{Ways, ask_at};
use crate::clock::Clock;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// How long another node may take to tell its time; what took longer says little.
const TOLD_WITHIN: Duration = Duration::from_millis(300);
/// For so long a look is good.
const GOOD_FOR: Duration = Duration::from_secs(15);
/// For so long a node whose clock is wrong leaves elections to others: until it has looked again.
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
}

impl Seen {
    /// Whether this node may give the cluster its time; `None`: it has to be looked first.
    pub(crate) fn may_stamp(&self) -> Option<bool> {
        let is_good = self.at.is_some_and(|at| at.elapsed() < GOOD_FOR);
        is_good.then_some(!self.is_wrong)
    }
}

/// The task.
pub(crate) struct Clocks {
    pub(crate) node: NodeId,
    pub(crate) journal: Arc<Raft>,
    pub(crate) ways: Ways,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) clock: Clock,
    pub(crate) seen: watch::Sender<Seen>,
}

impl Clocks {
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
        let ahead_ms = self.ahead_of_median().await;
        let own = ahead_ms.get(&self.node).copied().unwrap_or_default();
        let is_wrong = is_wrong(own);
        let was_wrong = self.seen.borrow().is_wrong;
        if is_wrong && !was_wrong {
            tracing::error!(
                ahead_ms = own,
                "this machine's clock is wrong by what the other voters' say, so this node does not lead; set the clock"
            );
        } else if was_wrong && !is_wrong {
            tracing::info!("this machine's clock is right again");
        }
        self.seen.send_replace(Seen { at: Some(Instant::now()), ahead_ms, is_wrong });
        if is_wrong {
            self.journal.stay_quiet(QUIET);
            let leads = matches!(*self.journal.leadership().borrow(), Leadership::Leader(_));
            if leads {
                self.journal.resign().await;
            }
        }
    }

    /// How far the clock of each voter that answers, and this node's own, is ahead of the median.
    async fn ahead_of_median(&self) -> BTreeMap<NodeId, i64> {
        let voters = self.voters();
        let mut asked = JoinSet::new();
        for (node, _) in self.contacts.all() {
            if voters.contains(&journal_number(node)) {
                let (dialer, clock) = (self.ways.dialer.clone(), self.clock.clone());
                asked.spawn(async move {
                    let begun = Instant::now();
                    let ask = ask::Kind::Clock(AskClock {});
                    let told = tokio::time::timeout(TOLD_WITHIN, ask_at(&dialer, node, ask));
                    let Ok(Ok(told::Kind::UnixMs(theirs))) = told.await else { return None };
                    // They told it about half way between.
                    let ours =
                        clock.now().unix_ms as i64 - (begun.elapsed().as_millis() / 2) as i64;
                    Some((node, (theirs as i64).saturating_sub(ours)))
                });
            }
        }
        let mut ahead = BTreeMap::from([(self.node, 0)]);
        while let Some(told) = asked.join_next().await {
            ahead.extend(told.ok().flatten());
        }
        let is_voter = |node: &NodeId| voters.contains(&journal_number(*node));
        let of_voters = ahead.iter().filter(|(node, _)| is_voter(node));
        let of_voters: Vec<i64> = of_voters.map(|(_, ahead_ms)| *ahead_ms).collect();
        let Some(median) = median_ms(&of_voters) else { return BTreeMap::new() };
        ahead.into_iter().map(|(node, ahead_ms)| (node, ahead_ms.saturating_sub(median))).collect()
    }

    fn voters(&self) -> Vec<u64> {
        let membership = self.journal.membership();
        let membership = membership.borrow();
        membership.voters().map(|role| role.member.node).collect()
    }
}
