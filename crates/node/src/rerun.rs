//! Repeating what has ended: which elements, and what is taken over of the rest.
//!
//! A run that has ended never changes. Its repetition is a run of its own, which names the old one
//! and takes over the results of what it does not repeat; so its own end tells of all elements. What
//! those results are is known to history alone, so it is looked up here and committed with the run.

use std::collections::BTreeMap;

use history::{AttemptFact, States, Told};
use model::{JobSpec, Outcome, RangeSet, RunId, TaskPosition, TaskState};
use proto::record;

use crate::error::Refused;
use crate::handle::{Handle, Submitted};
use crate::query::{self, Resolved};

/// Runs that took over results of one another, one behind the other.
const CHAIN_MAX: usize = 1_000;

/// How the elements of one task ended.
#[derive(Debug, Default)]
struct Ends {
    states: BTreeMap<TaskState, RangeSet>,
    /// Exit code and words of those that did not succeed.
    failures: BTreeMap<u32, (i32, String)>,
}

impl Handle {
    /// Repeats what `id` points at, or of that only what did not succeed, as a run of its own.
    /// Answers once it is committed; the same key gives the same run again.
    pub async fn rerun(
        &self,
        id: &str,
        failed: bool,
        actor: String,
        key: &str,
    ) -> Result<Submitted, Refused> {
        let view = self.view().await?;
        let resolved = self.resolve(&view, id)?;
        let run = resolved.run;
        if let Some(number) = resolved.attempt {
            return Err(Refused::Unfit(format!(
                "cannot repeat an attempt alone: without `#{number}` its element is repeated"
            )));
        }
        if resolved.ended.is_none() {
            return Err(Refused::Unfit(format!(
                "run {run} has not ended: wait for it with `windlass wait {run}`, or end it with `windlass cancel {run}`"
            )));
        }
        let handle = self.clone();
        let spec = resolved.spec.clone();
        let read = tokio::task::spawn_blocking(move || handle.repetition(&resolved, failed));
        let rerun = read.await.map_err(|error| Refused::Failed(error.to_string()))??;
        if rerun.tasks.iter().all(|task| task.ordinals.is_empty()) {
            let what = format!("nothing that `{id}` selects failed");
            return Err(Refused::Unfit(format!("{what}: there is nothing to repeat")));
        }
        let spec = JobSpec { actor, origin: "rerun".to_owned(), ..JobSpec::clone(&spec) };
        self.submit_with(spec, key, Some(rerun)).await
    }

    /// What is repeated and what is taken over, by task.
    fn repetition(&self, resolved: &Resolved, failed: bool) -> Result<record::Rerun, Refused> {
        let nothing = RangeSet::new();
        let mut tasks = Vec::new();
        for task in 0..resolved.spec.tasks.len() as TaskPosition {
            let selected = resolved.tasks.iter().find(|(at, _)| *at == task);
            let selected = selected.map_or(&nothing, |(_, ordinals)| ordinals);
            let ends = self.ends(resolved, task)?;
            tasks.push(ends.repeat(selected, failed));
        }
        Ok(record::Rerun { of: resolved.run.0, tasks })
    }

    /// How all elements of a task ended, those too that an older run's results were taken over for.
    fn ends(&self, resolved: &Resolved, task: TaskPosition) -> Result<Ends, Refused> {
        let mut ends = Ends::default();
        let mut left = resolved.spec.tasks[task as usize].ordinals(None);
        let mut run = resolved.run;
        let mut older = resolved.ended.as_ref().and_then(query::rerun_of);
        for _ in 0..CHAIN_MAX {
            self.add_ends(&mut ends, &mut left, run, older.is_none(), task)?;
            let Some(next) = older.filter(|_| !left.is_empty()) else { return Ok(ends) };
            let head = query::ended_run(&self.shared.history, next)?.ok_or_else(|| {
                Refused::NotFound(format!(
                    "run {run} took over results of run {next}, which is no longer in history, so nobody can say what is left to repeat; `windlass run` it again"
                ))
            })?;
            older = query::rerun_of(&head);
            run = next;
        }
        let count = left.len();
        Err(Refused::Failed(format!(
            "history does not tell how {count} elements of run {run} ended"
        )))
    }

    /// Adds what history tells of those in `left` for one run, and takes them out. Where all of
    /// them ended in that run, only what did not succeed has to be read.
    fn add_ends(
        &self,
        ends: &mut Ends,
        left: &mut RangeSet,
        run: RunId,
        all: bool,
        task: TaskPosition,
    ) -> Result<(), Refused> {
        let wanted = left.clone();
        let states = if all { States::UNSUCCESSFUL } else { States::FINAL };
        for told in self.shared.history.elements(run, task, &wanted, states) {
            let (range, state, failure) = match told {
                Told::Attempt(AttemptFact { ordinal, outcome, state: Some(state), .. }) => {
                    let words = || format!("{state}: {}", outcome.describe());
                    let failure = (state != TaskState::Succeeded)
                        .then(|| (outcome.failure_code(state), words()));
                    (ordinal..=ordinal, state, failure)
                }
                Told::Attempt(_) => continue,
                Told::Ended(range, end) => {
                    let words = format!("{}: {}", end.state, end.because.reason);
                    let words = words.trim_end_matches([':', ' ']).to_owned();
                    (range, end.state, Some((query::code_without_attempt(end.state), words)))
                }
                Told::Damaged(range) => {
                    return Err(Refused::Failed(format!(
                        "history is damaged where it tells of elements {}-{} of run {run}, so nobody can say what is left to repeat; `windlass run` it again",
                        range.start(),
                        range.end()
                    )));
                }
            };
            let mut found = RangeSet::new();
            found.append_common(left, range.clone());
            left.remove_range(range);
            let Some(first) = found.first() else { continue };
            failure.into_iter().for_each(|told| _ = ends.failures.insert(first, told));
            let of_state = ends.states.entry(state).or_default();
            found.ranges().for_each(|range| of_state.insert_range(range));
        }
        if all {
            let rest = std::mem::take(left);
            let succeeded = ends.states.entry(TaskState::Succeeded).or_default();
            rest.ranges().for_each(|range| succeeded.insert_range(range));
        }
        Ok(())
    }
}

impl Ends {
    fn repeat(self, selected: &RangeSet, failed: bool) -> record::RerunTask {
        let mut repeated = RangeSet::new();
        let mut taken = Vec::new();
        let mut failure: Option<(u32, TaskState)> = None;
        for (state, mut ordinals) in self.states {
            if !(failed && state == TaskState::Succeeded) {
                let mut chosen = RangeSet::new();
                selected.ranges().for_each(|range| chosen.append_common(&ordinals, range));
                for range in chosen.ranges() {
                    ordinals.remove_range(range.clone());
                    repeated.insert_range(range);
                }
            }
            if state != TaskState::Succeeded {
                let first = ordinals.first().map(|ordinal| (ordinal, state));
                failure = [failure, first].into_iter().flatten().min();
            }
            if !ordinals.is_empty() {
                let (state, count) = (state.name().to_owned(), ordinals.len());
                taken.push(record::StateCount { state, count });
            }
        }
        let failure = failure.map(|(ordinal, state)| {
            // Elements that ended together tell of their first alone.
            let alike = |(_, words): &&(i32, String)| words.starts_with(state.name());
            let mut told = self.failures.range(..=ordinal).rev().map(|(_, told)| told);
            let told = told.find(alike).cloned();
            let (exit_code, summary) =
                told.unwrap_or((Outcome::CANCELED_EXIT_CODE, "did not succeed".to_owned()));
            record::Failure { ordinal, exit_code, summary }
        });
        record::RerunTask { ordinals: proto::ranges(&repeated), taken, failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> Ends {
        let states = [
            (TaskState::Succeeded, RangeSet::from_iter([0..=3, 6..=9])),
            (TaskState::Failed, RangeSet::from_iter([4..=4])),
            (TaskState::Canceled, RangeSet::from_iter([5..=5])),
        ];
        let failure = |text: &str| (9, text.to_owned());
        let failures = [(4, failure("failed: four")), (5, failure("canceled: five"))];
        Ends { states: states.into(), failures: failures.into() }
    }

    fn check(selected: RangeSet, failed: bool, expected: (&str, &str, Option<&str>)) {
        let task = ends().repeat(&selected, failed);
        let repeated: RangeSet = proto::element_ranges(&task.ordinals).collect();
        let taken: Vec<_> = task.taken.iter().map(|t| format!("{} {}", t.count, t.state)).collect();
        let failure = task.failure.as_ref().map(|failure| failure.summary.as_str());
        assert_eq!((repeated.to_string().as_str(), taken.join(", ").as_str(), failure), expected);
    }

    #[test]
    fn what_is_not_repeated_is_taken_over() {
        let all = || RangeSet::from_iter([0..=9]);
        check(all(), false, ("0-9", "", None));
        check(all(), true, ("4-5", "8 succeeded", None));
        let some = || RangeSet::from_iter([2..=4]);
        check(some(), false, ("2-4", "6 succeeded, 1 canceled", Some("canceled: five")));
        check(some(), true, ("4", "8 succeeded, 1 canceled", Some("canceled: five")));
        let none = RangeSet::from_iter([0..=1]);
        check(none, true, ("", "8 succeeded, 1 failed, 1 canceled", Some("failed: four")));
    }
}
