//! Runs: listed, in detail, how far they are, and how they ended.

use std::collections::BTreeMap;

use history::History;
use model::{JobSpec, Outcome, RangeSet, RunId, TaskState};

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
    for (run, state) in view.state.runs().before(before).take(more) {
        found.insert(run, live_summary(view, run, &state));
    }
    if all {
        let mut fault = None;
        history.runs_before(before.0, more, |run, fact| match decode_run(RunId(run), fact) {
            Ok((spec, ended)) => {
                found.insert(RunId(run), ended_summary(RunId(run), &spec, &ended));
            }
            Err(refused) => fault = Some(refused),
        })?;
        if let Some(refused) = fault {
            return Err(refused);
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

/// How many of the selected elements have ended: those that neither wait nor are placed. It is asked
/// at every news of a run, so it reads nothing.
pub(crate) fn progress(view: &View, resolved: &Resolved) -> Progress {
    let total = resolved.tasks.iter().map(|(_, ordinals)| ordinals.len()).sum();
    let Some(run) = view.state.run(resolved.run) else { return Progress { ended: total, total } };
    let left = |(task, ordinals): &(u32, RangeSet)| {
        let task = &run.tasks[*task as usize];
        let mut waiting = RangeSet::new();
        let mut placed = 0;
        for range in ordinals.ranges() {
            waiting.append_common(&task.queued, range.clone());
            placed += task.live.range(range).count() as u64;
        }
        waiting.len() + placed
    };
    Progress { ended: total - resolved.tasks.iter().map(left).sum::<u64>(), total }
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
        (None, Some(run)) => live_summary(view, resolved.run, &run),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use machine::State;
    use model::{ArraySpec, TaskSpec};
    use proto::record::{self, Batch, Command, Header, command::Kind};

    use super::*;

    fn apply(state: &mut State, kind: Kind) {
        let incarnation = u32::from(state.cluster().is_some());
        let header = Some(Header { incarnation, ..Default::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        let answers = state.apply(state.applied() + 1, (0, 0), &batch).answers;
        assert!(!matches!(answers[..], [machine::Answer::Refused(_)]), "{answers:?}");
    }

    #[test]
    fn what_neither_waits_nor_is_placed_has_ended() {
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.array = Some(ArraySpec { first: 1, last: 20, step: 2, parallel_max: 0 });
        let spec = JobSpec { tasks: vec![task], ..JobSpec::default() };
        let mut state = State::new();
        let cluster_id = vec![7; 16];
        apply(&mut state, Kind::Found(record::Found { cluster_id, incarnation: 1 }));
        let (job, node_id) = (Some((&spec).into()), vec![1; 16]);
        apply(&mut state, Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
        let node = record::RegisterNode {
            node_id: node_id.clone(),
            capacity: Some(proto::job::Resources { cpu_milli: 4000, memory_bytes: 0 }),
            supervisor_id: vec![2; 16],
            ..Default::default()
        };
        apply(&mut state, Kind::RegisterNode(node));
        let ordinals = vec![record::Range { first: 2, last: 3 }];
        let pick = record::Pick { run: 1, task: 0, ordinals, ahead: false };
        apply(&mut state, Kind::Place(record::Place { node_id, epoch: 1, picks: vec![pick] }));
        let ordinals = vec![record::Range { first: 5, last: 7 }];
        apply(&mut state, Kind::Cancel(record::Cancel { run: 1, ordinals, ..Default::default() }));

        let check = |ordinals: RangeSet, ended| {
            let view = View { state: state.clone(), ..View::default() };
            let tasks = vec![(0, ordinals.clone())];
            let spec = Arc::new(spec.clone());
            let run = RunId(1);
            let resolved = Resolved { run, spec, ended: None, tasks, attempt: None, whole: false };
            let expected = Progress { ended, total: ordinals.len() };
            assert_eq!(progress(&view, &resolved), expected, "{ordinals}");
        };
        check(RangeSet::from_iter([0..=9]), 3);
        check(RangeSet::from_iter([0..=1, 3..=5, 7..=8]), 2);
        check(RangeSet::from_iter([5..=7]), 3);
        check(RangeSet::from_iter([2..=3]), 0);
    }
}
