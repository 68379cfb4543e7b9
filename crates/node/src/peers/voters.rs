//! On the leader: sees to it that 1, 3 or 5 of the control nodes vote, a step at a time.
//!
//! What the step is decides `reactor::voters`; here the journal is looked at and told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use journal::raft::{ChangeError, Raft};
use journal::{Journal, Leadership, Member};
use model::NodeId;
use peer::journal_number;
use reactor::voters::{Candidate, Group, Step, next_step};
use tokio::sync::{mpsc, watch};

use crate::control::Input;
use crate::view::View;

/// How often the leader looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long a change waits for this node's own worker to have a lease.
const LEASE_WITHIN: Duration = Duration::from_secs(30);

/// The task.
pub(crate) struct Voters {
    pub(crate) node: NodeId,
    pub(crate) journal: Arc<Raft>,
    pub(crate) control: mpsc::Sender<Input>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) away: Duration,
}

impl Voters {
    /// Runs until the node stops.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut membership = self.journal.membership();
        let mut told: Option<Option<NodeId>> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                changed = membership.changed() => if changed.is_err() { return },
            }
            if let Leadership::Dead(_) = *self.journal.leadership().borrow() {
                return;
            }
            let alone = self.alone();
            if told != Some(alone) {
                told = Some(alone);
                if self.control.send(Input::Alone(alone)).await.is_err() {
                    return;
                }
            }
            let leads = matches!(*self.journal.leadership().borrow(), Leadership::Leader(_));
            if leads {
                self.step().await;
            }
        }
    }

    /// This node, where it is the only one that votes: then it needs no lease.
    fn alone(&self) -> Option<NodeId> {
        let membership = self.journal.membership();
        let membership = membership.borrow();
        let mut voters = membership.voters();
        let only = voters.next().is_some_and(|role| role.number == self.journal.member().number());
        (only && voters.next().is_none() && !membership.changing).then_some(self.node)
    }

    async fn step(&self) {
        let members = self.members();
        let Some(step) = next_step(&self.group(&members)) else { return };
        tracing::info!(?step, "who votes is changed");
        let done = match step {
            Step::Add(number) => {
                match members.iter().find(|(member, _)| member.number() == number) {
                    Some((member, _)) => self.journal.add_learner(*member).await,
                    None => Ok(()),
                }
            }
            Step::Promote(voters) => self.promote(voters).await,
            Step::Remove(number) => self.journal.remove(number).await,
            Step::Resign => {
                self.journal.resign().await;
                Ok(())
            }
        };
        match done {
            Ok(()) | Err(ChangeError::UnderWay | ChangeError::NotLeader) => {}
            Err(error) => tracing::warn!(%error, "who votes was not changed; it is tried again"),
        }
    }

    /// Before others vote, this node's own tasks are under a lease: the next leader has to be able
    /// to tell that they are over.
    async fn promote(&self, voters: BTreeSet<u64>) -> Result<(), ChangeError> {
        if voters.len() > 1 && self.alone().is_some() {
            let _ = self.control.send(Input::Alone(None)).await;
            let mut views = self.views.clone();
            let leased = views
                .wait_for(|view| view.state.node(self.node).is_none_or(|node| node.lease_ms > 0));
            if !matches!(tokio::time::timeout(LEASE_WITHIN, leased).await, Ok(Ok(_))) {
                tracing::warn!("the node's own worker has no lease yet, so nobody else votes yet");
                return Ok(());
            }
        }
        self.journal.promote(voters).await
    }

    /// The journals of the control nodes, with whether each is to give its vote away.
    fn members(&self) -> Vec<(Member, bool)> {
        let view = self.views.borrow().clone();
        let members = view.state.members().iter().filter(|(_, member)| member.roles.control);
        let journal = members.filter_map(|(node, member)| {
            let life = member.journal_life?;
            let drained = view.state.node(node).is_some_and(|node| node.drain.is_some());
            Some((Member { node: journal_number(node), life }, drained))
        });
        journal.collect()
    }

    fn group(&self, members: &[(Member, bool)]) -> Group {
        let me = self.journal.member().number();
        let progress = self.journal.progress();
        let candidate = |(member, drained): &(Member, bool)| {
            let number = member.number();
            let known = progress.iter().find(|progress| progress.number == number);
            let silent = known.and_then(|known| known.silent);
            let silent_ms = silent.map(|silent| silent.as_millis() as u64);
            Candidate {
                number,
                silent_ms: if number == me { Some(0) } else { silent_ms },
                behind: known.map_or(0, |known| known.behind),
                lost: known.is_some_and(|known| known.lost),
                drained: *drained,
            }
        };
        let membership = self.journal.membership().borrow().clone();
        let numbers = |votes: bool| {
            let roles = membership.members.iter().filter(move |role| role.voter == votes);
            roles.map(|role| role.number).collect()
        };
        Group {
            me,
            candidates: members.iter().map(candidate).collect(),
            voters: numbers(true),
            learners: numbers(false),
            away_ms: self.away.as_millis() as u64,
        }
    }
}
