//! Where the output of attempts lies that have not ended, and who follows it.
//!
//! The supervisor tells of new stretches as it writes them. Ended attempts are forgotten once
//! history has them: from there on their last frame lists everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use model::{Attempt, RunId};
use proto::supervisor::{Extent, Output};
use tokio::sync::Notify;

/// The output of live attempts of this node.
#[derive(Debug, Default)]
pub(crate) struct LiveOutput {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    attempts: BTreeMap<Attempt, Vec<Extent>>,
    followers: BTreeMap<RunId, Vec<Weak<Follower>>>,
    /// Followers that have left are dropped after so many more have come.
    sweep_in: usize,
}

/// Below so many followers nothing is swept.
const SWEEP_MIN: usize = 64;

/// One reader of a run's output, as it comes.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    news: Mutex<BTreeMap<Attempt, News>>,
    bell: Notify,
}

/// More of one attempt's output.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) extents: Vec<Extent>,
    /// It is the last, for the attempt's supervisor was killed.
    pub(crate) lost: bool,
}

impl Follower {
    /// What came since the last call.
    pub(crate) fn take(&self) -> BTreeMap<Attempt, News> {
        std::mem::take(&mut *lock(&self.news))
    }

    /// Answers once there is, or was since the last call, something to take.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl LiveOutput {
    /// The supervisor told of output.
    pub(crate) fn told(&self, output: Output) {
        let Some(attempt) = output.attempt.map(Attempt::from) else { return };
        self.add(attempt, output, false);
    }

    /// All that was found of an attempt whose supervisor was killed.
    pub(crate) fn lost(&self, attempt: Attempt, extents: Vec<Extent>) {
        self.add(attempt, Output { attempt: None, extents, all: true }, true);
    }

    fn add(&self, attempt: Attempt, output: Output, lost: bool) {
        let mut inner = lock(&self.inner);
        let all = inner.attempts.entry(attempt).or_default();
        let fresh = match output.all {
            true => {
                let fresh = beyond(&output.extents, all);
                *all = output.extents;
                fresh
            }
            false => {
                output.extents.iter().for_each(|extent| append(all, *extent));
                output.extents
            }
        };
        let Some(followers) = inner.followers.get_mut(&attempt.element.run) else { return };
        followers.retain(|follower| {
            let Some(follower) = follower.upgrade() else { return false };
            let mut news = lock(&follower.news);
            let news = news.entry(attempt).or_default();
            fresh.iter().for_each(|extent| append(&mut news.extents, *extent));
            news.lost |= lost;
            follower.bell.notify_one();
            true
        });
        if followers.is_empty() {
            inner.followers.remove(&attempt.element.run);
        }
    }

    /// All that was told so far of these attempts' output.
    pub(crate) fn so_far(&self, attempts: &BTreeSet<Attempt>) -> BTreeMap<Attempt, Vec<Extent>> {
        let inner = lock(&self.inner);
        let told = |attempt: &Attempt| Some((*attempt, inner.attempts.get(attempt)?.clone()));
        attempts.iter().filter_map(told).collect()
    }

    /// These attempts are in history now.
    pub(crate) fn forget(&self, ended: &[Attempt]) {
        let mut inner = lock(&self.inner);
        for attempt in ended {
            inner.attempts.remove(attempt);
        }
    }

    /// All there is so far of a run's live attempts, and a follower of what comes after it.
    pub(crate) fn follow(&self, run: RunId) -> (BTreeMap<Attempt, Vec<Extent>>, Arc<Follower>) {
        let mut inner = lock(&self.inner);
        inner.sweep();
        let follower = Arc::new(Follower::default());
        inner.followers.entry(run).or_default().push(Arc::downgrade(&follower));
        let live = inner.attempts.iter().filter(|(attempt, _)| attempt.element.run == run);
        (live.map(|(attempt, extents)| (*attempt, extents.clone())).collect(), follower)
    }
}

impl Inner {
    /// There may never be output again of a run that has ended, to find out who has left.
    fn sweep(&mut self) {
        if self.sweep_in > 0 {
            self.sweep_in -= 1;
            return;
        }
        self.followers.retain(|_, followers| {
            followers.retain(|follower| follower.strong_count() > 0);
            !followers.is_empty()
        });
        self.sweep_in = self.followers.values().map(Vec::len).sum::<usize>().max(SWEEP_MIN);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a stretch, to the last one where it goes on there.
fn append(extents: &mut Vec<Extent>, next: Extent) {
    match extents.last_mut() {
        Some(last)
            if (last.own_file, last.segment) == (next.own_file, next.segment)
                && last.offset + last.length == next.offset =>
        {
            last.length += next.length;
        }
        _ => extents.push(next),
    }
}

/// What is not known yet. Files only grow, so in each it lies behind all that is; the lists need
/// not agree otherwise, for the supervisor joins stretches and leaves out what it has deleted.
fn beyond(extents: &[Extent], known: &[Extent]) -> Vec<Extent> {
    let file = |extent: &Extent| (extent.own_file, extent.segment);
    let end = |extent: &Extent| extent.offset.saturating_add(extent.length);
    let mut ends: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for extent in known {
        let known = ends.entry(file(extent)).or_default();
        *known = end(extent).max(*known);
    }
    let rest = extents.iter().filter_map(|extent| {
        let offset =
            ends.get(&file(extent)).map_or(extent.offset, |&known| known.max(extent.offset));
        let length = end(extent).saturating_sub(offset);
        (length > 0).then_some(Extent { offset, length, ..*extent })
    });
    rest.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Element;

    fn attempt() -> Attempt {
        Attempt { element: Element { run: RunId(1), task: 0, index: 0 }, number: 1 }
    }

    fn extent(offset: u64, length: u64) -> Extent {
        Extent { own_file: 0, segment: 1, offset, length }
    }

    fn told(live: &LiveOutput, extents: Vec<Extent>, all: bool) {
        live.told(Output { attempt: Some(attempt().into()), extents, all });
    }

    #[test]
    fn a_follower_gets_what_comes_after_what_was_there() {
        let live = LiveOutput::default();
        told(&live, vec![extent(0, 10)], false);
        let (there, follower) = live.follow(RunId(1));
        assert_eq!(there[&attempt()], [extent(0, 10)]);
        told(&live, vec![extent(10, 5)], false);
        told(&live, vec![extent(15, 5)], false);
        assert_eq!(follower.take()[&attempt()].extents, [extent(10, 10)]);
        told(&live, vec![extent(0, 30)], true);
        assert_eq!(follower.take()[&attempt()].extents, [extent(20, 10)], "only what is new");
        assert!(follower.take().is_empty());
        live.lost(attempt(), vec![extent(0, 40)]);
        let news = &follower.take()[&attempt()];
        assert!(news.lost && news.extents == [extent(30, 10)]);
    }

    #[test]
    fn a_list_that_was_joined_and_cut_hides_nothing_new() {
        let own = |own_file, length| Extent { own_file, segment: 0, offset: 0, length };
        let live = LiveOutput::default();
        let (_, follower) = live.follow(RunId(1));
        told(&live, vec![extent(0, 10), extent(50, 10), own(1, 100), own(2, 40)], false);
        follower.take();
        // Two stretches are one now, the first own file is gone, the second grew, a third began.
        told(&live, vec![extent(0, 60), own(2, 100), own(3, 5)], true);
        let fresh = Extent { own_file: 2, segment: 0, offset: 40, length: 60 };
        assert_eq!(follower.take()[&attempt()].extents, [fresh, own(3, 5)]);
    }

    #[test]
    fn followers_that_left_are_forgotten() {
        let live = LiveOutput::default();
        let (_, stays) = live.follow(RunId(1));
        (2..10_000).for_each(|run| drop(live.follow(RunId(run))));
        assert!(lock(&live.inner).followers.len() <= 2 * SWEEP_MIN + 2);
        told(&live, vec![extent(0, 10)], false);
        assert_eq!(stays.take().len(), 1);
    }

    #[test]
    fn what_is_in_history_is_forgotten() {
        let live = LiveOutput::default();
        told(&live, vec![extent(0, 10)], false);
        assert_eq!(live.so_far(&[attempt()].into())[&attempt()], [extent(0, 10)]);
        live.forget(&[attempt()]);
        assert!(live.follow(RunId(1)).0.is_empty());
    }
}
