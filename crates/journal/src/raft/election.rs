//! When a member asks for votes, and when a leader that nobody answers gives up.
//!
//! Openraft could do the first, but with a patience drawn once for the life of the process, so two members can collide
//! for ever, and without asking first, so a member that was cut off comes back with a higher term and deposes a leader
//! that everybody hears. Here the patience is drawn anew each time, and no term is used up before a majority has said
//! that it would vote. The rules of the vote itself are openraft's.
//!
//! A task of its own, owned by the journal. It cannot fail; it ends with the Raft core.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use openraft::raft::VoteRequest;
use openraft::{CommittedLeaderId, LogId, ServerState, Vote};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::peers::Link;
use super::shared::{Metrics, Shared};
use super::types::{Types, log_id};
use super::wire::{Ask, Message, Opinion, Reply};
use crate::Member;
use crate::log::Log;
use crate::member::mix;

/// Who gets the vote of a leader that gives up.
const NOBODY: u64 = u64::MAX;
/// How often a leader, or somebody with nothing to do, looks around.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// What this member has heard lately. Clones are the same.
#[derive(Clone)]
pub(crate) struct Contact {
    times: Arc<Mutex<Times>>,
    patience: Duration,
}

#[derive(Clone, Copy)]
struct Times {
    /// A leader was heard of.
    leader: Instant,
    /// It does not stand before this one's patience is over.
    quiet: Instant,
}

impl Contact {
    /// Others get this member's vote when it has heard of no leader for `patience`.
    pub(crate) fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self { times: Arc::new(Mutex::new(Times { leader: now, quiet: now })), patience }
    }

    /// A leader was heard of.
    pub(crate) fn note(&self, at: Instant) {
        let mut times = self.times();
        times.leader = at.max(times.leader);
        times.quiet = at.max(times.quiet);
    }

    /// This member has given its vote to another one, or otherwise lets others go first.
    pub(crate) fn note_vote(&self) {
        self.stay_quiet(Duration::ZERO);
    }

    pub(crate) fn stay_quiet(&self, longer: Duration) {
        let mut times = self.times();
        times.quiet = times.quiet.max(Instant::now() + longer);
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.times().leader.elapsed() > self.patience
    }

    fn quiet(&self) -> Instant {
        self.times().quiet
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().expect("no holder of the lock panics")
    }
}

/// Sees to it that there is a leader.
#[derive(Clone)]
pub(crate) struct Elections {
    pub(crate) raft: openraft::Raft<Types>,
    pub(crate) link: Arc<Link>,
    pub(crate) log: Arc<Log>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) contact: Contact,
}

impl Elections {
    pub(crate) async fn run(self) {
        tokio::select! {
            _ = self.shared.dead() => {}
            () = self.look_around() => {}
        }
    }

    /// Returns with the Raft core's end.
    async fn look_around(&self) {
        let me = self.link.me.number();
        let mut chance = mix(self.link.timing.seed ^ mix(me));
        let mut leads_since = None;
        // What came of the last time this member stood: it tries again sooner.
        let mut stood = false;
        loop {
            let metrics = self.raft.metrics().borrow().clone();
            let voters: BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
            if metrics.state != ServerState::Leader {
                leads_since = None;
            }
            match metrics.state {
                ServerState::Shutdown => return,
                ServerState::Leader => {
                    stood = false;
                    self.shared.hear(true);
                    self.contact.note(Instant::now());
                    let since: Instant = *leads_since.get_or_insert_with(Instant::now);
                    if !voters.contains(&me) && is_committed(&metrics) {
                        tracing::info!(
                            "this leader does not vote any more: it lets another one lead"
                        );
                        self.resign().await;
                    } else if voters.len() > 1 && self.is_alone(&metrics, since) {
                        tracing::warn!("no majority answers this leader any more: it gives up");
                        self.resign().await;
                    }
                    tokio::time::sleep(LOOKS_EVERY).await;
                }
                _ if voters.len() == 1 && voters.contains(&me) => {
                    if self.raft.trigger().elect().await.is_err() {
                        return;
                    }
                    tokio::time::sleep(LOOKS_EVERY).await;
                }
                _ if voters.is_empty() => tokio::time::sleep(LOOKS_EVERY).await,
                _ => {
                    chance = mix(chance);
                    let quiet = self.contact.quiet();
                    tokio::time::sleep_until(quiet + self.patience(chance, stood)).await;
                    if self.contact.quiet() != quiet {
                        stood = false;
                        self.shared.hear(!self.contact.is_silent());
                        continue;
                    }
                    self.shared.hear(false);
                    stood = true;
                    let metrics = self.raft.metrics().borrow().clone();
                    if self.stand(&metrics).await.is_err() {
                        return;
                    }
                    self.contact.note_vote();
                }
            }
        }
    }

    /// How long to wait: drawn between the two bounds, or, at another try, up to the first one.
    fn patience(&self, chance: u64, again: bool) -> Duration {
        let timing = self.link.timing;
        let (from, to) = match again {
            false => (timing.election_min, timing.election_max),
            true => (timing.heartbeat, timing.election_min),
        };
        let spread = to.saturating_sub(from).as_micros().max(1) as u64;
        from + Duration::from_micros(chance % spread)
    }

    /// Asks the others, and stands for election if a majority would vote for this member.
    async fn stand(&self, metrics: &Metrics) -> Result<(), ()> {
        let me = self.link.me.number();
        let membership = metrics.membership_config.membership();
        let ask = Ask {
            last: self.log.positions().last.map(log_id),
            membership: *metrics.membership_config.log_id(),
        };
        let mut asked = JoinSet::new();
        let others = membership.voter_ids().filter(|id| *id != me).collect::<BTreeSet<_>>();
        for number in others {
            let address = membership.get_node(&number).map_or("", |node| &node.addr);
            let target = Member::decode(number, address);
            let (link, deadline) = (self.link.clone(), self.link.timing.election_min);
            asked.spawn(
                async move { (number, link.call(target, &Message::Ask(ask), deadline).await) },
            );
        }
        let mut votes = BTreeSet::from([me]);
        while let Some(answer) = asked.join_next().await {
            let Ok((number, Ok(Reply::Opinion(Opinion { votes: yes, removed })))) = answer else {
                continue;
            };
            if removed {
                self.shared.tell_removed();
            }
            if yes {
                votes.insert(number);
            }
            let is_voter = membership.voter_ids().any(|id| id == me);
            if is_voter && is_quorum(metrics, &votes) {
                return self.raft.trigger().elect().await.map_err(drop);
            }
        }
        Ok(())
    }

    /// Whether no majority has answered this leader for long.
    fn is_alone(&self, metrics: &Metrics, since: Instant) -> bool {
        let limit = self.link.timing.election_max * 2;
        if since.elapsed() <= limit {
            return false;
        }
        let answers = |id: &u64| {
            let answered = self.link.of(*id).answered;
            *id == self.link.me.number() || answered.is_some_and(|at| at.elapsed() <= limit)
        };
        let there = metrics.membership_config.voter_ids().filter(answers).collect();
        !is_quorum(metrics, &there)
    }

    /// How long ago a leader was heard of.
    pub(crate) fn silence(&self) -> Duration {
        self.contact.times().leader.elapsed()
    }

    /// Leaves elections to others for so long.
    pub(crate) fn stay_quiet(&self, longer: Duration) {
        self.contact.stay_quiet(longer);
    }

    /// Gives the leadership up: in the next term this member's vote is nobody's.
    ///
    /// Openraft has no call for it; that vote is what any member with a higher term would tell it.
    pub(crate) async fn resign(&self) {
        let until = Instant::now() + self.link.timing.election_max;
        loop {
            let vote = self.raft.metrics().borrow().vote;
            if vote.leader_id().voted_for() != Some(self.link.me.number()) {
                return;
            }
            self.contact.stay_quiet(self.link.timing.election_max);
            let term = vote.leader_id().term + 1;
            // Nobody's log is as good as any.
            let last = LogId::new(CommittedLeaderId::new(u64::MAX, NOBODY), u64::MAX);
            let request = VoteRequest::new(Vote::new(term, NOBODY), Some(last));
            match self.raft.vote(request).await {
                Ok(response) if response.vote_granted => return,
                // One that was elected just now does not give its vote away yet.
                Ok(_) if Instant::now() < until => {
                    tokio::time::sleep(self.link.timing.heartbeat).await
                }
                // Or the core has ended, which the watcher tells.
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// Whether the membership can not be taken back any more.
pub(crate) fn is_committed(metrics: &Metrics) -> bool {
    *metrics.membership_config.log_id() <= metrics.last_applied
}

/// Whether these are a majority of each set of voters.
fn is_quorum(metrics: &Metrics, members: &BTreeSet<u64>) -> bool {
    let sets = metrics.membership_config.membership().get_joint_config();
    !sets.is_empty() && sets.iter().all(|set| 2 * set.intersection(members).count() > set.len())
}
