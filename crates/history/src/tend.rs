//! What is done to the files when there is time: merging small parts, letting runs go, and giving
//! their room back. Each call does a little, so that nothing ever waits for long.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::block::{Heads, Key, Kind};
use crate::cover::Ranges;
use crate::error::failed;
use crate::fact::RunHead;
use crate::gone::Gone;
use crate::keep::{Counted, Settings};
use crate::merge::{Merge, Went};
use crate::part::Part;
use crate::walk::{Step, Walk, Wanted};
use crate::{Error, History};

/// How long one call may take, about.
const STEP: Duration = Duration::from_millis(8);
/// Runs that one step lets go at most.
const RUNS_MAX: usize = 1_000;
/// Heads that one step looks at at most.
const HEADS_MAX: usize = 5_000;
/// Neighbours of one size that are merged.
const MERGE_PARTS: usize = 8;
/// A part is not merged beyond this.
const PART_BYTES_MAX: u64 = 128 << 20;
/// Between two looks at what may go.
const PASS_EVERY: Duration = Duration::from_secs(3600);
/// After a merge for which there was no room.
const MERGE_AGAIN: Duration = Duration::from_secs(60);
/// What was deleted for the limit of the disk goes a little below it, so that it is not reached
/// again at once.
const BELOW_LIMIT_PERCENT: u64 = 95;

/// Whoever tends the files.
pub(crate) struct Tender {
    gone: Gone,
    pub(crate) settings: Settings,
    merge: Option<Merge>,
    merge_after: Option<Instant>,
    pass: Option<Pass>,
    pass_after: Option<Instant>,
    /// Heads below this were looked at for the limit of the disk.
    oldest_left: u64,
}

/// A look at all runs, the latest first.
struct Pass {
    before: u64,
    counted: Counted,
}

impl Tender {
    pub(crate) fn new(gone: Gone, settings: Settings) -> Tender {
        Tender {
            gone,
            settings,
            merge: None,
            merge_after: None,
            pass: None,
            pass_after: None,
            oldest_left: 0,
        }
    }
}

impl History {
    /// Does a little of what is to be done, for some milliseconds; says whether there is more.
    /// `now_ms` is the time, Unix milliseconds.
    pub fn tend(&self, now_ms: u64) -> Result<bool, Error> {
        let mut tender = self.tender();
        let until = Instant::now() + STEP;
        let more = self.tend_some(&mut tender, now_ms, until);
        more.map_err(failed(&self.dir))
    }

    fn tend_some(&self, tender: &mut Tender, now_ms: u64, until: Instant) -> io::Result<bool> {
        let now = Instant::now();
        if let Some(merge) = tender.merge.take() {
            return match self.merge_step(tender, merge, until) {
                Err(error) if is_full(&error) => {
                    tender.merge_after = Some(now + MERGE_AGAIN);
                    Ok(false)
                }
                other => other,
            };
        }
        if tender.merge_after.is_none_or(|after| now >= after)
            && let Some(parts) = self.to_merge(tender)
        {
            tender.merge_after = None;
            match Merge::begin(&self.dir, parts, &self.read().gone) {
                Ok(merge) => tender.merge = Some(merge),
                Err(error) if is_full(&error) => tender.merge_after = Some(now + MERGE_AGAIN),
                Err(error) => return Err(error),
            }
            return Ok(true);
        }
        if self.over_limit(tender) {
            return self.let_oldest_go(tender);
        }
        self.pass_step(tender, now_ms)
    }

    fn merge_step(&self, tender: &mut Tender, merge: Merge, until: Instant) -> io::Result<bool> {
        let (parts, dead_before) = (merge.parts.clone(), merge.dead_bytes);
        let (went, rest) = merge.step(until)?;
        tender.merge = rest;
        if let Went::Damaged = went {
            let damaged = parts.iter().find(|part| part.is_damaged());
            if let Some(part) = damaged {
                let path = part.path.display();
                tracing::error!(%path, "a file of history is damaged; what is whole is served");
            }
        }
        if let Went::Done(part) = went {
            // Runs that were deleted meanwhile are in it still.
            let dead: u64 = parts.iter().map(|part| part.dead_bytes()).sum();
            part.dead_bytes.store(dead.saturating_sub(dead_before), Ordering::Relaxed);
            let path = part.path.clone();
            {
                let mut inner = self.write();
                let all = Arc::make_mut(&mut inner.parts);
                let at = all.partition_point(|other| other.flushes < part.flushes);
                let is_input = |other: &Arc<Part>| parts.iter().any(|old| Arc::ptr_eq(old, other));
                let first = all.iter().position(is_input).unwrap_or(at);
                all.retain(|other| !is_input(other));
                all.insert(first, Arc::new(part));
            }
            // Readers that look at them still have them open.
            for old in parts.iter().filter(|old| old.path != path) {
                match fs::remove_file(&old.path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(true)
    }

    /// Neighbours that are to become one, or a part much of which is gone.
    fn to_merge(&self, tender: &Tender) -> Option<Vec<Arc<Part>>> {
        let parts = self.read().parts.clone();
        let sizes: Vec<Option<u64>> =
            parts.iter().map(|part| (!part.is_damaged()).then_some(part.bytes)).collect();
        if let Some(neighbours) = alike(&sizes) {
            return Some(parts[neighbours].to_vec());
        }
        let tight = self.disk_bytes() > tender.settings.disk_bytes_max;
        let worth = |part: &&Arc<Part>| {
            let dead = part.dead_bytes();
            !part.is_damaged() && (4 * dead >= part.bytes || tight && 20 * dead >= part.bytes)
        };
        let most_dead = parts.iter().filter(worth).max_by_key(|part| part.dead_bytes());
        most_dead.filter(|part| part.dead_bytes() > 0).map(|part| vec![part.clone()])
    }

    fn over_limit(&self, tender: &Tender) -> bool {
        let parts = self.read().parts.clone();
        let alive: u64 = parts.iter().map(|part| part.bytes - part.dead_bytes()).sum();
        let limit = tender.settings.disk_bytes_max;
        match self.disk_bytes() > limit {
            true => alive > limit / 100 * BELOW_LIMIT_PERCENT,
            false => false,
        }
    }

    fn let_oldest_go(&self, tender: &mut Tender) -> io::Result<bool> {
        let (parts, gone) = self.parts_and_gone();
        let wanted = Wanted::all(Key::of_run(tender.oldest_left), Key::MAX, gone);
        let mut oldest = Vec::new();
        for step in Walk::<Heads>::begin(wanted, &parts, Vec::new()).take(RUNS_MAX / 10) {
            if let Step::Row(head) = step {
                oldest.push(head);
            }
        }
        match oldest.last() {
            Some(head) => tender.oldest_left = head.run.0 + 1,
            None if tender.oldest_left == 0 => return Ok(false),
            None => tender.oldest_left = 0, // Some of low numbers may have ended since.
        }
        self.let_go(tender, &oldest)?;
        Ok(true)
    }

    fn pass_step(&self, tender: &mut Tender, now_ms: u64) -> io::Result<bool> {
        let now = Instant::now();
        if tender.pass.is_none() {
            if tender.pass_after.is_some_and(|after| now < after) {
                return Ok(false);
            }
            tender.pass_after = Some(now + PASS_EVERY);
            tender.pass = Some(Pass { before: u64::MAX, counted: Counted::default() });
        }
        let Some(pass) = &mut tender.pass else { return Ok(false) };
        let (parts, gone) = self.parts_and_gone();
        let to = Key::of_run(pass.before.saturating_sub(1));
        let wanted = Wanted { backward: true, ..Wanted::all(Key::MIN, to, gone) };
        let mut walk = Walk::<Heads>::begin(wanted, &parts, Vec::new());
        let mut go: Vec<RunHead> = Vec::new();
        let mut looked_at = 0;
        let more = loop {
            if looked_at >= HEADS_MAX || go.len() >= RUNS_MAX {
                break true;
            }
            match walk.next() {
                None => break false,
                Some(Step::Damaged(_)) => {}
                Some(Step::Row(head)) => {
                    looked_at += 1;
                    pass.before = head.run.0;
                    if pass.counted.may_go(&tender.settings, &head, now_ms) {
                        go.push(head);
                    }
                }
            }
        };
        drop(walk);
        if !more {
            tender.pass = None;
        }
        self.let_go(tender, &go)?;
        Ok(more || !go.is_empty())
    }

    /// Deletes runs: from here on nobody sees them, now or after a crash.
    pub(crate) fn let_go(&self, tender: &mut Tender, heads: &[RunHead]) -> io::Result<u64> {
        if heads.is_empty() {
            return Ok(0);
        }
        let mut runs = Ranges::default();
        heads.iter().for_each(|head| runs.insert(head.run.0));
        tender.gone.add(&runs)?;
        tender.merge_after = None; // Now there is room to be had.
        let all = Arc::new(tender.gone.runs.clone());
        let parts = {
            let mut inner = self.write();
            inner.gone = all;
            inner.parts.clone()
        };
        let dead = |part: &Arc<Part>| {
            let dead: u64 = heads.iter().map(|head| part.bytes_of(head)).sum();
            part.dead_bytes.fetch_add(dead, Ordering::Relaxed);
            dead
        };
        Ok(parts.iter().map(dead).sum())
    }

    pub(crate) fn parts_and_gone(&self) -> (Arc<Vec<Arc<Part>>>, Arc<Ranges>) {
        let inner = self.read();
        (inner.parts.clone(), inner.gone.clone())
    }
}

/// Neighbours of about one size, the smallest first, or such as fill a part together. `None` stands
/// for a part that is not to be touched.
fn alike(sizes: &[Option<u64>]) -> Option<std::ops::Range<usize>> {
    let tier = |bytes: u64| (bytes >> 12).max(1).ilog2() / 3;
    for most in 0..=tier(PART_BYTES_MAX) {
        let (mut first, mut sum) = (0, 0);
        for (at, size) in sizes.iter().enumerate() {
            let Some(size) = size.filter(|size| tier(*size) <= most) else {
                (first, sum) = (at + 1, 0);
                continue;
            };
            if sum + size > PART_BYTES_MAX {
                if at - first >= 2 && sum >= PART_BYTES_MAX / 2 {
                    return Some(first..at);
                }
                (first, sum) = (at, 0);
            }
            sum += size;
            if at + 1 - first >= MERGE_PARTS {
                return Some(first..at + 1);
            }
        }
    }
    None
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Part {
    /// About how many bytes of this part are of a run.
    pub(crate) fn bytes_of(&self, head: &RunHead) -> u64 {
        let run = head.run.0;
        let (from, to) = (Key::of_run(run), Key { run, ..Key::MAX });
        let share = |kind: Kind, rows_max: u64| -> u64 {
            let blocks = &self.blocks(kind)[self.within(kind, from, to)];
            let of = |meta: &crate::block::Meta| match meta.first.run == meta.last.run {
                true => meta.bytes(),
                // A guess: its own share of those that are in the block.
                false => {
                    let runs = (meta.last.run - meta.first.run + 1).min(u64::from(meta.rows));
                    let rows = (u64::from(meta.rows) / runs).clamp(1, rows_max.max(1));
                    meta.bytes() * rows / u64::from(meta.rows.max(1))
                }
            };
            blocks.iter().map(of).sum()
        };
        share(Kind::Attempts, head.profile.elements)
            + share(Kind::Spans, head.profile.elements)
            + share(Kind::Heads, 1)
            + share(Kind::Jobs, 1)
    }

    /// How much of it may be gone, after a start: nothing has counted it yet.
    pub(crate) fn estimate_dead(&self, gone: &Ranges) {
        let kinds = [Kind::Attempts, Kind::Spans, Kind::Heads, Kind::Jobs];
        let metas = kinds.into_iter().flat_map(|kind| self.blocks(kind));
        let dead = metas.map(|meta| {
            let (first, last) = (meta.first.run, meta.last.run);
            let all = (last - first).saturating_add(1);
            meta.bytes() * gone.count_in(first, last) / all
        });
        self.dead_bytes.store(dead.sum(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many parts there are after so many flushes of this size, each tended.
    fn parts_after(flushes: u64, bytes: u64) -> Vec<u64> {
        let mut sizes: Vec<u64> = Vec::new();
        for _ in 0..flushes {
            sizes.push(bytes);
            while let Some(some) = alike(&sizes.iter().copied().map(Some).collect::<Vec<_>>()) {
                assert!(some.len() >= 2);
                let sum = sizes[some.clone()].iter().sum();
                assert!(sum <= PART_BYTES_MAX);
                sizes.splice(some, [sum]);
            }
        }
        sizes
    }

    #[test]
    fn parts_stay_few_whatever_the_size_of_a_flush() {
        for bytes in [400, 5_000, 700_000, 2_200_000, 9 << 20, 17 << 20, 70 << 20] {
            let flushes = (4 << 30) / bytes;
            let parts = parts_after(flushes.min(30_000), bytes);
            let sum: u64 = parts.iter().sum();
            let most = 2 * sum / PART_BYTES_MAX + 40;
            assert!(parts.len() as u64 <= most, "{bytes}: {} parts, {most} at most", parts.len());
        }
    }

    #[test]
    fn a_part_that_cannot_be_read_is_in_no_merge() {
        let mut sizes = vec![Some(400); 15];
        sizes[7] = None;
        assert_eq!(alike(&sizes), None);
        sizes.push(Some(400));
        assert_eq!(alike(&sizes), Some(8..16));
    }
}
