//! Runs: in detail, how far they are, and how they ended.

use std::collections::BTreeMap;

use history::{History, RunHead};
use machine::TaskRun;
use model::{Outcome, RangeSet, RunId, TaskState};

use super::element::{Wanted, first_failure, older_runs, selected};
use super::live::{left, left_of, shown_state, waiting_count};
use super::resolve::Resolved;
use super::{Progress, RunDetail, RunEnd, RunSummary};
use crate::facts::{command, elements, worst};
use crate::view::View;

/// A run with its selected elements.
pub(crate) fn detail(
    view: &View,
    history: &History,
    resolved: &Resolved,
    states: &[TaskState],
    limit: usize,
) -> RunDetail {
    let selected = selected(view, history, resolved, &Wanted::new(states), limit);
    let canceled = match &resolved.ended {
        Some(head) => head.profile.canceled.clone(),
        None => view.state.run(resolved.run).and_then(|run| run.canceled.as_deref().cloned()),
    };
    RunDetail {
        summary: summary(view, resolved),
        spec: resolved.spec.clone(),
        counts: counts(view, resolved),
        canceled,
        elements: selected.elements,
        elements_total: selected.total,
        rerun_of: older_runs(view, history, resolved).first().copied(),
    }
}

/// How many of the selected elements have ended: those that neither wait nor are placed. It is asked
/// at every news of a run, so it reads nothing and looks at ranges alone.
pub(crate) fn progress(view: &View, resolved: &Resolved) -> Progress {
    let total = resolved.tasks.iter().map(|(_, ordinals)| ordinals.len()).sum();
    let Some(run) = view.state.run(resolved.run) else { return Progress { ended: total, total } };
    let left_in = |(task, ordinals): &(u32, RangeSet)| {
        let task = &run.tasks[*task as usize];
        if resolved.whole { left(task) } else { left_of(task, ordinals) }
    };
    Progress { ended: total - resolved.tasks.iter().map(left_in).sum::<u64>(), total }
}

/// How what is selected ended; only for what has.
pub(crate) fn end(view: &View, history: &History, resolved: &Resolved) -> RunEnd {
    let run = summary(view, resolved);
    if let (true, Some(head)) = (resolved.whole, &resolved.ended) {
        let (exit_code, summary) = (head.profile.exit_code, head.profile.summary.clone());
        return RunEnd { exit_code, summary, run };
    }
    let Some(element) = first_failure(view, history, resolved) else {
        return RunEnd { exit_code: 0, summary: "succeeded".to_owned(), run };
    };
    if element.state == TaskState::Unknown {
        let why = element.because.map(|because| because.reason).unwrap_or_default();
        return RunEnd {
            exit_code: UNKNOWN_EXIT_CODE,
            summary: format!("{}: {why}", element.id),
            run,
        };
    }
    // An element that waited for its next try may have ended otherwise than its last attempt.
    let last = element.attempts.last().filter(|attempt| attempt.state == element.state);
    let last = last.and_then(|attempt| attempt.outcome.as_ref());
    let exit_code = last.map_or_else(
        || code_without_attempt(element.state),
        |outcome| outcome.failure_code(element.state),
    );
    let waited = || match element.attempts.is_empty() {
        true => "before it started".to_owned(),
        false => "before its next attempt".to_owned(),
    };
    let words = last.map_or_else(waited, Outcome::describe);
    RunEnd { exit_code, summary: format!("{}: {words}", element.state), run }
}

/// What `run` and `wait` exit with for an element that ended so without an attempt at its end.
pub(crate) fn code_without_attempt(state: TaskState) -> i32 {
    match state {
        TaskState::TimedOut => 124,
        TaskState::Canceled => Outcome::CANCELED_EXIT_CODE,
        _ => 125,
    }
}

/// What `wait` exits with for elements of which nobody can say any more how they ended.
const UNKNOWN_EXIT_CODE: i32 = 125;

fn summary(view: &View, resolved: &Resolved) -> RunSummary {
    match (&resolved.ended, view.state.run(resolved.run)) {
        (Some(head), _) => ended_summary(head),
        (None, Some(run)) => live_summary(view, resolved.run, &run),
        (None, None) => unreachable!("a run is resolved from the same view"),
    }
}

/// Elements by state.
type Counts = BTreeMap<TaskState, u64>;

/// The elements of each task by state.
fn counts(view: &View, resolved: &Resolved) -> Vec<Counts> {
    match (&resolved.ended, view.state.run(resolved.run)) {
        (Some(head), _) => {
            let counts = |task: &Vec<(TaskState, u64)>| task.iter().copied().collect();
            head.profile.counts.iter().map(counts).collect()
        }
        (None, Some(run)) => run.tasks.iter().map(|task| live_counts(view, task)).collect(),
        (None, None) => Vec::new(),
    }
}

fn live_counts(view: &View, task: &TaskRun) -> Counts {
    let mut counts = Counts::new();
    let waiting = waiting_count(task);
    if waiting > 0 {
        counts.insert(TaskState::Queued, waiting);
    }
    for live in task.live.values() {
        *counts.entry(shown_state(view, live.node, live.state())).or_default() += 1;
    }
    for (state, count) in &task.ended {
        *counts.entry(*state).or_default() += count;
    }
    counts
}

/// A run that has not ended.
pub(super) fn live_summary(view: &View, id: RunId, run: &machine::Run) -> RunSummary {
    let mut counts = Counts::new();
    for (state, count) in run.tasks.iter().flat_map(|task| live_counts(view, task)) {
        *counts.entry(state).or_default() += count;
    }
    let spec = &run.spec;
    RunSummary {
        run: id,
        name: spec.name.clone(),
        owner: spec.owner.clone(),
        namespace: spec.namespace.clone(),
        labels: spec.labels.clone(),
        submitted_ms: run.submitted_ms,
        ended_ms: 0,
        started_us: run.started_us,
        command: command(spec),
        state: worst(counts.keys().copied()),
        elements: elements(spec),
        counts,
        exit_code: None,
    }
}

/// A run that has ended.
pub(super) fn ended_summary(head: &RunHead) -> RunSummary {
    let profile = &head.profile;
    let mut counts: BTreeMap<TaskState, u64> = BTreeMap::new();
    for (state, count) in profile.counts.iter().flatten() {
        *counts.entry(*state).or_default() += count;
    }
    RunSummary {
        run: head.run,
        name: profile.name.clone(),
        owner: profile.owner.clone(),
        namespace: profile.namespace.clone(),
        labels: profile.labels.clone(),
        submitted_ms: head.submitted_ms,
        ended_ms: head.ended_ms,
        started_us: head.started_us,
        command: profile.command.clone(),
        state: profile.state,
        elements: profile.elements,
        counts,
        exit_code: Some(profile.exit_code),
    }
}
