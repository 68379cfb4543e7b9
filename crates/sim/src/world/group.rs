//! The control parts as a group: who reaches whom, who leads, and when another does.
//!
//! It is not Raft but what Raft promises: one sequence of entries; at most one leader of a term,
//! elected by a majority; nothing committed without one. A leader that is cut off goes on believing
//! that it leads.

use super::control::Event;
use super::{MS, SECOND, World, journal, note};

impl World {
    /// The host of this life, if it lives.
    pub(super) fn host(&self, life: u64) -> Option<usize> {
        self.hosts.iter().position(|host| host.life == life && host.control.is_some())
    }

    /// Whether words get from one host to another and back.
    pub(super) fn reaches(&self, a: usize, b: usize) -> bool {
        !self.severed.contains(&(a, b)) && !self.severed.contains(&(b, a))
    }

    fn has_majority(&self, host: usize) -> bool {
        let lives = |at: &usize| self.hosts[*at].control.is_some();
        let reached = (0..self.hosts.len()).filter(|at| lives(at) && self.reaches(host, *at));
        lives(&host) && 2 * reached.count() > self.hosts.len()
    }

    /// The host whose entries are committed, if a majority follows it.
    pub(super) fn leading(&self) -> Option<usize> {
        let host = self.host(self.journal.leader_life)?;
        self.has_majority(host).then_some(host)
    }

    /// Looks whether somebody leads, again and again; elects another where nobody does.
    pub(super) fn watch_leader(&mut self) {
        if self.leading().is_none() {
            let able: Vec<usize> =
                (0..self.hosts.len()).filter(|at| self.has_majority(*at)).collect();
            if let Some(host) = self.rng.pick(&able).copied() {
                self.elect(host);
            }
        }
        let delay = self.rng.within(100 * MS, SECOND);
        self.after(delay, super::Event::Journal(journal::Event::Watch));
    }

    /// A host leads from now on: its first entry is committed; it hears of that at some time before
    /// or after, and those that led before hear that they do not, when they can.
    pub(super) fn elect(&mut self, host: usize) -> u64 {
        self.settle_pending();
        let life = self.hosts[host].life;
        self.journal.leader = (self.journal.leader.0 + 1, host as u64 + 1);
        self.journal.leader_life = life;
        let leader = self.journal.leader;
        note!(self, "journal: {leader:?} leads");
        self.append(journal::Entry { leader, record: Default::default() });
        let delay = self.rng.skewed(0, 50 * MS);
        let news = Event::News { life, leader: Some(leader) };
        self.after(delay, super::Event::Control(news));
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            let life = self.hosts[other].life;
            let delay = self.rng.skewed(MS, SECOND);
            self.after(delay, super::Event::Control(Event::News { life, leader: None }));
        }
        self.rng.skewed(0, 50 * MS)
    }

    /// A host hears that it does not lead, or later, where no word of that gets through.
    pub(super) fn hears_of_others(&mut self, host: usize) {
        let (life, leader) = (self.hosts[host].life, self.journal.leader);
        if leader.1 == host as u64 + 1 || self.hosts[host].believes.is_none() {
            return;
        }
        if !self.reaches(host, leader.1 as usize - 1) {
            let delay = self.rng.within(100 * MS, SECOND);
            let news = Event::News { life, leader: None };
            return self.after(delay, super::Event::Control(news));
        }
        note!(self, "host {host}: leads no more");
        self.hosts[host].believes = None;
        self.control(life, reactor::control::Event::Leadership(None));
        self.part_with_workers(life);
    }

    /// Cuts ways between hosts, one-way or both, for a while.
    pub(super) fn sever(&mut self) {
        let count = self.hosts.len() as u64;
        if count == 1 {
            return;
        }
        let alone = self.rng.below(count) as usize;
        let (to, from) = (self.rng.chance(800), self.rng.chance(800));
        for other in (0..count as usize).filter(|other| *other != alone) {
            if self.rng.chance(800) {
                self.severed.extend(to.then_some((alone, other)));
                self.severed.extend(from.then_some((other, alone)));
            }
        }
        note!(self, "hosts: severed {:?}", self.severed);
        let delay = self.rng.within(MS, 2 * (self.profile.lease_ms + 2_000) * MS);
        self.after(delay, super::Event::Journal(journal::Event::Mends));
    }

    /// All hosts reach each other again.
    pub(super) fn mend(&mut self) {
        if !self.severed.is_empty() {
            note!(self, "hosts: reach each other again");
            self.severed.clear();
        }
    }
}
