//! Runs: listed, in detail, how far they are, and how they ended.

use std::collections::BTreeMap;

use history::History;
use model::{JobSpec, Outcome, RunId, TaskState};

use super::element::{selected, shown_state};
use super::resolve::{EndedRun, Resolved, decode_run};
use super::{ElementStatus, Progress, RunDetail, RunEnd, RunSummary};
use crate::error::Refused;
use crate::view::View;

/// Characters of a command that a summary shows.
const COMMAND_CHARS_MAX: usize = 200;
/// For one state of a whole run: the first of these that occurs.
const WORST_FIRST: [TaskState; 11] = [
    TaskState::Running,
    TaskState::Stopping,
    TaskState::Unknown,
    TaskState::Scheduled,
    TaskState::Queued,
    TaskState::Failed,
    TaskState::TimedOut,
    TaskState::Lost,
    TaskState::Dead,
    TaskState::Canceled,
    TaskState::Succeeded,
];

/// Runs below `before`, latest first, at most `limit`: those that have not ended, and with `all`
/// those that have. The second value is where the next page starts, `None` where there is none.
pub(crate) fn runs(
    view: &View,
    history: &History,
    all: bool,
    before: RunId,
    limit: usize,
) -> Result<(Vec<RunSummary>, Option<RunId>), Refused> {
    let more = limit + 1;
    let mut found = BTreeMap::new();
    for (&run, state) in view.state.runs().range(..before).rev().take(more) {
        found.insert(run, live_summary(view, run, state));
    }
    if all {
        for (run, bytes) in history.runs_before(before.0, more)? {
            let (spec, ended) = decode_run(RunId(run), &bytes)?;
            found.insert(RunId(run), ended_summary(RunId(run), &spec, &ended));
        }
    }
    let mut page: Vec<RunSummary> = found.into_values().rev().take(more).collect();
    let next = (page.len() > limit).then(|| page.pop()).flatten();
    let next = next.and_then(|_| page.last().map(|last| last.run));
    Ok((page, next))
}

/// A run with its selected elements.
pub(crate) fn detail(
    view: &View,
    history: &History,
    resolved: &Resolved,
    limit: usize,
) -> Result<RunDetail, Refused> {
    let selected = selected(view, history, resolved, limit)?;
    let canceled = match &resolved.ended {
        Some(ended) => ended.canceled.clone(),
        None => view.state.run(resolved.run).and_then(|run| run.canceled.as_deref().cloned()),
    };
    Ok(RunDetail {
        summary: summary(view, resolved),
        spec: resolved.spec.clone(),
        canceled,
        elements: selected.elements,
        elements_total: selected.total,
    })
}

/// How many of the selected elements have ended.
pub(crate) fn progress(
    view: &View,
    history: &History,
    resolved: &Resolved,
) -> Result<Progress, Refused> {
    let total = resolved.tasks.iter().map(|(_, ordinals)| ordinals.len()).sum();
    let ended = match (view.state.run(resolved.run), resolved.whole) {
        (None, _) => total,
        (Some(run), true) => run.tasks.iter().map(|task| task.ended_count()).sum(),
        (Some(_), false) => {
            let all = selected(view, history, resolved, usize::MAX)?.elements;
            all.iter().filter(|element| element.state.is_final()).count() as u64
        }
    };
    Ok(Progress { ended, total })
}

/// How what is selected ended; only for what has.
pub(crate) fn end(view: &View, history: &History, resolved: &Resolved) -> Result<RunEnd, Refused> {
    let run = summary(view, resolved);
    if let (true, Some(ended)) = (resolved.whole, &resolved.ended) {
        let (exit_code, summary) = (ended.fact.exit_code, ended.fact.summary.clone());
        return Ok(RunEnd { exit_code, summary, run });
    }
    let elements = selected(view, history, resolved, usize::MAX)?.elements;
    let failed = |element: &&ElementStatus| element.state != TaskState::Succeeded;
    let Some(element) = elements.iter().filter(failed).min_by_key(|element| element.element) else {
        return Ok(RunEnd { exit_code: 0, summary: "succeeded".to_owned(), run });
    };
    let last = element.attempts.last().and_then(|attempt| attempt.outcome.as_ref());
    let exit_code =
        last.map_or(Outcome::CANCELED_EXIT_CODE, |outcome| outcome.failure_code(element.state));
    let words = last.map_or_else(|| "before it started".to_owned(), Outcome::describe);
    Ok(RunEnd { exit_code, summary: format!("{}: {words}", element.state), run })
}

fn summary(view: &View, resolved: &Resolved) -> RunSummary {
    match (&resolved.ended, view.state.run(resolved.run)) {
        (None, Some(run)) => live_summary(view, resolved.run, run),
        (Some(ended), _) => ended_summary(resolved.run, &resolved.spec, ended),
        (None, None) => unreachable!("a run is resolved from the same view"),
    }
}

fn live_summary(view: &View, run: RunId, state: &machine::Run) -> RunSummary {
    let mut counts: BTreeMap<TaskState, u64> = BTreeMap::new();
    for task in &state.tasks {
        if !task.queued.is_empty() {
            *counts.entry(TaskState::Queued).or_default() += task.queued.len();
        }
        for live in task.live.values() {
            *counts.entry(shown_state(view, live.node, live.state())).or_default() += 1;
        }
        for (state, count) in &task.ended {
            *counts.entry(*state).or_default() += count;
        }
    }
    RunSummary {
        submitted_ms: state.submitted_ms,
        ended_ms: 0,
        started_us: state.started_us,
        ..of_spec(run, &state.spec, counts)
    }
}

fn ended_summary(run: RunId, spec: &JobSpec, ended: &EndedRun) -> RunSummary {
    let mut counts: BTreeMap<TaskState, u64> = BTreeMap::new();
    for state in ended.fact.counts.iter().flat_map(|task| &task.states) {
        if let Ok(name) = state.state.parse() {
            *counts.entry(name).or_default() += state.count;
        }
    }
    RunSummary {
        submitted_ms: ended.fact.submitted_ms,
        ended_ms: ended.fact.ended_ms,
        started_us: ended.fact.started_us,
        ..of_spec(run, spec, counts)
    }
}

fn of_spec(run: RunId, spec: &JobSpec, counts: BTreeMap<TaskState, u64>) -> RunSummary {
    let command = spec.tasks.first().map(|task| task.command.join(" ")).unwrap_or_default();
    let state = WORST_FIRST.into_iter().find(|state| counts.contains_key(state));
    RunSummary {
        run,
        name: spec.name.clone(),
        owner: spec.owner.clone(),
        submitted_ms: 0,
        ended_ms: 0,
        started_us: 0,
        command: command.chars().take(COMMAND_CHARS_MAX).collect(),
        state: state.unwrap_or(TaskState::Queued),
        elements: spec.tasks.iter().map(|task| u64::from(task.indices().count())).sum(),
        counts,
    }
}
