//! The promises about trying again and about time: how often, not too early, not after the rest of
//! a task was given up or its time was over.
//!
//! They are counted here from what is committed, beside the machine and without asking it.

use std::collections::BTreeSet;

use machine::AttemptEnded;
use model::WhenFull;
use model::{Attempt, Element, Ending, OnLost, Outcome, RunId, StopCause, TaskSpec, TaskState};

use super::clock::Mark;
use super::truth::{Run, Truth};

/// What is waited after a first passing lack at least, and after any: a quarter may be taken off.
const LACK_MS: (u64, u64) = (1_000, 60_000);
const LACK_JITTER_PERCENT: u64 = 25;

/// What an element has behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    failures: u32,
    losses: u32,
    /// Attempts that count as neither: they were stopped with their node.
    excused: u32,
    /// Since when its next attempt waits, and how long at least.
    waits: Option<(Mark, u64)>,
}

/// A moment at which a task's elements end: when, whose, and whether all of them do, or only those
/// that never had a node.
pub(super) type Deadline = (u64, RunId, u32, bool);

impl Run {
    fn task(&self, task: u32) -> &TaskSpec {
        &self.spec.tasks[task as usize]
    }

    /// How many of a task's elements may fail.
    fn failed_max(&self, task: u32) -> u64 {
        let of = self.task(task);
        of.max_failed.map_or(u64::MAX, |most| most.of(of.indices().count()))
    }

    fn is_late(&self, task: u32, now: Mark) -> bool {
        let total_ms = self.task(task).total_timeout_ms;
        total_ms > 0 && now.stamp_ms >= self.submitted.stamp_ms + total_ms
    }

    fn is_stopping(&self, element: Element, now: Mark) -> bool {
        self.stopping.contains(&element)
            || self.given_up.contains(&element.task)
            || self.is_late(element.task, now)
    }
}

impl Truth {
    pub(super) fn note_deadlines(&mut self, run: RunId) {
        let Some(of) = self.runs.get(&run) else { return };
        for (task, at) in of.spec.tasks.iter().zip(0..) {
            for (after_ms, all) in [(task.pending_timeout_ms, false), (task.total_timeout_ms, true)]
            {
                if after_ms > 0 {
                    self.deadlines.insert((of.submitted.stamp_ms + after_ms, run, at, all));
                }
            }
        }
    }

    /// An element is placed: not too often, not too early, not too late.
    pub(super) fn note_placed(&mut self, attempt: Attempt, now: Mark) -> Option<String> {
        let element = attempt.element;
        let run = self.runs.get(&element.run)?;
        let spec = run.task(element.task);
        let tries = self.tries.entry(element).or_default();
        let most = spec.retries.attempts + spec.losses_max + tries.excused;
        if tries.failures > spec.retries.attempts
            || tries.losses > spec.losses_max
            || attempt.number > 1 + most
        {
            return Some(format!("{attempt} is placed after {tries:?}"));
        }
        if let Some((since, wait_ms)) = tries.waits.take()
            && now.is_early(since, wait_ms)
        {
            return Some(format!(
                "{attempt} is placed at {now:?}, within {wait_ms} ms of {since:?}"
            ));
        }
        let pending_ms = spec.pending_timeout_ms;
        let too_late = pending_ms > 0
            && attempt.number == 1
            && now.stamp_ms >= run.submitted.stamp_ms + pending_ms;
        if too_late || run.is_late(element.task, now) {
            return Some(format!("{attempt} is placed although its time is over"));
        }
        (run.given_up.contains(&element.task))
            .then(|| format!("{attempt} is placed although too many have failed"))
    }

    /// An attempt has ended: its element is tried again where it may be, and only there.
    pub(super) fn note_end(&mut self, ended: &AttemptEnded, now: Mark) -> Option<String> {
        let AttemptEnded { attempt, outcome, state, .. } = ended;
        let element = attempt.element;
        let run = self.runs.get(&element.run)?;
        let spec = run.task(element.task);
        let stopping = run.is_stopping(element, now);
        let tries = self.tries.entry(element).or_default();
        let again = may_be_tried_again(spec, *tries, outcome) && !stopping;
        let fault = || Some(format!("{attempt} ended as {outcome:?}, now {state:?}, {tries:?}"));
        let Some(state) = *state else {
            if !again {
                return fault();
            }
            tries.count(spec, outcome, now);
            return None;
        };
        if again {
            return fault();
        }
        if state == TaskState::Succeeded
            && outcome.state(&spec.success_codes) != Some(TaskState::Succeeded)
        {
            return fault();
        }
        if state == TaskState::Canceled && !stopping {
            return fault();
        }
        self.note_failed(element.run, element.task, state, 1);
        None
    }

    /// Elements that waited have ended: for a reason that holds.
    pub(super) fn note_waiting_ended(
        &mut self,
        elements: &[Element],
        state: TaskState,
        actor: &str,
        now: Mark,
    ) -> Option<String> {
        let first = elements.first()?;
        let (run_id, task) = (first.run, first.task);
        let run = self.runs.get(&run_id)?;
        let spec = run.task(task);
        let submitted = run.submitted;
        let holds = match state {
            TaskState::Dead => {
                let fresh = |element: &Element| !self.placed.contains_key(element);
                let asked_for = match actor {
                    "placement" => spec.placement.when_full == WhenFull::Fail,
                    _ => {
                        spec.pending_timeout_ms > 0
                            && !now.is_early(submitted, spec.pending_timeout_ms)
                    }
                };
                asked_for && elements.iter().all(fresh)
            }
            TaskState::TimedOut => {
                spec.total_timeout_ms > 0 && !now.is_early(submitted, spec.total_timeout_ms)
            }
            TaskState::Canceled => actor != "max-failed" || run.given_up.contains(&task),
            _ => false,
        };
        if !holds {
            return Some(format!("{elements:?} end as {state} of `{actor}` at {now:?}"));
        }
        self.note_failed(run_id, task, state, elements.len() as u64);
        None
    }

    /// Live attempts are stopped for their deadline: not before it.
    pub(super) fn is_deadline_early(&self, element: Element, now: Mark) -> bool {
        let Some(run) = self.runs.get(&element.run) else { return true };
        let total_ms = run.task(element.task).total_timeout_ms;
        total_ms == 0 || now.is_early(run.submitted, total_ms)
    }

    fn note_failed(&mut self, run: RunId, task: u32, state: TaskState, count: u64) {
        if matches!(state, TaskState::Succeeded | TaskState::Canceled) {
            return;
        }
        let Some(run) = self.runs.get_mut(&run) else { return };
        let failed = run.failed.entry(task).or_default();
        *failed += count;
        let failed = *failed;
        if failed > run.failed_max(task) {
            run.given_up.insert(task);
        }
    }

    /// Whether a deadline that has passed has left something that waits, or runs on.
    pub(super) fn outlives_its_deadline(&mut self, now: Mark) -> Option<String> {
        while let Some(first) = self.deadlines.first().copied().filter(|d| d.0 <= now.stamp_ms) {
            self.deadlines.pop_first();
            let (at_ms, run_id, task, all) = first;
            let Some(run) = self.state.run(run_id) else { continue };
            let of = &run.tasks[task as usize];
            let array = run.spec.tasks[task as usize].indices();
            let fresh = |ordinal: u32| {
                let element = Element { run: run_id, task, index: array.index(ordinal) };
                !self.placed.contains_key(&element)
            };
            let outlives = match all {
                true => of.waiting() > 0 || of.live.values().any(|live| live.stop.is_none()),
                false => of.queued.iter().chain(of.delayed.iter()).any(fresh),
            };
            if outlives {
                let what = format!("run {run_id}, task {task} outlives its deadline {at_ms}");
                return Some(what);
            }
        }
        None
    }
}

impl Tries {
    /// Counts an attempt after which there is another.
    fn count(&mut self, spec: &TaskSpec, outcome: &Outcome, now: Mark) {
        let retries = &spec.retries;
        let wait_ms = if outcome.is_transient() {
            self.losses += 1;
            wait_ms(LACK_MS.0, 2_000, LACK_MS.1, LACK_JITTER_PERCENT, self.losses)
        } else if outcome.state(&spec.success_codes).is_some() {
            self.failures += 1;
            let jitter = retries.jitter_percent.into();
            let factor = retries.factor_milli.into();
            wait_ms(retries.base_ms, factor, retries.max_ms, jitter, self.failures)
        } else {
            self.losses += u32::from(is_loss(outcome));
            self.excused += u32::from(!is_loss(outcome));
            0
        };
        self.waits = (wait_ms > 0).then_some((now, wait_ms));
    }
}

/// Whether the outcome of an attempt that nobody stopped is followed by another attempt.
fn may_be_tried_again(spec: &TaskSpec, tries: Tries, outcome: &Outcome) -> bool {
    if outcome.is_transient() {
        return tries.losses < spec.losses_max;
    }
    match outcome.state(&spec.success_codes) {
        Some(TaskState::Succeeded | TaskState::Canceled) => false,
        Some(_) => tries.failures < spec.retries.attempts && spec.retries.cover(outcome),
        None if matches!(outcome.ending, Ending::NotStarted(_)) => true,
        None if spec.at_most_once || spec.on_lost == OnLost::Fail => false,
        None => !is_loss(outcome) || tries.losses < spec.losses_max,
    }
}

/// Whether an attempt ended because its node, or its supervisor, was lost, or its node drained.
fn is_loss(outcome: &Outcome) -> bool {
    let started = !matches!(outcome.ending, Ending::NotStarted(_));
    let returned = matches!(outcome.stopped, Some(StopCause::Lease | StopCause::Drain));
    outcome.ending == Ending::Gone || (started && returned)
}

/// The shortest wait before the try that follows so many.
fn wait_ms(base: u64, factor_milli: u64, max: u64, jitter_percent: u64, tries: u32) -> u64 {
    let grown = (1..tries).fold(base.min(max), |wait, _| (wait * factor_milli / 1000).min(max));
    grown - grown * jitter_percent / 100
}

/// The elements of a rerun that are taken over. What of them had failed counts for nothing here.
pub(super) fn taken_over(run: RunId, rerun: &proto::record::Rerun, run_of: &mut Run) {
    for (task, from) in (0..).zip(&rerun.tasks) {
        let array = run_of.task(task).indices();
        let repeated: BTreeSet<u32> =
            from.ordinals.iter().flat_map(|range| range.first..=range.last).collect();
        for ordinal in (0..array.count()).filter(|ordinal| !repeated.contains(ordinal)) {
            let element = Element { run, task, index: array.index(ordinal) };
            run_of.ended.insert(element, TaskState::Succeeded);
        }
    }
}
