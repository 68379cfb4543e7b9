//! A journal of one voter: ordered, durable once written, slow, and sometimes refusing.
//!
//! A write has no "only if I still lead": a proposal made in the name of one leader may be written
//! in the name of the next, as with the real one.

use std::collections::VecDeque;

use bytes::Bytes;
use reactor::control::LeaderId;

use super::{MS, SECOND, World, control, note};

/// What is durable, and what is on its way to be.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Those that are not trimmed.
    entries: VecDeque<Entry>,
    /// How many are.
    trimmed: u64,
    /// Entries that were written, in whichever incarnation.
    written: u64,
    pending: VecDeque<Proposal>,
    tickets: u64,
    written_until_us: u64,
    /// The leader in whose name entries are written now.
    pub(super) leader: LeaderId,
    /// The life that was elected.
    pub(super) leader_life: u64,
}

/// A durable entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) leader: LeaderId,
    pub(super) record: Bytes,
}

#[derive(Debug)]
struct Proposal {
    ticket: u64,
    life: u64,
    number: u64,
    leader: LeaderId,
    record: Bytes,
    /// A majority was reached when it was made, so another leader may have it.
    reached: bool,
}

/// What becomes of a proposal.
#[derive(Debug)]
enum Fate {
    Written,
    /// Nothing is written, and it may be tried again.
    Refused,
    /// The control part hears only that it failed.
    Unknown {
        written: bool,
    },
}

#[derive(Debug)]
pub(super) enum Event {
    /// The disk has come to this proposal.
    Write(u64),
    /// The control part hears of some of what is durable.
    Deliver {
        life: u64,
    },
    SnapshotWritten {
        life: u64,
    },
    /// It is time to look whether somebody leads.
    Watch,
    /// What was severed is whole again.
    Mends,
}

impl Journal {
    pub(super) fn len(&self) -> u64 {
        self.trimmed + self.entries.len() as u64
    }

    pub(super) fn trimmed(&self) -> u64 {
        self.trimmed
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// What is behind an entry never was.
    pub(super) fn cut_off(&mut self, index: u64) {
        self.entries.truncate(index.saturating_sub(self.trimmed) as usize);
    }

    /// It begins behind a snapshot of this index.
    pub(super) fn restart(&mut self, index: u64) {
        self.entries.clear();
        self.trimmed = index;
    }

    /// Nobody leads any more, the last was `leader`, and what was on its way is lost.
    pub(super) fn abandon(&mut self, leader: LeaderId) {
        self.pending.clear();
        (self.leader, self.leader_life) = (leader, 0);
    }

    /// What is being written is written so much later, and still in its order.
    pub(super) fn sleep(&mut self, slept_us: u64) {
        self.written_until_us += slept_us;
    }

    /// Forgets the entries up to `index`.
    pub(super) fn trim(&mut self, index: u64) {
        let count = index.saturating_sub(self.trimmed);
        self.entries.drain(..count as usize);
        self.trimmed += count;
    }

    /// Whether the entry is there and none of the control part's.
    pub(super) fn is_own(&self, index: u64) -> bool {
        self.entry(index).is_some_and(|entry| entry.record.is_empty())
    }

    /// The leader of an entry that is there; nobody of one that is trimmed.
    pub(super) fn written_by(&self, index: u64) -> LeaderId {
        self.entry(index).map(|entry| entry.leader).unwrap_or_default()
    }

    fn entry(&self, index: u64) -> Option<&Entry> {
        self.entries.get(index.checked_sub(self.trimmed + 1)? as usize)
    }
}

impl World {
    pub(super) fn journal_event(&mut self, event: Event) {
        match event {
            Event::Write(ticket) => self.write(ticket),
            Event::Deliver { life } => self.deliver(life),
            Event::SnapshotWritten { life } => self.snapshot_written(life),
            Event::Watch => self.watch_leader(),
            Event::Mends => self.mend(),
        }
    }

    /// Takes a proposal; the control part may die of it.
    pub(super) fn propose(&mut self, life: u64, number: u64, leader: LeaderId, record: Bytes) {
        let Some(host) = self.host(life) else { return };
        if self.cut() {
            note!(self, "journal: cut before batch {number} is written");
            return self.crash_control(host, 0);
        }
        self.journal.tickets += 1;
        let ticket = self.journal.tickets;
        let reached = self.leading() == Some(host);
        self.journal.pending.push_back(Proposal { ticket, life, number, leader, record, reached });
        let at_us = self.now_us + self.rng.skewed(100, self.profile.write_us);
        self.journal.written_until_us = self.journal.written_until_us.max(at_us);
        self.at(self.journal.written_until_us, super::Event::Journal(Event::Write(ticket)));
    }

    fn write(&mut self, ticket: u64) {
        let leads = |proposal: &Proposal| proposal.leader.1 == self.journal.leader.1;
        let pending = &self.journal.pending;
        let Some(at) = pending.iter().position(|proposal| proposal.ticket == ticket) else {
            return; // A crash, or an election, has decided on it.
        };
        let of_leader = leads(&pending[at]);
        let is_next = pending.iter().position(leads) == Some(at);
        if of_leader && (!is_next || self.leading().is_none()) {
            // It waits for those before it, for a majority, or for another leader.
            let delay = self.rng.within(10 * MS, 200 * MS);
            return self.after(delay, super::Event::Journal(Event::Write(ticket)));
        }
        let Some(proposal) = self.journal.pending.remove(at) else { return };
        let Proposal { life, number, leader, record, .. } = proposal;
        let fate = if of_leader { self.fate(leader) } else { Fate::Unknown { written: false } };
        note!(self, "journal: batch {number} of {leader:?}: {fate:?}");
        let written = matches!(fate, Fate::Written | Fate::Unknown { written: true });
        if written {
            self.append(Entry { leader: self.journal.leader, record });
        }
        if !matches!(fate, Fate::Written) {
            let retry = matches!(fate, Fate::Refused);
            let delay = self.rng.skewed(0, 20 * MS);
            self.after(delay, super::Event::Control(control::Event::Fails { life, number, retry }));
        }
        if written && self.cut() {
            note!(self, "journal: cut after batch {number} is written");
            let host = self.host(life);
            host.into_iter().for_each(|host| self.crash_control(host, 0));
        }
    }

    fn fate(&mut self, leader: LeaderId) -> Fate {
        if leader != self.journal.leader && self.rng.chance(500) {
            return Fate::Unknown { written: false };
        }
        if !self.hostile || !self.rng.chance(self.profile.fail) {
            return Fate::Written;
        }
        match self.rng.below(4) {
            0 => Fate::Unknown { written: true },
            1 => Fate::Unknown { written: false },
            _ => Fate::Refused,
        }
    }

    /// Makes an entry durable; it is delivered some time later.
    pub(super) fn append(&mut self, entry: Entry) {
        self.journal.entries.push_back(entry.clone());
        self.journal.written += 1;
        self.commit(self.journal.len(), &entry);
        let lives: Vec<u64> = self.hosts.iter().map(|host| host.life).collect();
        for life in lives {
            let delay = self.rng.skewed(10, self.profile.deliver_us);
            self.after(delay, super::Event::Journal(Event::Deliver { life }));
        }
    }

    fn deliver(&mut self, life: u64) {
        let Some(host) = self.host(life) else { return };
        let behind = self.journal.len() - self.hosts[host].delivered;
        if behind == 0 {
            return;
        }
        if self.hosts.len() > 1 && self.leading().is_none_or(|leader| !self.reaches(host, leader)) {
            let delay = self.rng.within(10 * MS, 300 * MS);
            return self.after(delay, super::Event::Journal(Event::Deliver { life }));
        }
        if self.hosts[host].delivered < self.journal.trimmed() && self.hosts.len() > 1 {
            let Some((index, leader, state)) = self.read_snapshot() else { return };
            note!(self, "host {host}: is sent the snapshot of {index}");
            self.hosts[host].delivered = index;
            let restored = reactor::control::Event::Restored { index, leader, state };
            self.control(life, restored);
            // What is behind it comes as ever; its leader may wait for that to begin.
            let delay = self.rng.skewed(10, self.profile.deliver_us);
            return self.after(delay, super::Event::Journal(Event::Deliver { life }));
        }
        let count = 1 + self.rng.below(behind);
        note!(self, "journal: {count} of {behind} entries are delivered");
        for _ in 0..count {
            self.hosts[host].delivered += 1;
            let index = self.hosts[host].delivered;
            let Some(entry) = self.journal.entry(index).cloned() else {
                return self.broken(format!("entry {index} is trimmed"));
            };
            let Entry { leader, record } = entry;
            self.control(life, reactor::control::Event::Delivered { index, leader, record });
            if self.host(life).is_none() {
                return;
            }
        }
        if count < behind {
            let delay = self.rng.skewed(10, self.profile.deliver_us);
            self.after(delay, super::Event::Journal(Event::Deliver { life }));
        }
        if self.cut() {
            note!(self, "host {host}: cut after the answers of an entry");
            self.crash_control(host, 0);
        }
    }

    /// The process that proposed has died, or another leads: a first part of what it gave away is
    /// committed all the same.
    pub(super) fn settle_pending(&mut self) {
        let pending = std::mem::take(&mut self.journal.pending);
        let mut more = true;
        for Proposal { life, number, leader, record, reached, .. } in pending {
            let of_leader = leader.1 == self.journal.leader.1;
            more &= of_leader && (reached || self.hosts.len() == 1) && self.rng.chance(400);
            note!(self, "journal: batch {number} of {leader:?}, which led, written {more}");
            if more {
                self.append(Entry { leader: self.journal.leader, record });
            }
            if self.hosts.len() > 1 {
                let (delay, retry) = (self.rng.skewed(MS, SECOND), false);
                let fails = control::Event::Fails { life, number, retry };
                self.after(delay, super::Event::Control(fails));
            }
        }
    }

    fn cut(&mut self) -> bool {
        self.hostile && self.rng.chance(self.profile.cut)
    }
}
