//! The clocks of the control part, and what the stamps of its batches may make of them.
//!
//! Virtual time is the steady clock. The wall clock is off by whatever it was set to; a suspend
//! lets both go on while nothing happens. Stamps follow the steady clock to an eighth, whatever the
//! wall clock does; only what is left of a jump below a step, and the start of a new life, let them
//! leap, and every leap is counted here.

use std::collections::BTreeMap;

use reactor::Now;
use reactor::control::LeaderId;

use super::{MS, SECOND, World, note};

const MINUTE: u64 = 60 * SECOND;
/// Milliseconds that a stamp leaps at most when the wall clock is nearly reached.
const STEP_MS: u64 = 2_000;
/// Suspends of one world, so that its keys outlive them.
const SUSPENDS_MAX: u32 = 4;
/// How late a timer may fire at most, when nothing fails.
const LATE_US_MAX: u64 = 30 * SECOND;
/// Rounding of two stamps.
const ROUNDING_MS: u64 = 3;

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// How far the clock on the wall is off.
    skew_ms: i64,
    suspends: u32,
    /// The life of the control part that has asked for the time last.
    life: u64,
    /// Jumps in this life that a stamp has not stepped after.
    steps_left: u32,
    last: Option<Stamps>,
    /// The sum of all leaps of the stamps.
    leaps_ms: u64,
    sealed: BTreeMap<(LeaderId, u64), Mark>,
    /// Since when a timer of the machine is due and has not fired.
    overdue_us: Option<u64>,
}

/// Between which bounds the stamps were at a moment.
#[derive(Clone, Copy, Debug)]
struct Stamps {
    low_ms: u64,
    high_ms: u64,
    at_us: u64,
}

/// A moment: by the stamps, and by the steady clock with what the stamps had leapt until then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) stamp_ms: u64,
    at_us: u64,
    leaps_ms: u64,
}

impl Mark {
    pub(super) fn stamped(self, stamp_ms: u64) -> Mark {
        Mark { stamp_ms, ..self }
    }

    /// Whether `wait_ms` have not passed since `since`, by the stamps or by the steady clock.
    pub(super) fn is_early(self, since: Mark, wait_ms: u64) -> bool {
        let passed_us = self.at_us.saturating_sub(since.at_us);
        let leapt_ms = self.leaps_ms - since.leaps_ms;
        self.stamp_ms < since.stamp_ms.saturating_add(wait_ms)
            || fast(passed_us) + leapt_ms + ROUNDING_MS < wait_ms
    }
}

/// What stamps add in this time at most, an eighth too fast.
fn fast(passed_us: u64) -> u64 {
    passed_us * 9 / (8 * MS)
}

/// What stamps add in this time at least, an eighth too slow.
fn slow(passed_us: u64) -> u64 {
    passed_us * 7 / (8 * MS)
}

impl Clock {
    /// When the batch was sealed.
    pub(super) fn sealed(&self, leader: LeaderId, number: u64) -> Option<Mark> {
        self.sealed.get(&(leader, number)).copied()
    }

    /// What a stamp would be now, or a little less.
    fn stamp_ms(&self, now_us: u64) -> u64 {
        self.last.map_or(0, |last| last.low_ms + slow(now_us - last.at_us))
    }

    /// A new life of the control part takes the wall clock for what it is.
    fn begin_life(&mut self, life: u64, wall_ms: u64, at_us: u64) {
        (self.life, self.steps_left) = (life, 0);
        let before = self.last.map_or(wall_ms, |last| last.high_ms);
        let high_ms = wall_ms.max(before);
        let ran_to = self.last.map_or(wall_ms, |last| last.high_ms + fast(at_us - last.at_us));
        self.leaps_ms += high_ms.saturating_sub(ran_to);
        self.last = Some(Stamps { low_ms: wall_ms, high_ms, at_us });
    }

    /// A batch is sealed with this stamp. Says what is wrong with it.
    fn seal(&mut self, batch: (LeaderId, u64), stamp_ms: u64, at_us: u64) -> Option<String> {
        if self.sealed.contains_key(&batch) {
            return None; // It is proposed once more.
        }
        let last = self.last?;
        let passed_us = at_us - last.at_us;
        let mut broken = None;
        let mut leap = stamp_ms.saturating_sub(last.high_ms + fast(passed_us));
        self.leaps_ms += leap;
        while leap > ROUNDING_MS && self.steps_left > 0 {
            leap = leap.saturating_sub(STEP_MS);
            self.steps_left -= 1;
        }
        if leap > ROUNDING_MS {
            broken = Some(format!("stamps leapt by {leap} ms in {} ms", passed_us / MS));
        }
        if stamp_ms + ROUNDING_MS < last.low_ms + slow(passed_us) {
            broken = Some(format!("stamps stand still: {last:?}, then {stamp_ms} at {at_us}"));
        }
        self.last = Some(Stamps { low_ms: stamp_ms, high_ms: stamp_ms, at_us });
        self.sealed.insert(batch, Mark { stamp_ms, at_us, leaps_ms: self.leaps_ms });
        broken
    }
}

impl Clock {
    /// One of several control parts seals a batch; their clocks agree, and no stamp leaps.
    fn seal_of_many(&mut self, batch: (LeaderId, u64), stamp_ms: u64, at_us: u64) {
        let mark = Mark { stamp_ms, at_us, leaps_ms: 0 };
        self.sealed.entry(batch).or_insert(mark);
        self.last = Some(Stamps { low_ms: stamp_ms, high_ms: stamp_ms, at_us });
    }
}

impl World {
    /// What the control part is told of the time.
    pub(super) fn control_now(&mut self, host: usize) -> Now {
        let (steady_ms, life) = (self.now_us / MS, self.hosts[host].life);
        let wall_ms = 1_700_000_000_000 + steady_ms as i64 + self.clock.skew_ms;
        if self.hosts.len() == 1 && self.clock.life != life {
            self.clock.begin_life(life, wall_ms as u64, self.now_us);
        }
        Now { unix_ms: wall_ms as u64, steady_ms }
    }

    /// The control part has made a batch.
    pub(super) fn check_stamp(&mut self, number: u64, leader: LeaderId, record: &[u8]) {
        let header = machine::decode(0, record).ok().and_then(|batch| batch.header);
        let stamp_ms = header.map_or(0, |header| header.time_ms);
        if self.hosts.len() > 1 {
            return self.clock.seal_of_many((leader, number), stamp_ms, self.now_us);
        }
        if let Some(what) = self.clock.seal((leader, number), stamp_ms, self.now_us) {
            self.broken(format!("batch {number} of {leader:?}: {what}"));
        }
    }

    /// The stamp of a batch that is made with no control part around it.
    pub(super) fn offline_ms(&mut self, leader: LeaderId, number: u64) -> u64 {
        self.lives += 1;
        let wall_ms = (1_700_000_000_000 + (self.now_us / MS) as i64 + self.clock.skew_ms) as u64;
        let stamp_ms = self.truth.state.time_ms().max(wall_ms);
        match self.hosts.len() {
            1 => {
                self.clock.begin_life(self.lives, wall_ms, self.now_us);
                let broken = self.clock.seal((leader, number), stamp_ms, self.now_us);
                broken.into_iter().for_each(|what| self.broken(what));
            }
            _ => self.clock.seal_of_many((leader, number), stamp_ms, self.now_us),
        }
        stamp_ms
    }

    /// In a healed world what is due happens, though nothing else does.
    pub(super) fn check_timers(&mut self) {
        let due = self.truth.state.timers().next_ms();
        if due.is_none_or(|due_ms| due_ms > self.clock.stamp_ms(self.now_us)) {
            self.clock.overdue_us = None;
            return;
        }
        let since_us = *self.clock.overdue_us.get_or_insert(self.now_us);
        if self.now_us - since_us > LATE_US_MAX {
            self.broken(format!("a timer is due at {due:?} and has not fired"));
        }
    }

    /// The wall clock of the control part jumps: seconds, or an hour forward or back.
    pub(super) fn jump_clock(&mut self) {
        if self.hosts.len() > 1 {
            return; // The clocks of a group agree, or its leader steps down.
        }
        self.clock.skew_ms = match self.rng.below(4) {
            0 => self.clock.skew_ms + 3_600_000,
            1 => self.clock.skew_ms - 3_600_000,
            _ => self.rng.below(20_000) as i64 - 10_000,
        };
        self.clock.steps_left += 1;
        note!(self, "control: the clock is off by {} ms", self.clock.skew_ms);
    }

    /// All machines are suspended: the clocks go on, nothing else does, and whatever sleeps has as
    /// long to sleep as before.
    pub(super) fn suspend(&mut self) {
        if self.clock.suspends == SUSPENDS_MAX {
            return;
        }
        self.clock.suspends += 1;
        let slept_us = self.rng.skewed(MINUTE, 300 * MINUTE);
        note!(self, "everything is suspended for {} s", slept_us / SECOND);
        let queue = std::mem::take(&mut self.queue).into_iter();
        self.queue = queue.map(|((at_us, number), e)| ((at_us + slept_us, number), e)).collect();
        self.links.sleep(slept_us);
        self.journal.sleep(slept_us);
        for daemon in self.nodes.iter_mut().filter_map(|node| node.daemon.as_mut()) {
            daemon.last_us = daemon.last_us.map(|last_us| last_us + slept_us);
        }
        self.now_us += slept_us;
    }
}
