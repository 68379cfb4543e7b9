//! A journal of one voter: ordered, durable once written, slow, and sometimes refusing.
//!
//! A write has no "only if I still lead": a proposal made in the name of one leader may be written
//! in the name of the next, as with the real one.

use std::collections::VecDeque;

use bytes::Bytes;
use reactor::control::LeaderId;

use super::{MS, World, control, note};

/// What is durable, and what is on its way to be.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Those that are not trimmed.
    entries: VecDeque<Entry>,
    /// How many are.
    trimmed: u64,
    pending: VecDeque<Proposal>,
    tickets: u64,
    written_until_us: u64,
    /// The leader in whose name entries are written now.
    pub(super) leader: LeaderId,
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
}

impl Journal {
    pub(super) fn len(&self) -> u64 {
        self.trimmed + self.entries.len() as u64
    }

    pub(super) fn trimmed(&self) -> u64 {
        self.trimmed
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

    fn entry(&self, index: u64) -> Option<&Entry> {
        self.entries.get((index - 1).checked_sub(self.trimmed)? as usize)
    }
}

impl World {
    pub(super) fn journal_event(&mut self, event: Event) {
        match event {
            Event::Write(ticket) => self.write(ticket),
            Event::Deliver { life } if life == self.host.life => self.deliver(life),
            Event::SnapshotWritten { life } if life == self.host.life => self.snapshot_written(),
            Event::Deliver { .. } | Event::SnapshotWritten { .. } => {}
        }
    }

    /// Takes a proposal; the control part may die of it.
    pub(super) fn propose(&mut self, number: u64, leader: LeaderId, record: Bytes) {
        if self.cut() {
            note!(self, "journal: cut before batch {number} is written");
            return self.crash_control(0);
        }
        self.journal.tickets += 1;
        let (ticket, life) = (self.journal.tickets, self.host.life);
        self.journal.pending.push_back(Proposal { ticket, life, number, leader, record });
        let at_us = self.now_us + self.rng.skewed(100, self.profile.write_us);
        self.journal.written_until_us = self.journal.written_until_us.max(at_us);
        self.at(self.journal.written_until_us, super::Event::Journal(Event::Write(ticket)));
    }

    fn write(&mut self, ticket: u64) {
        if self.journal.pending.front().is_none_or(|first| first.ticket != ticket) {
            return; // A crash has decided on it.
        }
        let Some(proposal) = self.journal.pending.pop_front() else { return };
        let Proposal { life, number, leader, record, .. } = proposal;
        let fate = self.fate(leader);
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
            self.crash_control(0);
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
        self.commit(self.journal.len(), &entry);
        let delay = self.rng.skewed(10, self.profile.deliver_us);
        let life = self.host.life;
        self.after(delay, super::Event::Journal(Event::Deliver { life }));
    }

    fn deliver(&mut self, life: u64) {
        let behind = self.journal.len() - self.host.delivered;
        if behind == 0 {
            return;
        }
        let count = 1 + self.rng.below(behind);
        note!(self, "journal: {count} of {behind} entries are delivered");
        for _ in 0..count {
            self.host.delivered += 1;
            let Some(entry) = self.journal.entry(self.host.delivered).cloned() else {
                return self.broken(format!("entry {} is trimmed", self.host.delivered));
            };
            let (index, Entry { leader, record }) = (self.host.delivered, entry);
            self.control(reactor::control::Event::Delivered { index, leader, record });
            if self.host.life != life || self.host.control.is_none() {
                return;
            }
        }
        if count < behind {
            let delay = self.rng.skewed(10, self.profile.deliver_us);
            self.after(delay, super::Event::Journal(Event::Deliver { life }));
        }
        if self.cut() {
            note!(self, "journal: cut after the answers of entry {}", self.host.delivered);
            self.crash_control(0);
        }
    }

    /// The process that proposed has died: a first part of what it gave away still gets to the disk.
    pub(super) fn settle_pending(&mut self) {
        let pending = std::mem::take(&mut self.journal.pending);
        for Proposal { number, record, .. } in pending {
            let written = self.rng.chance(400);
            note!(self, "journal: batch {number} of the dead, written {written}");
            if !written {
                return;
            }
            self.append(Entry { leader: self.journal.leader, record });
        }
    }

    fn cut(&mut self) -> bool {
        self.hostile && self.rng.chance(self.profile.cut)
    }
}
