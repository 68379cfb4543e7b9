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
struct Ends(BTreeMap<TaskState, RangeSet>);

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
        let resolved = self.resolve(&view, id).await?;
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
            let (mut again, first_failed) = self.ends(resolved, task)?.repeat(selected, failed);
            if let Some(ordinal) = first_failed {
                again.failure = Some(self.failure(resolved, task, ordinal)?);
            }
            tasks.push(again);
        }
        Ok(record::Rerun { of: resolved.run.0, tasks })
    }

    /// How all elements of a task ended.
    fn ends(&self, resolved: &Resolved, task: TaskPosition) -> Result<Ends, Refused> {
        let mut ends = Ends::default();
        let left = resolved.spec.tasks[task as usize].ordinals(None);
        self.look_back(resolved, task, left, |found, state, _| {
            let of_state = ends.0.entry(state).or_default();
            found.ranges().for_each(|range| of_state.insert_range(range));
        })?;
        Ok(ends)
    }

    /// How one element that did not succeed ended, in words.
    fn failure(
        &self,
        resolved: &Resolved,
        task: TaskPosition,
        ordinal: u32,
    ) -> Result<record::Failure, Refused> {
        let mut failure = record::Failure {
            ordinal,
            exit_code: Outcome::CANCELED_EXIT_CODE,
            summary: String::new(),
        };
        let one = RangeSet::from_iter([ordinal..=ordinal]);
        self.look_back(resolved, task, one, |_, state, told| match told {
            Some(Told::Attempt(attempt)) => {
                failure.exit_code = attempt.outcome.failure_code(state);
                failure.summary = format!("{state}: {}", attempt.outcome.describe());
            }
            Some(Told::Ended(_, end)) => {
                let words = format!("{state}: {}", end.because.reason);
                failure.exit_code = query::code_without_attempt(state);
                failure.summary = words.trim_end_matches([':', ' ']).to_owned();
            }
            Some(Told::Damaged(_)) | None => {}
        })?;
        Ok(failure)
    }

    /// Hands out how each of `left` ended, with what history tells of it where it does: first what
    /// ended in the run itself, then what it took over of an older one, and so on.
    fn look_back(
        &self,
        resolved: &Resolved,
        task: TaskPosition,
        mut left: RangeSet,
        mut each: impl FnMut(RangeSet, TaskState, Option<&Told>),
    ) -> Result<(), Refused> {
        let mut run = resolved.run;
        let mut older = resolved.ended.as_ref().and_then(query::rerun_of);
        for _ in 0..CHAIN_MAX {
            self.look_at(run, task, &mut left, older.is_none(), &mut each)?;
            let Some(next) = older.filter(|_| !left.is_empty()) else { return Ok(()) };
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

    /// Hands out what history tells of those in `left` for one run, and takes them out. Where all
    /// of them ended in that run, only what did not succeed has to be read.
    fn look_at(
        &self,
        run: RunId,
        task: TaskPosition,
        left: &mut RangeSet,
        all: bool,
        each: &mut impl FnMut(RangeSet, TaskState, Option<&Told>),
    ) -> Result<(), Refused> {
        let wanted = left.clone();
        let states = if all { States::UNSUCCESSFUL } else { States::FINAL };
        for told in self.shared.history.elements(run, task, &wanted, states) {
            let (range, state) = match &told {
                Told::Attempt(AttemptFact { ordinal, state: Some(state), .. }) => {
                    (*ordinal..=*ordinal, *state)
                }
                Told::Attempt(_) => continue,
                Told::Ended(range, end) => (range.clone(), end.state),
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
            if !found.is_empty() {
                each(found, state, Some(&told));
            }
        }
        if all {
            let rest = std::mem::take(left);
            each(rest, TaskState::Succeeded, None);
        }
        Ok(())
    }
}

impl Ends {
    /// What is repeated and what is taken over, and the first that is taken over of those that did
    /// not succeed.
    fn repeat(self, selected: &RangeSet, failed: bool) -> (record::RerunTask, Option<u32>) {
        let mut repeated = RangeSet::new();
        let mut taken = Vec::new();
        let mut first_failed: Option<u32> = None;
        for (state, mut ordinals) in self.0 {
            if !(failed && state == TaskState::Succeeded) {
                let mut chosen = RangeSet::new();
                selected.ranges().for_each(|range| chosen.append_common(&ordinals, range));
                for range in chosen.ranges() {
                    ordinals.remove_range(range.clone());
                    repeated.insert_range(range);
                }
            }
            if state != TaskState::Succeeded {
                first_failed = [first_failed, ordinals.first()].into_iter().flatten().min();
            }
            if !ordinals.is_empty() {
                let (state, count) = (state.name().to_owned(), ordinals.len());
                taken.push(record::StateCount { state, count });
            }
        }
        let ordinals = proto::ranges(&repeated);
        (record::RerunTask { ordinals, taken, failure: None }, first_failed)
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
        Ends(states.into())
    }

    fn check(selected: RangeSet, failed: bool, expected: (&str, &str, Option<u32>)) {
        let (task, first_failed) = ends().repeat(&selected, failed);
        let repeated: RangeSet = proto::element_ranges(&task.ordinals).collect();
        let taken: Vec<_> = task.taken.iter().map(|t| format!("{} {}", t.count, t.state)).collect();
        assert_eq!(
            (repeated.to_string().as_str(), taken.join(", ").as_str(), first_failed),
            expected
        );
    }

    #[test]
    fn what_is_not_repeated_is_taken_over() {
        let all = || RangeSet::from_iter([0..=9]);
        check(all(), false, ("0-9", "", None));
        check(all(), true, ("4-5", "8 succeeded", None));
        let some = || RangeSet::from_iter([2..=4]);
        check(some(), false, ("2-4", "6 succeeded, 1 canceled", Some(5)));
        check(some(), true, ("4", "8 succeeded, 1 canceled", Some(5)));
        let none = RangeSet::from_iter([0..=1]);
        check(none, true, ("", "8 succeeded, 1 failed, 1 canceled", Some(4)));
    }
}
