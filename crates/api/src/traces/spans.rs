//! From records to spans.
//!
//! ```text
//! run ─┬─ submit ─── commit
//!      ├─ place
//!      ├─ assign ─── commit
//!      └─ attempt ─┬─ start
//!                  ├─ process
//!                  └─ report ─── commit
//! ```
//!
//! Each record has all that its spans tell, but for two things that are remembered while a run
//! lives, in a bounded number: when its request came, so that its span begins no later than that of
//! the submit, and its last plan, which is told with what became of it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use model::RunId;
use node::traces::{
    Commit, ELEMENTS_MAX, Ended, Placed, Record, RunEnded, SpanRef, Stretch, Submitted, TASKS_MAX,
};
use proto::otlp::span::{Link, SpanKind};
use proto::otlp::{KeyValue, Span, Status, status};

use super::ids::{self, Ids, Stage};
use super::resource::{number, text, truth};

/// Runs of which something is remembered; beyond, the oldest are forgotten.
const RUNS_MAX: usize = 65_536;
/// Characters of a text that somebody else wrote.
const TEXT_CHARS_MAX: usize = 256;
/// Marks a span as sampled, in its flags.
const SAMPLED: u32 = 1;

/// Makes spans.
#[derive(Debug)]
pub(super) struct Spans {
    ids: Ids,
    runs: BTreeMap<RunId, Seen>,
}

/// What is remembered of a run that has not ended.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    begun_us: Option<u64>,
    plan: Option<(Stretch, u64)>,
}

impl Spans {
    pub(super) fn new(ids: Ids) -> Spans {
        Spans { ids, runs: BTreeMap::new() }
    }

    /// The spans of one record.
    pub(super) fn of(&mut self, record: Record) -> Vec<Span> {
        match record {
            Record::Submitted(submitted) => self.submitted(*submitted),
            Record::Created { run, commit } => {
                let parent = ids::of_run(self.ids.trace(run), Stage::Submit, 0);
                vec![self.commit(run, parent, commit)]
            }
            Record::Planned { at, runs } => {
                for (run, count) in runs {
                    let plan = &mut self.seen(run).plan;
                    // Once for each node in one plan.
                    *plan = match plan {
                        Some((same, sum)) if *same == at => Some((at, *sum + count)),
                        _ => Some((at, count)),
                    };
                }
                Vec::new()
            }
            Record::Placed(placed) => self.placed(*placed),
            Record::Ended(ended) => self.ended(*ended),
            Record::RunEnded(ended) => self.run_ended(*ended),
        }
    }

    fn submitted(&mut self, submitted: Submitted) -> Vec<Span> {
        let Submitted { run, at, link, keyed, repeated, rerun_of, name, owner, namespace } =
            submitted;
        let trace = self.ids.trace(run);
        let id = match repeated {
            // There may be any number of those.
            true => ids::of_run(trace, Stage::Submit, at.from_us),
            false => {
                self.seen(run).begun_us = Some(at.from_us);
                ids::of_run(trace, Stage::Submit, 0)
            }
        };
        let mut span = self.span(run, "submit", id, self.root(run), at);
        span.kind = SpanKind::Server as i32;
        span.attributes.extend(of_job(&name, &owner, &namespace));
        span.attributes.push(truth("windlass.idempotent", keyed));
        span.attributes.push(truth("windlass.repeated", repeated));
        span.links.extend(link.map(to_span));
        span.links.extend(rerun_of.map(|of| self.to_run(of)));
        vec![span]
    }

    fn placed(&mut self, placed: Placed) -> Vec<Span> {
        let Placed { run, count, parts, commit } = placed;
        let trace = self.ids.trace(run);
        let plan = self.runs.get_mut(&run).and_then(|seen| seen.plan.take());
        if parts.is_empty() {
            return Vec::new();
        }
        let mut spans = Vec::new();
        let mut assign_us = commit.at.from_us;
        if let Some((at, planned)) = plan {
            assign_us = at.to_us.min(assign_us);
            let id = ids::of_run(trace, Stage::Place, commit.index);
            let mut span = self.span(run, "place", id, self.root(run), at);
            span.attributes.push(number("windlass.planned", planned));
            span.attributes.push(number("windlass.refused", planned.saturating_sub(count)));
            spans.push(span);
        }
        let at = Stretch { from_us: assign_us, to_us: commit.at.to_us };
        for part in parts {
            let id = ids::of_task(trace, Stage::Assign, part.task, part.first_index, commit.index);
            let mut span = self.span(run, "assign", id, self.root(run), at);
            span.attributes.push(text("windlass.task", part.name));
            span.attributes.push(text("windlass.node", part.node.to_string()));
            span.attributes.push(number("windlass.index", part.first_index.into()));
            span.attributes.push(number("windlass.elements", part.count));
            spans.push(span);
            spans.push(self.commit(run, id, commit));
        }
        spans
    }

    fn ended(&self, ended: Ended) -> Vec<Span> {
        let Ended { attempt, task, node, placed_ms, outcome, state, commit } = ended;
        let run = attempt.element.run;
        let trace = self.ids.trace(run);
        let id = |stage| ids::of_attempt(trace, stage, attempt);
        let whole = Stretch { from_us: placed_ms * 1000, to_us: commit.at.to_us };
        let at = |from_us: u64, to_us: u64| within(whole, Stretch { from_us, to_us });

        let mut span = self.span(run, "attempt", id(Stage::Attempt), self.root(run), whole);
        span.attributes.push(text("windlass.task", task));
        span.attributes.push(text("windlass.node", node.to_string()));
        span.attributes.push(number("windlass.index", attempt.element.index.into()));
        span.attributes.push(number("windlass.attempt", attempt.number.into()));
        let succeeded = state == Some(model::TaskState::Succeeded);
        let words = short(&outcome.describe());
        span.attributes.push(text("windlass.state", state.map_or("queued", |state| state.name())));
        span.attributes.push(text("windlass.outcome", words.clone()));
        let code = if succeeded {
            0
        } else {
            state.map_or(outcome.exit_code(), |state| outcome.failure_code(state))
        };
        span.attributes.push(number("windlass.exit_code", code.unsigned_abs().into()));
        span.status = failed(succeeded, &words);
        let child = |name, stage, at| self.span(run, name, id(stage), id(Stage::Attempt), at);

        let mut spans = Vec::new();
        let known = |us: u64, else_us: u64| if us > 0 { us } else { else_us };
        let ended_us = known(outcome.ended_us, commit.at.from_us);
        let started_us = known(outcome.started_us, ended_us);
        let mut start = child("start", Stage::Start, at(whole.from_us, started_us));
        if outcome.started_us == 0 {
            start.status = failed(false, &words);
        }
        spans.push(start);
        if outcome.started_us > 0 {
            let mut process = child("process", Stage::Process, at(started_us, ended_us));
            process.attributes.push(number("windlass.cpu_us", outcome.cpu_us));
            process
                .attributes
                .push(number("windlass.memory_peak_bytes", outcome.memory_peak_bytes));
            process.attributes.push(number("windlass.output_bytes", outcome.output_bytes));
            process.status = failed(succeeded, &words);
            spans.push(process);
        }
        let report = id(Stage::Report);
        spans.push(child("report", Stage::Report, at(ended_us, commit.at.to_us)));
        spans.push(self.commit(run, report, commit));
        spans.push(span);
        spans
    }

    fn run_ended(&mut self, ended: RunEnded) -> Vec<Span> {
        let RunEnded {
            run,
            spec,
            submitted_ms,
            rerun_of,
            state,
            exit_code,
            summary,
            counts,
            commit,
        } = ended;
        let seen = self.runs.remove(&run).unwrap_or_default();
        let submitted_us = submitted_ms * 1000;
        let from_us = seen.begun_us.map_or(submitted_us, |begun_us| begun_us.min(submitted_us));
        let at = Stretch { from_us, to_us: commit.at.to_us };
        let mut span = self.span(run, "run", self.root(run), self.root(run), at);
        span.parent_span_id.clear(); // It is the root.
        span.attributes.extend(of_job(&spec.name, &spec.owner, &spec.namespace));
        let elements = |task: &model::TaskSpec| u64::from(task.indices().count());
        let all: u64 = spec.tasks.iter().map(elements).sum();
        let shown = spec.tasks.iter().take(TASKS_MAX as usize).map(elements);
        let shown: u64 = shown.map(|count| count.min(ELEMENTS_MAX.into())).sum();
        span.attributes.push(number("windlass.elements", all));
        span.attributes.push(number("windlass.elements_without_spans", all - shown));
        for (state, count) in counts {
            span.attributes.push(number(&format!("windlass.elements.{}", state.name()), count));
        }
        span.attributes.push(text("windlass.state", state.name()));
        span.attributes.push(number("windlass.exit_code", exit_code.unsigned_abs().into()));
        span.links.extend(rerun_of.map(|of| self.to_run(of)));
        span.status = failed(state == model::TaskState::Succeeded, &short(&summary));
        vec![span]
    }

    /// The batch that made durable what `parent` waits for.
    fn commit(&self, run: RunId, parent: [u8; 8], commit: Commit) -> Span {
        let id = ids::below(self.ids.trace(run), parent, Stage::Commit);
        let mut span = self.span(run, "commit", id, parent, commit.at);
        span.attributes.push(number("windlass.journal.index", commit.index));
        span.attributes.push(number("windlass.batch.commands", commit.commands as u64));
        span.attributes.push(number("windlass.batch.bytes", commit.bytes as u64));
        span
    }

    /// The span of the whole run.
    fn root(&self, run: RunId) -> [u8; 8] {
        ids::of_run(self.ids.trace(run), Stage::Run, 0)
    }

    fn span(&self, run: RunId, name: &str, id: [u8; 8], parent: [u8; 8], at: Stretch) -> Span {
        Span {
            trace_id: self.ids.trace(run).to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.to_vec(),
            name: name.to_owned(),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: at.from_us * 1000,
            end_time_unix_nano: at.to_us.max(at.from_us) * 1000,
            attributes: vec![number("windlass.run", run.0)],
            links: Vec::new(),
            status: None,
            flags: SAMPLED,
        }
    }

    fn to_run(&self, run: RunId) -> Link {
        let (trace, span) = (self.ids.trace(run), self.root(run));
        to_span(SpanRef { trace, span, flags: SAMPLED as u8 })
    }

    fn seen(&mut self, run: RunId) -> &mut Seen {
        if self.runs.len() >= RUNS_MAX && !self.runs.contains_key(&run) {
            self.runs.pop_first();
        }
        self.runs.entry(run).or_default()
    }
}

fn of_job(name: &str, owner: &str, namespace: &str) -> [KeyValue; 3] {
    [
        text("windlass.job.name", name),
        text("windlass.job.owner", owner),
        text("windlass.job.namespace", namespace),
    ]
}

fn to_span(span: SpanRef) -> Link {
    let SpanRef { trace, span, flags } = span;
    let (trace_id, span_id) = (trace.to_vec(), span.to_vec());
    Link { trace_id, span_id, attributes: Vec::new(), flags: flags.into() }
}

fn failed(succeeded: bool, why: &str) -> Option<Status> {
    let code = status::StatusCode::Error as i32;
    (!succeeded).then(|| Status { message: why.to_owned(), code })
}

/// Clocks of a supervisor and of a batch are read at different moments: a part never sticks out.
fn within(whole: Stretch, part: Stretch) -> Stretch {
    let to_us = whole.to_us.max(whole.from_us);
    let from_us = part.from_us.clamp(whole.from_us, to_us);
    Stretch { from_us, to_us: part.to_us.clamp(from_us, to_us) }
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
