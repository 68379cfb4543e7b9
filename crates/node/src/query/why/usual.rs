//! What is usual, as far as history tells: how long an element runs, and how fast the queue goes.

use history::{AttemptFact, RunFilter, RunHead, States, Told};
use model::{RangeSet, RunId, TaskPosition, TaskState};

use super::Asked;
use crate::facts::command;

/// Earlier runs that are looked at for those alike.
const RUNS_MAX: usize = 500;
/// Earlier runs alike whose attempts are looked at.
const ALIKE_MAX: usize = 20;
/// Elements of each of them.
const ELEMENTS_MAX: u32 = 16;
/// How far back ends are counted for how fast the queue goes, in milliseconds.
const RECENT_MS: u64 = 600_000;
/// With fewer runs nothing is said about how fast it goes.
const RECENT_MIN: usize = 3;

/// What is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usual {
    /// Successful attempts of such elements that were looked at; 0 where there are none.
    pub attempts: u64,
    /// How long the one in the middle ran, in milliseconds.
    pub run_ms: u64,
    /// About how long the element has yet to wait for a node, in milliseconds, should the queue go
    /// on as fast as in the last ten minutes; `None` where that cannot be said.
    pub wait_ms: Option<u64>,
}

impl Asked<'_> {
    /// What is usual of a task's elements; `ahead` of them have to be placed before. `None` where
    /// history tells nothing.
    pub(super) fn usual(&self, task: TaskPosition, ahead: Option<u64>) -> Option<Usual> {
        let name = &self.resolved.spec.name;
        let own = command(&self.resolved.spec);
        let filter =
            RunFilter { name: (!name.is_empty()).then(|| name.clone()), ..RunFilter::default() };
        let heads = self.history.list(&filter, RunId(u64::MAX), RUNS_MAX).heads;
        let alike = |head: &&RunHead| {
            let profile = &head.profile;
            profile.counts.len() > task as usize && (!name.is_empty() || profile.command == own)
        };
        let mut took: Vec<u64> = (heads.iter().filter(alike).take(ALIKE_MAX))
            .flat_map(|head| self.took(head.run, task))
            .collect();
        took.sort_unstable();
        let run_ms = took.get(took.len() / 2).copied().unwrap_or(0);
        let wait_ms = ahead.and_then(|ahead| self.wait_ms(ahead));
        let usual = Usual { attempts: took.len() as u64, run_ms, wait_ms };
        (usual.attempts > 0 || usual.wait_ms.is_some()).then_some(usual)
    }

    /// How long the first elements of an earlier run ran.
    fn took(&self, run: RunId, task: TaskPosition) -> Vec<u64> {
        let first = RangeSet::from_iter([0..=ELEMENTS_MAX - 1]);
        let succeeded: States = [TaskState::Succeeded].into_iter().collect();
        let ran = |fact: &AttemptFact| {
            let outcome = &fact.outcome;
            (outcome.started_us > 0 && fact.state == Some(TaskState::Succeeded))
                .then(|| outcome.ended_us.saturating_sub(outcome.started_us) / 1000)
        };
        let told = self.history.elements(run, task, &first, succeeded);
        let ran = told.filter_map(|told| match told {
            Told::Attempt(fact) => ran(&fact),
            _ => None,
        });
        ran.take(ELEMENTS_MAX as usize).collect()
    }

    /// How long `ahead` elements take, as fast as elements have ended lately.
    fn wait_ms(&self, ahead: u64) -> Option<u64> {
        let now_ms = self.situation.now_ms;
        let heads = self.history.list(&RunFilter::default(), RunId(u64::MAX), RUNS_MAX).heads;
        let recent: Vec<_> =
            heads.iter().filter(|head| head.ended_ms.saturating_add(RECENT_MS) > now_ms).collect();
        if recent.len() < RECENT_MIN {
            return None;
        }
        let first_ms = recent.iter().map(|head| head.ended_ms).min()?;
        let ended: u64 = recent.iter().map(|head| head.profile.elements).sum();
        let span_ms = now_ms.saturating_sub(first_ms).max(1);
        let wait = u128::from(ahead) * u128::from(span_ms) / u128::from(ended.max(1));
        u64::try_from(wait).ok()
    }
}
