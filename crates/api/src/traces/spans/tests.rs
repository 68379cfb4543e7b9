//! Spans of records that are made by hand: their names, times, parents and what they tell.

use model::{Attempt, ClusterId, Element, Ending, JobSpec, NodeId, Outcome, TaskState};
use node::traces::PlacedPart;
use proto::otlp::any_value::Value;

use super::*;

const RUN: RunId = RunId(7);

fn spans() -> Spans {
    Spans::new(Ids { cluster: ClusterId::default(), incarnation: 1 })
}

fn stretch(from_us: u64, to_us: u64) -> Stretch {
    Stretch { from_us, to_us }
}

fn commit(index: u64, from_us: u64, to_us: u64) -> Commit {
    Commit { at: stretch(from_us, to_us), index, commands: 2, bytes: 300 }
}

fn value(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|one| one.key == key);
    match found.and_then(|one| one.value.clone()).and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

/// Attempt 1 of element 0, placed after a second.
fn ended(outcome: Outcome, state: Option<TaskState>, commit: Commit) -> Record {
    let element = Element { run: RUN, task: 0, index: 0 };
    let attempt = Attempt { element, number: 1 };
    let (task, node) = ("main".to_owned(), NodeId::default());
    Record::Ended(Box::new(Ended { attempt, task, node, placed_ms: 1, outcome, state, commit }))
}

/// Each span's name, and how long it is.
fn shape(all: &[Span]) -> Vec<(&str, u64, u64)> {
    let us = |ns: u64| ns / 1000;
    all.iter()
        .map(|s| (s.name.as_str(), us(s.start_time_unix_nano), us(s.end_time_unix_nano)))
        .collect()
}

#[test]
fn an_attempt_is_its_start_its_process_and_its_report() {
    let outcome =
        Outcome { started_us: 1_500, ended_us: 2_500, ..Outcome::bare(Ending::Exited { code: 0 }) };
    let all = spans().of(ended(outcome, Some(TaskState::Succeeded), commit(9, 2_600, 3_000)));
    assert_eq!(
        shape(&all),
        [
            ("start", 1_000, 1_500),
            ("process", 1_500, 2_500),
            ("report", 2_500, 3_000),
            ("commit", 2_600, 3_000),
            ("attempt", 1_000, 3_000),
        ]
    );
    let [start, process, report, commit, attempt] = &all[..] else { panic!("five") };
    for child in [start, process, report] {
        assert_eq!(child.parent_span_id, attempt.span_id);
    }
    assert_eq!(commit.parent_span_id, report.span_id);
    assert!(all.iter().all(|span| span.status.is_none()));
}

#[test]
fn what_other_clocks_say_stays_within() {
    // The supervisor's clock is behind that of the batch, and the end was seen after the commit.
    let outcome =
        Outcome { started_us: 10, ended_us: 90_000, ..Outcome::bare(Ending::Exited { code: 3 }) };
    let all = spans().of(ended(outcome, Some(TaskState::Failed), commit(9, 2_600, 3_000)));
    for (name, from_us, to_us) in shape(&all) {
        assert!(1_000 <= from_us && from_us <= to_us && to_us <= 3_000, "{name}");
    }
    let attempt = all.last().unwrap();
    assert_eq!(attempt.status.as_ref().unwrap().message, "exit code 3");
    assert_eq!(value(attempt, "windlass.exit_code"), "3");
}

#[test]
fn what_never_started_has_no_process() {
    let outcome = Outcome::bare(Ending::NotStarted(model::NotStarted::NotFound("x".repeat(999))));
    let all = spans().of(ended(outcome, Some(TaskState::Dead), commit(9, 2_600, 3_000)));
    assert!(all.iter().all(|span| span.name != "process"));
    assert_eq!(value(&all[3], "windlass.outcome").len(), TEXT_CHARS_MAX);
    assert!(all[0].status.is_some(), "the start failed");
}

#[test]
fn a_plan_is_told_with_what_was_refused_of_it() {
    let mut spans = spans();
    let at = stretch(100, 200);
    // Two nodes of one plan.
    assert!(spans.of(Record::Planned { at, runs: vec![(RUN, 4)] }).is_empty());
    assert!(spans.of(Record::Planned { at, runs: vec![(RUN, 3)] }).is_empty());
    let part = |task| PlacedPart {
        task,
        name: "main".into(),
        node: NodeId::default(),
        first_index: 1,
        count: 3,
    };
    let placed = || Placed {
        run: RUN,
        count: 6,
        parts: vec![part(0), part(1)],
        commit: commit(5, 300, 400),
    };
    let all = spans.of(Record::Placed(Box::new(placed())));
    assert_eq!(
        shape(&all),
        [
            ("place", 100, 200),
            ("assign", 200, 400),
            ("commit", 300, 400),
            ("assign", 200, 400),
            ("commit", 300, 400),
        ]
    );
    assert_eq!(value(&all[0], "windlass.planned"), "7");
    assert_eq!(value(&all[0], "windlass.refused"), "1");
    assert_ne!(all[1].span_id, all[3].span_id);
    assert_ne!(all[2].span_id, all[4].span_id);
    // Its plan is told once: a new life of the node knows none.
    assert_eq!(spans.of(Record::Placed(Box::new(placed()))).len(), 4);
}

fn run_ended(spec: JobSpec) -> Record {
    Record::RunEnded(Box::new(RunEnded {
        run: RUN,
        spec: spec.into(),
        submitted_ms: 2,
        rerun_of: Some(RunId(3)),
        state: TaskState::Failed,
        exit_code: 3,
        summary: "failed: exit code 3".into(),
        counts: vec![(TaskState::Succeeded, 149), (TaskState::Failed, 1)],
        commit: commit(9, 8_000, 9_000),
    }))
}

fn array(count: u32) -> JobSpec {
    let array = (count > 0).then_some(model::ArraySpec {
        first: 1,
        last: count,
        ..model::ArraySpec::SINGLE
    });
    let task = model::TaskSpec { array, ..model::TaskSpec::new(vec!["true".into()]) };
    JobSpec { name: "job".into(), tasks: vec![task], ..JobSpec::default() }
}

#[test]
fn a_run_begins_with_its_request_where_that_is_known() {
    let mut spans = spans();
    let submitted = Submitted { run: RUN, at: stretch(1_500, 4_000), ..Submitted::default() };
    let submit = spans.of(Record::Submitted(Box::new(submitted)));
    let run = spans.of(run_ended(array(0)));
    assert_eq!(shape(&run), [("run", 1_500, 9_000)]);
    assert_eq!(submit[0].parent_span_id, run[0].span_id);
    assert!(run[0].parent_span_id.is_empty());
    assert_eq!(shape(&spans.of(run_ended(array(0)))), [("run", 2_000, 9_000)], "it is forgotten");
}

#[test]
fn a_run_counts_the_elements_that_have_no_spans() {
    let run = &spans().of(run_ended(array(150)))[0];
    assert_eq!(value(run, "windlass.elements"), "150");
    assert_eq!(value(run, "windlass.elements_without_spans"), "50");
    assert_eq!(value(run, "windlass.elements.failed"), "1");
    assert_eq!(run.links.len(), 1, "to the run that it repeats");
    assert_eq!(run.status.as_ref().unwrap().message, "failed: exit code 3");
}

#[test]
fn what_is_remembered_has_a_bound() {
    let mut spans = spans();
    for run in 1..=RUNS_MAX as u64 + 10 {
        spans.of(Record::Planned { at: stretch(1, 2), runs: vec![(RunId(run), 1)] });
    }
    assert_eq!(spans.runs.len(), RUNS_MAX);
}
