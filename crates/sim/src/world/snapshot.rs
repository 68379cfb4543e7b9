//! Snapshots of the machine, as a journal keeps them: the last two, and no entry that the older of
//! them holds. A control part begins with one of them; the later may be damaged.

use std::collections::VecDeque;

use machine::State;
use machine::snapshot::{Reader, encode};

use reactor::control::LeaderId;

use super::{MS, World, journal, note};

#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// The oldest first.
    kept: VecDeque<Snapshot>,
    /// One is being written.
    writing: Option<(u64, Snapshot)>,
}

#[derive(Debug)]
struct Snapshot {
    index: u64,
    leader: LeaderId,
    bytes: Vec<u8>,
}

const KEPT: usize = 2;

impl Snapshots {
    /// What is behind an entry never was.
    pub(super) fn cut_off(&mut self, index: u64) {
        self.kept.retain(|snapshot| snapshot.index <= index);
        self.writing = None;
    }

    /// There is only this one.
    pub(super) fn restart(&mut self, index: u64, leader: LeaderId, state: &State) {
        let bytes = encode(state).flatten().collect();
        self.kept = VecDeque::from([Snapshot { index, leader, bytes }]);
        self.writing = None;
    }
}

impl World {
    /// Begins a snapshot now and then.
    pub(super) fn perhaps_take_snapshot(&mut self, life: u64, state: &State) {
        let due = self.rng.chance(self.profile.snapshot);
        if !due || self.snapshots.writing.is_some() {
            return;
        }
        let (index, bytes) = (state.applied(), encode(state).flatten().collect());
        let leader = self.journal.written_by(index);
        self.snapshots.writing = Some((life, Snapshot { index, leader, bytes }));
        let delay = self.rng.skewed(MS, 500 * MS);
        self.after(delay, super::Event::Journal(journal::Event::SnapshotWritten { life }));
    }

    /// A snapshot is durable: the journal is trimmed behind the one before it.
    pub(super) fn snapshot_written(&mut self, life: u64) {
        let taken = self.snapshots.writing.take_if(|(by, _)| *by == life);
        let Some((_, mut snapshot)) = taken else { return };
        // The journal's own entries behind it need no batch applied.
        while self.journal.is_own(snapshot.index + 1) && self.rng.chance(500) {
            snapshot.index += 1;
            snapshot.leader = self.journal.written_by(snapshot.index);
        }
        if self.snapshots.kept.back().is_some_and(|last| last.index >= snapshot.index) {
            return; // The control part began with an older one, and is not yet where that was.
        }
        note!(self, "journal: a snapshot of {} is written", snapshot.index);
        self.snapshots.kept.push_back(snapshot);
        if self.snapshots.kept.len() > KEPT {
            self.snapshots.kept.pop_front();
        }
        if self.snapshots.kept.len() == KEPT {
            self.journal.trim(self.snapshots.kept[0].index);
        }
    }

    /// The control part has died: what was being written is not there.
    pub(super) fn lose_snapshot(&mut self, life: u64) {
        self.snapshots.writing.take_if(|(by, _)| *by == life);
    }

    /// What a control part begins with: the last snapshot, or the one before it.
    pub(super) fn read_snapshot(&mut self) -> Option<(u64, LeaderId, State)> {
        let older = self.rng.chance(300);
        // Where there is no other, and no entry before it, it is all there is.
        let has_older = self.snapshots.kept.len() == KEPT || self.journal.trimmed() == 0;
        let snapshots = self.snapshots.kept.iter().rev().skip((older && has_older).into());
        let Some(snapshot) = snapshots.into_iter().next() else {
            if self.journal.trimmed() > 0 {
                self.broken("nothing is left to begin with".to_owned());
            }
            return None;
        };
        let mut reader = Reader::new();
        let size = self.rng.within(1, 2000) as usize;
        let pushed = snapshot.bytes.chunks(size).try_for_each(|piece| reader.push(piece));
        let (index, leader) = (snapshot.index, snapshot.leader);
        note!(self, "control: begins with the snapshot of {index}");
        match pushed.and_then(|()| reader.finish()) {
            Ok(state) => {
                if let Some(what) = state.check_invariants().into_iter().next() {
                    self.broken(format!("invariant in the snapshot of {index}: {what}"));
                }
                Some((index, leader, state))
            }
            Err(error) => {
                self.broken(format!("the snapshot of {index} cannot be read: {error}"));
                None
            }
        }
    }
}

/// The state in words, without what is only a bound in it and may differ after a snapshot.
pub(super) fn told(state: &State) -> String {
    let text = format!("{state:?}");
    let mut plain = String::with_capacity(text.len());
    for (at, part) in text.split("ahead_from: ").enumerate() {
        let digit = |c: char| c.is_ascii_digit();
        plain.push_str(if at == 0 { part } else { part.trim_start_matches(digit) });
    }
    plain
}
