//! The cluster forgets something and goes on in another incarnation: from a snapshot that was saved
//! some time before, or from what one control host has on its disk, when all others are gone.
//!
//! It is the model of what a person does with `cluster snapshot restore` and `cluster recover`: every
//! control part ends for good, `Recover` is committed to a journal that nobody else sees, and the
//! control parts begin again on that. The nodes are not told. Whatever runs there goes on until its
//! lease is over, or until somebody lets the node join again, and that first ends what is there.
//!
//! The truth goes back to what it was at the entry that is still known, and to nothing older; what
//! was true in each former incarnation is kept, for processes of it may still start and end.

use model::{Attempt, Fence, LEASE_MARGIN_MS, OnLost};
use proto::record::{Batch, Command, Header, Recover, command::Kind};

use super::journal::Entry;
use super::process::Process;
use super::truth::Truth;
use super::{MS, SECOND, World, client, node, note};

/// So many moments are remembered to which the cluster may go back.
const SAVED_MAX: usize = 12;
/// One of so many entries is such a moment, in a thousand.
const SAVED_PER_MILLE: u64 = 250;
/// Indices of a journal that begins with a snapshot lie so far above those of before.
const LEAP: u64 = 1_000_000_000;
/// Numbers of runs that may have been given out are skipped, up to a multiple of this.
const ROUND: u64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Incarnations {
    /// At which steps the cluster forgets, the last first.
    due: Vec<u64>,
    /// What was true after some entries, in their order.
    saved: Vec<(u64, Truth)>,
    /// What was true last in each former incarnation.
    former: Vec<Truth>,
    /// When this one began.
    began_us: u64,
    pub(super) restores: u64,
    pub(super) recoveries: u64,
}

impl Incarnations {
    /// The incarnation that the cluster is in.
    pub(super) fn current(&self) -> u16 {
        self.former.len() as u16 + 1
    }
}

impl World {
    /// Draws when the cluster forgets, in a world where it does.
    pub(super) fn draw_incarnations(&mut self, steps: u64) {
        if !self.profile.forgets {
            return;
        }
        let first = self.rng.within(steps / 5, steps * 3 / 5);
        self.incarnations.due.push(first);
        if self.rng.chance(300) {
            let second = self.rng.within(first, steps * 4 / 5);
            self.incarnations.due.insert(0, second);
        }
    }

    /// An entry was committed: perhaps this is a moment that is known later.
    pub(super) fn perhaps_save(&mut self, index: u64) {
        let known = self.hostile && self.truth.state.cluster().is_some();
        if !known || self.incarnations.due.is_empty() || !self.rng.chance(SAVED_PER_MILLE) {
            return;
        }
        if self.incarnations.saved.len() == SAVED_MAX {
            let at = self.rng.below(SAVED_MAX as u64) as usize;
            self.incarnations.saved.remove(at);
        }
        self.incarnations.saved.push((index, self.truth.clone()));
    }

    /// The cluster forgets, where it is time for that and something is known.
    pub(super) fn perhaps_forget(&mut self) {
        let is_due = self.incarnations.due.last().is_some_and(|at| *at <= self.steps);
        if !is_due || self.incarnations.saved.is_empty() {
            return;
        }
        self.incarnations.due.pop();
        let recovers = self.rng.chance(500);
        let mut host = self.rng.below(self.hosts.len() as u64) as usize;
        if self.rng.chance(500) {
            // Of one that was cut off, say.
            let had = |at: &usize| self.hosts[*at].delivered;
            host = (0..self.hosts.len()).min_by_key(had).unwrap_or_default();
        }
        let had = self.hosts[host].delivered;
        for host in 0..self.hosts.len() {
            self.crash_control(host, 0);
        }
        match recovers {
            true => self.recover_cluster(host, had),
            false => self.restore_cluster(host),
        }
    }

    /// The journal of one host goes on alone: what only others had is forgotten.
    fn recover_cluster(&mut self, host: usize, had: u64) {
        // Entries of which nobody knows that a majority had them count all the same.
        self.settle_pending();
        let end = self.journal.len();
        let least = had.max(self.journal.trimmed());
        let known = &self.incarnations.saved;
        let mut moments: Vec<u64> =
            known.iter().map(|(index, _)| *index).filter(|index| *index >= least).collect();
        if self.hosts.len() == 1 {
            moments.clear(); // There is no other that could have had more.
        }
        moments.push(end);
        let index = *self.rng.pick(&moments).expect("one at least");
        note!(self, "host {host}: goes on alone with {index} of {end} entries");
        let truth = self.known_at(index);
        self.journal.cut_off(index);
        self.snapshots.cut_off(index);
        self.incarnations.recoveries += 1;
        let term = self.journal.leader.0 + 1;
        self.begin_incarnation(truth, (term, host as u64 + 1), "recover");
    }

    /// A journal begins that goes on from a snapshot.
    fn restore_cluster(&mut self, host: usize) {
        let at = self.rng.below(self.incarnations.saved.len() as u64) as usize;
        let index = self.incarnations.saved[at].0;
        let end = self.journal.len();
        note!(self, "host {host}: is restored from a snapshot of {index}, {end} were written");
        let mut truth = self.known_at(index);
        let first = (index / LEAP + 2) * LEAP;
        truth.state.pass(first);
        let term = u64::from(self.incarnations.current() + 1) << 32;
        self.journal.restart(first);
        self.snapshots.restart(first, (term, host as u64 + 1), &truth.state);
        self.incarnations.restores += 1;
        self.begin_incarnation(truth, (term + 1, host as u64 + 1), "restore");
    }

    /// What was true after an entry; later ones are no moments to go back to any more.
    fn known_at(&mut self, index: u64) -> Truth {
        self.incarnations.saved.retain(|(at, _)| *at <= index);
        let saved = self.incarnations.saved.iter().find(|(at, _)| *at == index);
        saved.map_or_else(|| self.truth.clone(), |(_, truth)| truth.clone())
    }

    /// Commits `Recover` to the journal as it is now.
    fn begin_incarnation(&mut self, truth: Truth, leader: (u64, u64), how: &str) {
        let mut former = std::mem::replace(&mut self.truth, truth);
        // Clients remember what they were told was not done.
        self.truth.disowned.extend(std::mem::take(&mut former.disowned));
        let known = self.incarnations.former.iter().chain([&former]);
        let last_run = known.map(|truth| truth.state.last_run().0).max().unwrap_or_default();
        let was = self.truth.state.cluster().map_or(0, |cluster| cluster.incarnation.into());
        self.incarnations.former.push(former);
        self.incarnations.began_us = self.now_us;
        let incarnation = self.incarnations.current().into();
        note!(self, "cluster: incarnation {incarnation} begins, runs after {last_run}");

        self.journal.abandon(leader);
        self.compared.clear();
        self.lose_answers();
        let time_ms = self.offline_ms(leader, 1);
        let header = Header {
            leader_term: leader.0,
            leader_node: leader.1,
            level: machine::LEVEL,
            incarnation: was,
            time_ms,
            number: 1,
        };
        let last_run = (last_run / ROUND + 1) * ROUND;
        let how = how.to_owned();
        let kind = Kind::Recover(Recover { incarnation, last_run, how, because: None });
        let batch = Batch { header: Some(header), commands: vec![Command { kind: Some(kind) }] };
        self.append(Entry { leader, record: machine::encode(&batch).into() });

        if self.profile.alone {
            // Its own directory: what runs there without a lease ends first.
            self.join_again(0);
        }
        for node in usize::from(self.profile.alone)..self.nodes.len() {
            let soon = self.rng.chance(300);
            let most_us = if soon { SECOND } else { 4 * (self.profile.lease_ms + 2_000) * MS };
            let delay = self.rng.within(MS, most_us);
            self.after(delay, super::Event::Node(node::Event::Joins { node }));
        }
    }

    /// A node joins the incarnation that there is now. What is left of a former one ends first, and
    /// its ends on disk are set aside: they are those of other attempts.
    pub(super) fn join_again(&mut self, node: usize) {
        let current = self.incarnations.current();
        if self.nodes[node].incarnation == current {
            return;
        }
        // A directory that is restored or recovered needs nobody else.
        let is_own = self.profile.alone && node == 0;
        if !is_own && self.hostile && self.now_us < self.nodes[node].cut_until_us {
            let later = self.nodes[node].cut_until_us + MS;
            return self.at(later, super::Event::Node(node::Event::Joins { node }));
        }
        note!(self, "node {node}: joins in incarnation {current}");
        self.crash_daemon(node);
        let lease_us = self.kills_at(node);
        self.end_supervisor(node);
        self.nodes[node].incarnation = current;
        self.nodes[node].disk.clear();
        // Most end in their graces before the node is there. The rest is found and ended by it; while
        // it is not there, the supervisor that waits for graces ends at its lease what must not outlive it.
        let all_end = self.profile.alone || self.rng.chance(500);
        for pid in self.processes.on_node(node) {
            match lease_us.filter(|_| self.processes.ends_with_lease(pid)) {
                _ if all_end => drop(self.processes.die(pid, None)),
                Some(at_us) => {
                    let reaped = super::process::Event::Reaped { pid };
                    self.at(at_us, super::Event::Process(reaped));
                }
                None => {}
            }
        }
    }

    /// Those nodes join again for whom nobody has done it yet.
    pub(super) fn all_join_again(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].incarnation != self.incarnations.current() {
                let delay = self.rng.within(0, 2 * self.profile.lease_ms * MS);
                self.after(delay, super::Event::Node(node::Event::Joins { node }));
            }
        }
    }

    /// What was true last in the incarnation of this fence.
    pub(super) fn truth_of(&self, fence: Fence) -> &Truth {
        let at = usize::from(fence.incarnation()).saturating_sub(1);
        self.incarnations.former.get(at).unwrap_or(&self.truth)
    }

    /// Whether a run of this number was made in a former incarnation and is forgotten.
    pub(super) fn was_given(&self, run: model::RunId) -> bool {
        self.incarnations.former.iter().any(|truth| truth.has_run(run))
    }

    /// Something is placed: not while anything of a former incarnation may run.
    pub(super) fn is_placed_too_early(&self) -> bool {
        let wait_us = (self.profile.lease_ms + LEASE_MARGIN_MS) * MS;
        self.incarnations.current() > 1 && self.now_us < self.incarnations.began_us + wait_us
    }

    /// Whether nothing can know of this process any more: it was placed in a former incarnation,
    /// behind what is known of that.
    pub(super) fn is_forgotten(&self, process: &Process) -> bool {
        let Attempt { element, number } = process.attempt;
        process.fence.incarnation() < self.incarnations.current()
            && self.truth.placed.get(&element) != Some(&(number, process.fence.incarnation()))
    }

    /// Whether it is forgotten, and its job lets it go on without a lease. The fence is for it.
    pub(super) fn outlives_its_lease(&self, process: &Process) -> bool {
        process.on_lost == OnLost::Wait && self.is_forgotten(process)
    }
}

impl Truth {
    /// Whether a recovery is over and has left something, on a node that has not come back, for
    /// which no job waits.
    pub(super) fn outlives_its_recovery(&self) -> Option<String> {
        if self.state.is_recovering() {
            return None;
        }
        let mut lost = self.state.nodes().values().filter(|node| node.is_lost);
        let left = lost.find_map(|node| {
            let mut placed = node.assigned.values();
            placed.find(|at| {
                let run = self.runs.get(&at.run);
                run.is_none_or(|run| run.spec.tasks[at.task as usize].on_lost != OnLost::Wait)
            })
        });
        left.map(|left| format!("{left:?} is on a node that is lost, and nothing waits for it"))
    }
}

impl World {
    /// The connections to clients break before what was said has arrived.
    fn lose_answers(&mut self) {
        for event in self.queue.values_mut() {
            if let super::Event::Client(client::Event::Answered { id, .. }) = event {
                let id = *id;
                *event = super::Event::Client(client::Event::Lost(id));
            }
        }
    }
}
